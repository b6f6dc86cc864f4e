"""Trackers, over the loop and over the real packages where they are installed."""

import asyncio
import base64
import dataclasses
import importlib.util
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rmft_api import tracking
from rmft_api.config import schema as configs
from rmft_api.config.schema import TrackingConfig
from rmft_api.core.errors import ConfigError
from rmft_api.evaluation import outcome
from rmft_api.finetuning import FineTuned
from rmft_api.loop import iterate
from rmft_api.session.tracked_results import track_results
from rmft_api.tracking import Identity
from tests.loop_world import World, config

MODELS = ["skill-0.4", "skill-0.6", "skill-0.8"]


class Kept:
    """A tracker that keeps what it is told, and fails when it is told so."""

    def __init__(self) -> None:
        self.told: dict[int, Mapping[str, float]] = {}
        self.times = 0
        self.fails = False
        self.pictures: dict[str, bytes] = {}
        self.champions: list[Mapping[str, str]] = []

    def figures(self, index: int, model: str, figures: Mapping[str, float]) -> None:
        if self.fails:
            raise ConnectionError("the store is away")
        self.times += 1
        self.told[index] = figures

    def results(self, pictures: Mapping[str, Path], champion: Mapping[str, str]) -> None:
        if self.fails:
            raise ConnectionError("the store is away")
        self.pictures = {name: path.read_bytes() for name, path in pictures.items()}
        self.champions.append(champion)

    def close(self, *, finished: bool) -> None:
        pass


async def walk(world: World, tracker: Any) -> None:
    journal = world.journal()
    try:
        await iterate(dataclasses.replace(world.run(journal), tracker=tracker))
    finally:
        journal.close()


async def test_every_iteration_is_told_once_also_when_the_run_is_entered_again(
    tmp_path: Path,
) -> None:
    world, kept = World(tmp_path, config(validation={"scenarios": 30}), MODELS), Kept()
    await walk(world, kept)
    assert sorted(kept.told) == [0, 1, 2, 3]
    first, last = kept.told[0], kept.told[3]
    assert "validation/drop_to_base" not in first
    assert last["validation/regret"] < first["validation/regret"]
    assert last["validation/drop_to_base_low"] < last["validation/drop_to_base"]
    assert last["test/valid"] == 1.0
    assert last["train/regret_kept"] < last["train/regret"]
    assert last["usd_spent"] == 0.0
    await walk(World(tmp_path, config(), MODELS), kept)
    assert kept.times == 4


async def test_a_tracker_that_fails_ends_no_run_and_is_told_when_it_is_back(
    tmp_path: Path,
) -> None:
    world, kept = World(tmp_path, config(), MODELS), Kept()
    kept.fails = True
    await walk(world, kept)
    warnings = [line for line in world.console.said if "the tracker was not updated" in line]
    assert len(warnings) == 4
    assert "the store is away" in warnings[0]
    kept.fails = False
    await walk(World(tmp_path, config(), MODELS), kept)
    assert sorted(kept.told) == [0, 1, 2, 3]


async def test_a_figure_that_is_not_finite_is_told_to_no_tracker(tmp_path: Path) -> None:
    alone = {"validation": {"scenarios": 1}, "test": {"scenarios": 1}}
    world, kept = World(tmp_path, config(**alone), MODELS), Kept()
    await walk(world, kept)
    assert sorted(kept.told) == [0, 1, 2, 3]
    assert all(math.isfinite(value) for told in kept.told.values() for value in told.values())
    assert "validation/regret" in kept.told[0]
    assert "validation/regret_low" not in kept.told[0]


async def test_a_finished_run_hands_over_its_figures_and_its_champion_once(
    tmp_path: Path,
) -> None:
    world, kept, said = World(tmp_path, config(), MODELS), Kept(), list[str]()
    await walk(world, kept)
    journal = world.journal()
    try:
        kept.fails = True
        await track_results(kept, world.config, journal, said.append)
        assert any("the tracker was not updated" in line for line in said)
        assert kept.champions == []
        kept.fails = False
        for _ in range(2):
            await track_results(kept, world.config, journal, said.append)
        best = outcome.champion(world.config, journal)
        chosen = journal.get("trained", f"{best.index:02}", FineTuned)
    finally:
        journal.close()
    (champion,) = kept.champions
    assert (champion["model"], champion["iteration"]) == (best.model, str(best.index))
    assert chosen is not None
    assert champion["dataset_sha256"] == chosen.dataset
    if importlib.util.find_spec("matplotlib"):
        assert {"regret_by_iteration", "paired_differences"} <= set(kept.pictures)
        assert all(one.startswith(b"\x89PNG") for one in kept.pictures.values())
    else:
        assert any("rmft-api[figures]" in line for line in said)


async def test_nothing_is_handed_over_before_there_are_results(tmp_path: Path) -> None:
    world, kept = World(tmp_path, config(), MODELS), Kept()
    journal = world.journal()
    try:
        await track_results(kept, world.config, journal, print)
    finally:
        journal.close()
    assert kept.champions == []


