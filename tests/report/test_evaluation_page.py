"""The page of an evaluation: the figures of its table, drawn, and every trajectory to read."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rmft_api.evaluation.comparison import ComparisonConfig, ComparisonResults, comparison_results
from rmft_api.journal import Journal
from rmft_api.prompts import of_run as prompts_of_run
from rmft_api.report import evaluation_page
from rmft_api.report.compared_data import ComparedReport
from rmft_api.report.data import RunState
from rmft_api.report.trajectory_index import TrajectoryIndex
from tests.evaluation.test_comparison import BAD, GOOD, Hall, contest
from tests.report.chromium import Chromium

TOLD = RunState("finished", "")


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ComparisonConfig]:
    """Two models on a suite of 24 scenarios, K = 3, two horizons."""
    path, config = tmp_path_factory.mktemp("eval") / "mine", contest(BAD, GOOD, scenarios=24)
    asyncio.run(Hall(path, config).play())
    return path, config


def gathered(
    played: tuple[Path, ComparisonConfig], **changes: Any
) -> tuple[ComparedReport, ComparisonResults, TrajectoryIndex]:
    path, config = played
    journal = Journal.read(path)
    try:
        found = comparison_results(config, journal, prompts_of_run(config.run))
        found = msgspec.structs.replace(found, **changes)
        index = TrajectoryIndex()
        return evaluation_page.gather(config, journal, found, TOLD, index), found, index
    finally:
        journal.close()


def test_its_figures_are_those_of_the_evaluation(played: tuple[Path, ComparisonConfig]) -> None:
    report, found, index = gathered(played)
    assert [one.name for one in report.players] == [one.label for one in found.players]
    for shown, one in zip(report.players, found.players, strict=True):
        assert shown.regret == one.figures.regret
        assert shown.measures["k_min_frac"].mean == pytest.approx(one.figures.k_min_frac)
        assert shown.measures["regret"].mean == pytest.approx(one.figures.regret.mean)
        last = sum(c.mean[-1] * c.scenarios for c in shown.curves) / shown.scenarios
        assert last == pytest.approx(one.figures.regret.mean, abs=1e-4)
    assert [one.drop for one in report.pairs] == [one.drop for one in found.pairs]
    assert report.axes == found.axes
    assert [group["name"] for group in index.index] == [BAD, GOOD]
    assert report.headline.title == f"{GOOD} decides best"
    assert report.headline.sure


def test_a_best_model_is_named_only_where_it_is_sure(
    played: tuple[Path, ComparisonConfig],
) -> None:
    _, found, _ = gathered(played)
    doubtful = tuple(msgspec.structs.replace(one, p_holm=0.2) for one in found.pairs)
    report, _, _ = gathered(played, pairs=doubtful)
    assert report.headline.title == "No model is surely the best"
    assert report.headline.text.endswith(f"Not clear against: {BAD}.")
    alone, _, _ = gathered(played, players=found.players[2:], pairs=())
    assert alone.headline.title == "No model has played yet"


def test_a_reader_sees_every_section_and_two_models_on_one_scenario(
    played: tuple[Path, ComparisonConfig], browser: Chromium, tmp_path: Path
) -> None:
    path, config = played
    journal = Journal.read(path)
    found = comparison_results(config, journal, prompts_of_run(config.run))
    page = tmp_path / "evaluation.html"
    page.write_bytes(evaluation_page.html(config, journal, found, TOLD))
    journal.close()
    browser.open(page.as_uri())
    ids = browser.run("[...document.querySelectorAll('main > section')].map((one) => one.id)")
    assert ids == [
        *("glance", "rounds", "differences", "axes", "exploration", "trajectories", "money")
    ]
    assert browser.run("document.querySelectorAll('#axes .heat').length") > 6
    browser.run("document.querySelector('.list').focus()")
    browser.press("ArrowDown")
    browser.until("document.querySelector('.view').dataset.shown")
    browser.run(
        "(() => { const box = document.querySelector('.against select');"
        "box.value = [...box.options].find((one) => one.text.includes('skill-0.9')).value;"
        "box.dispatchEvent(new Event('change')); })()"
    )
    shown = browser.until(
        "document.querySelector('.view').dataset.shown.includes(' ')"
        " && document.querySelector('.view').dataset.shown"
    )
    assert f"{GOOD}/" in shown
    assert f"{BAD}/" in shown
    assert browser.requests() == [page.as_uri()]
    assert browser.complaints() == []
    browser.size(390, 844, phone=True)
    assert browser.run("document.documentElement.scrollWidth") <= 390
