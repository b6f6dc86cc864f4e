"""Players of problems with state: at random, by a policy of the problem's own class, at best."""

from collections.abc import Sequence

import numpy as np

from rmft_api.core import seeds
from rmft_api.environments.scenario import Scenario
from rmft_api.environments.worlds import Session, World
from rmft_api.selection.regret import PlayArrays, play_in_world

RANDOM = "random"
BEST = "best_dynamic"


def suitable(world: World) -> tuple[str, ...]:
    """Who can play this world."""
    return (RANDOM, *world.references)


def fits(name: str, world: World) -> bool:
    """Whether `name` can play this world."""
    return name in suitable(world) or (name == BEST and world.is_exact)


def play(name: str, scenarios: Sequence[tuple[int, Scenario]], seed: int) -> dict[int, PlayArrays]:
    """One play of each scenario, by its place. Chance has the address (seed, name, place)."""
    found: dict[int, PlayArrays] = {}
    for place, scenario in scenarios:
        if scenario.world is not None:
            rng = seeds.rng(seed, "baseline", name, place)
            found[place] = _play(name, scenario.world, rng)
    return found


def _play(name: str, world: World, rng: np.random.Generator) -> PlayArrays:
    session, actions = world.start(), list[int]()
    for _ in range(world.T):
        actions.append(_action(name, world, session, rng))
        session.step(actions[-1])
    return play_in_world(world, actions)


def _action(name: str, world: World, session: Session, rng: np.random.Generator) -> int:
    if name == RANDOM:
        return int(rng.choice(session.possible))
    if name == BEST:
        worth_K = session.worth()
        return max(session.possible, key=lambda action: (float(worth_K[action]), -action))
    return session.ask(world.references[name])
