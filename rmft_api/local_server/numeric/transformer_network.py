"""The Transformer's network, written once in the operations that numpy and torch share.

Answers need no torch, and one question is computed alone, so that its bits do not depend on its
batch. Axes: N questions, S rounds, K actions, H heads.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rmft_api.local_server.numeric.family import Encoded
from rmft_api.local_server.numeric.simplex import Floats

WIDTH, HEADS, LAYERS, FEATURES = 16, 4, 2, 4
_SLOPES_H = np.array([0.0, 0.05, 0.25, 1.0])
"""How fast each head forgets, per round: one looks at everything, one at the last rounds."""
_BOUND = 20.0
"""Attention scores lie within it, so that their exponentials need no shifting."""


def shapes() -> dict[str, tuple[int, ...]]:
    """The shape of every weight."""
    shapes: dict[str, tuple[int, ...]] = {"embed": (FEATURES, WIDTH)}
    for layer in range(LAYERS):
        for name in ("query", "key", "value", "out", "own", "others", "back"):
            shapes[f"{layer}.{name}"] = (WIDTH, WIDTH)
    return {**shapes, "logit": (WIDTH, 1)}


def bias(rounds: int) -> Floats:
    """What distance takes off attention scores, H x rounds x rounds."""
    at = np.arange(rounds)
    return -_SLOPES_H[:, None, None] * np.abs(at[:, None] - at[None, :])


def seen(inputs: Sequence[Floats]) -> Floats:
    """1 where a round may look at another, N x 1 x 1 x S x S: not ahead, not at padding before.

    Every round may look at itself, padding too, so that no mean is empty.
    """
    S = max(len(one) for one in inputs)
    at = np.arange(S)
    padding_N = np.array([S - len(one) for one in inputs])
    real_NS = at >= padding_N[:, None]
    allowed = np.tril(np.ones((S, S), dtype=bool)) & real_NS[:, None, :]
    return (allowed | np.eye(S, dtype=bool)).astype(np.float64)[:, None, None]


def padded(batch: Sequence[Encoded]) -> Floats:
    """Tokens N x S x K x features, padding before, so that the last is the question."""
    S = max(len(one.inputs) for one in batch)
    tokens = np.zeros((len(batch), S, *batch[0].inputs.shape[1:]))
    for row, one in enumerate(batch):
        tokens[row, S - len(one.inputs) :] = one.inputs
    return tokens


def forward(xp: Any, weights: Mapping[str, Any], tokens: Any, bias_HSS: Any, seen_NSS: Any) -> Any:
    """Logits N x K from tokens N x S x K x features; `xp` is numpy or torch."""
    hidden = tokens @ weights["embed"]
    for layer in range(LAYERS):
        w = {name: weights[f"{layer}.{name}"] for name in _LAYER}
        hidden = hidden + _attention(xp, w, _normed(xp, hidden), bias_HSS, seen_NSS) @ w["out"]
        normed = _normed(xp, hidden)
        mean = normed.mean(2)[:, :, None, :]  # over the actions
        inner = normed @ w["own"] + mean @ w["others"]
        hidden = hidden + (inner * (inner > 0)) @ w["back"]
    return (hidden[:, -1] @ weights["logit"])[..., 0]


_LAYER = ("query", "key", "value", "out", "own", "others", "back")


def _attention(xp: Any, w: Mapping[str, Any], x: Any, bias_HSS: Any, seen_NSS: Any) -> Any:
    """Over the rounds of each action: N x S x K x width from the same."""
    N, S, K, _ = x.shape
    query, key, value = (_heads(x @ w[name]) for name in ("query", "key", "value"))
    scores = query @ key.swapaxes(-1, -2) / (WIDTH // HEADS) ** 0.5
    share = xp.exp(_BOUND * xp.tanh(scores / _BOUND) + bias_HSS) * seen_NSS
    mixed = (share / share.sum(-1)[..., None]) @ value
    return mixed.swapaxes(2, 3).swapaxes(1, 2).reshape(N, S, K, WIDTH)


def _heads(x: Any) -> Any:
    """N x S x K x width -> N x K x H x S x (width / H)."""
    N, S, K, _ = x.shape
    return x.reshape(N, S, K, HEADS, WIDTH // HEADS).swapaxes(1, 2).swapaxes(2, 3)


def _normed(xp: Any, x: Any) -> Any:
    return x / xp.sqrt((x * x).mean(-1)[..., None] + 1e-6)
