"""The network's forward pass for sampling: prompts once, then a token at a time.

A row's numbers never depend on its batch mates. Every shape that a sum runs over (the slots of a
cache) is a property of the row alone, and matrix products have at least `FEWEST` rows, below
which BLAS changes its order of summation.

Axes are suffixes: U different prompts, R rows, N tokens of all rows, E slots of a cache.
Slots 0..n-1 of a row hold its n prompt tokens, the slots up to the end of its block stay hidden,
and token t of the answer is in slot block + t.
"""

from collections.abc import Sequence
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
    Network,
    normalise,
    rotary_tables,
)

FEWEST = 4
SCALE = HEAD**-0.5


class Layer(NamedTuple):
    """Weights of one block, laid out for `x @ weights`; queries are scaled already."""

    attention_in: Tensor
    """[WIDTH, 5 * WIDTH]: queries, keys, both turned by a quarter, values."""
    attention_out: Tensor
    hidden_in: Tensor
    hidden_out: Tensor


class Weights(NamedTuple):
    """All that a forward pass reads."""

    embedding: Tensor
    readout: Tensor
    layers: tuple[Layer, ...]
    cosines: Tensor
    """[CONTEXT, 2 * WIDTH], repeated for every head of queries and keys."""
    sines: Tensor


class Span(NamedTuple):
    """Tokens to add to one row, beginning at slot `start`."""

    tokens: tuple[int, ...]
    start: int


