"""The index shows everything in a folder of runs, and names what it cannot show."""

import json
import shutil
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import rmft_api
from rmft_api.cli.main import app
from rmft_api.core.errors import RmftError, UsageError
from rmft_api.report import live, page
from rmft_api.report.index_page import IndexReport
from rmft_api.report.trajectory_index import TrajectoryIndex
from rmft_api.session import run_index
from tests.report.chromium import Chromium
from tests.report.reading import blocks, unpacked
from tests.report.several_runs import SEEDS

ODD = ("whole", "untested", "early", "older", "torn", "junk", "nothing", "no record", "foreign")
UNREADABLE: set[str] = {"torn", "junk"}


@pytest.fixture(scope="module")
def runs(runs_of_all_kinds: Path) -> Path:
    return runs_of_all_kinds


@pytest.fixture(scope="module")
def written(runs: Path) -> tuple[Path, list[str]]:
    lines: list[str] = []
    run_index.write(runs, runs / run_index.FILE, lines.append)
    return runs / run_index.FILE, lines


def read(folder: Path) -> IndexReport:
    report, _ = run_index.source(folder, run_index.address_in_server).read()
    assert isinstance(report, IndexReport)
    return report


def command(*words: str) -> str:
    result = CliRunner().invoke(app, words, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.stdout


def test_everything_is_listed_with_the_figures_of_its_own_report(
    runs: Path, written: tuple[Path, list[str]]
) -> None:
    story = blocks(written[0].read_text("utf-8"))["story"]["story"]
    entries = {one["name"]: one for one in story["entries"]}
    kinds = {name: one["kind"] for name, one in entries.items()}
    assert (kinds["fam"], kinds["ab"], kinds["held"]) == ("family", "grid", "evaluation")
    assert sum(kind == "run" for kind in kinds.values()) == 2 * len(SEEDS)
    found = rmft_api.open_run("fam-seed-5", runs).results
    shown = entries["fam-seed-5"]
    tested = [one.test.regret.mean for one in found.iterations if one.test]
    assert shown["points"] == pytest.approx(tested)
    best = next(one for one in found.iterations if one.index == found.champion.index)
    assert best.test is not None
    assert shown["regret"]["mean"] == pytest.approx(best.test.regret.mean)
    assert entries["fam"]["spent"] == 3 * 250_000
    assert story["warnings"] == []


def test_every_entry_opens_and_pages_are_written_once(
    runs: Path, written: tuple[Path, list[str]]
) -> None:
    page_file, lines = written
    story = blocks(page_file.read_text("utf-8"))["story"]["story"]
    assert len(lines) == 2 * len(SEEDS) + 3
    for one in story["entries"]:
        opened = (page_file.parent / one["page"]).read_bytes()
        assert page.MARK in opened[:4096]
    again: list[str] = []
    run_index.write(runs, page_file, again.append)
    assert again == []
    elsewhere = runs.parent / "elsewhere.html"
    run_index.write(runs, elsewhere, again.append)
    moved = blocks(elsewhere.read_text("utf-8"))["story"]["story"]["entries"]
    assert all((elsewhere.parent / one["page"]).is_file() for one in moved)


def test_a_page_that_is_older_than_its_run_is_written_again(
    runs: Path, written: tuple[Path, list[str]], tmp_path: Path
) -> None:
    shutil.copytree(runs, tmp_path / "runs")
    (tmp_path / "runs" / "fam-seed-6" / "status.json").touch()
    lines: list[str] = []
    run_index.write(tmp_path / "runs", tmp_path / "runs" / "index.html", lines.append)
    again = {Path(line.split(" ")[1]).parent.name for line in lines}
    assert {"fam-seed-6", "fam", "ab"} <= again


def test_a_folder_without_runs_has_an_index_and_no_folder_is_refused(tmp_path: Path) -> None:
    assert command("report", "--all", "--runs", str(tmp_path)).strip().endswith("index.html")
    assert read(tmp_path).headline.title == "No runs yet"
    with pytest.raises(UsageError, match="no folder"):
        command("report", "--all", "--runs", str(tmp_path / "gone"))


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(chosen=st.lists(st.sampled_from(ODD), unique=True))
def test_whatever_lies_there_is_shown_or_named(
    odd_runs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory, chosen: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("some")
    for name in chosen:
        if name in odd_runs:
            shutil.copytree(odd_runs[name], folder / name)
        elif name == "nothing":
            (folder / "empty").mkdir()
        elif name == "no record":
            for kind in ("family", "grid"):
                (folder / kind).mkdir()
                (folder / kind / f"{kind}.json").write_text("{")
        else:
            (folder / "notes.html").write_text("<p>mine</p>")
    report = read(folder)
    json.loads(json.dumps(page.data(report, TrajectoryIndex()), allow_nan=False))
    assert page.of_data(report, TrajectoryIndex())
    shown = {one.name for one in report.entries}
    bad: set[str] = UNREADABLE & {*chosen}
    bad |= {"family", "grid"} if "no record" in chosen else set[str]()
    assert shown == {name for name in chosen if name in odd_runs} - bad
    said = "\n".join(report.warnings)
    assert all(f"{name} cannot be shown: " in said for name in bad)
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "name a run, or --all"),
        (("--all", "fam-seed-5"), "--all is of every run; leave out fam-seed-5"),
        (("--all", "--json"), "leave out --json"),
        (("fam-seed-5", "--live", "--html", "x.html"), "leave out --html"),
        (("fam", "--svg", "x.svg"), "leave out --svg"),
        (("fam-seed-5", "held"), "'held' is an evaluation, which has a page of its own"),
    ],
)
def test_options_that_do_not_fit_are_refused_by_name(
    runs: Path, words: tuple[str, ...], message: str
) -> None:
    with pytest.raises(RmftError, match=message):
        command("report", *words, "--runs", str(runs))


def test_a_grid_is_reported_by_its_files_name(runs: Path) -> None:
    rows = json.loads(command("report", "ab.toml", "--json", "--runs", str(runs)))
    assert [row["cell"] for row in rows] == ["rmft", "random"]


async def test_a_live_index_opens_live_pages(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "PULSE_S", 0.02)
    async with aiohttp.ClientSession() as client, rmft_api.live_report(folder=runs) as url:

        async def story(place: str) -> Any:
            while True:
                async with client.get(f"{url}{place}data") as answer:
                    assert answer.status == 200
                    found = unpacked(await answer.text())["story"]
                if found is not None:
                    return found

        index = await story("")
        addresses: dict[str, str] = {one["name"]: one["page"] for one in index["entries"]}
        assert addresses["fam"] == "of/fam/"
        for name in ("fam-seed-5", "held"):
            assert (await story(addresses[name]))["run"] == name
        for place in ("of/none/", "of/..%2Ffam/"):
            async with client.get(f"{url}{place}") as answer:
                assert answer.status == 404


def test_a_reader_goes_from_the_index_to_a_run(
    written: tuple[Path, list[str]], browser: Chromium
) -> None:
    browser.open(written[0].as_uri())
    assert browser.run("document.querySelectorAll('.spark').length") == 7
    browser.size(390, 844, phone=True)
    assert browser.run("document.documentElement.scrollWidth") <= 390
    assert browser.complaints() == []
    browser.run("document.querySelector('a[href=\"fam-seed-5/report.html\"]').click()")
    browser.until("document.title.startsWith('fam-seed-5')")
    browser.until("document.body?.dataset.ready === 'yes'")
