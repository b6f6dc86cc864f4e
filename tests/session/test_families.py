"""Families of seeds from Python: what fails is named and resumed alone, unequal seeds refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

import rmft_api
from rmft_api.config.schema import RunConfig
from rmft_api.core.errors import ConfigError, DataError, SeedFailedError, UsageError
from rmft_api.evaluation.scoring import Results
from rmft_api.loop import RunContext
from rmft_api.session import families, runs
from rmft_api.session.resume_options import ResumeOptions

FILE: dict[str, Any] = {
    "name": "few",
    "iterations": 1,
    "seed": 4,
    "model": {"base": "scripted-random"},
    "prompts": {"set": "compact"},
    "sampling": {"max_tokens": 64},
    "rollouts": {
        "scenarios": 2,
        "trajectories": 2,
        "problems": [{"environment": "bandit", "K": 2, "T": 6}],
    },
    "selection": {"k": 1},
    "finetuning": {"n_epochs": 1, "poll_every_s": 0.05},
    "validation": {"scenarios": 2},
    "test": {"scenarios": 4},
}


class NoTrainer:
    """Fails whatever is asked of it."""

    def __getattr__(self, name: str) -> Any:
        raise DataError("broken by the test")


class Broken:
    """Lets the runs of some seeds fail at their first job, and counts what is begun and resumed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *seeds: int) -> None:
        self.broken, self.done = set(seeds), list[tuple[str, str]]()
        self._begin, self._resume, self._iterate = runs.begin, runs.resume, runs.iterate
        monkeypatch.setattr(runs, "begin", self.begin)
        monkeypatch.setattr(runs, "resume", self.resume)
        monkeypatch.setattr(runs, "iterate", self.iterate)

    async def begin(self, config: RunConfig, *arguments: Any, **options: Any) -> Results:
        self.done.append(("begin", config.name))
        return await self._begin(config, *arguments, **options)

    async def resume(self, directory: Path, options: ResumeOptions, *rest: Any) -> Results:
        self.done.append(("resume", directory.name))
        return await self._resume(directory, options, *rest)

    async def iterate(self, run: RunContext) -> Results:
        if run.config.seed in self.broken:
            run = replace(run, trainer=cast("Any", NoTrainer()))
        return await self._iterate(run)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds a family of three seeds, the second of which failed and was resumed."""
    made = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        broken = Broken(patch, 5)
        with pytest.raises(SeedFailedError) as failed:
            rmft_api.run(FILE, seeds=3, runs=made)
        assert [name for _, name in broken.done] == ["few-seed-4", "few-seed-5", "few-seed-6"]
        assert str(failed.value) == (
            "1 of 3 seeds failed: seed 5 (few-seed-5): broken by the test. The other 2 are kept; "
            "once that is fixed, `rmft-api resume few` continues what failed alone"
        )
        family = rmft_api.open_family("few", made)
        assert [one.seed for one in family.results.seeds] == [4, 6]
        assert list(family.results.unfinished) == [5]
        broken.broken.clear()
        broken.done.clear()
        family.resume()
        assert broken.done == [("resume", "few-seed-5")]
    return made


def test_a_family_is_opened_by_name_and_its_runs_by_theirs(folder: Path) -> None:
    family = rmft_api.open_family("few", folder)
    assert list(family.runs) == [4, 5, 6]
    assert [one.name for one in rmft_api.list_families(folder)] == ["few"]
    assert rmft_api.open_run("few-seed-5", folder).config.seed == 5
    with pytest.raises(UsageError, match=r"'few' is a family .* few-seed-4, few-seed-5, few-seed-"):
        rmft_api.open_run("few", folder)
    with pytest.raises(UsageError, match=r"is one run; rmft_api.open_run"):
        rmft_api.open_family("few-seed-4", folder)
    with pytest.raises(UsageError, match="family 'few' exists; `rmft-api resume few`"):
        rmft_api.run(FILE, seeds=3, runs=folder)


def test_its_figures_are_the_means_of_its_seeds(folder: Path) -> None:
    found = rmft_api.open_family("few", folder).results
    assert [one.seed for one in found.seeds] == [4, 5, 6]
    players = {one.name: one for one in found.players}
    assert list(players)[:3] == ["base", "champion", "random"]
    mean = sum(one.regret.mean for one in found.seeds) / 3
    assert players["champion"].regret.mean == pytest.approx(mean)
    above = players["random"].above_champion
    assert above is not None
    assert above.mean == pytest.approx(players["random"].regret.mean - mean)
    assert players["limit"].regret.mean < players["random"].regret.mean


def test_seeds_of_unequal_settings_are_refused_with_the_setting(folder: Path) -> None:
    rmft_api.resume("few-seed-6", iterations=2, runs=folder)
    family = rmft_api.open_family("few", folder)
    with pytest.raises(ConfigError, match=r"seeds 4 and 6 .*iterations: 1 -> 2.*resume few"):
        _ = family.results
    family.resume(iterations=2)  # the advice
    assert [len(run.results.iterations) for run in family.runs.values()] == [3, 3, 3]
    assert len(family.results.seeds) == 3


def test_only_what_has_not_finished_is_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopped(Broken):
        async def begin(self, config: RunConfig, *arguments: Any, **options: Any) -> Results:
            if config.seed in self.broken:  # before anything was sent, but not by its settings
                (arguments[0] / config.name).mkdir()
                self.broken.clear()
                raise KeyboardInterrupt
            return await super().begin(config, *arguments, **options)

    stopped = Stopped(monkeypatch, 5)
    with pytest.raises(KeyboardInterrupt):
        rmft_api.run(FILE, seeds=2, runs=tmp_path)
    family = rmft_api.open_family("few", tmp_path)
    assert [one.state for one in family.status] == ["finished", "not started"]
    assert family.results.unfinished == {5: "not started"}
    assert "seed 5 is left out: not started" in str(family)
    family.resume()
    assert stopped.done == [("begin", "few-seed-4"), ("begin", "few-seed-5")]


def test_a_mistake_of_all_seeds_is_told_once_and_leaves_no_family(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no-such-set"):
        rmft_api.run({**FILE, "prompts": {"set": "no-such-set"}}, seeds=2, runs=tmp_path)
    assert rmft_api.list_families(tmp_path) == []
    with pytest.raises(UsageError, match="a family has 2 to 100 seeds"):
        rmft_api.run(FILE, seeds=1, runs=tmp_path)


def test_a_plan_of_seeds_adds_them_up(tmp_path: Path) -> None:
    plan = rmft_api.plan("gpt-4o-mini", seeds=3, runs=tmp_path)
    one = rmft_api.plan("gpt-4o-mini", runs=tmp_path)
    assert [run.seed for run in plan.record.runs] == [1, 2, 3]
    assert plan.total[1] is not None
    assert one.total[1] is not None
    assert plan.total[1] == pytest.approx(3 * one.total[1], rel=0.05)


SMALL = {
    "iterations": 1,
    "selection.k": 1,
    "rollouts.scenarios": 2,
    "rollouts.trajectories": 2,
    "validation.scenarios": 2,
    "test.scenarios": 2,
}


def warnings(folder: Path, budget_usd: float, seeds: int) -> list[str]:
    plan = rmft_api.plan("gpt-4o-mini", SMALL, budget_usd=budget_usd, seeds=seeds, runs=folder)
    return [line for line in plan.record.against_it() if "budget of" in line]


def test_the_budget_of_seeds_is_compared_with_their_total(tmp_path: Path) -> None:
    one = rmft_api.plan("gpt-4o-mini", SMALL, runs=tmp_path).total[1]
    assert one is not None
    (found,) = warnings(tmp_path, 1.5 * one, seeds=3)
    assert found.startswith("all 3 runs together: expected to stop at its budget of $")
    assert warnings(tmp_path, 1000.0, seeds=3) == []


def test_a_name_has_room_for_its_seed() -> None:
    assert families.run_name("a" * 64, 12) == "a" * 56 + "-seed-12"
