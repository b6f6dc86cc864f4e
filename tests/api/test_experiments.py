"""Grids, chains trained again and exports from Python: the command line's numbers, in its words."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

import rmft_api
from rmft_api import errors
from rmft_api.cli.main import app
from rmft_api.journal import open_to_read
from rmft_api.report import page
from rmft_api.session import pages

BASE = """
iterations = 1
[model]
base = "scripted-random"
[prompts]
set = "compact"
[sampling]
max_tokens = 64
[rollouts]
scenarios = 4
trajectories = 4
problems = [{ environment = "bandit", K = 2, T = 3 }]
[selection]
k = 2
[finetuning]
n_epochs = 1
poll_every_s = 0.2
[validation]
scenarios = 4
[test]
scenarios = 4
"""
GRID = """
base = "base.toml"
[[cell]]
name = "rmft"
[[cell]]
name = "greedy"
set = { "model.base" = "scripted-greedy" }
"""
FIRST = "grid-rmft-1"
API = Path(__file__).parents[2] / "docs" / "api.md"
COMMANDS: dict[str, Any] = getattr(typer.main.get_command(app), "commands")  # noqa: B009
OTHER_OUTPUT = ("all", "dry-run", "selections", "csv", "live", "seeds", "compare", "cheaper")
"""Options after which a command shows or writes something else than its result."""
HIDDEN = {name for name, command in COMMANDS.items() if command.hidden}


async def cut(work: Coroutine[Any, Any, object], run: Path) -> None:
    """Cancel the work once the run has begun."""
    task = asyncio.create_task(work)
    while not (run / "journal.sqlite").exists() and not task.done():  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A grid that was cancelled once, then walked to its end; a chain of it, trained again."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "base.toml").write_text(BASE)
    (folder / "grid.toml").write_text(GRID)
    asyncio.run(cut(rmft_api.aablate(folder / "grid.toml", runs=folder), folder / FIRST))
    stopped = rmft_api.open_run(FIRST, folder).status
    assert stopped is not None
    assert stopped.state == "interrupted"
    rmft_api.ablate(folder / "grid.toml", runs=folder)
    work = rmft_api.aretrain(FIRST, "local", name="again", runs=folder)
    asyncio.run(cut(work, folder / "again"))
    rmft_api.retrain(FIRST, "local", name="again", runs=folder)
    return folder


def told(*arguments: str, runs: Path) -> str:
    result = CliRunner().invoke(app, [*arguments, "--runs", str(runs)])
    assert result.exit_code == 0, result.output
    return result.stdout


def drawn(run: rmft_api.Run) -> dict[int | None, float]:
    """Mean regret on the test scenarios by iteration, as the page shows it."""
    with open_to_read(run.directory) as journal:
        story, _ = page.read(run.config, journal, run.results, pages.run_state(run.directory))
    tested = [one for one in story.players if one.split == "test"]
    return {one.index: one.regret.mean for one in tested if one.regret is not None}


def test_a_grid_has_the_numbers_of_the_command_line_and_of_its_pages(
    runs: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rows = rmft_api.ablate(runs / "grid.toml", runs=runs)
    assert capfd.readouterr() == ("", "")
    shown = told("ablate", str(runs / "grid.toml"), "--json", runs=runs)
    assert json.loads(msgspec.json.encode(rows)) == json.loads(shown)
    run = rmft_api.open_run(FIRST, runs)
    assert rows[0].regret.mean != rows[1].regret.mean
    assert rows[0].regret.mean == pytest.approx(drawn(run)[run.champion.index])
    only = rmft_api.ablate(str(runs / "grid.toml"), cells="rmft", runs=runs)
    assert [row.cell for row in only] == ["rmft"]


def test_a_chain_trained_again_has_the_numbers_of_the_command_line_and_of_its_page(
    runs: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    found = rmft_api.retrain(FIRST, "local", name="again", runs=runs)
    assert capfd.readouterr() == ("", "")
    command = ("retrain", FIRST, "--profile", "local", "--name", "again", "--json")
    shown = json.loads(told(*command, runs=runs))
    assert json.loads(msgspec.json.encode(found.sides)) == shown
    plan = rmft_api.plan_retrain(FIRST, "local", name="again", runs=runs)
    assert plan.to_json() == told(*command, "--dry-run", runs=runs).rstrip()
    means = drawn(rmft_api.open_run("again", runs))
    for pair in found.sides.pairs:
        assert pair.split == "test"
        assert pair.here.mean == pytest.approx(means[pair.index])


@pytest.mark.parametrize(
    ("table", "name"),
    [
        ("trajectories", "t.csv"),
        ("rounds", "r.jsonl"),
        ("messages", "m.jsonl"),
        ("prompt-completion", "p.jsonl"),
        ("preference", "d.jsonl"),
    ],
)
def test_an_export_is_the_command_lines_to_the_byte(
    runs: Path, tmp_path: Path, table: str, name: str
) -> None:
    count = rmft_api.open_run(FIRST, runs).export(tmp_path / name, table)
    other = tmp_path / f"cli-{name}"
    shown = told("export", FIRST, str(other), "--table", table, runs=runs)
    assert shown == f"{count} {table} in {other}\n"
    assert (tmp_path / name).read_bytes() == other.read_bytes()


def test_exports_are_the_frames_and_a_figure_is_drawn(runs: Path, tmp_path: Path) -> None:
    run = rmft_api.open_run(FIRST, runs)
    count = run.export(tmp_path / "rounds.csv", "rounds")
    assert count == len(run.rounds()) == len(pd.read_csv(tmp_path / "rounds.csv"))
    assert run.export(tmp_path / "folder", "datasets") == len(run.trajectories())
    run.report(tmp_path / "page.html", svg=tmp_path / "regret.svg")
    assert (tmp_path / "regret.svg").read_text("utf-8").startswith("<svg")


def test_selections_are_those_of_the_command_line(runs: Path) -> None:
    frame = rmft_api.open_run(FIRST, runs).selections()
    shown = told("report", FIRST, "--selections", "--no-html", runs=runs).splitlines()[2:4]
    assert list(frame["trajectories"]) == ["all", "selected"]
    for row, line in zip(frame.itertuples(), shown, strict=True):
        assert f"  {row.plays} " in line
        assert f"  {row.regret:.2f} " in line
        assert line.endswith(f"{row.valid:.1%}")


async def test_the_page_is_served_while_a_block_lasts(runs: Path) -> None:
    run = rmft_api.open_run(FIRST, runs)
    async with aiohttp.ClientSession() as client:
        async with run.live_report() as url, client.get(url) as answer:
            assert (answer.status, FIRST in await answer.text()) == (200, True)
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.get(url)
    with pytest.raises(errors.UsageError, match="port must be a whole number"):
        async with run.live_report(-1):
            pass


def test_mistakes_are_typed_and_in_one_line(runs: Path, tmp_path: Path) -> None:
    run = rmft_api.open_run(FIRST, runs)
    with pytest.raises(errors.UsageError, match=r"must end in \.csv"):
        run.export(tmp_path / "rounds.xls")
    with pytest.raises(errors.UsageError, match="no table 'plays'; there are trajectories, rounds"):
        run.export(tmp_path / "rounds.csv", "plays")
    with pytest.raises(errors.UsageError, match="path must be a text"):
        run.export(None)  # type: ignore[arg-type]
    with pytest.raises(errors.UsageError, match="no run 'other'"):
        rmft_api.retrain("other", "local", runs=runs)
    with pytest.raises(errors.UsageError, match="profile must be a text"):
        rmft_api.retrain(FIRST, None, runs=runs)  # type: ignore[arg-type]
    with pytest.raises(errors.ConfigError, match="exists with other settings"):
        rmft_api.retrain(FIRST, "local", name="again", overrides={"seed": 9}, runs=runs)
    with pytest.raises(errors.ConfigError, match="no cell 'rmtf'"):
        rmft_api.ablate(runs / "grid.toml", cells=["rmtf"], runs=runs)
    with pytest.raises(errors.UsageError, match="min_valid must be a share"):
        rmft_api.resume(FIRST, min_valid=2, runs=runs)
    with pytest.raises(errors.UsageError, match="nothing to ask again"):
        rmft_api.resume(FIRST, ask_again=True, runs=runs)
    with pytest.raises(errors.UsageError, match="not both"):
        rmft_api.doctor("quickstart", profile="local", runs=runs)


def test_an_evaluation_refuses_what_only_runs_have(runs: Path) -> None:
    rmft_api.evaluate(
        [], "compact", name="held", baselines="random", overrides={"scenarios": 2}, runs=runs
    )
    held = rmft_api.open_run("held", runs)
    assert {player.label for player in held.comparison.players} == {"random"}
    assert json.loads(told("report", "held", "--json", runs=runs))["players"]
    standings = ("eval", "--suite", "compact", "--name", "same", "--baseline", "random")
    told(*standings, "--set", "scenarios=2", "--csv", str(runs / "s.csv"), runs=runs)
    again = pd.read_csv(runs / "s.csv").drop(columns="contest")
    pd.testing.assert_frame_equal(held.standings().drop(columns="contest"), again)
    command = [sys.executable, "-m", "rmft_api", "report", "held", "--runs", str(runs)]
    options = ["--svg", str(runs / "x.svg"), "--selections"]
    ended = subprocess.run([*command, *options], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 64
    assert "which has no such view; leave out --svg, --selections" in ended.stderr
    assert held.report().read_bytes().startswith(b"<!doctype html>")
    for refused in (lambda: held.results, lambda: held.export(runs / "x.csv")):
        with pytest.raises(errors.UsageError, match="is an evaluation"):
            refused()
    with pytest.raises(errors.UsageError, match="is no evaluation"):
        rmft_api.open_run(FIRST, runs).comparison  # noqa: B018


def test_inside_an_event_loop_the_async_twins_work(runs: Path) -> None:
    async def inside() -> None:
        for call, twin in (
            (lambda: rmft_api.ablate(runs / "grid.toml", runs=runs), "aablate"),
            (lambda: rmft_api.retrain(FIRST, "local", name="again", runs=runs), "aretrain"),
            (lambda: rmft_api.doctor(runs=runs), "adoctor"),
        ):
            with pytest.raises(errors.UsageError, match=rf"await rmft_api\.{twin}"):
                call()
        rows = await rmft_api.aablate(runs / "grid.toml", runs=runs)
        assert [row.cell for row in rows] == ["rmft", "greedy"]
        found = await rmft_api.aretrain(FIRST, "local", name="again", runs=runs)
        assert found.sides.replayed == FIRST
        assert {one.verdict for one in await rmft_api.adoctor(runs=runs)} >= {"ok"}

    asyncio.run(inside())


def rows_of(pattern: str) -> list[tuple[str, str]]:
    """The rows of docs/api.md that begin so, each with its function; "" where there is none."""
    row = rf"^\| `({pattern})` \| (?:`([\w.]+)[^|]*|none: [^|]+) \|"
    return re.findall(row, API.read_text("utf-8"), re.M)


def is_documented(function: str) -> bool:
    found: Any = rmft_api
    for part in function.split(".")[1:]:
        found = getattr(found, part)
    return bool(found.__doc__)


def test_every_command_has_a_row_with_its_function() -> None:
    rows = rows_of(r"[\w-]+")
    assert {command for command, _ in rows} == set(COMMANDS) - HIDDEN
    assert [command for command, function in rows if not function] == ["serve"]
    assert all(is_documented(function) for _, function in rows if function)


def test_every_option_that_shows_or_writes_something_else_has_a_row() -> None:
    rows = rows_of(r"[\w-]+ --[\w-]+")
    options = {
        f"{name} --{option}"
        for name in set(COMMANDS) - HIDDEN
        for option in OTHER_OUTPUT
        if f"--{option}" in {word for one in COMMANDS[name].params for word in one.opts}
    }
    assert options == {option for option, _ in rows}
    assert all(is_documented(function) for _, function in rows)
