"""Size of a run's page, time to write it, and time until a browser has opened it.

    python -m benchmarks.report_page [--trajectories 10000] [--words 20] [--runs 1] [--keep FOLDER]

`--runs 10` makes ten runs of so many trajectories, and one page of them side by side.
Makes a whole run through the real loop, journal and prompts (K = 5, T = 25); its model answers at
once, with a reason of `--words` words drawn as natural language is: few words often, many seldom.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import rmft_api
from rmft_api.config.schema import RunConfig, parse
from rmft_api.core import resources, seeds
from rmft_api.core.records import ChatRequest, ChatResponse, Choice
from rmft_api.evaluation.outcome import results
from rmft_api.journal import Journal
from rmft_api.loop import iterate
from rmft_api.report import page
from rmft_api.report.data import RunState
from tests.loop_world import World
from tests.report.chromium import Chromium, find

ITERATIONS = 4
LETTERS = "etaoinshrdlucmfwypvbgkjqxz"


def settings(trajectories: int, seed: int) -> RunConfig:
    """A run of so many trajectories: three quarters are played to learn from."""
    part = trajectories // 20
    raw: dict[str, Any] = {
        "name": f"many-{seed}",
        "seed": seed,
        "iterations": ITERATIONS,
        "model": {"base": "talker"},
        "rollouts": {
            "scenarios": 15 * trajectories // (20 * ITERATIONS * 15),
            "trajectories": 15,
            "problems": [{"environment": "bandit", "K": 5, "T": 25}],
        },
        "validation": {"scenarios": 2 * part // 5},
        "test": {"scenarios": 3 * part // 5},
        "finetuning": {"n_epochs": 1},
    }
    return parse(raw, "benchmark")


class Talker:
    """Thinks aloud and presses something; a `ports.ChatModel`."""

    def __init__(self, words: int, names: tuple[str, ...]) -> None:
        rng = seeds.rng(0, "vocabulary")
        letters = [LETTERS[min(i, 25)] for i in rng.geometric(0.11, 40_000) - 1]
        lengths = rng.integers(2, 10, 5_000).tolist()
        starts = rng.integers(0, len(letters) - 10, 5_000).tolist()
        self._words = ["".join(letters[s : s + n]) for s, n in zip(starts, lengths, strict=True)]
        self._count, self._names = words, names

    async def reply(self, request: ChatRequest) -> ChatResponse:
        """So many words, and any action."""
        rng = seeds.rng(0, request.model, request.key)
        choices: list[Choice] = []
        for _ in range(request.n):
            drawn: list[int] = (rng.zipf(1.3, self._count) % len(self._words)).tolist()
            text = " ".join(self._words[i] for i in drawn)
            name = self._names[int(rng.integers(len(self._names)))]
            choices.append(Choice(f"{text}.\n<Answer>{name}</Answer>", "stop"))
        return ChatResponse("r", request.model, tuple(choices), None)


async def play(config: RunConfig, folder: Path, words: int) -> None:
    """The run, into a journal."""
    path = resources.prompts_dir() / "standard/scenarios/buttons/actions.txt"
    names = tuple(path.read_text("utf-8").split("\n")[:5])
    world = World(folder, config, [f"talker-{i + 1}" for i in range(ITERATIONS)])
    world.chat = cast(Any, Talker(words, names))
    journal = world.journal()
    try:
        await iterate(world.run(journal))
    finally:
        journal.close()


def opened(file: Path) -> tuple[float, float]:
    """Seconds until the page is drawn (median of five), and until a trajectory is."""
    program = find()
    if program is None:
        raise SystemExit("no chromium here")
    seconds: list[float] = []
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
        Chromium(program, Path(profile)) as browser,
    ):
        browser.size(1280, 900)
        for _ in range(5):
            browser.call("Page.navigate", url="about:blank")
            begun = time.perf_counter()
            browser.open(file.as_uri())
            seconds.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        browser.run("document.querySelector('.list').focus()")
        browser.press("End")
        browser.until("document.querySelector('.view').dataset.shown")
        return sorted(seconds)[2], time.perf_counter() - begun


def main() -> None:
    """Make, write, open; print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--trajectories", type=int, default=10_000)
    parser.add_argument("--words", type=int, default=20)
    parser.add_argument("--keep", type=Path, help="Keep the run and its page here.")
    parser.add_argument("--runs", type=int, default=1)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folders = [(wanted.keep or Path(scratch)) / f"many-{n + 1}" for n in range(wanted.runs)]
        for seed, folder in enumerate(folders, 1):
            if not folder.exists():
                asyncio.run(play(settings(wanted.trajectories, seed), folder, wanted.words))
        if len(folders) == 1:
            measure(folders[0])
        else:
            measure_several(folders, folders[0].parent / "side-by-side.html")


def measure(folder: Path) -> None:
    """The figures of the run in `folder`."""
    journal = Journal.read(folder)
    config = RunConfig.model_validate_json(journal.run.config_json)
    count = sum(1 for _ in journal.all_trajectories())
    begun = time.process_time()
    found = results(config, journal)
    figures = time.process_time() - begun
    begun = time.process_time()
    content = page.html(config, journal, found, RunState("finished", ""))
    writing = time.process_time() - begun
    journal.close()
    file = folder / "report.html"
    file.write_bytes(content)
    show(f"{count:,} trajectories", file, f"figures {figures:.1f} s, page {writing:.1f} s")


def measure_several(folders: Sequence[Path], file: Path) -> None:
    """The figures of the page of several runs."""
    begun = time.process_time()
    rmft_api.side_by_side(folders, file)
    show(f"{len(folders)} runs", file, f"figures and page {time.process_time() - begun:.1f} s")


def show(what: str, file: Path, cpu: str) -> None:
    """Open the page, and print everything."""
    size = file.stat().st_size / 1e6
    first, trajectory = opened(file)
    print(
        f"{what}: page {size:.2f} MB; CPU: {cpu}; opened in {first:.2f} s, "
        f"a trajectory in {trajectory:.2f} s more"
    )


if __name__ == "__main__":
    main()
