"""Compact storage of trajectories: T rounds take space for T rounds, not for T * T.

Where every round is a chat of its own, its prompt repeats the whole history, so it begins and ends
as the prompt before it. A `MessageDiff` stores only the text in between.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from rmft_api.core.records import Address, Message, Role, Round, Trajectory

Prompt = tuple[Message, ...]
_NOTHING = Message("user", "")
_SHORT = 1000
"""Characters of which no end is looked for."""


class MessageDiff(msgspec.Struct, frozen=True, array_like=True):
    """A message, by the message in its place a round before (an empty one if there was none)."""

    role: Role
    head: int
    """Characters that it begins with."""
    tail: int
    """Characters that it ends with."""
    text: str
    """What stands between."""


MessageDiffs = tuple[MessageDiff, ...]


class RoundText(msgspec.Struct, frozen=True, array_like=True):
    """The prompt and the reply of one round."""

    prompt: MessageDiffs
    reply: str


class StoredTrajectory(NamedTuple):
    """A trajectory as it is stored: its texts apart from its figures."""

    figures: Trajectory
    """The trajectory with empty prompts and replies."""
    transcript: bytes
    """The `RoundText` of its rounds as JSON: 0.6 of the memory that the objects take."""

    @staticmethod
    def of(whole: Trajectory) -> "StoredTrajectory":
        """Separate a trajectory's texts from its figures."""
        recorder = TranscriptRecorder()
        for one in whole.rounds:
            recorder.add(one.prompt, one.reply, _spoken(one, (), ""))
        return recorder.trajectory(whole.address, whole.model, whole.names)

    def whole(self) -> Trajectory:
        """The trajectory with its prompts and replies."""
        bare, words = self.figures, _words.decode(self.transcript)
        prompts = restored(one.prompt for one in words)
        rounds = map(_spoken, bare.rounds, prompts, [one.reply for one in words])
        return Trajectory(bare.address, bare.model, bare.names, tuple(rounds))


_encode = msgspec.json.Encoder().encode
_words = msgspec.json.Decoder(list[RoundText])


class TranscriptRecorder:
    """Records a trajectory round by round."""

    def __init__(self) -> None:
        self._rounds: list[Round] = []
        self._words: list[bytes] = []
        self._last: Prompt = ()

    @property
    def rounds(self) -> Sequence[Round]:
        """The rounds so far, without their texts."""
        return self._rounds

    def add(self, prompt: Prompt, reply: str, figures: Round) -> None:
        """Add a round; `figures` is the round without its texts."""
        self._rounds.append(figures)
        self._words.append(_encode(RoundText(diff_of(prompt, self._last), reply)))
        self._last = prompt

    def trajectory(self, address: Address, model: str, names: tuple[str, ...]) -> StoredTrajectory:
        """The play so far."""
        words = b"[%s]" % b",".join(self._words)
        return StoredTrajectory(Trajectory(address, model, names, tuple(self._rounds)), words)


def diff_of(prompt: Prompt, before: Prompt) -> MessageDiffs:
    """`prompt` by the one `before` it."""
    return tuple([_piece(message, _at(before, i)) for i, message in enumerate(prompt)])


def restored(shortened: Iterable[MessageDiffs]) -> list[Prompt]:
    """The prompts of a whole play; messages that stayed the same are one object."""
    prompts: list[Prompt] = []
    before: Prompt = ()
    for pieces in shortened:
        before = tuple([_message(piece, _at(before, i)) for i, piece in enumerate(pieces)])
        prompts.append(before)
    return prompts


def _spoken(one: Round, prompt: Prompt, reply: str) -> Round:
    return Round(prompt, reply, one.status, one.action, one.policy, one.rewards)


def _at(before: Prompt, place: int) -> Message:
    return before[place] if place < len(before) else _NOTHING


def _piece(message: Message, base: Message) -> MessageDiff:
    text, known = message.content, base.content
    if text == known:
        return MessageDiff(message.role, len(text), 0, "")
    head = _alike(text, known)
    tail = _alike(text[head:][::-1], known[head:][::-1]) if len(text) - head > _SHORT else 0
    return MessageDiff(message.role, head, tail, text[head : len(text) - tail])


def _message(piece: MessageDiff, base: Message) -> Message:
    known = base.content
    if piece.head == len(known) and not piece.text and piece.role == base.role:
        return base
    return Message(piece.role, known[: piece.head] + piece.text + known[len(known) - piece.tail :])


def _alike(one: str, other: str) -> int:
    """How many characters both begin with."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        same = one[low:middle] == other[low:middle]
        low, high = (middle, high) if same else (low, middle - 1)
    return low