def _quarter_turn(weights: Tensor) -> Tensor:
    """Maps to the swapped halves that a rotation needs, sign included."""
    heads = weights.view(HEADS, 2, HEAD // 2, WIDTH)
    return torch.stack((heads[:, 1], heads[:, 0]), 1).reshape(WIDTH, WIDTH)


def _layer(block: Block) -> Layer:
    queries, keys, values = block.attention_in.weight.detach().view(3, WIDTH, WIDTH)
    queries = queries * SCALE
    parts = (queries, keys, _quarter_turn(queries), _quarter_turn(keys), values)
    return Layer(
        torch.cat(parts).t().contiguous(),
        block.attention_out.weight.detach().t().contiguous(),
        block.hidden_in.weight.detach().t().contiguous(),
        block.hidden_out.weight.detach().t().contiguous(),
    )


def prepare(network: Network) -> Weights:
    """Lay a network out for sampling."""
    cosines, sines = rotary_tables(tokenizer.CONTEXT)
    embedding = network.embedding.weight.detach().contiguous()
    return Weights(
        embedding,
        embedding.t().contiguous(),
        tuple(_layer(block) for block in network.layers),
        cosines.repeat(1, 2 * HEADS),
        sines.repeat(1, 2 * HEADS),
    )


def new_cache(rows: int, slots: int) -> Tensor:
    """Empty keys and values [LAYERS, 2, rows, HEADS, slots, HEAD]."""
    return torch.zeros(LAYERS, 2, rows, HEADS, slots, HEAD)


def _project(layer: Layer, x: Tensor, cosines: Tensor, sines: Tensor) -> tuple[Tensor, Tensor]:
    """Turned queries and keys [N, 2, HEADS, HEAD] and values [N, HEADS, HEAD]."""
    mapped = normalise(x) @ layer.attention_in
    turned = torch.addcmul(
        mapped[:, : 2 * WIDTH] * cosines, mapped[:, 2 * WIDTH : 4 * WIDTH], sines
    )
    return turned.view(-1, 2, HEADS, HEAD), mapped[:, 4 * WIDTH :].view(-1, HEADS, HEAD)


def _finish(layer: Layer, x: Tensor, gathered: Tensor) -> Tensor:
    x = torch.addmm(x, gathered, layer.attention_out)
    hidden = (normalise(x) @ layer.hidden_in).relu_()
    return torch.addmm(x, hidden, layer.hidden_out)


def logits(weights: Weights, x: Tensor) -> Tensor:
    """Logits [N, SIZE] of the next token."""
    return normalise(x) @ weights.readout


class _Places(NamedTuple):
    """Where each of N packed tokens stands."""

    tokens: Tensor
    rows: Tensor
    slots: Tensor
    columns: Tensor
    lasts: Tensor
    longest: int


def _places(spans: Sequence[Span]) -> _Places:
    lengths = [len(span.tokens) for span in spans]
    columns = torch.cat([torch.arange(length) for length in lengths])
    rows = torch.repeat_interleave(torch.arange(len(spans)), torch.tensor(lengths))
    starts = torch.tensor([span.start for span in spans])
    return _Places(
        torch.tensor([token for span in spans for token in span.tokens]),
        rows,
        columns + starts[rows],
        columns,
        torch.tensor(lengths).cumsum(0) - 1,
        max(lengths),
    )


def extend(weights: Weights, cache: Tensor, spans: Sequence[Span]) -> Tensor:
    """Fill the cache with the spans; the width-vectors [U, WIDTH] after each span's last token."""
    at = _places(spans)
    x = weights.embedding[at.tokens]
    cosines, sines = weights.cosines[at.slots], weights.sines[at.slots]
    shape = (len(spans), at.longest)
    limits = torch.zeros(shape, dtype=torch.long).index_put_((at.rows, at.columns), at.slots)
    hidden = torch.arange(cache.shape[4]) > limits[:, :, None]
    mask = torch.zeros(hidden.shape).masked_fill_(hidden, -torch.inf)[:, None]
    for layer, (keys, values) in zip(weights.layers, cache, strict=True):
        turned, new_values = _project(layer, x, cosines, sines)
        keys[at.rows, :, at.slots] = turned[:, 1]
        values[at.rows, :, at.slots] = new_values
        queries = torch.zeros(*shape, HEADS, HEAD)
        queries[at.rows, at.columns] = turned[:, 0]
        if layer is weights.layers[-1]:
            return _last(layer, x, queries, keys, values, mask, at)
        weighted = (queries.transpose(1, 2) @ keys.transpose(2, 3) + mask).softmax(-1) @ values
        gathered = weighted.transpose(1, 2)[at.rows, at.columns].reshape(-1, WIDTH)
        x = _finish(layer, x, gathered)
    raise AssertionError("a network has layers")


def _last(
    layer: Layer,
    x: Tensor,
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: Tensor,
    at: _Places,
) -> Tensor:
    """The last layer is needed for the last token of each row only."""
    row, column = at.rows[at.lasts], at.columns[at.lasts]
    query, seen = queries[row, column][:, :, None], mask[row, 0, column][:, None, None]
    weighted = (query @ keys.transpose(2, 3) + seen).softmax(-1) @ values
    return _finish(layer, x[at.lasts], weighted.reshape(-1, WIDTH))


def step(
    weights: Weights, cache: Tensor, mask: Tensor, tokens: Tensor, positions: Tensor, slot: int
) -> Tensor:
    """Add one token to each of R rows at `slot`; logits [R, SIZE] of the next.

    `mask` [R * HEADS, 1, E] is 0 where a row may look and -inf elsewhere.
    """
    rows, slots = len(tokens), cache.shape[4]
    x = weights.embedding.index_select(0, tokens)
    cosines = weights.cosines.index_select(0, positions)
    sines = weights.sines.index_select(0, positions)
    for layer, (keys, values) in zip(weights.layers, cache, strict=True):
        turned, new_values = _project(layer, x, cosines, sines)
        keys[:, :, slot] = turned[:, 1]
        values[:, :, slot] = new_values
        queries = turned[:, 0].reshape(rows * HEADS, 1, HEAD)
        scores = torch.baddbmm(mask, queries, keys.view(-1, slots, HEAD).transpose(1, 2))
        weighted = torch.bmm(functional.softmax(scores, -1), values.view(-1, slots, HEAD))
        x = _finish(layer, x, weighted.view(rows, WIDTH))
    return logits(weights, x)
