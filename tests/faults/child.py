"""A process under test: `python -m tests.faults.child ARGS` is `rmft-api ARGS`, and perhaps more.

The environment says what: RMFT_FAULTS_SPEED (faster clocks), RMFT_FAULTS_BUG (a planted bug),
RMFT_FAULTS_DNS (names that do not resolve, so many times), RMFT_FAULTS_TRACE (count fault points),
RMFT_FAULTS_PROFILES (a file of profiles beside the shipped ones).
"""

import atexit
import importlib
import json
import os
import socket
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from rmft_api.core import fault_points
from rmft_api.core.records import Message
from tests.faults import speed
from tests.faults.world import BASE


def warm() -> None:
    """Import everything, for processes that are forked from this one (`nursery.py`)."""
    speed.from_environment(os.environ)
    for name in ("cli.main", "session.runs", "providers.openai_wire", "datasets.tokens"):
        importlib.import_module(f"rmft_api.{name}")
    import openai

    from rmft_api.datasets.tokens import counter_for

    counter_for(BASE).chat([Message("user", "one word loads the vocabulary")])
    client = openai.AsyncOpenAI(api_key="-", base_url="http://127.0.0.1:9")
    assert client.files and client.fine_tuning.jobs.checkpoints  # imported when first named


def main() -> None:
    """Prepare, then hand over to the real command line."""
    speed.from_environment(os.environ)
    importlib.reload(fault_points)  # reads RMFT_CRASH_AT: a forked process has its own
    if times := os.environ.get("RMFT_FAULTS_DNS"):
        break_names(int(times))
    if path := os.environ.get("RMFT_FAULTS_TRACE"):
        trace_points(Path(path))
    if path := os.environ.get("RMFT_FAULTS_PROFILES"):
        add_profiles(Path(path))
    if name := os.environ.get("RMFT_FAULTS_BUG"):
        from tests.faults import bugs

        bugs.plant(name)
    from rmft_api.cli.main import main as rmft_api

    sys.argv[0] = "rmft-api"
    rmft_api()


def break_names(times: int) -> None:
    """Let the first `times` look-ups of a name fail, as a broken resolver does."""
    resolve, left = socket.getaddrinfo, iter(range(times))

    def broken(*args: Any, **more: Any) -> Any:
        if next(left, None) is not None:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return resolve(*args, **more)

    socket.getaddrinfo = broken


def add_profiles(path: Path) -> None:
    """Let the command line know the profiles of `path` too."""
    from rmft_api.providers import profiles

    load = profiles.load
    profiles.load = lambda name, own=None: load(name, own or path)


def trace_points(path: Path) -> None:
    """Count how often each fault point is reached; written as JSON when the process ends."""
    seen: Counter[str] = Counter()

    def reached(point: str) -> None:
        seen[point] += 1

    fault_points.fault_point = reached
    atexit.register(lambda: path.write_text(json.dumps(seen)))


if __name__ == "__main__":
    main()
