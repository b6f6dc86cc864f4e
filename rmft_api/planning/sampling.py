"""Which scenarios are looked at, and for how many each stands.

Scenarios of one stratum are worded alike, so a few of them stand for all. A small run is looked at
whole. Strata are as fine as the number of decisions that may be simulated allows.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from rmft_api.config.schema import RunConfig
from rmft_api.core.records import Split
from rmft_api.environments import ConcreteProblem
from rmft_api.prompts import PromptSet
from rmft_api.rollouts import preparation

DECISIONS: dict[Split, int] = {"train": 1800, "validation": 600, "test": 600}
"""Simulated per split, where the strata do not need more."""


class ScenarioKey(NamedTuple):
    """A scenario's place in a run."""

    iteration: int
    scenario: int


Stratum = tuple[str | int, ...]
Strata = Mapping[Stratum, list[ScenarioKey]]
_Key = Callable[[int, ConcreteProblem, str], Stratum]
_KEYS: tuple[_Key, ...] = (
    lambda number, problem, story: (number, story),
    lambda number, problem, story: (problem.environment, problem.K, problem.T, story),
    lambda number, problem, story: (problem.environment, problem.K, problem.T),
)
"""From the finest to the coarsest."""


def strata(config: RunConfig, prompts: PromptSet, split: Split, decisions: int) -> Strata:
    """All scenarios of a split over all iterations, those alike together."""
    found: Strata = {}
    for key in _KEYS:
        found = _strata(config, prompts, split, key)
        if sum(_costs(config, split, found).values()) <= decisions:
            break
    return found


def sample(config: RunConfig, split: Split, alike: Strata, decisions: int) -> dict[Stratum, int]:
    """How many places of each stratum to look at: one each, and more while decisions are left."""
    costs = _costs(config, split, alike)
    taken = dict.fromkeys(alike, 1)
    left = decisions - sum(costs.values())
    while more := [s for s in alike if taken[s] < len(alike[s]) and costs[s] <= left]:
        for stratum in more:
            if costs[stratum] <= left:
                taken[stratum] += 1
                left -= costs[stratum]
    return taken


def _costs(config: RunConfig, split: Split, alike: Strata) -> dict[Stratum, int]:
    """Decisions in all plays of one scenario of each stratum."""
    problems = preparation.problems_of(config, split)
    plays = preparation.section_of(config, split).trajectories
    return {
        s: plays * problems[places[0].scenario % len(problems)].T for s, places in alike.items()
    }


def iterations_of(config: RunConfig, split: Split) -> range:
    """The iterations whose scenarios a split draws: held-out ones are drawn once."""
    return range(1, config.iterations + 1) if split == "train" else range(1)


def _strata(config: RunConfig, prompts: PromptSet, split: Split, key: _Key) -> Strata:
    problems = preparation.problems_of(config, split)
    found: dict[Stratum, list[ScenarioKey]] = {}
    for place in _places(config, split):
        number = place.scenario % len(problems)
        story = preparation.wording_of(
            config, prompts, problems, split, place.iteration, place.scenario
        )
        found.setdefault(key(number, problems[number], story), []).append(place)
    return found


def _places(config: RunConfig, split: Split) -> Iterator[ScenarioKey]:
    for iteration in iterations_of(config, split):
        for index in range(preparation.section_of(config, split).scenarios):
            yield ScenarioKey(iteration, index)
