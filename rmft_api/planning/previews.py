"""What a run will really send: the messages of chosen rounds, before anything is sent or written.

Rounds before a shown one are played as a plan plays them: actions drawn evenly, replies of the
length that the plan assumes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from rmft_api.config.schema import RunConfig
from rmft_api.core.answer_forms import CALL, TOOL, call_text, way_of
from rmft_api.core.errors import UsageError
from rmft_api.core.records import (
    ChatRequest,
    ChatResponse,
    Message,
    Record,
    ReplyStatus,
    Split,
    Usage,
)
from rmft_api.core.transcripts import StoredTrajectory
from rmft_api.datasets.tokens import TokenCounter
from rmft_api.planning.simulated_model import ReplyText, SimulatedChat
from rmft_api.prompts import PromptSet, reader
from rmft_api.providers.prices import Prices
from rmft_api.providers.profiles import Profile
from rmft_api.rollouts import engine, preparation
from rmft_api.rollouts.engine import PreparedScenario


class PreviewedRound(Record, frozen=True):
    """One request as it will be sent."""

    round: int
    """From 1."""
    messages: tuple[Message, ...]
    prompt_tokens: int
    reply_tokens: int
    """Of a reply as long as the plan assumes."""
    cost_usd: float | None
    """Of the prompt and such a reply, nothing cached; None: no price is known. 0: nobody bills."""


class ParsedPreview(Record, frozen=True):
    """How a reply would be read."""

    reply: str
    status: ReplyStatus
    action: str | None
    """The name of the action taken; None where it is drawn from `policy`, or nothing was read."""
    policy: dict[str, float] | None
    """The probability of each action; None where the reply cannot be read."""
    why: str = ""
    """Why it cannot be read."""


class PreviewedScenario(Record, frozen=True):
    """Chosen rounds of one scenario of a run."""

    model: str
    split: Split
    scenario: int
    story: str
    names: tuple[str, ...]
    T: int
    tokens_exact: bool
    tokens_basis: str
    """The vocabulary that tokens are counted with, or what an estimate is made from."""
    rounds: tuple[PreviewedRound, ...]
    replies: tuple[ParsedPreview, ...]


@dataclass(frozen=True)
class PreviewOptions:
    """Which rounds to show, and replies to read."""

    split: Split = "train"
    scenario: int = 0
    rounds: tuple[int, ...] = ()
    """From 1; empty: the first, the middle and the last."""
    replies: tuple[str, ...] = ()


async def preview(
    config: RunConfig,
    prompts: PromptSet,
    profile: Profile,
    counter: TokenCounter,
    options: PreviewOptions,
) -> PreviewedScenario:
    """The requests of one scenario at the endpoint `profile`, and how replies would be read.

    Raises ConfigError, DataError for a run whose prompts fail, UsageError for a scenario or a
    round that it does not have.
    """
    prepared = _prepared(config, prompts, options)
    chosen = _rounds(options.rounds, prepared.scenario.T)
    chat = _Recorder(_simulated(config, counter, [prepared], profile))
    settings = preparation.rollout_settings(config, options.split, 1, config.model.base, 1)
    await engine.play(replace(settings, trajectories=1), [prepared], chat, _drop)
    prices = Prices(profile, batch=config.requests.transport == "batch")
    problems = preparation.problems_of(config, options.split)
    story = preparation.wording_of(config, prompts, problems, options.split, 1, prepared.index)
    return PreviewedScenario(
        model=config.model.base,
        split=options.split,
        scenario=prepared.index,
        story=story,
        names=prepared.names,
        T=prepared.scenario.T,
        tokens_exact=counter.exact,
        tokens_basis=counter.basis,
        rounds=tuple(_shown(chat.exchanges[t - 1], t, prices, profile.paid) for t in chosen),
        replies=tuple(_read(reply, prepared, config) for reply in options.replies),
    )


async def rollout_requests(
    config: RunConfig, prompts: PromptSet, profile: Profile, counter: TokenCounter, replies: int
) -> list[list[ChatRequest]]:
    """What iteration 1 asks in each round, for at least so many replies a round where it has them.

    Actions are drawn evenly. Raises as `preview`.
    """
    each = config.rollouts.trajectories
    drawn = preparation.prepared_scenarios(config, prompts, "train", 1)
    prepared = list(islice(drawn, math.ceil(replies / each)))
    chat = _Recorder(_simulated(config, counter, prepared, profile))
    settings = preparation.rollout_settings(config, "train", 1, config.model.base, 1)
    await engine.play(settings, prepared, chat, _drop)
    rounds: dict[int, list[ChatRequest]] = {}
    for request, _ in chat.exchanges:
        rounds.setdefault(int(request.key.split("/")[-1]), []).append(request)
    return [rounds[t] for t in sorted(rounds)]


def _simulated(
    config: RunConfig, counter: TokenCounter, prepared: Sequence[PreparedScenario], profile: Profile
) -> SimulatedChat:
    reply_text = ReplyText(config, counter, config.sampling.max_tokens // 2)
    chat = profile.chat.model_copy(update={"cache_from_tokens": None})
    return SimulatedChat(reply_text, counter, {one.index: one.names for one in prepared}, chat)


@dataclass
class _Recorder:
    """Passes requests on, and keeps them."""

    chat: SimulatedChat
    exchanges: list[tuple[ChatRequest, ChatResponse]] = field(
        default_factory=list[tuple[ChatRequest, ChatResponse]]
    )

    async def reply(self, request: ChatRequest) -> ChatResponse:
        response = await self.chat.reply(request)
        self.exchanges.append((request, response))
        return response


async def _drop(prepared: PreparedScenario, finished: Sequence[StoredTrajectory]) -> None:
    """Nothing is saved."""


def _prepared(config: RunConfig, prompts: PromptSet, options: PreviewOptions) -> PreparedScenario:
    number = preparation.section_of(config, options.split).scenarios
    if not 0 <= options.scenario < number:
        raise UsageError(
            f"no scenario {options.scenario}: split {options.split!r} has {number}, "
            f"numbered 0 to {number - 1}"
        )
    prepared_scenarios = preparation.prepared_scenarios(config, prompts, options.split, 1)
    return next(prepared for prepared in prepared_scenarios if prepared.index == options.scenario)


def _rounds(wanted: Sequence[int], T: int) -> list[int]:
    """The rounds to show, each once, in order. Raises UsageError."""
    for one in wanted:
        if not 1 <= one <= T:
            raise UsageError(f"no round {one}: the scenario has rounds 1 to {T}")
    return sorted(set(wanted or (1, (T + 1) // 2, T)))


def _shown(
    exchange: tuple[ChatRequest, ChatResponse], round: int, prices: Prices, paid: bool
) -> PreviewedRound:
    request, response = exchange
    usage = response.usage or Usage(0, 0)
    cost = prices.cost(request, response) if paid else 0
    return PreviewedRound(
        round=round,
        messages=request.messages,
        prompt_tokens=usage.prompt_tokens,
        reply_tokens=usage.completion_tokens,
        cost_usd=None if cost is None else cost / 1e6,
    )


def _read(reply: str, prepared: PreparedScenario, config: RunConfig) -> ParsedPreview:
    form = config.prompts.answer_form
    called = way_of(form) == "tool" and CALL not in reply  # the arguments alone were given
    text = call_text(TOOL, reply) if called else reply
    read = reader.read(text, "stop", None, prepared.names, form)
    if isinstance(read, reader.UnreadableReply):
        return ParsedPreview(reply, read.status, None, None, read.why)
    action = None if read.action is None else prepared.names[read.action]
    policy = dict(zip(prepared.names, read.policy, strict=True))
    return ParsedPreview(reply, "read", action, policy)
