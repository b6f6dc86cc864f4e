"""Opposed trajectories become preferences: the very bytes that a DPO job learns from.

    {"input": {"messages": [...]}, "preferred_output": [...], "non_preferred_output": [...]}

A pair needs one chat that both trajectories saw, word for word, and two different decisions:
what the lower regret decided there is preferred to what the higher one did. So every pair is one
turn, as all known endpoints demand. Labels are checked as those of `dataset` are.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from rmft_api.config.schema import DatasetConfig, PromptConfig
from rmft_api.core.errors import DataError
from rmft_api.core.records import Address, ExampleMessage, Record, Trajectory
from rmft_api.datasets import dataset
from rmft_api.datasets.tokens import TokenCounter

Opposed = tuple[Trajectory, Trajectory]
"""Two trajectories of one scenario: of lower and of higher regret."""


class Preference(Record, frozen=True):
    """One line: a prompt, and two answers to it."""

    messages: tuple[ExampleMessage, ...]
    preferred: str
    rejected: str
    lower: Address
    """The trajectory whose answer is preferred."""
    higher: Address
    round: int
    """From 0; the same in both."""

    def chats(self) -> tuple[tuple[ExampleMessage, ...], tuple[ExampleMessage, ...]]:
        """Both whole chats, the preferred one first."""
        return (
            (*self.messages, ExampleMessage("assistant", self.preferred)),
            (*self.messages, ExampleMessage("assistant", self.rejected)),
        )


class Preferences(Record, frozen=True):
    """A checked training file of pairs."""

    content: bytes
    """ASCII JSON lines, one pair each, in the order of the trajectories and rounds."""
    sha256: str
    pairs: tuple[Preference, ...]
    tokens: int
    """Of both chats of all pairs: the most that one epoch is billed for."""
    longest: int
    """Tokens of the longest chat."""
    exact: bool
    """Whether the counts are exact for the model that is trained."""
    refused: tuple[str, ...] = ()
    """Pairs left out because a text holds a special token, a line of explanation each."""

    def source_of_line(self, line: int) -> str:
        """Which trajectories and round stand in a line, counted from 1 as providers do."""
        if not 1 <= line <= len(self.pairs):
            return f"line {line} (the file has {len(self.pairs)} lines)"
        return _place(self.pairs[line - 1])


def build(
    opposed: Iterable[Opposed],
    config: DatasetConfig,
    prompts: PromptConfig,
    counter: TokenCounter,
    limit: int | None = None,
    least: int = dataset.LEAST_EXAMPLES,
) -> Preferences:
    """The preferences of these pairs of trajectories, checked; a line that comes again is dropped.

    Arguments as those of `dataset.build`. Raises DataError.
    """
    both = list(opposed)
    made = {encode(one): one for one in all_of(both, config, prompts)}
    refused = [f"{_place(one)}: {why}" for one in made.values() if (why := _special(one))]
    kept = {line: one for line, one in made.items() if not _special(one)}
    _check_number(len(kept), least, len(both))
    counts = [counter.chat(chat) for one in kept.values() for chat in one.chats()]
    _check_lengths(kept.values(), counts, config.tokens_per_example or limit)
    content = b"".join(kept)
    return Preferences(
        content=content,
        sha256=hashlib.sha256(content).hexdigest(),
        pairs=tuple(kept.values()),
        tokens=sum(counts),
        longest=max(counts),
        exact=counter.exact,
        refused=tuple(refused),
    )


def all_of(
    opposed: Iterable[Opposed], config: DatasetConfig, prompts: PromptConfig
) -> list[Preference]:
    """The preferences of these pairs of trajectories, each line once, where it comes first."""
    found: dict[bytes, Preference] = {}
    for lower, higher in opposed:
        for one in pairs_of(lower, higher, config, prompts):
            found.setdefault(encode(one), one)
    return list(found.values())


def pairs_of(
    lower: Trajectory, higher: Trajectory, config: DatasetConfig, prompts: PromptConfig
) -> Iterator[Preference]:
    """A pair for every round that showed both the same and that they answered differently."""
    for t in range(min(len(lower.rounds), len(higher.rounds))):
        mine, theirs = lower.rounds[t], higher.rounds[t]
        if mine.status != "read" or theirs.status != "read":
            continue
        if (mine.action, mine.policy) == (theirs.action, theirs.policy):
            continue
        prompt = dataset.prompt_of(lower, t, prompts)
        if prompt != dataset.prompt_of(higher, t, prompts):
            continue
        preferred = dataset.label(lower, t, config.content, prompts.answer_form)
        rejected = dataset.label(higher, t, config.content, prompts.answer_form)
        yield Preference(prompt, preferred, rejected, lower.address, higher.address, t)


def encode(one: Preference) -> bytes:
    """The pair's line in ASCII, ended by a newline. Raises DataError for an empty message."""
    messages = [msgspec.to_builtins(message) for message in one.messages]
    for message in messages:
        message.pop("weight", None)  # only the two answers are learnt from
        if not message["content"].strip():
            raise DataError(f"{_place(one)}: the {message['role']} message is empty")
    said = ([{"role": "assistant", "content": t}] for t in (one.preferred, one.rejected))
    preferred, rejected = said
    line = {
        "input": {"messages": messages, "tools": [], "parallel_tool_calls": True},
        "preferred_output": preferred,
        "non_preferred_output": rejected,
    }
    return json.dumps(line, separators=(",", ":")).encode("ascii") + b"\n"


def _special(one: Preference) -> str | None:
    return next((why for chat in one.chats() if (why := dataset.special_token(chat))), None)


def _check_number(pairs: int, least: int, opposed: int) -> None:
    if pairs < least:
        raise DataError(
            f"{opposed} opposed trajectories make {pairs} pairs with one chat and two decisions, "
            f"the provider takes {least} or more; raise rollouts.trajectories, selection.k or "
            "finetuning.dpo.rivals"
        )


def _check_lengths(pairs: Iterable[Preference], counts: Sequence[int], limit: int | None) -> None:
    if limit is None:
        return
    for one, longest in zip(pairs, map(max, counts[::2], counts[1::2]), strict=True):
        if longest > limit:
            raise DataError(
                f"{_place(one)} has {longest} tokens, {limit} are allowed; shorten the prompts or "
                "raise dataset.tokens_per_example"
            )


def _place(one: Preference) -> str:
    a, b = one.lower, one.higher
    return (
        f"{a.split} iteration {a.iteration}, scenario {a.scenario}, trajectories {a.trajectory} "
        f"and {b.trajectory}, round {one.round + 1}"
    )
