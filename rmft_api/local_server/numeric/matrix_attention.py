"""Single-layer linear attention whose V is any matrix: o = V x, each action with a row of its own.

Nothing makes V treat all actions alike. That training leads it towards aI + b11^T, the form of
`linear_attention`, is what it is there to show (docs/method.md 8). K of `MOST` actions use the
first K rows and columns.
"""

from collections.abc import Sequence

import numpy as np

from rmft_api.local_server.engine import ExampleError
from rmft_api.local_server.numeric import simplex
from rmft_api.local_server.numeric.family import Encoded, Learner, StepProgress, Tensors
from rmft_api.local_server.numeric.linear_attention import attended
from rmft_api.local_server.numeric.simplex import Floats

MOST = 8
"""Actions that the matrix has room for."""
_SPREAD = 0.1
"""Standard deviation of a random start's entries."""
_DECAYS = (0.9, 0.999)


class MatrixAttention:
    """The family; its weights are the entries of `V`."""

    name: str = "matrix-attention"
    rate: float = 0.1

    def start(self, seed: int) -> Tensors:
        """Random entries around 0."""
        return {"V": _SPREAD * np.random.default_rng(seed).standard_normal((MOST, MOST))}

    def encode(self, rewards_tK: Floats) -> Floats:
        """x_K: the attended rewards. Raises ExampleError for more than `MOST` actions."""
        if rewards_tK.shape[1] > MOST:
            raise ExampleError(f"K={rewards_tK.shape[1]}: this model has {MOST} actions at most")
        return attended(rewards_tK)

    def logits(self, weights: Tensors, inputs: Floats) -> Floats:
        """o_K (or N x K from N x K)."""
        K = inputs.shape[-1]
        return (inputs[..., None, :] * weights["V"][:K, :K]).sum(axis=-1)

    def learner(self, weights: Tensors) -> Learner:
        """Adam on the entries."""
        return _Learner(self, weights)


def parts(V_KK: Floats) -> tuple[float, float, float]:
    """The `a` and `b` of the nearest aI + b11^T, and how far V is from it as a share of `a`.

    The distance is the root mean square of the entries that are left.
    """
    K = len(V_KK)
    off_diagonal = (V_KK.sum() - V_KK.trace()) / (K * K - K)
    a = V_KK.trace() / K - off_diagonal
    left_KK = V_KK - a * np.eye(K) - off_diagonal
    return float(a), float(off_diagonal), float(np.sqrt((left_KK**2).mean()) / abs(a))


class _Learner:
    def __init__(self, family: MatrixAttention, weights: Tensors) -> None:
        self._family = family
        self._matrix_KK = np.array(weights["V"])
        self._mean, self._square = np.zeros((2, *self._matrix_KK.shape))
        self._steps = 0

    def tensors(self) -> Tensors:
        return {"V": self._matrix_KK.copy()}

    def step(self, batch: Sequence[Encoded], rate: float) -> StepProgress:
        x_NK = np.stack([example.inputs for example in batch])
        targets_NK = np.stack([example.policy_K for example in batch])
        loss = simplex.loss(self._family.logits({"V": self._matrix_KK}, x_NK), targets_NK)
        gradient = np.zeros_like(self._matrix_KK)
        K = x_NK.shape[1]
        gradient[:K, :K] = loss.gradient_NK.T @ x_NK
        self._adam(gradient, rate)
        return StepProgress(loss.mean, loss.accuracy)

    def _adam(self, gradient: Floats, rate: float) -> None:
        self._steps += 1
        first, second = _DECAYS
        self._mean = first * self._mean + (1 - first) * gradient
        self._square = second * self._square + (1 - second) * gradient**2
        mean = self._mean / (1 - first**self._steps)
        square = self._square / (1 - second**self._steps)
        self._matrix_KK = self._matrix_KK - rate * mean / (np.sqrt(square) + 1e-8)
