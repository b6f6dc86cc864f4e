"""Training of the Transformer: the shared network under torch's derivatives, in float64."""

from collections.abc import Sequence

import numpy as np
import torch

from rmft_api.local_server.numeric import simplex
from rmft_api.local_server.numeric.family import Encoded, StepProgress, Tensors
from rmft_api.local_server.numeric.transformer_network import (
    bias,
    forward,
    padded,
    seen,
)


class TransformerLearner:
    """Weights as torch parameters, with Adam."""

    def __init__(self, weights: Tensors) -> None:
        torch.set_num_threads(1)  # the matrices are too small to share out
        self._weights = {
            name: torch.tensor(tensor, requires_grad=True) for name, tensor in weights.items()
        }
        self._adam = torch.optim.Adam(self._weights.values(), lr=0.0)

    def tensors(self) -> Tensors:
        """The weights as they stand."""
        return {name: w.detach().numpy().copy() for name, w in self._weights.items()}

    def step(self, batch: Sequence[Encoded], rate: float) -> StepProgress:
        """One Adam step; the loss's own gradient starts the way back."""
        logits = self._logits(batch)
        targets_NK = np.stack([example.policy_K for example in batch])
        loss = simplex.loss(logits.detach().numpy(), targets_NK)
        self._adam.zero_grad()
        torch.autograd.backward(logits, torch.as_tensor(loss.gradient_NK))
        torch.nn.utils.clip_grad_norm_(self._weights.values(), 1.0)
        for group in self._adam.param_groups:
            group["lr"] = rate
        self._adam.step()  # pyright: ignore[reportUnknownMemberType]
        return StepProgress(loss.mean, loss.accuracy)

    def _logits(self, batch: Sequence[Encoded]) -> torch.Tensor:
        tokens = padded(batch)
        look = seen([example.inputs for example in batch])
        arrays = (tokens, bias(tokens.shape[1]), look)
        return forward(torch, self._weights, *(torch.as_tensor(array) for array in arrays))
