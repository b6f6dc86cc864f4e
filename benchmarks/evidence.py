"""Prints what finished runs show on their test scenarios, a row per run, as Markdown.

    python benchmarks/evidence.py RUN [RUN ...] [--runs FOLDER] [--rival greedy]
        [--group "bandit T=25" ...] [--json headline|groups|rival]

For each run: the base and the champion, the paired drop with its 95 % interval, and the same for
every group of scenarios (environment, K, T) that the run tested. Then the champion against the
rival (a known algorithm, or `base`), paired on every scenario, run by run and over all of them:
with an interval over scenarios, and with one over seeds, which is wider and speaks of other seeds
too. `--json` prints one of the tables as the columns and rows of a record of docs/results/.
"""

import argparse
import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import rmft_api
from rmft_api import statistics
from rmft_api.evaluation import outcome, scoring
from rmft_api.journal import Journal


class Table(NamedTuple):
    """A table of text."""

    columns: list[str]
    rows: list[list[str]]

    def __str__(self) -> str:
        """As Markdown."""
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def main() -> None:
    """Read `report RUN --json` of every run and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", nargs="+")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--rival", default="greedy")
    parser.add_argument("--group", nargs="+", help="only these groups of scenarios")
    parser.add_argument("--json", choices=("headline", "groups", "rival"))
    asked = parser.parse_args()
    reports = [_report(name, asked.runs) for name in asked.run]
    makers = {
        "headline": lambda: _headline(reports),
        "groups": lambda: _groups(reports, asked.group),
        "rival": lambda: _against(
            [_duel(run, asked.runs, asked.rival) for run in asked.run], asked.rival
        ),
    }
    if asked.json:
        print(json.dumps(makers[asked.json]()._asdict()))
        return
    print("\n\n".join(str(make()) for make in makers.values()))


def _report(name: str, runs: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "rmft_api", "report", name, "--json", "--runs", str(runs)]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


class _Duel(NamedTuple):
    """A champion and its rival on the test scenarios of one run, group by group."""

    run: str
    regrets: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]
    """By environment and T: the champion's and the rival's, per scenario."""


def _duel(name: str, runs: Path, rival: str) -> _Duel:
    run = rmft_api.open_run(name, runs)
    with closing(Journal.read(run.directory)) as journal:
        held = outcome.scenario_set(run.config, "test")
        best = outcome.champion(run.config, journal).index
        played = outcome.performances(run.config, journal, "test")
    mine = played[best].regret_M
    if rival == "base":
        theirs = played[0].regret_M
    else:
        theirs = scoring.of_baseline(held, rival, run.config.seed).regret_M
    groups: dict[str, list[int]] = {}
    for place in range(len(held.scenarios)):
        problem = held.problem_of(place)
        groups.setdefault(f"{problem.environment}, T = {problem.T}", []).append(place)
    return _Duel(name, {group: (mine[some], theirs[some]) for group, some in groups.items()})


def _against(duels: list[_Duel], rival: str) -> Table:
    """The rival's regret less the champion's on the same scenarios, with its 95 % interval."""
    groups = list(duels[0].regrets)
    rows = [[d.run, *(_gap([d], group) for group in groups)] for d in duels]
    rows.append(["all", *(_gap(duels, group) for group in groups)])
    return Table([f"champion, {rival}, {rival} less champion", *groups], rows)


def _gap(duels: list[_Duel], group: str) -> str:
    mine, theirs = (np.concatenate([d.regrets[group][side] for d in duels]) for side in (0, 1))
    gap = statistics.drop_interval(theirs - mine)
    shown = f"{mine.mean():.2f}, {theirs.mean():.2f}, {gap} ({len(mine)})"
    if len(duels) < statistics.FEWEST_SEEDS:
        return shown
    each = [d.regrets[group][1] - d.regrets[group][0] for d in duels]
    return f"{shown}; over seeds {statistics.pooled_interval(each)}"


def _pair(report: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The base's and the champion's test figures."""
    tested = {one["index"]: one for one in report["iterations"] if one["split"] == "test"}
    return tested[0], tested[report["champion"]["index"]]


def _headline(reports: list[dict[str, Any]]) -> Table:
    rivals = list(reports[0]["baselines"])
    head = ["run", "champion", "base", "champion's", "drop [95 % CI]", "SuffFail", "K x MinFrac"]
    rows: list[list[str]] = []
    for report in reports:
        base, best = _pair(report)
        rows.append(
            [
                report["run"],
                f"iteration {best['index']}",
                f"{base['regret']['mean']:.2f}",
                f"{best['regret']['mean']:.2f}",
                _drop(base, best),
                f"{base['suff_fail_freq']:.2f} -> {best['suff_fail_freq']:.2f}",
                f"{base['k_min_frac']:.2f} -> {best['k_min_frac']:.2f}",
                f"{best['valid']:.1%}",
                *(_mean(report["baselines"], name) for name in rivals),
            ]
        )
    return Table([*head, "valid", *rivals], rows)


def _groups(reports: list[dict[str, Any]], only: list[str] | None) -> Table:
    """Base, champion and drop of every group, a column per run."""
    names = only or list(_pair(reports[0])[0]["groups"])
    rows = [[name, *(_group(report, name) for report in reports)] for name in names]
    return Table(["scenarios", *(report["run"] for report in reports)], rows)


def _group(report: dict[str, Any], name: str) -> str:
    base, best = _pair(report)
    before, after = base["groups"][name], best["groups"][name]
    fails = f"{before['suff_fail_freq']:.2f} -> {after['suff_fail_freq']:.2f}"
    means = f"{before['regret']['mean']:.2f} -> {after['regret']['mean']:.2f}"
    limit = _of_limit(report["limit"], name, after)
    return f"{means}, drop {_drop(before, after)}, SuffFail {fails}{limit}"


def _of_limit(limit: dict[str, Any] | None, name: str, after: dict[str, Any]) -> str:
    """Regret in limits, where the limit of all of these scenarios is known."""
    least = limit["groups"].get(name) if limit else None
    if least is None or least["scenarios"] != after["scenarios"]:
        return ""
    return f", {after['regret']['mean'] / least['regret']['mean']:.2f} x the limit"


def _drop(before: dict[str, Any], after: dict[str, Any]) -> str:
    drop = after["paired_drop"]
    if drop is None:
        return "0 (the base)"
    share = drop["mean"] / before["regret"]["mean"]
    ends = "too few" if drop["ci95"] is None else "{:.2f}, {:.2f}".format(*drop["ci95"])
    return f"{drop['mean']:.2f} [{ends}] ({share:.0%})"


def _mean(figures: dict[str, Any], name: str) -> str:
    """A baseline's mean regret; empty where it cannot play these problems."""
    return f"{figures[name]['regret']['mean']:.2f}" if name in figures else ""


if __name__ == "__main__":
    main()
