"""A 2-layer Transformer over rewards, the same for every order of the actions, for any K and T.

Each action has a token for every round: attention runs over the rounds of one action, and between
layers every action sees the mean of all. It can predict patterns, so that its regret on predictable
sequences is negative; it is not no-regret against adaptive play, and never shown as proof of that.
"""

import numpy as np

from rmft_api.local_server.numeric.family import Learner, Tensors
from rmft_api.local_server.numeric.simplex import Floats
from rmft_api.local_server.numeric.transformer_network import (
    FEATURES,
    bias,
    forward,
    seen,
    shapes,
)


class Transformer:
    """The family."""

    name: str = "transformer"
    rate: float = 5e-3

    def start(self, seed: int) -> Tensors:
        """Random weights, each matrix scaled by its inputs."""
        rng = np.random.default_rng(seed)
        return {
            name: rng.standard_normal(shape) / np.sqrt(shape[0]) for name, shape in shapes().items()
        }

    def encode(self, rewards_tK: Floats) -> Floats:
        """Tokens, rounds x K x features; the last round is the one to decide."""
        rounds = len(rewards_tK)
        tokens = np.zeros((rounds + 1, rewards_tK.shape[1], FEATURES))
        tokens[:-1, :, 0] = rewards_tK - 0.5
        tokens[:-1, :, 1] = rewards_tK - rewards_tK.mean(axis=1, keepdims=True)
        tokens[-1, :, 2] = 1.0
        tokens[:, :, 3] = np.log(np.arange(1, rounds + 2))[:, None] / 3.0
        return tokens

    def logits(self, weights: Tensors, inputs: Floats) -> Floats:
        """K logits."""
        one = inputs[None]
        answer: Floats = forward(np, weights, one, bias(len(inputs)), seen([inputs]))
        return answer[0]

    def learner(self, weights: Tensors) -> Learner:
        """Adam in torch, imported only here."""
        from rmft_api.local_server.numeric.transformer_learner import TransformerLearner

        return TransformerLearner(weights)
