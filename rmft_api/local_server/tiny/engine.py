"""The tiny model family behind the local server's port."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from rmft_api.local_server.engine import (
    ChatMessage,
    ChatPair,
    ExampleError,
    JobHyperparameters,
    Prompt,
    SampledText,
    TrainingStep,
)
from rmft_api.local_server.tiny import network, preferences, training
from rmft_api.local_server.tiny.sampling import TinySampler

BASE = "rmft-tiny"
BASE_WEIGHTS = Path(__file__).with_name("base.safetensors")
PEAK_RATE = 2e-3
"""Learning rate at multiplier 1."""
PREFERENCE_RATE = 5e-4
"""The same where preferences are learnt: a contrast needs less than an imitation."""
EPOCHS = 2
BATCH = 32
WARMUP = 10
FINAL_RATE = 0.1
"""Share of the peak rate that is left in the last step."""


class TinyHyperparameters(NamedTuple):
    """Hyperparameters with nothing left open."""

    epochs: int
    batch: int
    multiplier: float


def numbers(wanted: JobHyperparameters) -> TinyHyperparameters:
    """Replace every "auto"."""
    return TinyHyperparameters(
        EPOCHS if wanted.n_epochs is None else wanted.n_epochs,
        BATCH if wanted.batch_size is None else wanted.batch_size,
        1.0 if wanted.learning_rate_multiplier is None else wanted.learning_rate_multiplier,
    )


@dataclass(frozen=True, slots=True)
class TrainingSteps:
    """The steps of one job, and their recorder."""

    examples: int
    chosen: TinyHyperparameters
    report: Callable[[TrainingStep], None]

    @property
    def per_epoch(self) -> int:
        """Steps."""
        return -(-self.examples // self.chosen.batch)

    def schedule(self, peak: float) -> training.Schedule:
        """The rates of all steps."""
        total = self.per_epoch * self.chosen.epochs
        return training.Schedule(
            peak * self.chosen.multiplier, total, min(WARMUP, total), FINAL_RATE
        )

    def record(self, step: int, progress: training.BatchProgress) -> None:
        """Report a step."""
        total = self.per_epoch * self.chosen.epochs
        self.report(TrainingStep(step, total, *progress, step // self.per_epoch))


class TinyModel:
    """Loaded weights that answer chats, on one thread."""

    def __init__(self, weights: Path) -> None:
        torch.set_num_threads(1)
        self._sampler = TinySampler(network.load(weights))

    def complete(self, prompts: Sequence[Prompt]) -> list[SampledText]:
        """Sample every prompt, in order."""
        return self._sampler.complete(prompts)


class TinyEngine:
    """Makes and trains tiny models."""

    @property
    def bases(self) -> tuple[str, ...]:
        """The one base that ships."""
        return (BASE,)

    def load(self, base: str, weights: Path | None) -> TinyModel:
        """The base itself or a fine-tune of it."""
        return TinyModel(self._weights(base, weights))

    def check(self, messages: Sequence[ChatMessage]) -> int:
        """Tokens of one training example."""
        return len(training.as_example(messages).tokens)

    def resolve(self, wanted: JobHyperparameters, examples: int) -> JobHyperparameters:
        """The numbers that training will use; "auto" does not depend on the examples here."""
        chosen = numbers(wanted)
        return JobHyperparameters(chosen.epochs, min(chosen.batch, examples), chosen.multiplier)

    def train(
        self,
        base: str,
        start: Path | None,
        examples: Sequence[Sequence[ChatMessage]],
        hyperparameters: JobHyperparameters,
        seed: int,
        checkpoint: Callable[[int], Path],
        report: Callable[[TrainingStep], None],
    ) -> int:
        """Fine-tune, save after every epoch, return the trained tokens."""
        if not examples:
            raise ExampleError("there are no examples to train on")
        torch.set_num_threads(1)
        encoded = [training.as_example(messages) for messages in examples]
        chosen = numbers(hyperparameters)
        course = TrainingSteps(len(encoded), chosen, report)
        model = network.load(self._weights(base, start))
        job = training.FineTuning(model, course.schedule(PEAK_RATE), chosen.batch)
        for order in training.orders(len(encoded), chosen.epochs, seed):
            job.epoch(encoded, order, course.record)
            network.save(model, checkpoint(job.step))
        return sum(len(example.tokens) for example in encoded) * chosen.epochs

    def prefer(
        self,
        base: str,
        start: Path | None,
        pairs: Sequence[ChatPair],
        hyperparameters: JobHyperparameters,
        beta: float,
        seed: int,
        checkpoint: Callable[[int], Path],
        report: Callable[[TrainingStep], None],
    ) -> int:
        """Fine-tune by preferences, save after every epoch, return the trained tokens."""
        torch.set_num_threads(1)
        encoded = [preferences.as_pair(pair) for pair in pairs]
        chosen = numbers(hyperparameters)
        course = TrainingSteps(len(encoded), chosen, report)
        model = network.load(self._weights(base, start))
        job = preferences.PreferenceTuning(
            model, encoded, beta, course.schedule(PREFERENCE_RATE), chosen.batch
        )
        for order in training.orders(len(encoded), chosen.epochs, seed):
            job.epoch(order, course.record)
            network.save(model, checkpoint(job.step))
        return sum(pair.tokens for pair in encoded) * chosen.epochs

    def _weights(self, base: str, weights: Path | None) -> Path:
        if base != BASE:
            raise ValueError(f"base {base!r} is unknown; the tiny engine has {BASE!r}")
        return BASE_WEIGHTS if weights is None else weights
