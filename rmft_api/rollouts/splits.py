"""Playing a split of scenarios with one model; finished trajectories go to the journal."""

from collections.abc import Sequence
from itertools import islice
from typing import Protocol

from rmft_api.config.schema import RunConfig
from rmft_api.core.errors import UnreadableError
from rmft_api.core.ports import ChatModel, Console
from rmft_api.core.records import ReplyStatus, Split
from rmft_api.core.transcripts import StoredTrajectory
from rmft_api.journal import Journal
from rmft_api.prompts import PromptSet
from rmft_api.rollouts import engine, preparation, unreadable_replies
from rmft_api.rollouts.engine import PreparedScenario
from rmft_api.rollouts.validity import STOPPED, Floor, Stopped, TooFew, Validity
from rmft_api.selection import regret


class PlayContext(Protocol):
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
        """How it is worded."""
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
        """Where progress is reported."""
        ...


async def play(
    at: PlayContext, split: Split, iteration: int, model: str, title: str, count: int | None = None
) -> None:
    """Play what is owed of the split's scenarios, or of its first `count`.

    Raises UnreadableError once too few replies are valid; then without a request, until allowed.
    """
    section = preparation.section_of(at.config, split)
    floor = Floor(section.min_valid, section.min_valid_after)
    await _stay_stopped(at, split, iteration, floor)
    horizons, plays = preparation.horizons_of(at.config, split, count), section.trajectories
    played = _played(at, split, iteration, plays)
    owed = plays * sum(horizons) - sum(map(len, played.values()))
    if owed <= 0:
        return
    settings = preparation.rollout_settings(at.config, split, iteration, model, at.largest_n)
    scenarios = preparation.prepared_scenarios(at.config, at.prompts, split, iteration)
    found: list[TooFew] = []

    def refuse(too_few: TooFew) -> UnreadableError:
        found.append(too_few)
        return unreadable_replies.unreadable(too_few, title, model, at.config)

    validity = Validity(floor, engine.wave(settings, horizons), refuse)
    try:
        validity.begin(played)
        with at.console.playing(title, owed) as tick:
            await engine.play(
                settings,
                islice(scenarios, count),
                at.chat,
                lambda prepared, finished: _save(at.journal, prepared, finished),
                lambda index: frozenset(i for i in range(plays) if index * plays + i in played),
                tick,
                validity,
            )
    except UnreadableError as error:
        stopped = Stopped(found[0].valid, found[0].replies, str(error))
        await at.journal.put(STOPPED, key_of(split, iteration), stopped)
        raise


def _played(
    at: PlayContext, split: Split, iteration: int, plays: int
) -> dict[int, list[ReplyStatus]]:
    """What became of every reply of the trajectories that were played before, by their number."""
    found: dict[int, list[ReplyStatus]] = {}
    for trajectory, _ in at.journal.plays(split, iteration):
        place = trajectory.address
        number = place.scenario * plays + place.trajectory
        found[number] = [one.status for one in trajectory.rounds]
    return found


def key_of(split: Split, iteration: int) -> str:
    """Of what the journal keeps about one split of one iteration."""
    return f"{split}/{iteration}"


async def _stay_stopped(at: PlayContext, split: Split, iteration: int, floor: Floor) -> None:
    """Stop again, before anything is asked, where the same replies would stop it again."""
    key = key_of(split, iteration)
    stopped = at.journal.get(STOPPED, key, Stopped)
    if stopped is None:
        return
    if stopped.valid < floor.least * stopped.replies:
        raise UnreadableError(stopped.says)
    await at.journal.forget(STOPPED, key)


async def _save(
    journal: Journal, prepared: PreparedScenario, finished: Sequence[StoredTrajectory]
) -> None:
    """Score trajectories and keep them; only now are they done."""
    scenario = prepared.scenario
    scored = [
        regret.score(t.address, scenario.regret, regret.play_in(scenario, t.rounds))
        for t, _ in finished
    ]
    await journal.save_trajectories(zip(finished, scored, strict=True))
