"""What a call costs: our whole tool beside the bare wire and other clients, all in one run.

    python -m benchmarks.calls [--part clients|lengths|wide|many] [--client NAME=PYTHON ...]

clients: CPU a call at 200 under way      lengths: our rounds at T = 10 and T = 200
wide: 1,000 under way, 500 ms a reply     many: 100, 1,000 and 10,000 trajectories

Every client is a process of its own, warm before it is timed, measured by its user and system CPU
time, in turn with the others; ratios are made within a turn, and their median is told. `--client`
names an interpreter that has a package: openai, dspy, litellm, inspect, curator.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

from benchmarks.calls import servers, vocabulary
from benchmarks.calls.meter import Load, Reading
from rmft_api.config.schema import PromptConfig
from rmft_api.core import resources, seeds
from rmft_api.environments import Scenario
from rmft_api.prompts import load

PARTS = ("clients", "lengths", "wide", "many")
OURS, RAW = "rmft-api, a whole round", "raw"
CALLS = {OURS: 8000, RAW: 8000, "openai": 600}
FEWER = 400
"""Calls of the clients that take long."""
WAITS_S = 0.5
"""How long the slow server takes."""
LENGTHS = (
    ("summary", "single_turn"),
    ("raw", "single_turn"),
    ("raw", "multi_turn"),
)


def chat() -> list[dict[str, str]]:
    """The chat of a sixth round, as our tool tells it."""
    told = load(PromptConfig(), [resources.prompts_dir()])
    table = seeds.rng(0, "chat").random((25, 3))
    scenario = Scenario(table, table, "bandit", "pseudo")
    names = told.names(told.wordings[0], 3)
    builder = told.prompt_builder(told.wordings[0], scenario, names)
    for t in range(5):
        builder.observe(servers.ANSWER, t % 3, tuple(table[t].tolist()))
    return [{"role": m.role, "content": m.content} for m in builder.messages()]


def run(name: str, python: str, load_: Load, *flags: str) -> Reading | None:
    """One client's reading; None where it cannot run, and its last words on stderr."""
    here = Path(__file__).parent
    command = [python, str(here / "clients.py"), name, *flags]
    if name == OURS:
        command = [python, "-m", "benchmarks.calls.whole_tool", *flags]
    environ = {**os.environ, "TIKTOKEN_CACHE_DIR": vocabulary.folder()}
    ended = subprocess.run(
        command,
        input=json.dumps(asdict(load_)),
        capture_output=True,
        text=True,
        cwd=here.parent.parent,
        env=environ,
        check=False,
    )
    if ended.returncode:
        print(f"{name} cannot run: {ended.stderr.strip()[-300:]}", file=sys.stderr)
        return None
    return Reading(**json.loads(ended.stdout.strip().rsplit("\n", 1)[-1]))


def clients(url: str, pythons: dict[str, str], times: int) -> None:
    """CPU a call of everybody, 200 under way."""
    found: dict[str, list[tuple[Reading, float]]] = {name: [] for name in pythons}
    for _ in range(times):
        turn = {
            name: run(name, python, Load(url, CALLS.get(name, FEWER), 200, 400, chat()))
            for name, python in pythons.items()
        }
        raw = turn[RAW]
        for name, reading in turn.items():
            if reading and raw:
                found[name].append((reading, cpu_ms(reading) / cpu_ms(raw)))
    print("| client | CPU ms a call | times raw | calls/s | RSS MB |\n|---|---|---|---|---|")
    for name, readings in found.items():
        if not readings:
            print(f"| {name} | could not run | | | |")
            continue
        cpu, ratio = median(cpu_ms(r) for r, _ in readings), median(x for _, x in readings)
        speed = median((r.rounds or r.calls) / r.wall_s for r, _ in readings)
        rss = max(r.rss_mb for r, _ in readings)
        print(
            f"| {named(name, pythons[name])} | {cpu:.3f} | {ratio:.2f} | {speed:.0f} | {rss:.0f} |"
        )


