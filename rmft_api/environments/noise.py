"""Chance around means: tables of rewards, with the means that they truly have.

Clipping a Gaussian to [0, 1] moves its mean. The table of means is what regret is computed from,
so it holds the moved ones, in closed form.
"""

import math
from typing import Literal, get_args

import numpy as np

from rmft_api.environments import options
from rmft_api.environments.scenario import Floats

Reward = Literal["bernoulli", "gaussian", "uniform"]
"""bernoulli: 0 or 1; gaussian: clipped to [0, 1] unless asked otherwise; uniform: on an interval
around the mean, of a width drawn for each action, that stays within [0, 1]."""


def check(reward: str, sd: float, clip: bool) -> None:
    """Refuse settings that `around` cannot draw from. Raises ValueError."""
    options.one_of("reward", reward, get_args(Reward))
    options.number("sd", sd, low=0)
    options.truth("clip", clip)


def around(
    rng: np.random.Generator, means_TK: Floats, reward: Reward, sd: float, clip: bool
) -> tuple[Floats, Floats]:
    """Rewards T x K around `means_TK`, and the means T x K that they truly have."""
    if reward == "bernoulli":
        return (rng.random(means_TK.shape) < means_TK).astype(np.float64), means_TK
    if reward == "uniform":
        return _on_intervals(rng, means_TK), means_TK
    rewards_TK = means_TK + sd * rng.standard_normal(means_TK.shape)
    if not clip:
        return rewards_TK, means_TK
    return rewards_TK.clip(0.0, 1.0), clipped_means(means_TK, sd)


def _on_intervals(rng: np.random.Generator, means_TK: Floats) -> Floats:
    widths_K = rng.random(len(means_TK[0]))
    reach_TK = np.minimum(means_TK, 1.0 - means_TK) * widths_K
    return means_TK + reach_TK * rng.uniform(-1.0, 1.0, means_TK.shape)


def clipped_means(means_TK: Floats, sd: float) -> Floats:
    """Means of N(mean, sd^2) clipped to [0, 1]; equal rows are computed once."""
    if sd == 0:
        return means_TK.clip(0.0, 1.0)
    if (means_TK == means_TK[0]).all():
        row_K = np.array([_clipped_mean(mean, sd) for mean in means_TK[0].tolist()])
        return np.broadcast_to(row_K, means_TK.shape)
    flat = [_clipped_mean(mean, sd) for mean in means_TK.ravel().tolist()]
    return np.array(flat).reshape(means_TK.shape)


def _clipped_mean(mean: float, sd: float) -> float:
    # E max(0, X) - E max(0, X - 1)
    return _positive_part(mean, sd) - _positive_part(mean - 1.0, sd)


def _positive_part(mean: float, sd: float) -> float:
    z = mean / sd
    density = math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    return mean * 0.5 * (1.0 + math.erf(z / math.sqrt(2.0))) + sd * density


def gap(means_K: Floats) -> float:
    """Distance of the best mean to the second best."""
    second, best = np.sort(means_K)[-2:].tolist()
    return best - second
