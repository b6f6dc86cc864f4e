"""Whether an example can be short enough for its provider, looked at before anything is played."""

from collections.abc import Callable, Iterator

from rmft_api.config.schema import RunConfig
from rmft_api.core.records import Message
from rmft_api.datasets.tokens import TokenCounter
from rmft_api.planning.simulated_model import answer_of
from rmft_api.planning.worst_case import LONGEST_WORD, long_word
from rmft_api.prompts import PromptSet
from rmft_api.providers.prices import most_tokens
from rmft_api.providers.profiles import Profile
from rmft_api.rollouts import preparation
from rmft_api.rollouts.engine import PreparedScenario

_ANSWER = 8
"""Tokens that are left for the answer after the reasoning."""


def limit_of(config: RunConfig, training: Profile) -> int | None:
    """The most tokens that an example may have; None: not known."""
    return config.dataset.tokens_per_example or training.tokens_per_example(config.model.base)


def too_long(
    config: RunConfig, prompts: PromptSet, training: Profile, counter_of: Callable[[], TokenCounter]
) -> str | None:
    """Why a dataset of this run would be refused; None where it can be short enough.

    A scenario of each kind is played to its last round by a player that takes one action each time
    and thinks for half of `sampling.max_tokens`. Other play takes about as many words.
    `counter_of` is called only where it matters, for vocabularies take time to load.
    """
    limit = limit_of(config, training)
    if limit is None:
        return None
    for prepared in _kinds(config, prompts):
        if all(most_tokens(chat) > limit for chat in _examples(config, prepared)):
            # Only now, for no token is shorter than a byte.
            counter = counter_of()
            shortest = min(map(counter.chat, _examples(config, prepared, long_word(counter))))
            if shortest > limit:
                return _too_long(config, prepared, shortest, limit, training.name)
    return None


def _kinds(config: RunConfig, prompts: PromptSet) -> Iterator[PreparedScenario]:
    """A prepared scenario of each problem and story, of the first scenarios to be played."""
    problems = preparation.problems_of(config, "train")
    known: set[tuple[int, str]] = set()
    for prepared in preparation.prepared_scenarios(config, prompts, "train", 1):
        story = preparation.wording_of(config, prompts, problems, "train", 1, prepared.index)
        if (kind := (prepared.index % len(problems), story)) not in known:
            known.add(kind)
            yield prepared


def _examples(
    config: RunConfig, prepared: PreparedScenario, word: str = LONGEST_WORD
) -> Iterator[tuple[Message, ...]]:
    """The last round's example, for each action that may be taken throughout."""
    for action in range(prepared.scenario.K):
        answer = answer_of(prepared.names, action, config.prompts.answer_form)
        reply = _reply(config, answer, word)
        trial = prepared.begin()
        for t in range(prepared.scenario.T - 1):
            trial.observe(prepared.scenario, t, reply, action)
        words = config.dataset.content == "full" and config.prompts.reasons == "own"
        yield (*trial.prompt.messages(), Message("assistant", reply if words else answer))


def _reply(config: RunConfig, answer: str, word: str) -> str:
    if config.prompts.reasoning == "none":
        return answer
    room = config.sampling.max_tokens // 2 - _ANSWER
    return f"{word * room}\n{answer}" if room > 0 else answer


def _too_long(
    config: RunConfig, prepared: PreparedScenario, shortest: int, limit: int, where: str
) -> str:
    thought = "" if config.prompts.reasoning == "none" else ", replies half as long as they may be"
    return (
        f"an example of T={prepared.scenario.T}, K={prepared.scenario.K} has about "
        f"{shortest} tokens{thought}, and {limit} are allowed"
        f"{_by_whom(config, where)}; {way_out(config)}"
    )


def _by_whom(config: RunConfig, where: str) -> str:
    if config.dataset.tokens_per_example:
        return " by dataset.tokens_per_example"
    return f" for {config.model.base!r} at {where!r}"


def way_out(config: RunConfig) -> str:
    """What makes examples shorter, or longer ones allowed."""
    prompts, ways = config.prompts, ["lower T or sampling.max_tokens"]
    if prompts.conversation == "multi_turn":
        ways.append("set prompts.conversation = 'single_turn'")
    elif prompts.history == "raw":
        ways.append("set prompts.history = 'summary'")
    if prompts.set == "standard":
        ways.append("take shorter prompts (prompts.set = 'compact' or 'plain')")
    if prompts.examples or prompts.examples_file:
        ways.append("show fewer worked rounds (prompts.examples)")
    if config.dataset.tokens_per_example:
        ways.append("raise dataset.tokens_per_example")
    return ", or ".join(ways)
