"""What every problem with state keeps, as tests that a user's own inherits.

    class TestMine(StatefulContract):
        def make(self, K: int, T: int) -> StatefulEnvironment:
            return Mine(K=K, T=T)

Run it with pytest; this module itself needs nothing but the package.
"""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from rmft_api.environments.worlds import Session, StatefulEnvironment, StatefulProblem, World
from rmft_api.selection import regret

NOT_REPRODUCIBLE = "reset({seed}) and the same actions led to two plays; take all chance from seed"
NOT_FORGOTTEN = "a play after reset({seed}) depends on the play before it; reset everything"
NOT_RANDOM = "every seed gives one world; set deterministic = True if that is intended"
WRONG_WORTH = (
    "playing by optimum(state, t) earns {earned:.4f} on average, and it says {says:.4f}; its "
    "values must be those of the chances that reset(seed) draws from"
)


class StatefulContract:
    """Inherit, override `make`, and run pytest."""

    deterministic = False
    """Whether every seed gives the same world."""
    worlds = 300
    """How many the optimum's worth is compared over."""
    sizes: tuple[tuple[int, int], ...] = ((3, 12), (2, 5))
    """The (K, T) to try."""

    def make(self, K: int, T: int) -> StatefulEnvironment:
        """The environment under test."""
        raise NotImplementedError("override make(self, K, T) to return your environment")

    def test_every_play_keeps_the_contract(self) -> None:
        """Each action held, play at random, and each reference."""
        for problem in self._problems():
            for trial in range(3):
                problem.try_out(trial)

    def test_one_seed_and_the_same_actions_give_one_play(self) -> None:
        """A resumed run, and another player, must meet the world that was left."""
        for seed, world in self._worlds(5):
            actions = _at_random(world)
            first, again = _play(world.start(), actions), _play(world.start(), actions)
            assert first == again, NOT_REPRODUCIBLE.format(seed=seed)

    def test_reset_forgets_what_was_played(self) -> None:
        """Environments may be used again."""
        for seed, world in self._worlds(3):
            made, actions = world.make(), _at_random(world)
            fresh = _play(Session(world, made), actions)
            _play(Session(world, made), actions[: world.T // 2])
            assert _play(Session(world, made), actions) == fresh, NOT_FORGOTTEN.format(seed=seed)

    def test_seeds_give_different_worlds(self) -> None:
        """Fresh scenarios must be fresh."""
        if self.deterministic:
            return
        K, T = self.sizes[0]
        problem = self._problem(K, T)
        worlds = [problem.world(i) for i in range(10)]
        plays = [_play(world.start(), _at_random(world)) for world in worlds]
        assert any(play != plays[0] for play in plays[1:]), NOT_RANDOM

    def test_the_optimum_has_no_regret_and_nothing_has_less(self) -> None:
        """Where `optimum` is given: regret is measured by it."""
        for _, world in self._worlds(5):
            if world.is_exact:
                best = _best(world)
                assert abs(_regret(world, best)) < 1e-9
                assert _regret(world, _at_random(world)) >= -1e-9

    def test_the_optimum_earns_what_it_says(self) -> None:
        """On average over worlds, within five errors."""
        K, T = self.sizes[0]
        problem = self._problem(K, T)
        if not problem.world(0).is_exact:
            return
        worlds = [problem.world(i) for i in range(self.worlds)]
        says = np.array([world.start().worth().max() for world in worlds])
        earned = np.array([sum(_play(world.start(), _best(world))[0]) for world in worlds])
        error = (says - earned).std() / np.sqrt(len(worlds))
        message = WRONG_WORTH.format(earned=earned.mean(), says=says.mean())
        assert abs((says - earned).mean()) <= 5 * error + 1e-9, message

    def _problem(self, K: int, T: int) -> StatefulProblem:
        return StatefulProblem(partial(self.make, K, T), K, T, type(self.make(K, T)).__name__)

    def _problems(self) -> list[StatefulProblem]:
        return [self._problem(K, T) for K, T in self.sizes]

    def _worlds(self, count: int) -> Iterator[tuple[int, World]]:
        for problem in self._problems():
            yield from ((seed, problem.world(seed)) for seed in range(count))


def _play(session: Session, actions: Sequence[int | None]) -> tuple[list[float], list[str]]:
    return [session.step(action).reward for action in actions], list(session.observations)


def _at_random(world: World) -> list[int]:
    session, rng, actions = world.start(), np.random.default_rng(1), list[int]()
    for _ in range(world.T):
        actions.append(int(rng.choice(session.possible)))
        session.step(actions[-1])
    return actions


def _best(world: World) -> list[int]:
    session, actions = world.start(), list[int]()
    for _ in range(world.T):
        worth_K = session.worth()
        actions.append(max(session.possible, key=lambda action: float(worth_K[action])))
        session.step(actions[-1])
    return actions


def _regret(world: World, actions: Sequence[int]) -> float:
    return regret.regrets(regret.play_in_world(world, actions)).dynamic
