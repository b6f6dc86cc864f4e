"""Supervised fine-tuning on policies: epochs, batches, the rate's way down, checkpoints."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rmft_api.local_server.engine import ChatMessage, JobHyperparameters, TrainingStep
from rmft_api.local_server.numeric import chats, weights
from rmft_api.local_server.numeric.family import Architecture, Encoded, StepProgress, Tensors

EPOCHS = 8
LARGEST_BATCH = 256
FEWEST_STEPS = 4
"""Steps of an epoch that "auto" leaves at least, where there are as many examples."""


class NumericHyperparameters(NamedTuple):
    """Hyperparameters with nothing left open."""

    epochs: int
    batch: int
    multiplier: float


def numbers(wanted: JobHyperparameters, examples: int) -> NumericHyperparameters:
    """Replace every "auto"."""
    auto = max(1, min(LARGEST_BATCH, examples // FEWEST_STEPS))
    return NumericHyperparameters(
        EPOCHS if wanted.n_epochs is None else wanted.n_epochs,
        auto if wanted.batch_size is None else wanted.batch_size,
        1.0 if wanted.learning_rate_multiplier is None else wanted.learning_rate_multiplier,
    )


def train(
    family: Architecture,
    start: Tensors,
    examples: Sequence[Sequence[ChatMessage]],
    chosen: NumericHyperparameters,
    seed: int,
    checkpoint: Callable[[int], Path],
    report: Callable[[TrainingStep], None],
) -> int:
    """Fine-tune from `start`, save after every epoch, and return the trained tokens.

    The learning rate falls in a straight line to 0. Raises ExampleError.
    """
    items = [example for messages in examples for example in chats.examples(messages)]
    encoded = [Encoded(family.encode(one.rewards_tK), one.policy_K) for one in items]
    learner = family.learner(start)
    plan = [list(_batches(encoded, chosen.batch, seed, epoch)) for epoch in range(chosen.epochs)]
    steps = sum(len(epoch) for epoch in plan)
    step = 0
    for number, epoch in enumerate(plan, 1):
        for place, batch in enumerate(epoch, 1):
            rate = family.rate * chosen.multiplier * (1 - step / steps)
            progress = learner.step([encoded[index] for index in batch], rate)
            step += 1
            behind = number if place == len(epoch) else number - 1
            report(_training_step(step, steps, progress, behind))
        weights.save(checkpoint(step), family.name, learner.tensors())
    return chosen.epochs * sum(chats.example_tokens(example) for example in items)


def _batches(encoded: Sequence[Encoded], size: int, seed: int, epoch: int) -> Iterator[list[int]]:
    """Indices in a fresh order; the examples of a batch have one K."""
    order: list[int] = np.random.default_rng((seed, epoch)).permutation(len(encoded)).tolist()
    by_K: dict[int, list[int]] = {}
    for index in order:
        by_K.setdefault(encoded[index].policy_K.size, []).append(index)
    for same_K in by_K.values():
        for at in range(0, len(same_K), size):
            yield same_K[at : at + size]


def _training_step(
    step: int, steps: int, progress: StepProgress, epochs_behind: int
) -> TrainingStep:
    return TrainingStep(step, steps, progress.loss, progress.accuracy, epochs_behind)
