"""Our whole tool at play: prompts, calls, pacer, journal, budget, regret, progress.

    python -m benchmarks.calls.whole_tool < load.json

`calls` of the load are rounds; the flags say how they are laid out.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from benchmarks.calls.meter import Load, Reading, take, tell
from rmft_api.cli.console import console
from rmft_api.cli.errors import run_async
from rmft_api.cli.main import tune
from rmft_api.config.schema import RunConfig
from rmft_api.core import resources
from rmft_api.core.ports import ChatModel, Console
from rmft_api.journal import Journal
from rmft_api.prompts import PromptSet, load
from rmft_api.providers import connect, profiles
from rmft_api.providers.prices import Prices
from rmft_api.requests.journaled_chat import JournaledChat
from rmft_api.requests.pacing import Pacer
from rmft_api.requests.retries import Retries
from rmft_api.rollouts import preparation, splits
from rmft_api.session.progress import TrackedConsole
from rmft_api.session.signals import StoppableChat, StopSignal

WARM_T = 5


class Desk(NamedTuple):
    """Where the model plays, as a run has it."""

    config: RunConfig
    journal: Journal
    prompts: PromptSet
    chat: ChatModel
    largest_n: int
    console: Console


def config(asked: argparse.Namespace, rounds: int, concurrency: int) -> RunConfig:
    """A run whose training play has about `rounds` rounds."""
    problem = {"environment": "bandit", "K": asked.K, "T": asked.T}
    return RunConfig.model_validate(
        {
            "name": "speed",
            "model": {"base": "gpt-4o-mini", "profile": "openai"},
            "prompts": {
                "history": asked.history,
                "conversation": asked.conversation,
            },
            "requests": {"concurrency": concurrency},
            "rollouts": {
                "scenarios": max(1, round(rounds / asked.T / asked.L)),
                "trajectories": asked.L,
                "coalesce": asked.n > 1,
                "problems": [problem],
            },
            "selection": {"k": 1},
            "validation": {"scenarios": concurrency, "problems": [{**problem, "T": WARM_T}]},
            "budget_usd": 1e6,
        }
    )


async def play(load_: Load, settings: RunConfig, n: int, folder: Path) -> Reading:
    """Play once to warm up, once to be timed."""
    profile = profiles.load("openai").at(load_.url)
    profile = profile.model_copy(update={"api_key_env": None})
    journal = Journal.create(folder / settings.name, settings.model_dump_json(), {})
    await journal.ledger.set_cap(10**12)
    pacer, prices = Pacer(settings.requests.concurrency), Prices(profile)
    totals = journal.ledger.totals
    async with connect(profile, pacer=pacer) as connection:
        chat = JournaledChat(
            journal,
            connection.chat,
            Retries(),
            price=prices.worst_case,
            cost=prices.cost,
            pace=pacer,
        )
        desk = Desk(
            config=settings,
            journal=journal,
            prompts=load(settings.prompts, [resources.prompts_dir()]),
            chat=StoppableChat(chat, StopSignal("speed", print)),
            largest_n=n,
            console=TrackedConsole(console(lambda: totals().spent / 1e6), journal),
        )
        await splits.play(desk, "validation", 1, "gpt-4o-mini", "warming up")
        before = journal.ledger.count()
        rounds = preparation.rounds_of(settings, "train")
        reading = await take(
            0,
            lambda: splits.play(desk, "train", 1, "gpt-4o-mini", "playing"),
            lag=load_.lag,
            rounds=rounds,
        )
        calls = journal.ledger.count() - before
    journal.close()
    return Reading(**{**reading.__dict__, "calls": calls})


def main() -> None:
    """Read the load, play, tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--T", type=int, default=25)
    parser.add_argument("--K", type=int, default=3)
    parser.add_argument("--L", type=int, default=2)
    parser.add_argument("--n", type=int, default=1)
    parser.add_argument("--history", default="summary")
    parser.add_argument("--conversation", default="single_turn")
    asked = parser.parse_args()
    load_ = Load(**json.load(sys.stdin))
    settings = config(asked, load_.calls, load_.concurrency)
    tune()  # as `rmft-api` does
    with tempfile.TemporaryDirectory() as folder:
        tell(run_async(play(load_, settings, asked.n, Path(folder))))


if __name__ == "__main__":
    main()
