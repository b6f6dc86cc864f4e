"""Prints what finished runs show on their test scenarios, a row per run, as Markdown.

    python benchmarks/evidence.py RUN [RUN ...] [--runs FOLDER] [--rival ucb1]

For each run: the base and the champion, the paired drop with its 95 % interval, and the same for
every group of scenarios (environment, K, T) that the run tested.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Read `report RUN --json` of every run and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", nargs="+")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    asked = parser.parse_args()
    reports = [_report(name, asked.runs) for name in asked.run]
    print(_headline(reports))
    print()
    print(_groups(reports))


def _report(name: str, runs: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "rmft_api", "report", name, "--json", "--runs", str(runs)]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def _pair(report: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The base's and the champion's test figures."""
    tested = {one["index"]: one for one in report["iterations"] if one["split"] == "test"}
    return tested[0], tested[report["champion"]["index"]]


def _headline(reports: list[dict[str, Any]]) -> str:
    rivals = list(reports[0]["baselines"])
    head = ["run", "champion", "base", "champion's", "drop [95 % CI]", "SuffFail", "K x MinFrac"]
    lines = [_row([*head, "valid", *rivals]), _row(["---"] * (len(head) + 1 + len(rivals)))]
    for report in reports:
        base, best = _pair(report)
        lines.append(
            _row(
                [
                    report["run"],
                    f"iteration {best['index']}",
                    f"{base['regret']['mean']:.2f}",
                    f"{best['regret']['mean']:.2f}",
                    _drop(base, best),
                    f"{base['suff_fail_freq']:.2f} -> {best['suff_fail_freq']:.2f}",
                    f"{base['k_min_frac']:.2f} -> {best['k_min_frac']:.2f}",
                    f"{best['valid']:.1%}",
                    *(f"{report['baselines'][name]['regret']['mean']:.2f}" for name in rivals),
                ]
            )
        )
    return "\n".join(lines)


def _groups(reports: list[dict[str, Any]]) -> str:
    """Base, champion and drop of every group, a column per run."""
    lines = [_row(["scenarios", *(r["run"] for r in reports), *reports[0]["baselines"]])]
    lines.append(_row(["---"] * (1 + len(reports) + len(reports[0]["baselines"]))))
    for name in _pair(reports[0])[0]["groups"]:
        cells = [_group(report, name) for report in reports]
        rivals = [
            f"{one['groups'][name]['regret']['mean']:.2f}"
            for one in reports[0]["baselines"].values()
        ]
        lines.append(_row([name, *cells, *rivals]))
    return "\n".join(lines)


def _group(report: dict[str, Any], name: str) -> str:
    base, best = _pair(report)
    before, after = base["groups"][name], best["groups"][name]
    fails = f"{before['suff_fail_freq']:.2f} -> {after['suff_fail_freq']:.2f}"
    means = f"{before['regret']['mean']:.2f} -> {after['regret']['mean']:.2f}"
    return f"{means}, drop {_drop(before, after)}, SuffFail {fails}"


def _drop(before: dict[str, Any], after: dict[str, Any]) -> str:
    drop = after["paired_drop"]
    if drop is None:
        return "0 (the base)"
    share = drop["mean"] / before["regret"]["mean"]
    low, high = drop["ci95"]
    return f"{drop['mean']:.2f} [{low:.2f}, {high:.2f}] ({share:.0%})"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
