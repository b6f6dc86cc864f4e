"""What a family of numeric models provides: an encoding, logits, and a learner."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from rmft_api.local_server.numeric.simplex import Floats

Tensors = Mapping[str, Floats]
"""Weights by name."""


class Encoded(NamedTuple):
    """An example as its learner needs it."""

    inputs: Floats
    """What `Architecture.encode` made of the question."""
    policy_K: Floats


class StepProgress(NamedTuple):
    """Loss and accuracy of one step, before its update."""

    loss: float
    accuracy: float


class Learner(Protocol):
    """Weights under training."""

    def step(self, batch: Sequence[Encoded], rate: float) -> StepProgress:
        """One optimiser step at this learning rate; all examples of a batch have the same K."""
        ...

    def tensors(self) -> Tensors:
        """The weights as they stand."""
        ...


class Architecture(Protocol):
    """Models of one architecture."""

    @property
    def name(self) -> str:
        """Names the architecture in weights files."""
        ...

    @property
    def rate(self) -> float:
        """Learning rate at multiplier 1, at the first step."""
        ...

    def start(self, seed: int) -> Tensors:
        """Random weights: the same seed gives the same."""
        ...

    def encode(self, rewards_tK: Floats) -> Floats:
        """A question, as the model sees it."""
        ...

    def logits(self, weights: Tensors, inputs: Floats) -> Floats:
        """K logits; the policy is their projection on the simplex."""
        ...

    def learner(self, weights: Tensors) -> Learner:
        """Begin training with a fresh optimiser."""
        ...
