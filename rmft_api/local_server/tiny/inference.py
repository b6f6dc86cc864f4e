"""The network's forward pass for sampling, a token at a time; prompts are read by `reading`.

A row's numbers never depend on its batch mates. Every shape that a sum runs over (the slots of a
cache) is a property of the row alone, and matrix products have at least `FEWEST` rows, below
which BLAS changes its order of summation.

Axes are suffixes: U different prompts, R rows, N tokens of all rows, E slots of a cache.
Slots 0..n-1 of a row hold its n prompt tokens, the slots up to the end of its block stay hidden,
and token t of the answer is in slot block + t.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from rmft_api.local_server.tiny import tokenizer
from rmft_api.local_server.tiny.network import (
    HEAD,
    HEADS,
    LAYERS,
    WIDTH,
    Block,
    TinyNetwork,
    normalise,
    rotary_tables,
)

FEWEST = 4
SCALE = HEAD**-0.5


class Layer(NamedTuple):
    """Weights of one block, laid out for `x @ weights`; queries are scaled already."""

    queries_in: Tensor
    """[WIDTH, 2 * WIDTH]: queries, and the same turned by a quarter."""
    memory_in: Tensor
    """[WIDTH, 3 * WIDTH]: keys, the same turned by a quarter, values."""
    attention_out: Tensor
    hidden_in: Tensor
    hidden_out: Tensor


class Weights(NamedTuple):
    """All that a forward pass reads."""

    embedding: Tensor
    readout: Tensor
    layers: tuple[Layer, ...]
    cosines: Tensor
    """[CONTEXT, WIDTH], repeated for every head."""
    sines: Tensor


def _quarter_turn(weights: Tensor) -> Tensor:
    """Maps to the swapped halves that a rotation needs, sign included."""
    heads = weights.view(HEADS, 2, HEAD // 2, WIDTH)
    return torch.stack((heads[:, 1], heads[:, 0]), 1).reshape(WIDTH, WIDTH)


def _layer(block: Block) -> Layer:
    queries, keys, values = block.attention_in.weight.detach().view(3, WIDTH, WIDTH)
    queries = queries * SCALE
    return Layer(
        torch.cat((queries, _quarter_turn(queries))).t().contiguous(),
        torch.cat((keys, _quarter_turn(keys), values)).t().contiguous(),
        block.attention_out.weight.detach().t().contiguous(),
        block.hidden_in.weight.detach().t().contiguous(),
        block.hidden_out.weight.detach().t().contiguous(),
    )


def prepare(network: TinyNetwork) -> Weights:
    """Lay a network out for sampling."""
    cosines, sines = rotary_tables(tokenizer.CONTEXT)
    embedding = network.embedding.weight.detach().contiguous()
    return Weights(
        embedding,
        embedding.t().contiguous(),
        tuple(_layer(block) for block in network.layers),
        cosines.repeat(1, HEADS),
        sines.repeat(1, HEADS),
    )


def new_cache(rows: int, slots: int) -> Tensor:
    """Empty keys and values [LAYERS, 2, rows, HEADS, slots, HEAD]."""
    return torch.zeros(LAYERS, 2, rows, HEADS, slots, HEAD)


class RotaryTurn(NamedTuple):
    """How far the positions of N tokens turn queries and keys, each [N, WIDTH]."""

    cosines: Tensor
    sines: Tensor

    def queries(self, layer: Layer, x: Tensor) -> Tensor:
        """What N tokens look for [N, WIDTH], from their normalised vectors."""
        return self._apply(x @ layer.queries_in)

    def memory(self, layer: Layer, x: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of N tokens, each [N, WIDTH]."""
        mapped = x @ layer.memory_in
        return self._apply(mapped), mapped[:, 2 * WIDTH :]

    def _apply(self, mapped: Tensor) -> Tensor:
        plain, quarter = mapped[:, :WIDTH], mapped[:, WIDTH : 2 * WIDTH]
        return torch.addcmul(plain * self.cosines, quarter, self.sines)


def turn(weights: Weights, positions: Tensor) -> RotaryTurn:
    """For tokens at these positions [N]."""
    return RotaryTurn(
        weights.cosines.index_select(0, positions), weights.sines.index_select(0, positions)
    )


def finish(layer: Layer, x: Tensor, gathered: Tensor) -> Tensor:
    """Vectors after a block, from those before it and what attention gathered."""
    x = torch.addmm(x, gathered, layer.attention_out)
    hidden = (normalise(x) @ layer.hidden_in).relu_()
    return torch.addmm(x, hidden, layer.hidden_out)


def logits(weights: Weights, x: Tensor) -> Tensor:
    """Logits [N, SIZE] of the next token."""
    return normalise(x) @ weights.readout


def step(
    weights: Weights, cache: Tensor, mask: Tensor, tokens: Tensor, positions: Tensor, slot: int
) -> Tensor:
    """Add one token to each of R rows at `slot`; logits [R, SIZE] of the next.

    `mask` [R * HEADS, 1, E] is 0 where a row may look and -inf elsewhere.
    """
    rows, slots = len(tokens), cache.shape[4]
    x = weights.embedding.index_select(0, tokens)
    turned = turn(weights, positions)
    for layer, (keys, values) in zip(weights.layers, cache, strict=True):
        normal = normalise(x)
        new_keys, new_values = turned.memory(layer, normal)
        keys[:, :, slot] = new_keys.view(rows, HEADS, HEAD)
        values[:, :, slot] = new_values.view(rows, HEADS, HEAD)
        queries = turned.queries(layer, normal).view(rows * HEADS, 1, HEAD)
        scores = torch.baddbmm(mask, queries, keys.view(-1, slots, HEAD).transpose(1, 2))
        weighted = torch.bmm(functional.softmax(scores, -1), values.view(-1, slots, HEAD))
        x = finish(layer, x, weighted.view(rows, WIDTH))
    return logits(weights, x)
