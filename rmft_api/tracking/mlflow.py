"""MLflow: one MLflow run for each run of ours, found again by a tag when the run is resumed."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rmft_api.config.schema import TrackingConfig

if TYPE_CHECKING:
    from rmft_api.tracking.trackers import Identity

TAG = "rmft_api.run"
LONGEST = 500
"""Characters of a parameter's value that every store takes."""


class MlflowTracker:
    """Implements `ports.Tracker`. Raises what MLflow raises."""

    def __init__(self, config: TrackingConfig, run: "Identity") -> None:
        self._identity = run
        self._client: Any = import_module("mlflow").MlflowClient(tracking_uri=config.uri)
        experiment = self._experiment(config.project)
        self._run = self._known(experiment, run.key) or self._started(experiment, run)

    def figures(self, index: int, model: str, figures: Mapping[str, float]) -> None:
        """Log the figures at step `index`, and the model's id as a tag."""
        self._client.set_tag(self._run, f"model.{index}", model)
        for name, value in figures.items():
            self._client.log_metric(self._run, name, value, step=index)

    def results(self, pictures: Mapping[str, Path], champion: Mapping[str, str]) -> None:
        """Log the figures as artifacts, and register the champion under the run's name.

        The registered version refers to the model at its provider; no weights are stored.
        """
        for path in pictures.values():
            self._client.log_artifact(self._run, str(path), "figures")
        self._client.log_dict(self._run, dict(champion), "champion/champion.json")
        self._register(champion)

    def _register(self, champion: Mapping[str, str]) -> None:
        """One version for each run of ours, however often it is finished."""
        name, key = self._identity.name, self._identity.key
        if not self._client.search_registered_models(f"name='{name}'"):
            self._client.create_registered_model(name)
        known = self._client.search_model_versions(f"name='{name}'")
        if any(one.tags.get(TAG) == key and _same(one.tags, champion) for one in known):
            return
        place = self._client.get_run(self._run).info.artifact_uri
        self._client.create_model_version(
            name,
            source=f"{place}/champion",
            run_id=self._run,
            tags={TAG: key, **champion},
            description=f"champion of run {name}: {champion['model']}",
        )

    def close(self, *, finished: bool) -> None:
        """End the MLflow run; one that is resumed is opened again."""
        self._client.set_terminated(self._run, "FINISHED" if finished else "KILLED")

    def _experiment(self, name: str) -> str:
        known = self._client.get_experiment_by_name(name)
        return str(known.experiment_id if known else self._client.create_experiment(name))

    def _known(self, experiment: str, key: str) -> str | None:
        found = self._client.search_runs([experiment], f"tags.`{TAG}` = '{key}'", max_results=1)
        if not found:
            return None
        run_id = str(found[0].info.run_id)
        self._client.update_run(run_id, status="RUNNING")
        return run_id

    def _started(self, experiment: str, run: "Identity") -> str:
        tags = {TAG: run.key, "mlflow.runName": run.name}
        run_id = str(self._client.create_run(experiment, tags=tags).info.run_id)
        for name, value in run.settings.items():
            self._client.log_param(run_id, name, value[:LONGEST])
        return run_id


def _same(tags: Mapping[str, str], champion: Mapping[str, str]) -> bool:
    return all(tags.get(key) == value for key, value in champion.items())
