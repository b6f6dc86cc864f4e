"""Worked rounds before the first one (few-shot), as turns of the chat.

They are the same for every trajectory of the same wording, so that prompt caches meet them again. A
scripted player plays them on made-up rewards, written with the run's own templates; no scenario of
any split is behind them. Or they are the user's own, from a file.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice
from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from rmft_api.config.schema import MOST_EXAMPLES, PromptConfig
from rmft_api.core import seeds
from rmft_api.core.errors import ConfigError, DataError
from rmft_api.core.records import Message
from rmft_api.environments.scenario import Floats
from rmft_api.prompts import reader, reasons
from rmft_api.prompts.builder import ChatPromptBuilder, PromptPlan
from rmft_api.prompts.templates import Folder, Template

Ints = NDArray[np.int64]
_BEST, _OTHER = 0.8, 0.3
"""Chances of the made-up rewards, which are 0 or 1."""
_ATTEMPTS = 200
"""Plays that are drawn for one example, until the round that is shown takes the action due."""


@dataclass(frozen=True)
class ExampleTemplates:
    """What worked rounds are made of."""

    count: int
    player: Literal["greedy", "random"]
    reasons: Template | None
    """What the player says before its answers; None: nothing."""
    own: tuple[Message, ...] = ()
    """The user's own, in place of all that."""


class _Turn(msgspec.Struct, forbid_unknown_fields=True):
    role: Literal["user", "assistant"]
    content: Annotated[str, Meta(pattern=r"\S")]


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    messages: Annotated[list[_Turn], Meta(min_length=2)]


def read(folder: Folder, config: PromptConfig) -> ExampleTemplates | None:
    """What the run file asks for; None: no examples. Raises ConfigError, DataError."""
    if config.examples_file is not None:
        own = tuple(_own(folder, config.examples_file, config))
        return ExampleTemplates(len(own), config.examples_player, None, own)
    if not config.examples:
        return None
    words = None
    if config.reasoning != "none" and folder.has_folder("reasonings"):
        why = f"prompts.examples with prompts.reasoning={config.reasoning!r}"
        words = folder.need("reasons.md", reasons.FIELDS, why)
    return ExampleTemplates(config.examples, config.examples_player, words)


def worked_rounds(
    plan: PromptPlan, wanted: ExampleTemplates, output: reader.Output
) -> tuple[Message, ...]:
    """The examples for scenarios that `plan` words, oldest first."""
    if wanted.own:
        return wanted.own
    if plan.next is not None:
        return tuple(_one_chat(plan, wanted, output))
    return tuple(_chats(plan, wanted, output))


def _chats(plan: PromptPlan, wanted: ExampleTemplates, output: reader.Output) -> Iterator[Message]:
    """Rounds that are chats of their own, early ones first, each out of another play.

    Their actions go round the names, so that the examples favour none.
    """
    K, T = len(plan.names), plan.T
    order: list[int] = seeds.rng(0, "examples", K, T).permutation(K).tolist()
    for number in range(wanted.count):
        t = (number + 1) * (T - 1) // (wanted.count + 1)
        yield from _round_with(plan, wanted, output, number, t, order[number % K])


def _round_with(
    plan: PromptPlan,
    wanted: ExampleTemplates,
    output: reader.Output,
    number: int,
    t: int,
    due: int,
) -> list[Message]:
    """Round `t` (from 0) of the first play that takes the action `due` there; of any, if none."""
    turns: list[Message] = []
    for attempt in range(_ATTEMPTS):
        play = _play(plan, wanted, output, (number, attempt, due))
        turns, action = next(islice(play, t, None))
        if action == due:
            break
    return turns


def _one_chat(
    plan: PromptPlan, wanted: ExampleTemplates, output: reader.Output
) -> Iterator[Message]:
    """The first rounds of one play, as turns of one chat; of further plays after its last."""
    numbers = count()
    rounds = (one for number in numbers for one in _play(plan, wanted, output, (number,)))
    for turns, _ in islice(rounds, wanted.count):
        yield from turns


