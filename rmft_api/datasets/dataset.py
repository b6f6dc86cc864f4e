"""Kept trajectories become training examples: the very bytes that are uploaded.

Every label is read again, from the bytes, by the reader that read it in play, and must decide what
was executed. The provider's own rules are checked here too, so that a job is not paid for first
and refused afterwards (docs/faults.md 2.4, D3-D7): one DataError line says which trajectory and
round. An example whose text holds a provider's special token, which is the model's doing, is left
out.
"""

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Literal

import msgspec

from rmft_api.config.schema import DatasetConfig, PromptConfig
from rmft_api.core.answer_forms import messages_of_wire, tools, way_of, wire_turns
from rmft_api.core.errors import DataError
from rmft_api.core.records import (
    Address,
    AnswerFormat,
    Example,
    ExampleMessage,
    Record,
    Round,
    Trajectory,
)
from rmft_api.datasets.tokens import TokenCounter
from rmft_api.prompts import reader

LEAST_EXAMPLES = 10
"""Fewer are refused by OpenAI."""
_SPECIAL = re.compile(
    r"<\|(?:endoftext|startoftext|fim_prefix|fim_middle|fim_suffix|endofprompt|im_start|im_end|im_sep"
    r"|start|end|message|channel|constrain|return|call|reserved_[0-9]+)\|>"
)


Reason = Callable[[Trajectory, int], str]
"""A round's hand-written reasoning; rounds from 0."""


class Dataset(Record, frozen=True):
    """A checked training file."""

    content: bytes
    """ASCII JSON lines, one example each, in order of address and round."""
    sha256: str
    examples: tuple[Example, ...]
    """What stands in each line, and where it comes from."""
    tokens: int
    """Of all examples: what one epoch is billed for."""
    longest: int
    """Tokens of the longest example."""
    exact: bool
    """Whether the two counts are exact for the model that is trained."""
    duplicates: int
    """Lines that say the same as an earlier one."""
    refused: tuple[str, ...] = ()
    """Examples left out because a text holds a special token, a line of explanation each."""

    def source_of_line(self, line: int) -> str:
        """Which trajectory and rounds stand in a line, counted from 1 as providers do."""
        if not 1 <= line <= len(self.examples):
            return f"line {line} (the file has {len(self.examples)} lines)"
        return _place(self.examples[line - 1])


def build(
    trajectories: Iterable[Trajectory],
    config: DatasetConfig,
    prompts: PromptConfig,
    counter: TokenCounter,
    limit: int | None = None,
    least: int = LEAST_EXAMPLES,
    reason: Reason | None = None,
    reserved: Sequence[str] = (),
) -> Dataset:
    """The dataset of these trajectories, checked. The order in which they come does not matter.

    `limit` is the profile's tokens per example, `least` its examples per file; the run file's
    `tokens_per_example` comes before `limit`. `reason` says what stands in the place of a round's
    reasoning, absent: what was said. `reserved` are texts that fail a job at this endpoint. Raises
    DataError.
    """
    played = _by_address(trajectories)
    made = [e for t in played.values() for e in examples_of(t, config, prompts, reason)]
    refused = [f"{_place(e)}: {why}" for e in made if (why := special_token(e.messages, reserved))]
    examples = tuple(e for e in made if not special_token(e.messages, reserved))
    lines = [encode(example) for example in examples]
    _check_number(lines, least, refused)
    for example, line in zip(examples, lines, strict=True):
        check(example, line, played[example.source], prompts.answer_form)
    counts = [counter.chat(one.messages) + counter.form(one.answer) for one in examples]
    _check_lengths(examples, counts, config.tokens_per_example or limit, counter)
    content = b"".join(lines)
    return Dataset(
        content=content,
        sha256=hashlib.sha256(content).hexdigest(),
        examples=examples,
        tokens=sum(counts),
        longest=max(counts),
        exact=counter.exact,
        duplicates=len(lines) - len(set(lines)),
        refused=tuple(refused),
    )


def examples_of(
    trajectory: Trajectory,
    config: DatasetConfig,
    prompts: PromptConfig,
    reason: Reason | None = None,
) -> tuple[Example, ...]:
    """A trajectory's examples: one per readable round, or one for all of them.

    Rounds that could not be read are never labels. In a chat that grew, turns that are not
    labels have weight 0.
    """
    read = [t for t, round in enumerate(trajectory.rounds) if round.status == "read"]
    if not read:
        return ()
    if prompts.conversation == "single_turn":
        return tuple(_example(trajectory, t, (t,), config, prompts, reason, t) for t in read)
    if config.example == "round":
        return tuple(_example(trajectory, t, (t,), config, prompts, reason) for t in read)
    return (_example(trajectory, read[-1], tuple(read), config, prompts, reason),)


