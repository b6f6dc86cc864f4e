"""Playing a split of scenarios with one model; finished trajectories go to the journal."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import islice
from typing import Protocol

from rmft_api import regret, rollouts, seating
from rmft_api.config import RunConfig
from rmft_api.journal import Journal
from rmft_api.ports import ChatModel, Console
from rmft_api.prompts import PromptSet
from rmft_api.records import Split
from rmft_api.rollouts import Seat
from rmft_api.shorthand import Kept


class Place(Protocol):
    """Where one model plays."""

    @property
    def config(self) -> RunConfig:
        """What is played, and by which rules."""
        ...

    @property
    def journal(self) -> Journal:
        """What keeps it."""
        ...

    @property
    def prompts(self) -> PromptSet:
        """How it is told."""
        ...

    @property
    def chat(self) -> ChatModel:
        """Who answers."""
        ...

    @property
    def largest_n(self) -> int:
        """Choices that one request may ask for."""
        ...

    @property
    def console(self) -> Console:
        """Where it is told how it goes."""
        ...


async def play(
    at: Place, split: Split, iteration: int, model: str, title: str, count: int | None = None
) -> None:
    """Play what is owed of the split's scenarios, or of its first `count`."""
    owed = seating.rounds_of(at.config, split, count)
    done: defaultdict[int, set[int]] = defaultdict(set)
    for trajectory, _ in at.journal.plays(split, iteration):
        done[trajectory.address.scenario].add(trajectory.address.trajectory)
        owed -= len(trajectory.rounds)
    if owed <= 0:
        return
    with at.console.playing(title, owed) as tick:
        await rollouts.play(
            seating.game(at.config, split, iteration, model, at.largest_n),
            islice(seating.seats(at.config, at.prompts, split, iteration), count),
            at.chat,
            lambda seat, finished: _save(at.journal, seat, finished),
            lambda index: frozenset(done[index]),
            tick,
        )


async def _save(journal: Journal, seat: Seat, finished: Sequence[Kept]) -> None:
    """Score trajectories and keep them; only now are they done."""
    scenario = seat.scenario
    means = None if scenario.adversary else scenario.means
    scored = [
        regret.score(t.address, scenario.regret, regret.play_of(t.rounds, scenario.rewards, means))
        for t, _ in finished
    ]
    await journal.save_trajectories(zip(finished, scored, strict=True))
