"""Weights & Biases: one W&B run for each run of ours, known again by its id.

Where it sends to, its key and its mode are W&B's own environment variables (`WANDB_MODE=offline`
writes under the run's folder and sends nothing).
"""

import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rmft_api.config.schema import TrackingConfig

if TYPE_CHECKING:
    from rmft_api.tracking.trackers import Identity


class WandbTracker:
    """Implements `ports.Tracker`. Raises what W&B raises."""

    def __init__(self, config: TrackingConfig, run: "Identity") -> None:
        self._identity, self._wandb = run, import_module("wandb")
        self._run: Any = self._wandb.init(
            project=config.project,
            name=run.name,
            id=run.key,
            resume="allow",
            dir=str(run.directory),
            config=dict(run.settings),
        )

    def figures(self, index: int, model: str, figures: Mapping[str, float]) -> None:
        """Log the figures at step `index`, and the model's id in the summary."""
        self._run.log(dict(figures), step=index)
        self._run.summary[f"model.{index}"] = model

    def results(self, pictures: Mapping[str, Path], champion: Mapping[str, str]) -> None:
        """Log the figures as images, and the champion as an artifact of type "model".

        The artifact refers to the model at its provider; no weights are stored.
        """
        wandb: Any = self._wandb
        self._run.log(
            {f"figures/{name}": wandb.Image(str(path)) for name, path in pictures.items()}
        )
        artifact = wandb.Artifact(
            f"{self._identity.name}-champion", type="model", metadata=dict(champion)
        )
        with artifact.new_file("champion.json") as file:
            json.dump(dict(champion), file, indent=2)
        self._run.log_artifact(artifact, aliases=["champion"])

    def close(self, *, finished: bool) -> None:
        """Write out what waits."""
        self._run.finish(exit_code=0 if finished else 1)