def _play(
    plan: PromptPlan, wanted: ExampleTemplates, output: reader.Output, place: tuple[int, ...]
) -> Iterator[tuple[list[Message], int]]:
    """The new turns of every round of one play, its answer the last of them, and the action."""
    K = len(plan.names)
    rng = seeds.rng(0, "examples", K, plan.T, *place)
    first_K, rewards_TK = rng.permutation(K), _rewards(rng, plan.T, K, place)
    shown_tK: Floats = np.zeros((0, K))
    builder = ChatPromptBuilder(plan)
    for t, rewards_K in enumerate(rewards_TK):
        action = _action(wanted.player, rewards_TK[:t], shown_tK, first_K, rng)
        words = ""
        if wanted.reasons is not None:
            words = reasons.reason(wanted.reasons, plan.names, rewards_TK[:t], shown_tK, action)
        answer = reader.render(action, np.eye(K)[action].tolist(), plan.names, output, words)
        asked = [message for message in builder.new_messages() if message.role != "system"]
        yield [*asked, Message("assistant", answer)], action
        builder.observe(answer, action, tuple(rewards_K.tolist()))
        row = np.ones(K) if plan.full else np.eye(K)[action]
        shown_tK = np.vstack([shown_tK, row])


def _rewards(rng: np.random.Generator, T: int, K: int, place: tuple[int, ...]) -> Floats:
    """Rewards of 0 and 1 where one action is best: the one that is due, else any."""
    best = place[-1] if len(place) > 1 else int(rng.integers(K))
    chances_K = np.where(np.arange(K) == best, _BEST, _OTHER)
    return (rng.random((T, K)) < chances_K).astype(np.float64)


def _action(
    player: str, rewards_tK: Floats, shown_tK: Floats, first_K: Ints, rng: np.random.Generator
) -> int:
    """Random: any. Greedy: each action once, in a drawn order, then the highest mean shown."""
    if player == "random":
        return int(rng.integers(len(first_K)))
    counts_K = shown_tK.sum(axis=0)
    untried = first_K[counts_K[first_K] == 0]
    if len(untried):
        return int(untried[0])
    means_K = (rewards_tK * shown_tK).sum(axis=0) / counts_K
    return int(first_K[means_K[first_K].argmax()])


def _own(folder: Folder, name: str, config: PromptConfig) -> Iterator[Message]:
    """The turns of the user's own file. Raises ConfigError, DataError naming file and line."""
    path = (folder.beside / name).resolve()
    text = folder.text(str(path))
    if text is None:
        raise ConfigError(f"prompts.examples_file={name!r}: there is no such file")
    lines = [(n, line) for n, line in enumerate(text.split("\n"), 1) if line.strip()]
    wanted = len(lines) if config.examples is None else config.examples
    if not lines or wanted > len(lines):
        raise DataError(
            f"{name} holds {len(lines)} worked rounds, and prompts.examples needs "
            f"{wanted or 'at least one'}; write one a line, or lower prompts.examples"
        )
    if wanted > MOST_EXAMPLES:
        raise DataError(
            f"{name} holds {wanted} worked rounds; set prompts.examples to {MOST_EXAMPLES} or fewer"
        )
    for number, line in lines[:wanted]:
        yield from _turns(f"{name}, line {number}", line, config.answer_form)


def _turns(where: str, line: str, output: reader.Output) -> Iterator[Message]:
    form = '{"messages": [{"role": "user", "content": ...}, {"role": "assistant", "content": ...}]}'
    try:
        turns = _DECODE(line).messages
    except (msgspec.DecodeError, RecursionError) as error:
        raise DataError(f"{where}: {error}; a line is {form}") from None
    for place, turn in enumerate(turns):
        due = ("user", "assistant")[place % 2]
        if turn.role != due or (place == len(turns) - 1 and due == "user"):
            raise DataError(
                f"{where}: turn {place + 1} is the {turn.role}'s; user and assistant take turns, "
                "the user first and the assistant last (the run's own system message stands above)"
            )
        if turn.role == "assistant" and (why := reader.form_mistake(turn.content, output)):
            raise DataError(f"{where}: no reply of this form could be read: {why}")
        yield Message(turn.role, turn.content)


_DECODE = msgspec.json.Decoder(_Line).decode
