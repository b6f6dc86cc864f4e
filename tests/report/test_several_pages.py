"""Pages of a family of seeds and of an ablation grid: the figures of their tables, drawn."""

import json
import math
import re
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rmft_api
from rmft_api.core.errors import RmftError, UsageError
from rmft_api.core.records import Interval
from rmft_api.journal.lock import RunLock
from rmft_api.report import page
from rmft_api.report.compared_data import ComparedReport
from rmft_api.session import ablations, families, grids, page_sources
from tests.report.chromium import Chromium
from tests.report.reading import blocks
from tests.report.several_runs import SEEDS


@pytest.fixture(scope="module")
def runs(runs_of_all_kinds: Path) -> Path:
    return runs_of_all_kinds


def gathered(directory: Path) -> ComparedReport:
    report, _ = page_sources.of_place(directory).read()
    assert isinstance(report, ComparedReport)
    return report


def ends(one: Interval) -> tuple[float, float, float]:
    return one.mean, one.low, one.high


def test_a_family_shows_what_its_table_shows_and_every_seed(runs: Path) -> None:
    report = gathered(runs / "fam")
    assert report.family == families.results_of(runs / "fam")
    assert [one.seed for one in report.runs] == list(SEEDS)
    assert len(report.chains) == 3
    assert not any("cannot be paired" in line for line in report.warnings)


def test_a_seed_that_has_not_finished_is_named(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs, tmp_path / "runs")
    shutil.rmtree(tmp_path / "runs" / "fam-seed-7")
    report = gathered(tmp_path / "runs" / "fam")
    assert "seed 7 is not among the figures over all seeds: not started" in report.warnings
    assert report.headline.title == "2 seeds: too few to be sure"
    assert len(report.runs) == 2


def test_a_grid_shows_what_its_table_shows(runs: Path) -> None:
    report = gathered(runs / "ab")
    rows = ablations.recorded_rows(grids.record_of(runs / "ab"), runs)
    assert [one.name for one in report.cells] == ["rmft", "random"]
    for cell, row in zip(report.cells, rows, strict=True):
        against = row.against
        assert (cell.name, cell.says, cell.scenarios) == (row.cell, row.says, row.scenarios)
        for shown, found in (
            (cell.regret, row.regret),
            (cell.drop, row.drop),
            (cell.lower_than_first, against.drop if against else None),
        ):
            if found is None or shown is None:
                assert found is shown
                continue
            assert ends(shown) == pytest.approx(ends(found))
        assert cell.p_holm == (pytest.approx(against.p_holm) if against else None)
        assert cell.k_min_frac == pytest.approx(row.k_min_frac)
        assert cell.suff_fail_freq == pytest.approx(row.suff_fail_freq)
    assert report.cells[1].changes == {"selection.rank_by": "random"}
    assert [one.name for one in report.players] == ["rmft: base", "rmft", "random"]


def test_cells_are_paired_on_the_seeds_that_both_have(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs, tmp_path / "runs")
    shutil.rmtree(tmp_path / "runs" / "fam-seed-5")
    report = gathered(tmp_path / "runs" / "ab")
    assert [(one.runs, one.of) for one in report.cells] == [(2, 3), (3, 3)]
    assert report.cells[1].lower_than_first is not None
    assert any(line.startswith("cell rmft: 1 of 3 runs have not") for line in report.warnings)
    with pytest.raises(UsageError, match=r"1 of 6 runs of grid 'ab' have not ended.*fam-seed-5"):
        ablations.recorded_rows(grids.record_of(tmp_path / "runs" / "ab"), tmp_path / "runs")


def test_a_grid_whose_runs_are_all_gone_says_so(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "ab", tmp_path / "ab")
    report = gathered(tmp_path / "ab")
    assert report.headline.title == "No run has ended yet"
    assert report.cells == ()