def encode(example: Example) -> bytes:
    """The example's line: {"messages":[...]} in ASCII, ended by a newline."""
    line: dict[str, Any] = {"messages": [msgspec.to_builtins(one) for one in example.messages]}
    if (answer := example.answer) is not None:
        line["messages"] = wire_turns(line["messages"])
        line["tools"] = tools(answer.form, answer.names, answer.reasoned)
        line["parallel_tool_calls"] = False
    return json.dumps(line, separators=(",", ":")).encode("ascii") + b"\n"


def check(example: Example, line: bytes, trajectory: Trajectory, output: reader.Output) -> None:
    """Refuse a line that a provider would refuse or that teaches what was not done."""
    messages = _messages_of_line(example, line)
    if messages != example.messages and example.answer is None:
        raise DataError(f"{_place(example)}: the line does not say what the example says")
    _check_form(example)
    labels = [m for m in messages if m.role == "assistant" and m.weight != 0]
    for t, label in zip(example.rounds, labels, strict=True):
        _check_label(label.content, trajectory, t, output)


def prompt_of(trajectory: Trajectory, t: int, prompts: PromptConfig) -> tuple[ExampleMessage, ...]:
    """The chat that round `t` (from 0) answers; turns of the model's own have weight 0."""
    since = t if prompts.conversation == "single_turn" else 0
    messages: list[ExampleMessage] = []
    for place in range(since, t + 1):
        messages += _messages_of(trajectory.rounds[place])
        if place < t and (said := trajectory.rounds[place].reply).strip():
            messages.append(ExampleMessage("assistant", reader.clean(said), weight=0))
    return tuple(messages)


def label(
    trajectory: Trajectory, t: int, content: Literal["full", "action"], output: reader.Output
) -> str:
    """What is learnt of round `t`: it must decide what was executed. Raises DataError."""
    text = _label(trajectory, t, content, output, None)
    _check_label(text, trajectory, t, output)
    return text


def _messages_of_line(example: Example, line: bytes) -> tuple[ExampleMessage, ...]:
    """What a line says; tool calls as text."""
    if example.answer is None:
        return msgspec.json.decode(line, type=_Line).messages
    messages = messages_of_wire(json.loads(line)["messages"])
    return msgspec.convert(messages, type=tuple[ExampleMessage, ...])


class _Line(Record, frozen=True):
    messages: tuple[ExampleMessage, ...]


def _example(
    trajectory: Trajectory,
    last: int,
    labels: Sequence[int],
    config: DatasetConfig,
    prompts: PromptConfig,
    reason: Reason | None,
    since: int = 0,
) -> Example:
    """The chat of rounds `since` to `last`, with the replies of `labels` to learn from."""
    messages: list[ExampleMessage] = []
    for t in range(since, last + 1):
        round = trajectory.rounds[t]
        messages += _messages_of(round)
        if t in labels:
            text = _label(trajectory, t, config.content, prompts.answer_form, reason)
            messages.append(ExampleMessage("assistant", text))
        elif round.reply.strip():
            messages.append(ExampleMessage("assistant", reader.clean(round.reply), weight=0))
    form = prompts.answer_form
    called = way_of(form) == "tool"
    reasoned = prompts.reasoning != "none"
    answer = AnswerFormat(form, trajectory.names, reasoned) if called else None
    return Example(tuple(messages), trajectory.address, tuple(labels), answer)


def _messages_of(round: Round) -> Iterator[ExampleMessage]:
    for message in round.prompt:
        weight = 0 if message.role == "assistant" else None  # what stands for an empty reply
        yield ExampleMessage(message.role, message.content, weight)


def _label(
    trajectory: Trajectory,
    t: int,
    content: Literal["full", "action"],
    output: reader.Output,
    reason: Reason | None,
) -> str:
    reply = reader.clean(trajectory.rounds[t].reply)
    if content == "full" and reason is None:
        return reply
    answer = _read(reply, trajectory, t, output)
    words = "" if content == "action" or reason is None else reason(trajectory, t)
    return reader.alone(reply, answer, output, words)


