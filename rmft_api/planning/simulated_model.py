"""A player that answers at once: replies of an assumed length, and what each request weighs."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

from rmft_api.config.schema import PromptConfig, RunConfig
from rmft_api.core import seeds
from rmft_api.core.answer_forms import kind_of
from rmft_api.core.records import ChatRequest, ChatResponse, Choice, Usage
from rmft_api.datasets.tokens import TokenCounter
from rmft_api.planning.caching import PromptCache
from rmft_api.planning.token_counts import TokenCounts
from rmft_api.prompts import reader
from rmft_api.prompts.reader import Output
from rmft_api.providers.capabilities import ChatCapabilities

_THOUGHT = (
    "The averages so far are close to each other, and some choices were tried only a few times, "
    "so one more look at them may still pay off in the rounds that are left. "
)
_SHORT = ("so", "I", "a", ".")
"""Words of a token or two, for the last ones that are missing."""
_OWN = "000 "
"""As long as what distinguishes one reply from another of the same action."""


class SimulatedReply(NamedTuple):
    """One simulated reply."""

    text: str
    tokens: int
    least: int
    """Tokens of its answer alone."""


def replies_are_reasoned(prompts: PromptConfig) -> bool:
    """Whether a reply's words come back in later prompts, and not its action alone."""
    return prompts.conversation == "multi_turn" or prompts.repeat_reason


class ReplyText:
    """Composes replies: an action drawn evenly, after reasoning that fills the assumed length."""

    def __init__(self, config: RunConfig, counter: TokenCounter, reply_tokens: int) -> None:
        self._seed = config.seed
        self._output: Output = config.prompts.answer_form
        self._counter = counter
        self._length = 0 if config.prompts.reasoning == "none" else reply_tokens
        # Where words come back, two replies with the same action still make two chats.
        self._own_words = self._length > 0 and replies_are_reasoned(config.prompts)
        self._cut = config.sampling.max_tokens
        self._composed = cache(self._compose)

    def say(self, names: tuple[str, ...], *place: str | int) -> SimulatedReply:
        """The reply at one place of a run."""
        number = seeds.number(self._seed, "plan", *place)
        said = self._composed(names, number % len(names))
        if self._own_words and said.tokens > said.least:
            text = f"{number % 1000:0{len(_OWN) - 1}} {said.text}"
            return said._replace(text=text, tokens=min(self._counter.text(text), self._cut))
        return said

    def _compose(self, names: tuple[str, ...], favourite: int) -> SimulatedReply:
        answer = answer_of(names, favourite, self._output)
        least = min(self._counter.text(answer), self._cut)
        start = _OWN if self._own_words else ""
        words = filler(self._counter, start, f"\n{answer}", self._length)
        if not words:
            return SimulatedReply(answer, least, least)
        tokens = self._counter.text(f"{start}{words}\n{answer}")
        return SimulatedReply(f"{words}\n{answer}", min(tokens, self._cut), least)


def answer_of(names: Sequence[str], favourite: int, output: Output) -> str:
    """A readable answer that prefers one action."""
    other = 50 // len(names)
    weights = [other] * len(names)
    weights[favourite] = 100 - other * (len(names) - 1)
    scale = 100 if kind_of(output) == "policy" else 1
    return reader.render(favourite, [weight / scale for weight in weights], names, output)


def filler(counter: TokenCounter, start: str, end: str, tokens: int) -> str:
    """A line of reasoning that makes a reply of so many tokens, or as near as words come.

    "" where the reply is as near without any.
    """

    def count(words: Sequence[str]) -> int:
        return counter.text(f"{start}{' '.join(words)}{end}")

    bare = counter.text(end.strip())
    if tokens <= bare:
        return ""
    words = [str(word) for word in (_THOUGHT * (1 + tokens // 20)).split()]
    low, high = 0, len(words)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if count(words[:middle]) <= tokens else (low, middle - 1)
    found = words[:low]
    while fitting := [word for word in _SHORT if count([*found, word]) <= tokens]:
        found.append(fitting[0])
    if not found and count(_SHORT[:1]) - tokens < tokens - bare:
        found = [_SHORT[0]]
    return " ".join(found)


class SimulatedChat:
    """A `ports.ChatModel` that costs nothing and keeps a tally per scenario."""

    def __init__(
        self,
        reply_text: ReplyText,
        counter: TokenCounter,
        names: Mapping[int, tuple[str, ...]],
        chat: ChatCapabilities,
    ) -> None:
        self.tallies: dict[int, TokenCounts] = {}
        self._reply_text = reply_text
        self._counter = counter
        self._names = names
        self._chat = chat
        self._cache = PromptCache(counter, chat.cache_from_tokens)

    async def reply(self, request: ChatRequest) -> ChatResponse:
        """`request.n` replies, and their usage."""
        split, _, scenario, trajectory, t = request.key.split("/")
        place = (split, int(scenario), int(trajectory), int(t))
        names = self._names[place[1]]
        said = [self._reply_text.say(names, *place, i) for i in range(request.n)]
        form = self._counter.form(self._chat.charges(request.answer))
        prompt = self._counter.chat(request.messages) + form
        usage = Usage(
            prompt, sum(one.tokens for one in said), self._cache.cached(request.messages, prompt)
        )
        counts = TokenCounts(
            calls=1,
            prompt=prompt,
            cached=usage.cached_tokens,
            shared=prompt * (request.n - 1),
            output=usage.completion_tokens,
            least_output=sum(one.least for one in said),
            replies=request.n,
        )
        self.tallies[place[1]] = self.tallies.get(place[1], TokenCounts()) + counts
        choices = tuple(Choice(one.text, "stop") for one in said)
        return ChatResponse("simulated", request.model, choices, usage)