@pytest.mark.parametrize("name", ["fam", "ab"])
def test_a_reader_sees_seeds_and_cells(
    runs: Path, name: str, browser: Chromium, tmp_path: Path
) -> None:
    file = rmft_api.write_report(name, tmp_path / "page.html", folder=runs)
    browser.open(file.as_uri())
    ids = browser.run("[...document.querySelectorAll('main > section')].map((one) => one.id)")
    assert ids[:3] == ["glance", "seeds" if name == "fam" else "cells", "iterations"]
    assert browser.complaints() == []
    browser.size(390, 844, phone=True)
    assert browser.run("document.documentElement.scrollWidth") <= 390


def test_another_player_stands_beside_whatever_is_chosen(
    runs: Path, browser: Chromium, tmp_path: Path
) -> None:
    names = ["fam-seed-5", "ab-random-5"]
    file = rmft_api.write_report(names, tmp_path / "both.html", folder=runs)
    browser.open(file.as_uri())
    browser.run(
        "(() => { const pick = (box, value) => { box.value = value;"
        "box.dispatchEvent(new Event('change')); };"
        "pick(document.querySelectorAll('.filters select')[0], 'test');"
        "pick(document.querySelectorAll('.filters select')[1], 'fam-seed-5: base');"
        "pick(document.querySelector('.beside select'), 'ab-random-5: base'); })()"
    )
    browser.run("document.querySelector('.list').focus()")
    before = ""
    for _ in range(3):
        browser.press("ArrowDown")
        before = browser.until(
            "(() => { const s = document.querySelector('.view').dataset.shown;"
            f"return s && s !== {before!r} && s; }})()"
        )
        (mine, scenario), (other, same) = re.findall(r"([\w-]+: base)/test/\d+/(\d+)/\d+", before)
        assert (mine, other) == ("fam-seed-5: base", "ab-random-5: base")
        assert scenario == same


ODD = ("whole", "seed", "untested", "early", "other", "older", "torn", "junk")


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(chosen=st.lists(st.sampled_from(ODD), unique=True, min_size=2, max_size=4))
def test_any_runs_beside_each_other_are_shown_or_named(
    odd_runs: dict[str, Path], chosen: list[str]
) -> None:
    try:
        report, index = page_sources.of_several([odd_runs[name] for name in chosen]).read()
    except RmftError as error:
        assert set(chosen) <= {"older", "torn", "junk"}
        assert "none of these runs can be read" in str(error)
        return
    assert isinstance(report, ComparedReport)
    json.loads(json.dumps(page.data(report, index), allow_nan=False))
    assert page.of_data(report, index)
    said = " ".join(report.warnings)
    for name in chosen:
        if name in ("older", "torn", "junk"):
            assert f"{name} is left out: " in said
        elif name == "early":
            assert "early has evaluated no model yet" in said
        elif name == "untested":
            assert "untested has not played its test scenarios" in said
    shown = [name for name in chosen if name not in ("older", "torn", "junk")]
    assert [one.name for one in report.runs] == shown
    for pair in report.pairs:
        assert math.isfinite(pair.drop.mean)


def test_a_run_that_a_process_works_on_is_read_from_a_copy(
    odd_runs: dict[str, Path], tmp_path: Path
) -> None:
    shutil.copytree(odd_runs["early"], tmp_path / "early")
    held = RunLock.own(tmp_path / "early")
    try:
        report, _ = page_sources.of_several([tmp_path / "early", odd_runs["whole"]]).read()
    finally:
        held.release()
    assert isinstance(report, ComparedReport)
    assert [one.name for one in report.runs] == ["early", "whole"]


def test_the_page_holds_its_data(runs: Path, tmp_path: Path) -> None:
    file = rmft_api.open_family("fam", runs).report(tmp_path / "fam.html")
    story = blocks(file.read_text("utf-8"))["story"]["story"]
    assert story["kind"] == "compared"
    assert [one["seed"] for one in story["family"]["seeds"]] == list(SEEDS)
