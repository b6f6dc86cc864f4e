"""The keys and values of a batch of rows, padded so that all rows grow together.

A row's slots are: what was known of its prompt, padded on the left; the rest of its prompt, padded
on the left; its answer. Padding is masked, and every token is told its own position.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from rmft_api.local_server.hf.packages import package
from rmft_api.local_server.hf.prefixes import Layers


class CachedRows:
    """Rows under way: a cache, which of its slots count [R, S], and the next positions [R]."""

    def __init__(self, network: Any, device: torch.device) -> None:
        self._network = network
        self._device = device
        self._cache: Any = package("transformers").DynamicCache()
        self._mask = torch.zeros(0)
        self._positions = torch.zeros(0)

    def read(self, prompts: Sequence[tuple[int, ...]], known: Sequence[Layers | None]) -> Tensor:
        """Read every prompt's tokens after what is known of it; the last tokens' logits [R, V]."""
        lengths = [0 if layers is None else layers[0][0].shape[1] for layers in known]
        past = self._recall(known, lengths)
        rest = [prompt[n:] for prompt, n in zip(prompts, lengths, strict=True)]
        width = max(map(len, rest))
        tokens = torch.zeros((len(rest), width), dtype=torch.long)
        mask = torch.zeros((len(rest), width), dtype=torch.long)
        places = torch.zeros((len(rest), width), dtype=torch.long)
        for row, part in enumerate(rest):
            at = slice(width - len(part), None)
            tokens[row, at] = torch.tensor(part)
            mask[row, at] = 1
            places[row, at] = lengths[row] + torch.arange(len(part))
        self._mask = torch.cat((past, mask), 1).to(self._device)
        self._positions = torch.tensor([len(prompt) for prompt in prompts], device=self._device)
        return self._forward(tokens.to(self._device), places.to(self._device))

    def _recall(self, known: Sequence[Layers | None], lengths: Sequence[int]) -> Tensor:
        """Put what is known into the cache; its mask [R, P]."""
        width = max(lengths)
        mask = torch.zeros((len(known), width), dtype=torch.long)
        for row, length in enumerate(lengths):
            mask[row, width - length :] = 1
        example = next((layers for layers in known if layers is not None), None)
        if example is None or not width:
            return mask
        for index, parts in enumerate(example):
            padded = [
                part.new_zeros((len(known), part.shape[0], width, part.shape[2])) for part in parts
            ]
            for row, layers in enumerate(known):
                if layers is not None:
                    for whole, part in zip(padded, layers[index], strict=True):
                        whole[row, :, width - lengths[row] :] = part
            self._cache.update(padded[0], padded[1], index)
        return mask

    def _forward(self, tokens: Tensor, places: Tensor) -> Tensor:
        out = self._network(
            input_ids=tokens,
            attention_mask=self._mask,
            position_ids=places,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return out.logits[:, -1].float()

    def step(self, tokens: Tensor) -> Tensor:
        """Feed one token to each row [R]; the next logits [R, V]."""
        self._mask = torch.nn.functional.pad(self._mask, (0, 1), value=1)
        logits = self._forward(tokens[:, None], self._positions[:, None])
        self._positions = self._positions + 1
        return logits

    def keep(self, rows: Tensor) -> None:
        """Go on with some rows only, in this order; one may come several times."""
        self._cache.batch_select_indices(rows)
        self._mask = self._mask[rows]
        self._positions = self._positions[rows]

    def layers(self, row: int) -> Layers:
        """A copy of one row's keys and values, without padding."""
        real = self._mask[row].bool()
        return tuple(
            (layer.keys[row][:, real].clone(), layer.values[row][:, real].clone())
            for layer in self._cache.layers
        )
