"""`rmft-api report`: the table to stdout, the page to a file, its place to stderr."""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.report.conftest import played
from tests.report.reading import blocks


def rmft(*words: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "rmft_api", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    played(folder / "loop")
    return folder


def test_the_page_is_written_beside_the_journal_and_its_place_is_told(runs: Path) -> None:
    ended = rmft("report", "loop", "--runs", runs)
    assert ended.returncode == 0, ended.stderr
    page = runs / "loop" / "report.html"
    assert ended.stderr.startswith(f"page: {page} (")
    assert ended.stdout.startswith("  ")
    assert page.read_text("utf-8").startswith("<!doctype html>")
    assert page.stat().st_mode & 0o077 == 0


def test_no_page_is_written_where_none_is_wanted(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "loop", tmp_path / "loop", ignore=shutil.ignore_patterns("*.html"))
    for option in ("--no-html", "--json"):
        ended = rmft("report", "loop", "--runs", tmp_path, option)
        assert (ended.returncode, ended.stderr) == (0, "")
    assert not list(tmp_path.rglob("*.html"))
    ended = rmft("report", "loop", "--runs", tmp_path, "--json", "--html", tmp_path / "own.html")
    assert ended.returncode == 0
    assert (tmp_path / "own.html").exists()


def test_a_run_stopped_in_its_first_iteration_tells_what_there_is(tmp_path: Path) -> None:
    played(tmp_path / "loop", end_after=20)
    ended = rmft("report", "loop", "--runs", tmp_path)
    assert ended.returncode == 0
    assert "has evaluated no model yet" in ended.stdout
    assert (tmp_path / "loop" / "report.html").exists()
    assert rmft("report", "loop", "--runs", tmp_path, "--json").returncode == 64


def test_a_live_page_is_served_until_ctrl_c(runs: Path) -> None:
    command = [sys.executable, "-m", "rmft_api", "report", "loop", "--runs", str(runs), "--live"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    ) as serving:
        assert serving.stdout is not None
        address = serving.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(address, timeout=20) as answer:
            assert answer.read().startswith(b"<!doctype html>")
        serving.send_signal(signal.SIGINT)
        assert serving.wait(60) == 0
        assert serving.stderr is not None
        assert serving.stderr.read() == "Ctrl-C ends it\n"


ONE_SCENARIO: dict[str, Any] = {
    "validation": {"scenarios": 1, "half_width": 0.5},
    "test": {"scenarios": 1},
    "gate": {"stop_after": 3, "fall_back": True},
}


def nulled(payload: bytes) -> bytes:
    """What journals held before: null for whatever is not finite."""
    return re.sub(rb'"-?Infinity"|"NaN"', b"null", payload)


@pytest.mark.parametrize("older", [False, True], ids=["now", "older journal"])
def test_one_scenario_alone_has_no_interval_and_a_report(tmp_path: Path, older: bool) -> None:
    played(tmp_path / "loop", **ONE_SCENARIO)
    if older:
        with closing(sqlite3.connect(tmp_path / "loop" / "journal.sqlite")) as journal, journal:
            journal.create_function("nulled", 1, nulled)
            journal.execute("UPDATE records SET payload = nulled(payload)")
            journal.execute("DELETE FROM records WHERE kind = 'results'")
        played(tmp_path / "loop", **ONE_SCENARIO)  # resumed
    ended = rmft("report", "loop", "--runs", tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert re.search(r"\*\d +skill-0\.\d +\d\.\d\d \(too few\)", ended.stdout), ended.stdout
    assert "inf" not in ended.stdout
    told = rmft("report", "loop", "--runs", tmp_path, "--json").stdout
    found = json.loads(told, parse_constant=pytest.fail)
    assert found["iterations"][1]["gate"]["drop"]["ci95"] is None
    page = blocks((tmp_path / "loop" / "report.html").read_text("utf-8"))
    story = page["story"]["story"]
    assert "too few scenarios for a 95 % interval" in story["headline"]["text"]
    assert "inf" not in json.dumps(story["headline"])


def test_a_report_tells_whether_regret_falls_and_play_locks_in(tmp_path: Path) -> None:
    played(tmp_path / "loop", test={"scenarios": 12})
    told = rmft("report", "loop", "--runs", tmp_path).stdout
    assert re.search(r"skill-0\.2 +T=8 .*not shown to fall", told), told
    figures = json.loads(rmft("report", "loop", "--runs", tmp_path, "--json").stdout)
    over_time = figures["iterations"][0]["over_time"]["T=8"]
    assert over_time["scenarios"] == 12
    assert (over_time["learns"], over_time["locks_in"]) == (False, False)
    assert figures["baselines"]["greedy"]["over_time"]["T=8"]["locked"]["mean"] >= 0
    page = blocks((tmp_path / "loop" / "report.html").read_text("utf-8"))["story"]["story"]
    players = [one for one in page["players"] if one["split"] == "test"]
    assert {one["over_time"][0]["horizon"] for one in players} == {"T=8"}


def test_too_few_scenarios_decide_nothing_over_time(tmp_path: Path) -> None:
    played(tmp_path / "loop", test={"scenarios": 9})
    told = rmft("report", "loop", "--runs", tmp_path).stdout
    assert "regret over time" not in told
