"""Single-layer linear attention, the same for every order of the actions: o = V x, V = aI + b11^T.

    x_t = sum_{s<t} (r_s - 1/2) / sqrt(t)        policy = projection of o_t on the simplex

With a = 1 this is FTRL with an L2 regulariser: no-regret, whatever the rewards. `b` adds the same
to all logits, which the projection does not see. Without 1/sqrt(t) regret would be linear past the
training horizon.
"""

from collections.abc import Sequence

import numpy as np

from rmft_api.local_server.numeric import simplex
from rmft_api.local_server.numeric.family import Encoded, Learner, StepProgress, Tensors
from rmft_api.local_server.numeric.simplex import Floats

_SPREAD = 0.1
"""Standard deviation of a random start's a and b."""
_DECAYS = (0.9, 0.999)


def attended(rewards_tK: Floats) -> Floats:
    """x_K: the rewards so far, summed and scaled."""
    return (rewards_tK - 0.5).sum(axis=0) / np.sqrt(len(rewards_tK) + 1)


class LinearAttention:
    """The family; its two weights are `a` and `b`."""

    name: str = "linear-attention"
    rate: float = 0.1

    def start(self, seed: int) -> Tensors:
        """Random `a` and `b` around 0."""
        a, b = _SPREAD * np.random.default_rng(seed).standard_normal(2)
        return {"a": np.array(a), "b": np.array(b)}

    def follows(self, a: float) -> Tensors:
        """A chosen start: FTRL-L2 for a = 1; a < 0 follows the worst action."""
        return {"a": np.array(a), "b": np.array(0.0)}

    def encode(self, rewards_tK: Floats) -> Floats:
        """x_K: the attended rewards."""
        return attended(rewards_tK)

    def logits(self, weights: Tensors, inputs: Floats) -> Floats:
        """o_K (or N x K from N x K)."""
        return weights["a"] * inputs + weights["b"] * inputs.sum(axis=-1, keepdims=True)

    def learner(self, weights: Tensors) -> Learner:
        """Adam on the two weights."""
        return _Learner(self, weights)


class _Learner:
    def __init__(self, family: LinearAttention, weights: Tensors) -> None:
        self._family = family
        self._weights_2 = np.array([weights["a"], weights["b"]])
        self._mean_2, self._square_2 = np.zeros(2), np.zeros(2)
        self._steps = 0

    def tensors(self) -> Tensors:
        return {"a": np.array(self._weights_2[0]), "b": np.array(self._weights_2[1])}

    def step(self, batch: Sequence[Encoded], rate: float) -> StepProgress:
        x_NK = np.stack([example.inputs for example in batch])
        targets_NK = np.stack([example.policy_K for example in batch])
        loss = simplex.loss(self._family.logits(self.tensors(), x_NK), targets_NK)
        by_logits_NK = loss.gradient_NK
        by_b = (by_logits_NK.sum(axis=-1) * x_NK.sum(axis=-1)).sum()
        self._adam(np.array([(by_logits_NK * x_NK).sum(), by_b]), rate)
        return StepProgress(loss.mean, loss.accuracy)

    def _adam(self, gradient_2: Floats, rate: float) -> None:
        self._steps += 1
        first, second = _DECAYS
        self._mean_2 = first * self._mean_2 + (1 - first) * gradient_2
        self._square_2 = second * self._square_2 + (1 - second) * gradient_2**2
        mean_2 = self._mean_2 / (1 - first**self._steps)
        square_2 = self._square_2 / (1 - second**self._steps)
        self._weights_2 = self._weights_2 - rate * mean_2 / (np.sqrt(square_2) + 1e-8)
