"""A whole run on problems with state: what is told, regret, and resuming."""

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from rmft_api import environments
from rmft_api.config.schema import RunConfig
from rmft_api.core import seeds
from rmft_api.core.errors import ConfigError, ResumableError
from rmft_api.core.records import ChatRequest, ChatResponse, Choice, Trajectory
from rmft_api.evaluation import outcome
from rmft_api.journal import Journal
from rmft_api.loop import RunContext, iterate
from rmft_api.prompts import of_run, reader
from rmft_api.report.text.results import results_table
from rmft_api.rollouts import preparation
from rmft_api.selection.ranking import Selected
from tests import loop_world

STOCK = {"environment": "inventory", "K": 3, "T": 6}
PRICES = {"environment": "pricing", "K": 3, "T": 6, "options": {"stock": 2}}


class Guesser(loop_world.Skilled):
    """Answers at random, now and then something that is not possible."""

    async def reply(self, request: ChatRequest) -> ChatResponse:
        if self.end_after is not None and len(self.asked) >= self.end_after:
            raise ResumableError("stopped by the test")
        self.asked.append(request)
        names = _names(self.config, int(request.key.split("/")[2]))
        said = [
            names[int(seeds.rng(1, "guess", request.model, request.key, i).integers(3))]
            for i in range(request.n)
        ]
        choices = tuple(Choice(f"{reader.OPENING}{one}{reader.CLOSING}", "stop") for one in said)
        return ChatResponse("r", request.model, choices, None)


def _names(config: RunConfig, scenario: int) -> tuple[str, ...]:
    return next(
        s.names
        for i, s in enumerate(preparation.scenarios(config, "train", 1))
        if i == scenario % 2 and s.names
    )


@dataclass
class World(loop_world.World):
    """A run whose prompts have the problems' own stories."""

    def __post_init__(self) -> None:
        self.chat = Guesser(self.config)

    def run(self, journal: Journal) -> RunContext:
        return replace(super().run(journal), prompts=of_run(self.config))


def config(**changes: object) -> RunConfig:
    rollouts = {"scenarios": 2, "trajectories": 4, "problems": [STOCK, PRICES]}
    held = {"scenarios": 4, "min_valid": 0.0}
    return loop_world.config(
        **{
            "iterations": 1,
            "rollouts": rollouts,
            "selection": {"k": 2, "min_valid": 0.0},
            "validation": held,
            "test": held,
            **changes,
        }
    )


async def walk(world: World) -> tuple[bytes, list[Trajectory], str]:
    """What the run comes to, what it stored, and what it learnt from."""
    with closing(world.journal()) as journal:
        results = await iterate(world.run(journal))
        stored = [trajectory for trajectory, _ in journal.all_trajectories()]
    learnt = b"".join(content for _, content in world.learnt)
    return learnt, stored, repr(results)


@pytest.mark.parametrize("end_after", [3, 40, 75])
async def test_a_resumed_run_equals_an_uninterrupted_one_byte_by_byte(
    tmp_path: Path, end_after: int
) -> None:
    whole = await walk(World(tmp_path / "whole", config(), ["next"]))
    world = World(tmp_path / "cut", config(), ["next"])
    world.chat.end_after = end_after
    with pytest.raises(ResumableError):
        await walk(world)
    world.chat.end_after = None
    assert await walk(world) == whole
    assert len(whole[1]) == 8 + 2 * (4 + 4)


async def test_the_lowest_regret_is_kept_and_the_reference_is_told(tmp_path: Path) -> None:
    world = World(tmp_path, config(), ["next"])
    await walk(world)
    with closing(world.journal()) as journal:
        results = outcome.results(world.config, journal)
        scored = {s.address: s for _, s in journal.trajectories("train", 1)}
        verdicts = journal.get("selection", "01", list[Selected])
    assert verdicts is not None
    for scenario in (0, 1):
        mine = [v for v in verdicts if v.address.scenario == scenario]
        kept = max(scored[v.address].regret for v in mine if v.kept)
        left = min(scored[v.address].regret for v in mine if not v.kept)
        assert kept <= left
    assert all(score.regret >= -1e-9 for score in scored.values())
    assert results.references == (
        "inventory: regret is against the exact optimum (it knows the chances, not the draws)",
        "pricing: regret is against the exact optimum (it knows the chances, not the draws)",
    )
    assert {"random", "base_stock", "fixed_price"} <= set(results.baselines)
    assert results.baselines["base_stock"].only == ("inventory K=3 T=6 in state/stock-control",)
    told = " ".join(results_table(results).split())
    assert results.iterations[0].validation.suff_fail_freq is None
    assert results.iterations[0].validation.measures.suff_fail_freq is None
    assert results.iterations[0].validation.measures.switch_delay is None
    assert "base_stock (only some)" in told
    assert "inventory K=3 T=6 in state/stock-control alone: base_stock " in told
    assert ", the base " in told


def test_the_state_and_what_is_possible_stand_in_the_prompt() -> None:
    run = config()
    seat = next(preparation.prepared_scenarios(run, of_run(run), "train", 1))
    begun = seat.begin()
    assert seat.names == ("order 0", "order 2", "order 4")
    text = begun.prompt.messages()[-1].content
    assert "In store: 3; nothing on order." in text
    for t in range(5):
        begun.observe(seat.scenario, t, "<Answer>order 4</Answer>", 2)
    text = begun.prompt.messages()[-1].content
    assert "Last round" in text
    session = begun.session
    assert session is not None
    assert ("Possible now" in text) == (len(session.possible) < 3)


def test_a_distribution_is_refused_with_state() -> None:
    run = config(prompts={"output": "distribution"})
    with pytest.raises(ConfigError, match=r"set prompts\.output = 'action'"):
        list(preparation.prepared_scenarios(run, of_run(run), "train", 1))


def test_a_problem_with_state_brings_its_story_and_the_run_file_may_name_another() -> None:
    problem = config().problems_of(config().rollouts)[0]
    assert environments.expand([problem])[0].contexts == ("state/stock-control",)
    other = problem.model_copy(update={"story": "operations"})
    assert environments.expand([other])[0].contexts == ("operations",)
