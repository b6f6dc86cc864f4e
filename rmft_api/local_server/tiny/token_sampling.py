"""Draw tokens from logits. Every operation works on one row at a time."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rmft_api.local_server.engine import Prompt, TokenLogprob
from rmft_api.local_server.tiny import tokenizer

COLDEST = 1e-4
"""Below this temperature the most likely token is taken."""


STRETCH = 32
"""Columns that are summed before one of them is drawn."""


class SamplingParams(NamedTuple):
    """Sampling settings of R rows."""

    warmth: Tensor
    """[R, 1]: what logits are multiplied by."""
    top_ps: NDArray[np.float64]
    cut: NDArray[np.int64]
    """Rows that are drawn from a nucleus."""
    cold: NDArray[np.bool_] | None
    """[R]: whose most likely token is taken; None where there is no such row."""


def temper(prompts: Sequence[Prompt]) -> SamplingParams:
    """The settings of some prompts."""
    temperatures = np.array([prompt.temperature for prompt in prompts], float)
    top_ps = np.array([prompt.top_p for prompt in prompts], float)
    warmth = torch.as_tensor(1 / np.maximum(temperatures, COLDEST)).float()[:, None]
    cold = temperatures < COLDEST
    return SamplingParams(warmth, top_ps, np.flatnonzero(top_ps < 1), cold if cold.any() else None)


def _nucleus(chances: NDArray[np.float64], top_p: float) -> NDArray[np.float64]:
    """Keep the fewest most likely tokens that reach `top_p` together."""
    order = np.argsort(-chances, kind="stable")
    before = np.cumsum(chances[order]) - chances[order]
    return np.where(before[np.argsort(order, kind="stable")] < top_p * chances.sum(), chances, 0)


def _place(sums: NDArray[np.float64], goals: NDArray[np.float64]) -> NDArray[np.int64]:
    """The first column of running sums [R, C] that passes each row's goal."""
    return np.minimum((sums <= goals[:, None]).sum(1), sums.shape[1] - 1)


def _draw(chances: NDArray[np.float64], uniforms: NDArray[np.float64]) -> NDArray[np.int64]:
    """A column of each row, in proportion: first which stretch of columns, then which of them."""
    rows = np.arange(len(chances))
    stretches = chances.reshape(len(chances), -1, STRETCH)
    sums = stretches.sum(2).cumsum(1)
    goals = uniforms * sums[:, -1]
    found = _place(sums, goals)
    before = np.where(found > 0, sums[rows, found - 1], 0.0)
    inner = stretches[rows, found].cumsum(1)
    return found * STRETCH + _place(inner, goals - before)


def pick(
    logits: Tensor, temper: SamplingParams, uniforms: NDArray[np.float64]
) -> NDArray[np.int64]:
    """A token for each row of logits [R, SIZE]; `uniforms` [R] are in [0, 1)."""
    chances = torch.softmax(logits * temper.warmth, -1).double().numpy()
    chances[:, tokenizer.USED :] = 0
    for row in temper.cut:
        chances[row] = _nucleus(chances[row], float(temper.top_ps[row]))
    drawn = _draw(chances, uniforms)
    return drawn if temper.cold is None else np.where(temper.cold, chances.argmax(1), drawn)


def logprob(row_logits: Tensor, token: int, rivals: int) -> TokenLogprob:
    """Natural-log probabilities at temperature 1 of a token and its likeliest rivals."""
    chances = torch.log_softmax(row_logits, -1)
    best = torch.topk(chances, rivals) if rivals else None
    top = zip(best.indices, best.values, strict=True) if best else ()
    names = tuple((tokenizer.decode([int(rival)]), float(value)) for rival, value in top)
    return TokenLogprob(tokenizer.decode([token]), float(chances[token]), names)