def lengths(url: str, times: int) -> None:
    """Our rounds in short and long trajectories, beside the bare POST of as many bytes."""
    print("| history | T=10: CPU ms a round | T=200 | ratio |\n|---|---|---|---|")
    load_ = Load(url, 4000, 40, 0, [])
    for history, conversation in LENGTHS:
        told = ("--history", history, "--conversation", conversation)
        pairs = [
            [run(OURS, sys.executable, load_, *told, "--T", T) for T in ("10", "200")]
            for _ in range(times)
        ]
        costs = [[cpu_ms(r) for r in pair if r] for pair in pairs]
        short, long = median(one for one, _ in costs), median(two for _, two in costs)
        ratio = median(two / one for one, two in costs)
        print(f"| {history}, {conversation} | {short:.3f} | {long:.3f} | {ratio:.2f} |")


def wide(url: str, times: int) -> None:
    """1,000 under way against a server that takes half a second, the bare POST in turn with us."""
    print(f"{servers.name(WAITS_S)}, after {WAITS_S:g} s\n")
    print("| client | calls/s | of the ideal | CPU ms a call | loop lag p99 ms | RSS MB | stolen |")
    print("|---|---|---|---|---|---|---|")
    load_ = Load(url, 50_000, 1000, 1000, chat(), lag=True)  # the last round finds fewer under way
    for _ in range(times):
        for name in (RAW, OURS):
            before = _host()
            if reading := run(name, sys.executable, load_):
                speed = reading.calls / reading.wall_s
                print(
                    f"| {name} | {speed:.0f} | {speed * WAITS_S / load_.concurrency:.1%} | "
                    f"{cpu_ms(reading):.3f} | {reading.lag_p99_ms:.0f} | {reading.rss_mb:.0f} | "
                    f"{_stolen(before):.0%} |"
                )


def _host() -> tuple[int, int]:
    """What the cores were taken away by the machine's host so far, and all their time."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return 0, 0
    ticks = [int(field) for field in stat.read_text().split("\n")[0].split()[1:9]]
    return ticks[7], sum(ticks)


def _stolen(before: tuple[int, int]) -> float:
    """The share of the cores that the host gave to others since."""
    stolen, all_ = (now - then for now, then in zip(_host(), before, strict=True))
    return stolen / max(1, all_)


def many(url: str) -> None:
    """More and more trajectories."""
    print("| trajectories | CPU ms a round | RSS MB |\n|---|---|---|")
    for count in (100, 1000, 10_000):
        load_ = Load(url, 25 * count, 200, 0, [])
        if reading := run(OURS, sys.executable, load_):
            print(f"| {count} | {cpu_ms(reading):.3f} | {reading.rss_mb:.0f} |")


def cpu_ms(reading: Reading) -> float:
    """CPU time a decision."""
    return 1e3 * reading.cpu_s / (reading.rounds or reading.calls)


def named(name: str, python: str) -> str:
    """A client and its version."""
    if name == OURS:
        return name
    command = [python, str(Path(__file__).with_name("clients.py")), name, "--version"]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    return f"{'aiohttp + orjson + uvloop, bare POST' if name == RAW else name} {told}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Start the servers, run what was asked for, print tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", action="append", choices=PARTS)
    parser.add_argument("--client", action="append", default=[], metavar="NAME=PYTHON")
    parser.add_argument("--times", type=int, default=3)
    asked = parser.parse_args(arguments)
    pythons = {RAW: sys.executable, OURS: sys.executable, "openai": sys.executable}
    pythons |= dict(given.split("=", 1) for given in asked.client)
    parts = asked.part or PARTS
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, ", end="")
    print(f"Python {platform.python_version()}, {servers.name()}\n")
    with tempfile.TemporaryDirectory() as folder:
        with servers.answering(Path(folder)) as url:
            if "clients" in parts:
                clients(url, pythons, asked.times)
            if "lengths" in parts:
                lengths(url, asked.times)
            if "many" in parts:
                many(url)
        if "wide" in parts:
            with servers.answering(Path(folder), WAITS_S) as url:
                wide(url, asked.times)


if __name__ == "__main__":
    main()
