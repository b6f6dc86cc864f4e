"""Several runs on one page: what can be compared is paired, what cannot is said."""

from contextlib import ExitStack
from pathlib import Path

import pytest

import rmft_api
from rmft_api.core.errors import UsageError
from rmft_api.evaluation import outcome
from rmft_api.journal import open_to_read
from rmft_api.report import runs_page
from rmft_api.report.compared_data import ComparedReport
from rmft_api.report.runs_page import RunToRead
from rmft_api.report.trajectory_index import TrajectoryIndex
from rmft_api.session import pages
from rmft_api.session.recorded_config import recorded_config
from tests.report.chromium import Chromium
from tests.report.conftest import played


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs of the same scenarios, of another seed, and one that was stopped before a model."""
    folder = tmp_path_factory.mktemp("runs")
    return {
        "twin": played(folder / "twin", iterations=2, selection={"k": 1}),
        "seed": played(folder / "seed", seed=6),
        "early": played(folder / "early", end_after=5),
    }


def gathered(*directories: Path) -> tuple[ComparedReport, TrajectoryIndex]:
    index = TrajectoryIndex()
    with ExitStack() as stack:
        runs: list[RunToRead] = []
        for directory in directories:
            journal = stack.enter_context(open_to_read(directory))
            found, state = pages.results_so_far(journal), pages.run_state(directory)
            runs.append(RunToRead(directory.name, recorded_config(journal), journal, found, state))
        return runs_page.gather_all(runs, {"gone": "it is damaged"}, index), index


def test_champions_of_the_same_scenarios_are_paired(
    finished: Path, others: dict[str, Path]
) -> None:
    report, _ = gathered(finished, others["twin"])
    (pair,) = report.pairs
    drop: list[float] = []
    for directory in (finished, others["twin"]):
        with open_to_read(directory) as journal:
            config = recorded_config(journal)
            best = outcome.champion(config, journal).index
            drop.append(float(outcome.performances(config, journal, "test")[best].regret_M.mean()))
    assert pair.drop.mean == pytest.approx(drop[1] - drop[0])
    assert pair.scenarios == 6
    names = [one.name for one in report.players]
    assert names[:2] == ["loop: base", "loop: champion"]
    assert "random" in names
    assert report.runs[1].settings["selection.k"] == "1"
    assert report.runs[1].settings["iterations"] == "2"
    assert [len(chain.points) for chain in report.chains] == [4, 3]
    assert "gone is left out: it is damaged" in report.warnings


def test_each_champion_shows_what_it_has_gained_of_the_possible(
    finished: Path, others: dict[str, Path]
) -> None:
    report, _ = gathered(finished, others["twin"])
    for directory in (finished, others["twin"]):
        with open_to_read(directory) as journal:
            results = pages.results_so_far(journal)
        assert results is not None and results.champion is not None
        share = results.iterations[results.champion.index].share_of_possible
        names = {one.name: one.share_of_possible for one in report.players}
        assert share is not None
        assert names[f"{directory.name}: champion"] == share
        assert names[f"{directory.name}: base"] is None
    assert {one.share_of_possible for one in report.players if one.model is None} == {None}


def test_what_cannot_be_compared_is_said(finished: Path, others: dict[str, Path]) -> None:
    report, index = gathered(finished, others["seed"], others["early"])
    assert report.pairs == ()
    assert any(
        "cannot be paired" in line and "loop, early; seed" in line for line in report.warnings
    )
    assert "early has evaluated no model yet" in report.warnings
    assert report.headline.sure is None
    assert [one.champion for one in report.runs][-1] == "none yet"
    courses = {group["name"]: group["course"] for group in index.index if group["split"] == "test"}
    assert courses["loop: base"] != courses["seed: base"]


def test_a_reader_sees_two_runs_models_on_one_scenario(
    finished: Path, others: dict[str, Path], browser: Chromium, tmp_path: Path
) -> None:
    page = rmft_api.side_by_side([finished, others["twin"]], tmp_path / "both.html")
    browser.open(page.as_uri())
    ids = browser.run("[...document.querySelectorAll('main > section')].map((one) => one.id)")
    assert ids == [
        *("glance", "iterations", "rounds", "differences", "exploration", "runs", "trajectories")
    ]
    glance = browser.run("document.querySelector('#glance').textContent")
    assert "Share of the possible" in glance
    assert "the test regret of its own base to the limit" in glance
    browser.run("document.querySelector('.list').focus()")
    browser.press("ArrowDown")
    browser.until("document.querySelector('.view').dataset.shown")
    rivals = browser.run("document.querySelector('.against select').textContent")
    assert "loop: " in rivals
    assert "twin: " in rivals
    assert browser.complaints() == []
    browser.size(390, 844, phone=True)
    assert browser.run("document.documentElement.scrollWidth") <= 390


def test_an_evaluation_has_a_page_of_its_own(tmp_path: Path, finished: Path) -> None:
    rmft_api.evaluate(
        [], "small", name="held", baselines=["random"], overrides={"scenarios": 2}, runs=tmp_path
    )
    with pytest.raises(UsageError, match="is an evaluation, which has a page of its own"):
        rmft_api.side_by_side([finished, tmp_path / "held"], tmp_path / "both.html")
