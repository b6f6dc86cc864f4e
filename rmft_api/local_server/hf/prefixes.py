"""Keys and values of prompts already read, found again by the longest beginning in common."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

BLOCK = 16
"""Tokens; beginnings are compared in blocks of so many."""

WORTH = 24
"""Tokens that prompts must share at least to be read together."""
Tokens = tuple[int, ...]
Layers = tuple[tuple[Tensor, Tensor], ...]
"""Keys and values of every layer, each [heads, tokens, width]."""


def length_of(layers: Layers | None) -> int:
    """Tokens that were read."""
    return 0 if layers is None else layers[0][0].shape[1]


def first(layers: Layers, length: int) -> Layers:
    """Of the first `length` tokens alone."""
    return tuple((keys[:, :length], values[:, :length]) for keys, values in layers)


class _Entry(NamedTuple):
    tokens: Tokens
    layers: Layers
    bytes: int


class PrefixStore:
    """Bounded by bytes; the prompt unused for longest goes first."""

    def __init__(self, most_bytes: int) -> None:
        self._room = most_bytes
        self._most = most_bytes
        self._entries: OrderedDict[tuple[str, Tokens], _Entry] = OrderedDict()
        self._starts: dict[int, tuple[str, Tokens]] = {}

    @property
    def used_bytes(self) -> int:
        """Bytes held now."""
        return self._most - self._room

    @property
    def has_room(self) -> bool:
        """Whether it keeps anything at all."""
        return self._most > 0

    def find(self, owner: str, tokens: Tokens) -> tuple[int, Layers | None]:
        """How many first tokens are known for this owner's weights, and their layers.

        The last token is never among them: reading it gives the first answer token's odds.
        """
        for blocks, name in reversed(list(enumerate(_names(owner, tokens[:-1]), 1))):
            key = self._starts.get(name)
            entry = None if key is None else self._entries.get(key)
            if key is None or entry is None:
                continue
            length = blocks * BLOCK
            if key[0] == owner and entry.tokens[:length] == tokens[:length]:
                self._entries.move_to_end(key)
                length = _common(entry.tokens, tokens[:-1], length)
                return length, entry.layers
        return 0, None

    def keep(self, owner: str, tokens: Tokens, layers: Layers) -> None:
        """Remember a prompt, at the price of older ones."""
        key = (owner, tokens)
        size = sum(part.nbytes for layer in layers for part in layer)
        if len(tokens) < BLOCK or size > self._most or key in self._entries:
            return
        while size > self._room:
            _, old = self._entries.popitem(last=False)
            self._room += old.bytes
        self._entries[key] = _Entry(tokens, layers, size)
        self._room -= size
        for name in _names(owner, tokens):
            self._starts[name] = key
        if len(self._starts) > 64 * (len(self._entries) + 64):
            self._forget_names()

    def _forget_names(self) -> None:
        self._starts = {name: key for name, key in self._starts.items() if key in self._entries}


def common_beginnings(prompts: Sequence[Tokens]) -> list[tuple[int, list[int]]]:
    """How many first tokens some prompts share, and which prompts: what is worth reading once.

    A prompt is in one group at most; its last token is never shared.
    """
    found: list[tuple[int, list[int]]] = []
    length, group = 0, list[int]()
    for place in sorted(range(len(prompts)), key=lambda place: prompts[place]):
        tokens = prompts[place][:-1]
        common = _common(prompts[group[0]][:length], tokens, 0) if group else 0
        if common >= max(WORTH, length // 2):
            length = common
            group.append(place)
            continue
        found.append((length, group))
        length, group = len(tokens), [place]
    found.append((length, group))
    return [(length, group) for length, group in found if len(group) > 1]


def _names(owner: str, tokens: Sequence[int]) -> list[int]:
    """One number for every beginning of whole blocks; each depends on all tokens before it."""
    names: list[int] = []
    name = hash(owner)
    for end in range(BLOCK, len(tokens) + 1, BLOCK):
        name = hash((name, *tokens[end - BLOCK : end]))
        names.append(name)
    return names


def _common(one: Tokens, other: Tokens, length: int) -> int:
    """Tokens that both begin with, at least `length`."""
    end = min(len(one), len(other))
    while length < end and one[length] == other[length]:
        length += 1
    return length