def _read(text: str, trajectory: Trajectory, t: int, output: reader.Output) -> reader.ParsedReply:
    answer = reader.read(text, "stop", None, trajectory.names, output)
    if isinstance(answer, reader.UnreadableReply):
        raise DataError(
            f"{_where(trajectory.address, (t,))}: recorded as read, but its reply is not readable "
            f"({answer.why}); was prompts.output changed?"
        )
    return answer


def _check_label(label: str, trajectory: Trajectory, t: int, output: reader.Output) -> None:
    """A label must decide what the round executed."""
    round, answer = trajectory.rounds[t], _read(label, trajectory, t, output)
    place = _where(trajectory.address, (t,))
    if answer.action is not None and answer.action != round.action:
        raise DataError(
            f"{place}: the label says action {answer.action}, action {round.action} was executed"
        )
    if answer.policy != round.policy:
        raise DataError(f"{place}: the label says policy {answer.policy}, {round.policy} was used")
    numbers = (*round.rewards, *answer.policy)
    if not all(map(math.isfinite, numbers)):
        raise DataError(f"{place}: rewards {round.rewards} must be finite numbers")


def _by_address(trajectories: Iterable[Trajectory]) -> dict[Address, Trajectory]:
    """In order of address, each once."""
    ordered = sorted(trajectories, key=lambda t: _order(t.address))
    played = {t.address: t for t in ordered}
    if len(played) < len(ordered):
        twice = next(a.address for a, b in pairwise(ordered) if a.address == b.address)
        raise DataError(f"{_where(twice)} is given twice; give every trajectory once")
    return played


def special_token(messages: Iterable[ExampleMessage], reserved: Sequence[str] = ()) -> str | None:
    """Why providers would refuse the texts, which a model may have written; None if they do not."""
    for message in messages:
        if found := _SPECIAL.search(message.content):
            return f"the {message.role} message holds the special token {found[0]!r}"
        if word := next((word for word in reserved if word in message.content), None):
            return f"the {message.role} message holds {word!r}, which is reserved there"
    return None


def _check_number(lines: Sequence[bytes], least: int, refused: Sequence[str]) -> None:
    if len(lines) < least:
        lost = f" ({len(refused)} more left out, first {refused[0]})" if refused else ""
        raise DataError(
            f"the dataset has {len(lines)} examples{lost}, the provider takes {least} or more; "
            "start another run with more rollouts.scenarios, selection.k or T, or with a lower "
            "selection.min_pulls or .min_valid: `rmft-api resume` keeps those of this one"
        )


def _check_form(example: Example) -> None:
    """The rules of chat training files that a trajectory could break."""
    for message in example.messages:
        if not message.content.strip():
            raise DataError(f"{_place(example)}: the {message.role} message is empty")
    roles = [message.role for message in example.messages]
    if roles[-1] != "assistant" or "user" not in roles or "system" in roles[1:]:
        raise DataError(
            f"{_place(example)}: roles are {', '.join(roles)}; a training chat is an optional "
            "system message, then user and assistant messages, the last one the assistant's"
        )


def _check_lengths(
    examples: Sequence[Example], counts: Sequence[int], limit: int | None, counter: TokenCounter
) -> None:
    """Providers cut long examples at the end, where the last action stands: refuse them."""
    if limit is None:
        return
    long = [(n, example) for n, example in zip(counts, examples, strict=True) if n > limit]
    if long:
        most, example = max(long, key=lambda pair: pair[0])
        about = "" if counter.exact else "about "
        raise DataError(
            f"{len(long)} of {len(examples)} examples are longer than {limit} tokens, the longest "
            f"{about}{most} ({_place(example)}); lower T, shorten the prompts, use "
            "dataset.example='round', or raise dataset.tokens_per_example"
        )


def _order(address: Address) -> tuple[str, int, int, int]:
    return (address.split, address.iteration, address.scenario, address.trajectory)


def _place(example: Example) -> str:
    return _where(example.source, example.rounds)


def _where(address: Address, rounds: Sequence[int] = ()) -> str:
    """A trajectory and rounds of it in words; rounds are counted from 1, as they were shown."""
    place = (
        f"{address.split} iteration {address.iteration}, scenario {address.scenario}, "
        f"trajectory {address.trajectory}"
    )
    if len(rounds) > 1:
        return f"{place}, rounds {rounds[0] + 1} to {rounds[-1] + 1}"
    return f"{place}, round {rounds[0] + 1}" if rounds else place
