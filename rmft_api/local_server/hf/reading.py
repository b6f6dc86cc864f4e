"""The keys and values of a batch of rows, padded so that all rows grow together.

Prompts are read in portions of like length, so that little is read for padding and what is at work
stays in a CPU's cache. A row's slots are: padding; what was known of its prompt; padding; the rest
of its prompt; its answer. Padding is masked, and every token gets its own position.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rmft_api.local_server.hf.packages import package
from rmft_api.local_server.hf.prefixes import Layers, length_of

PORTION = 1024
"""Tokens of prompts that a CPU reads at once. More of them miss its cache."""
LARGE_PORTION = 2**16
"""The same of an accelerator."""
ROOM = 32
"""Slots for answers that are made at a time."""

Tokens = tuple[int, ...]
_cache: Any = package("transformers").cache_utils


class GrowingLayer(_cache.DynamicLayer):
    """Keys and values with room for more: a step writes its own token and copies no other."""

    def __init__(self) -> None:
        super().__init__()  # pyright: ignore[reportUnknownMemberType]
        self._whole: tuple[Tensor, Tensor] | None = None
        self.keys: Tensor
        self.values: Tensor

    def hold(self, keys: Tensor, values: Tensor, slots: int) -> None:
        """Begin with tensors [rows, heads, slots, width] of one's own: the first slots are used."""
        self.lazy_initialization(keys, values)
        self._whole = (keys, values)
        self.keys, self.values = keys[:, :, :slots], values[:, :, :slots]

    def update(
        self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        """Append; as transformers asks it of a layer."""
        begin, end = self.keys.shape[2], self.keys.shape[2] + key_states.shape[2]
        if self._whole is None or self._whole[0].shape[2] < end:
            self._whole = (_wider(self.keys, end + ROOM), _wider(self.values, end + ROOM))
        keys, values = self._whole
        keys[:, :, begin:end] = key_states
        values[:, :, begin:end] = value_states
        self.keys, self.values = keys[:, :, :end], values[:, :, :end]
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        """Continue with some rows."""
        whole = (self.keys, self.values) if self._whole is None else self._whole
        self.hold(whole[0][indices], whole[1][indices], self.keys.shape[2])


def _wider(part: Tensor, slots: int) -> Tensor:
    whole = part.new_empty((part.shape[0], part.shape[1], slots, part.shape[3]))
    whole[:, :, : part.shape[2]] = part
    return whole


class _Portion(NamedTuple):
    """Some rows that were read together: their keys and values, mask, logits."""

    layers: Layers
    """Of all of them: [rows, heads, slots, width]."""
    mask: Tensor
    logits: Tensor


class CachedRows:
    """Rows under way: a cache, which of its slots count [R, S], and the next positions [R]."""

    def __init__(self, network: Any, device: torch.device) -> None:
        self._network = network
        self._device = device
        self._portion = PORTION if device.type == "cpu" else LARGE_PORTION
        self._cache: Any = _cache.DynamicCache()
        self._mask = torch.zeros(0)
        self._positions = torch.zeros(0)
        self.places: list[int] = []
        """The row of each prompt that was read."""

    def read(self, prompts: Sequence[Tokens], known: Sequence[Layers | None]) -> Tensor:
        """Read every prompt's tokens after what is known of it.

        The last tokens' logits [R, V]. Rows stand as they were read together, see `places`.
        """
        rest = [prompt[length_of(part) :] for prompt, part in zip(prompts, known, strict=True)]
        together = portions([len(part) for part in rest], self._portion)
        read = [
            self._read([rest[prompt] for prompt in some], [known[prompt] for prompt in some])
            for some in together
        ]
        order = [prompt for some in together for prompt in some]
        self.places = [0] * len(order)
        for row, prompt in enumerate(order):
            self.places[prompt] = row
        lengths = [len(prompts[prompt]) for prompt in order]
        self._positions = torch.tensor(lengths, device=self._device)
        return self._join(read)

    def _read(self, rest: Sequence[Tokens], known: Sequence[Layers | None]) -> _Portion:
        """One forward pass."""
        lengths = [length_of(layers) for layers in known]
        cache: Any = _cache.DynamicCache()
        past = self._recall(cache, known, lengths)
        width = max(map(len, rest))
        tokens = torch.zeros((len(rest), width), dtype=torch.long)
        mask = torch.zeros((len(rest), width), dtype=torch.long)
        places = torch.zeros((len(rest), width), dtype=torch.long)
        for row, part in enumerate(rest):
            at = slice(width - len(part), None)
            tokens[row, at] = torch.tensor(part)
            mask[row, at] = 1
            places[row, at] = lengths[row] + torch.arange(len(part))
        whole = torch.cat((past, mask), 1).to(self._device)
        logits = self._forward(tokens.to(self._device), places.to(self._device), whole, cache)
        layers = tuple((layer.keys, layer.values) for layer in cache.layers)
        return _Portion(layers, whole, logits)

    def _recall(self, cache: Any, known: Sequence[Layers | None], lengths: Sequence[int]) -> Tensor:
        """Put what is known into the cache; its mask [R, P]."""
        width = max(lengths)
        mask = torch.zeros((len(known), width), dtype=torch.long)
        for row, length in enumerate(lengths):
            mask[row, width - length :] = 1
        example = next((layers for layers in known if layers is not None), None)
        if example is None or not width:
            return mask
        for index, parts in enumerate(example):
            if all(layers is example for layers in known):
                padded = [part.expand(len(known), *part.shape) for part in parts]
            else:
                padded = [_recalled(known, lengths, index, side) for side in (0, 1)]
            cache.update(padded[0], padded[1], index)
        return mask

    def _join(self, read: Sequence[_Portion]) -> Tensor:
        """One cache of all portions, one after the other; the logits [R, V]."""
        width = max(portion.mask.shape[1] for portion in read)
        pad = torch.nn.functional.pad
        masks = [pad(portion.mask, (width - portion.mask.shape[1], 0)) for portion in read]
        self._mask = torch.cat(masks)
        layers: list[GrowingLayer] = []
        for index in range(len(read[0].layers)):
            layer = GrowingLayer()
            keys, values = (_joined(read, width, index, side) for side in (0, 1))
            layer.hold(keys, values, width)
            layers.append(layer)
        self._cache.layers = layers
        return torch.cat([portion.logits for portion in read])

    def _forward(self, tokens: Tensor, places: Tensor, mask: Tensor, cache: Any) -> Tensor:
        out = self._network(
            input_ids=tokens,
            attention_mask=mask,
            position_ids=places,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return out.logits[:, -1].float()

    def step(self, tokens: Tensor) -> Tensor:
        """Feed one token to each row [R]; the next logits [R, V]."""
        self._mask = torch.nn.functional.pad(self._mask, (0, 1), value=1)
        logits = self._forward(tokens[:, None], self._positions[:, None], self._mask, self._cache)
        self._positions = self._positions + 1
        return logits

    def keep(self, rows: Tensor) -> None:
        """Continue with some rows only, in this order; one may come several times."""
        self._cache.batch_select_indices(rows)
        self._mask = self._mask[rows]
        self._positions = self._positions[rows]

    def layers(self, row: int) -> Layers:
        """A copy of one row's keys and values, without padding."""
        real = self._mask[row].nonzero()[:, 0]
        return tuple(
            (layer.keys[row].index_select(1, real), layer.values[row].index_select(1, real))
            for layer in self._cache.layers
        )


def portions(lengths: Sequence[int], most: int) -> list[list[int]]:
    """Places of rows to read together: of like length, at most so many slots, one row at least."""
    found: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda row: lengths[row]):
        if found and (len(found[-1]) + 1) * lengths[row] <= most:
            found[-1].append(row)
        else:
            found.append([row])
    return found


def _recalled(
    known: Sequence[Layers | None], lengths: Sequence[int], index: int, side: int
) -> Tensor:
    """What is known of each row in one layer, zeros in front: [rows, heads, slots, width]."""
    example = next(layers for layers in known if layers is not None)[index][side]
    width = max(lengths)
    whole = example.new_zeros((len(known), example.shape[0], width, example.shape[2]))
    for row, layers in enumerate(known):
        if layers is not None:
            whole[row, :, width - lengths[row] :] = layers[index][side]
    return whole


def _joined(read: Sequence[_Portion], width: int, index: int, side: int) -> Tensor:
    """One layer of all portions, zeros in front of the shorter ones, and room for answers."""
    count = sum(portion.mask.shape[0] for portion in read)
    example = read[0].layers[index][side]
    whole = example.new_empty((count, example.shape[1], width + ROOM, example.shape[3]))
    begin = 0
    for portion in read:
        part = portion.layers[index][side]
        rows = whole[begin : begin + part.shape[0]]
        missing = width - part.shape[2]
        rows[:, :, missing:width] = part
        rows[:, :, :missing] = 0  # masked, but a number
        begin += part.shape[0]
    return whole
