"""Open models behind the local server's port."""

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rmft_api.local_server.engine import (
    ChatMessage,
    ChatPair,
    JobHyperparameters,
    Model,
    TrainingStep,
)
from rmft_api.local_server.hf import training_checkpoints
from rmft_api.local_server.hf.adapter_recipe import AdapterRecipe
from rmft_api.local_server.hf.chats import ChatTokenizer
from rmft_api.local_server.hf.checkpoint import CheckpointFolder
from rmft_api.local_server.hf.inference import InferenceServer
from rmft_api.local_server.hf.memory import is_out_of_memory
from rmft_api.local_server.hf.remote import RemoteModel
from rmft_api.open_models import settings, shapes
from rmft_api.open_models.memory import ADAPTER
from rmft_api.open_models.settings import HfSettings

if TYPE_CHECKING:
    from rmft_api.local_server.hf.network import BaseNetwork  # torch is imported when weights are


def from_json(text: str) -> "HfEngine":
    """The engine that settings in JSON describe. Raises ConfigError."""
    return HfEngine(settings.read(text))


class HfEngine:
    """Samples and fine-tunes one checkpoint. Raises ConfigError where it is no chat model.

    The files are read at once, so that a wrong checkpoint is refused before anything is served;
    the weights at the first question.
    """

    def __init__(self, chosen: HfSettings, scratch: Path | None = None) -> None:
        self._settings = chosen
        self._scratch = scratch
        self._checkpoint = CheckpointFolder(chosen)
        self._chats = ChatTokenizer(self._checkpoint)
        self._loading = threading.Lock()
        self._inference = InferenceServer(self._checkpoint) if chosen.inference_url else None

    @property
    def bases(self) -> tuple[str, ...]:
        """The one checkpoint."""
        return (self._settings.model_id,)

    @cached_property
    def _base(self) -> "BaseNetwork":
        from rmft_api.local_server.hf.network import BaseNetwork

        return BaseNetwork(self._checkpoint, self._chats)

    def load(self, base: str, weights: Path | None) -> Model:
        """The base itself or a fine-tune of it. Raises EngineError."""
        if self._inference is not None:
            return RemoteModel(self._inference, weights, self._chats.controls)
        from rmft_api.local_server.hf.network import HfModel

        with self._loading:  # once, at the first request
            held = self._base
        return HfModel(held, weights)

    def check(self, messages: Sequence[ChatMessage]) -> int:
        """Tokens of one training example."""
        return sum(len(row.tokens) for row in self._chats.sequences(messages))

    def resolve(self, wanted: JobHyperparameters, examples: int) -> JobHyperparameters:
        """The numbers that training will use."""
        batch = self._settings.batch_size if wanted.batch_size is None else wanted.batch_size
        epochs = self._settings.n_epochs if wanted.n_epochs is None else wanted.n_epochs
        rate = wanted.learning_rate_multiplier
        return JobHyperparameters(epochs, min(batch, examples), 1.0 if rate is None else rate)

    @property
    def most_bytes(self) -> int:
        """Of all adapters together."""
        return self._settings.adapters_mb * 10**6

    def bytes_of_one(self, start: Path | None) -> int:
        """Of an adapter's file: its tensors. One that continues another is as large as that."""
        if start is not None and start.exists():
            return start.stat().st_size
        shape = shapes.from_config(self._checkpoint.config)
        chosen = self._settings
        return (
            0 if shape is None else ADAPTER * shape.adapter(chosen.lora_rank, chosen.lora_targets)
        )

    def resumes_at(self, scratch: Path) -> int:
        """The step that a training would continue after."""
        return training_checkpoints.last_step(scratch)

    def keeping(self, scratch: Path) -> "HfEngine":
        """The same engine, whose training continues from what is in `scratch`."""
        return HfEngine(self._settings, scratch)

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
        """Supervised, on the answers of weight 1. Raises EngineError."""
        rows = [
            {"input_ids": row.tokens, "labels": row.labels}
            for chat in examples
            for row in self._chats.sequences(chat)
        ]
        self._tune(AdapterRecipe(start, rows, hyperparameters, seed), checkpoint, report)
        tokens = sum(len(row["input_ids"]) for row in rows)
        return tokens * (hyperparameters.n_epochs or 1)

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
        """DPO. Raises EngineError."""
        found = [self._chats.pair(pair) for pair in pairs]
        rows = [
            {"prompt_ids": pair.prompt, "chosen_ids": pair.chosen, "rejected_ids": pair.rejected}
            for pair in found
        ]
        self._tune(AdapterRecipe(start, rows, hyperparameters, seed, beta), checkpoint, report)
        tokens = sum(2 * len(pair.prompt) + len(pair.chosen) + len(pair.rejected) for pair in found)
        return tokens * (hyperparameters.n_epochs or 1)

    def _tune(
        self,
        recipe: AdapterRecipe,
        checkpoint: Callable[[int], Path],
        report: Callable[[TrainingStep], None],
    ) -> None:
        with ExitStack() as held:
            folder = held.enter_context(TemporaryDirectory())
            scratch = Path(folder) if self._scratch is None else self._scratch
            try:
                self._train(recipe, scratch, checkpoint, report)
            except Exception as error:
                from rmft_api.local_server.hf import limits

                if limits.is_disk_full(error):
                    training_checkpoints.sweep(scratch)  # others need the room of a torn one
                    raise limits.disk_full(error) from error
                if not is_out_of_memory(error):
                    raise
                raise limits.too_large(self._checkpoint, recipe) from error

    def _train(
        self,
        recipe: AdapterRecipe,
        scratch: Path,
        checkpoint: Callable[[int], Path],
        report: Callable[[TrainingStep], None],
    ) -> None:
        """In this process, or in those that a launcher starts."""
        if self._settings.launch:
            from rmft_api.local_server.hf import launcher

            launcher.train(self._settings, recipe, scratch, checkpoint, report)
            return
        from rmft_api.local_server.hf.tuning import Tuning

        training_checkpoints.sweep(scratch)
        Tuning(self._checkpoint, self._chats, recipe, scratch).run(checkpoint, report)
