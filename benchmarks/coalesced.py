"""What coalescing saved in runs that were played, and what plans expect of it in US dollars.

python benchmarks/coalesced.py [RUN_FOLDER ...] [--plan FILE ...]

Of a played run: the share of input tokens that `n` saved against one request per turn, by
iteration. The prompt of a request is billed once, whatever its n is.
"""

import argparse
import json
import sqlite3
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import msgspec

from rmft_api.core.records import ChatResponse
from rmft_api.journal import FILE

_ANSWERED = "SELECT key, answer FROM attempts WHERE kind = 'chat' AND state = 'done'"


def played(folder: Path) -> None:
    """A row for each iteration's training play, and one for all of them."""
    billed: defaultdict[str, int] = defaultdict(int)
    apart: defaultdict[str, int] = defaultdict(int)
    connection = sqlite3.connect(f"{(folder / FILE).resolve().as_uri()}?mode=ro", uri=True)
    for key, answer in connection.execute(_ANSWERED):
        split, iteration, *_ = key.split("/")
        reply = msgspec.json.decode(answer, type=ChatResponse)
        if split == "train" and reply.usage:
            for name in (iteration, "all"):
                billed[name] += reply.usage.prompt_tokens
                apart[name] += reply.usage.prompt_tokens * len(reply.choices)
    connection.close()
    cells = (f"{name}: {1 - billed[name] / apart[name]:.0%}" for name in sorted(apart))
    print(f"{folder.name}: input tokens saved by iteration: {', '.join(cells)}")


def planned(file: str) -> None:
    """What the plan expects."""
    command = [sys.executable, "-m", "rmft_api", "plan", file, "--json", "--accept-shutdown"]
    told = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    saved, total = told["saves_usd"]["coalescing"], told["total_usd"]["expected"]
    print(f"| {file} | {saved} | {total} |")


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("run", nargs="*", type=Path)
    parser.add_argument("--plan", nargs="*", default=[], metavar="FILE")
    asked = parser.parse_args()
    for folder in asked.run:
        played(folder)
    if asked.plan:
        print("| run file | saved by coalescing, $ | whole run, $ |\n|---|---|---|")
    for file in asked.plan:
        planned(file)


if __name__ == "__main__":
    main()
