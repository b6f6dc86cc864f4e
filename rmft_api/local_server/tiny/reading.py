"""Prompts through the network at once: their keys and values, and what follows their last tokens.

Axes as in `inference`. The N tokens of all spans are packed one after another, so that matrix
products meet no padding; only attention sees rows, as long as the longest span.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from rmft_api.local_server.tiny.inference import (
    Layer,
    RotaryTurn,
    Weights,
    finish,
    turn,
)
from rmft_api.local_server.tiny.network import HEAD, HEADS, WIDTH, normalise

ROWS = 32
"""Spans that are read together at most: what is between the layers then fits a core's cache."""


class Span(NamedTuple):
    """Tokens to add to one row, beginning at slot `start`."""

    tokens: tuple[int, ...]
    start: int


class _Places(NamedTuple):
    """Where each of N packed tokens stands."""

    tokens: Tensor
    slots: Tensor
    """[N]: of the cache."""
    lasts: Tensor
    """[U]: the last token of each span."""
    cached: Tensor
    """[N * HEADS]: where keys and values go in a flattened cache."""
    padded: Tensor
    """[N * HEADS]: where queries stand in [U, HEADS, longest, HEAD], flattened."""
    hidden: Tensor
    """[U, 1, longest, block]: -inf on slots after the token's own, else 0."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of padded queries."""
        return (len(self.hidden), HEADS, self.hidden.shape[2], HEAD)


def _places(spans: Sequence[Span], slots: int, block: int) -> _Places:
    lengths = torch.tensor([len(span.tokens) for span in spans])
    starts = torch.tensor([span.start for span in spans])
    ends = lengths.cumsum(0)
    rows = torch.repeat_interleave(torch.arange(len(spans)), lengths)
    columns = torch.arange(len(rows)) - (ends - lengths)[rows]
    longest = int(lengths.max())
    own = starts[:, None] + torch.arange(longest).clamp_max(lengths[:, None] - 1)
    later = torch.arange(block) > own[:, :, None]
    heads = rows[:, None] * HEADS + torch.arange(HEADS)
    own_N = columns + starts[rows]
    return _Places(
        torch.tensor([token for span in spans for token in span.tokens]),
        own_N,
        ends - 1,
        (heads * slots + own_N[:, None]).view(-1),
        (heads * longest + columns[:, None]).view(-1),
        torch.zeros(later.shape).masked_fill_(later, -torch.inf)[:, None],
    )


def extend(weights: Weights, cache: Tensor, spans: Sequence[Span], block: int) -> Tensor:
    """Fill the cache with the spans; the width-vectors [U, WIDTH] after each span's last token.

    Spans look at the first `block` slots of their rows.
    """
    portions = -(-len(spans) // ROWS)
    bounds = [len(spans) * n // portions for n in range(portions + 1)]
    found = [
        _extend(weights, cache[:, :, begin:end], spans[begin:end], block)
        for begin, end in pairwise(bounds)
    ]
    return torch.cat(found)


def _extend(weights: Weights, cache: Tensor, spans: Sequence[Span], block: int) -> Tensor:
    at = _places(spans, cache.shape[4], block)
    x = weights.embedding.index_select(0, at.tokens)
    turned = turn(weights, at.slots)
    for layer, (keys, values) in zip(weights.layers, cache, strict=True):
        normal = normalise(x)
        new_keys, new_values = turned.memory(layer, normal)
        keys.view(-1, HEAD).index_copy_(0, at.cached, new_keys.view(-1, HEAD))
        values.view(-1, HEAD).index_copy_(0, at.cached, new_values.reshape(-1, HEAD))
        seen = keys[:, :, :block], values[:, :, :block]
        if layer is weights.layers[-1]:
            return _last(layer, x, turned, seen, at)
        queries = torch.zeros(at.shape)
        new_queries = turned.queries(layer, normal).view(-1, HEAD)
        queries.view(-1, HEAD).index_copy_(0, at.padded, new_queries)
        gathered = _attend(queries, seen, at.hidden).view(-1, HEAD).index_select(0, at.padded)
        x = finish(layer, x, gathered.view(-1, WIDTH))
    raise AssertionError("a network has layers")


def _attend(queries: Tensor, seen: tuple[Tensor, Tensor], hidden: Tensor) -> Tensor:
    """What queries [U, HEADS, any, HEAD] gather from keys and values."""
    keys, values = seen
    return (queries @ keys.transpose(2, 3)).add_(hidden).softmax(-1) @ values


def _last(
    layer: Layer, x: Tensor, turned: RotaryTurn, seen: tuple[Tensor, Tensor], at: _Places
) -> Tensor:
    """The last layer is needed for the last token of each row only."""
    x = x.index_select(0, at.lasts)
    turned = RotaryTurn(*(part.index_select(0, at.lasts) for part in turned))
    queries = turned.queries(layer, normalise(x)).view(-1, HEADS, 1, HEAD)
    own = at.slots.index_select(0, at.lasts)[:, None]
    later = torch.arange(at.hidden.shape[3]) > own
    hidden = torch.zeros(later.shape).masked_fill_(later, -torch.inf)[:, None, None]
    return finish(layer, x, _attend(queries, seen, hidden).reshape(-1, WIDTH))