CHAMPION = {"model": "skill-0.8", "iteration": "3", "base": "skill-0.2"}


def picture(folder: Path) -> Mapping[str, Path]:
    """The smallest PNG: one pixel."""
    path = folder / "regret.png"
    path.write_bytes(
        base64.b64decode(
            "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
        )
    )
    return {"regret": path}


def identity(path: Path) -> Identity:
    return Identity("mine", 17, path, {"seed": "5", "model.base": "some-model"})


def test_no_tracker_is_the_default(tmp_path: Path) -> None:
    assert config().tracking.to is None
    assert tracking.open_tracker(TrackingConfig(), identity(tmp_path)) is None


def test_a_missing_package_is_named_before_the_run_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> None:
        return None

    monkeypatch.setattr("importlib.util.find_spec", nothing)
    with pytest.raises(ConfigError, match=r"'wandb' needs a package: pip install 'rmft-api\[wandb"):
        tracking.check(TrackingConfig(to="wandb"))
    tracking.check(TrackingConfig())


def test_a_tracker_nobody_knows_is_refused() -> None:
    raw = config().model_dump() | {"tracking": {"to": "notes"}}
    with pytest.raises(ConfigError, match="'mlflow' or 'wandb'"):
        configs.parse(raw, "the test")


def test_mlflow_holds_a_run_that_is_resumed_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow: Any = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    uri = (tmp_path / "store").as_uri()
    settings = TrackingConfig(to="mlflow", project="bandits", uri=uri)
    for index in (0, 1):  # opened twice: as a run that was stopped and resumed
        tracker = tracking.open_tracker(settings, identity(tmp_path))
        assert tracker is not None
        tracker.figures(index, f"m{index}", {"validation/regret": 5.0 - index})
        tracker.close(finished=index == 1)
    client = mlflow.MlflowClient(tracking_uri=uri)
    (run,) = client.search_runs([client.get_experiment_by_name("bandits").experiment_id])
    history = client.get_metric_history(run.info.run_id, "validation/regret")
    assert [(one.step, one.value) for one in history] == [(0, 5.0), (1, 4.0)]
    assert run.data.params == {"seed": "5", "model.base": "some-model"}
    assert (run.data.tags["model.1"], run.info.status) == ("m1", "FINISHED")


def test_mlflow_holds_the_figures_and_registers_the_champion_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow: Any = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    uri = (tmp_path / "store").as_uri()
    settings = TrackingConfig(to="mlflow", project="bandits", uri=uri)
    for champion in (CHAMPION, CHAMPION, {**CHAMPION, "model": "skill-0.9", "iteration": "4"}):
        tracker = tracking.open_tracker(settings, identity(tmp_path))
        assert tracker is not None
        tracker.results(picture(tmp_path), champion)
        tracker.close(finished=True)
    client = mlflow.MlflowClient(tracking_uri=uri)
    (run,) = client.search_runs([client.get_experiment_by_name("bandits").experiment_id])
    stored = {one.path for one in client.list_artifacts(run.info.run_id, "figures")}
    assert stored == {"figures/regret.png"}
    versions = sorted(client.search_model_versions("name='mine'"), key=lambda one: int(one.version))
    assert [one.tags["model"] for one in versions] == ["skill-0.8", "skill-0.9"]
    assert all(one.run_id == run.info.run_id for one in versions)


async def test_wandb_writes_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    for name, value in {
        "WANDB_MODE": "offline",
        "WANDB_SILENT": "true",
        "WANDB_ERROR_REPORTING": "false",
        "WANDB_CACHE_DIR": str(tmp_path / "cache"),
        "WANDB_CONFIG_DIR": str(tmp_path / "config"),
        "WANDB_DATA_DIR": str(tmp_path / "data"),
    }.items():
        monkeypatch.setenv(name, value)
    tracker = tracking.open_tracker(TrackingConfig(to="wandb"), identity(tmp_path))
    assert tracker is not None
    said: list[str] = []
    pictures: Mapping[str, Path] = picture(tmp_path) if importlib.util.find_spec("PIL") else {}
    assert await tracking.report_to_tracker(
        lambda: tracker.figures(0, "m0", {"regret": 5.0}), said.append
    )
    assert await tracking.report_to_tracker(
        lambda: tracker.figures(1, "m1", {"regret": 4.0}), said.append
    )
    assert await tracking.report_to_tracker(
        lambda: tracker.results(pictures, CHAMPION), said.append
    )
    assert await tracking.report_to_tracker(lambda: tracker.close(finished=True), said.append)
    (written,) = tmp_path.glob("wandb/offline-run-*/run-mine-17.wandb")
    for _ in range(200):  # its own process may still be writing
        raw = written.read_bytes()
        if b"regret" in raw and b"mine-champion" in raw:
            break
        await asyncio.sleep(0.05)
    else:
        pytest.fail("nothing was written")
    assert said == []
    if pictures:
        assert list(written.parent.rglob("files/media/images/figures/regret_*.png"))
