"""What every environment keeps, as tests that a user's own inherits.

    class TestMine(EnvironmentContract):
        def make(self, K: int, T: int) -> Environment:
            return Mine(K=K, T=T)

Run it with pytest; this module itself needs nothing but the package.
"""

import numpy as np

from rmft_api.core.records import Regrets
from rmft_api.environments import Environment, Scenario
from rmft_api.selection import regret

DRAWS = 40
NOT_REPRODUCIBLE = "draw(rng) gave two scenarios for one stream; take all chance from `rng`"
NOT_RANDOM = (
    "draw(rng) gave one scenario for many streams; set deterministic = True if that is intended"
)
WRONG_SHAPE = "the tables must be T x K as the environment was made"
OUTSIDE = "rewards must lie in [0, 1]; set bounded = False if that is intended"
TABLE_CHANGED = "face() changed the table; return a new row"
POLICY_CHANGED = "face() changed the policy it was handed"
NOT_PURE = "face() answered one question in two ways; an adversary may use t, policy and row only"
BAD_FACE = "face() must return K finite rewards"
NOT_EXTREME = "extremes() must bound all that face() pays and all that any policy earns"
WRONG_MEANS = "rewards do not average to `means`; regret is computed from `means`"
BAD_FACT = "facts must be finite numbers"
POSITION_REVEALS = (
    "position {position} earns {side} than chance ({gain:+.3f} a round), so a model may learn the "
    "place and not the problem; draw the order of the actions, or put ordered = True if they stay "
    "in place on purpose (a run then deals their places again)"
)


class EnvironmentContract:
    """Inherit, override `make`, and run pytest."""

    bounded = True
    """Whether rewards lie in [0, 1]."""
    deterministic = False
    """Whether every stream gives the same scenario."""
    ordered = False
    """Whether actions keep their places on purpose: a run deals the places of a class of yours."""
    draws = 200
    """Scenarios that positions are compared over: more see smaller differences."""
    sizes: tuple[tuple[int, int], ...] = ((2, 1), (3, 25), (5, 40))
    """The (K, T) to try."""

    def make(self, K: int, T: int) -> Environment:
        """The environment under test."""
        raise NotImplementedError("override make(self, K, T) to return your environment")

    def test_one_stream_gives_one_scenario(self) -> None:
        """A resumed run must meet the tables that it left."""
        for K, T in self.sizes:
            environment = self.make(K, T)
            first, again = environment.draw(_rng(0)), environment.draw(_rng(0))
            remade = self.make(K, T).draw(_rng(0))
            assert _same(first, again), NOT_REPRODUCIBLE
            assert _same(first, remade), NOT_REPRODUCIBLE

    def test_streams_give_different_scenarios(self) -> None:
        """Fresh scenarios must be fresh."""
        K, T = self.sizes[-1]
        environment = self.make(K, T)
        first = environment.draw(_rng(0))
        others = [environment.draw(_rng(i)) for i in range(1, 10)]
        if not self.deterministic:
            assert any(not _same(first, other) for other in others), NOT_RANDOM

    def test_tables_have_the_asked_shape_and_are_finite(self) -> None:
        """Arithmetic would carry a NaN on silently (a Scenario refuses it when made)."""
        for scenario in self._scenarios():
            K, T = scenario.K, scenario.T
            assert (K, T) in self.sizes, WRONG_SHAPE
            assert scenario.means.shape == (T, K), WRONG_SHAPE
            assert np.isfinite(scenario.rewards).all()
            assert np.isfinite(scenario.means).all()
            assert all(np.isfinite(fact) for fact in scenario.facts.values()), BAD_FACT

    def test_rewards_stay_within_their_bounds(self) -> None:
        """Many algorithms, and the summaries shown to a model, take [0, 1] for granted."""
        for scenario in self._scenarios():
            if self.bounded:
                assert scenario.rewards.min() >= 0, OUTSIDE
                assert scenario.rewards.max() <= 1, OUTSIDE

    def test_facing_a_policy_changes_nothing(self) -> None:
        """L trajectories share one table."""
        for scenario in self._scenarios():
            before = scenario.rewards.copy()
            for policy in _policies(scenario.K):
                kept = policy.copy()
                for t in range(scenario.T):
                    faced = scenario.face(t, policy)
                    assert faced.shape == (scenario.K,), BAD_FACE
                    assert np.isfinite(faced).all(), BAD_FACE
                    assert np.array_equal(faced, scenario.face(t, policy)), NOT_PURE
                assert np.array_equal(policy, kept), POLICY_CHANGED
            assert np.array_equal(before, scenario.rewards), TABLE_CHANGED

    def test_no_policy_is_paid_beyond_the_extremes(self) -> None:
        """A reply that cannot be read costs what they say: it must never pay."""
        for scenario in self._scenarios():
            for t in range(scenario.T):
                most, least = scenario.extremes(t)
                for policy in _policies(scenario.K):
                    faced = scenario.face(t, policy)
                    assert (faced <= most + 1e-9).all(), NOT_EXTREME
                    assert policy @ faced >= least - 1e-9, NOT_EXTREME

    def test_an_adversary_on_batches_answers_as_for_one(self) -> None:
        """Baselines ask for N policies at once where `on_batches` says that they may."""
        for scenario in self._scenarios():
            adversary = scenario.adversary
            if adversary is None or not getattr(adversary, "on_batches", False):
                continue
            policies = np.stack(_policies(scenario.K))
            rows = np.stack([scenario.rewards[-1]] * len(policies))
            together = adversary(scenario.T - 1, policies, rows)
            for policy, faced in zip(policies, together, strict=True):
                assert np.array_equal(faced, scenario.face(scenario.T - 1, policy)), NOT_PURE

    def test_rewards_average_to_their_means(self) -> None:
        """Surprises average to nothing, for low means as for high ones (within five errors)."""
        K, T = self.sizes[-1]
        environment = self.make(K, T)
        drawn = [environment.draw(_rng(i)) for i in range(DRAWS)]
        surprise = np.stack([s.rewards - s.means for s in drawn])
        means = np.stack([s.means for s in drawn])
        for weighted in (surprise, surprise * (means - means.mean())):
            error = weighted.std() / np.sqrt(weighted.size)
            assert abs(weighted.mean()) <= 5 * error + 1e-9, WRONG_MEANS

    def test_no_position_earns_more_than_another(self) -> None:
        """A player that always picks position j earns what chance earns (within five errors)."""
        if self.ordered or self.deterministic:
            return
        K, T = self.sizes[-1]
        environment = self.make(K, T)
        drawn = [environment.draw(_rng(i)) for i in range(self.draws)]
        gains = np.stack([s.means.mean(axis=0) - s.means.mean() for s in drawn])
        errors = gains.std(axis=0) / np.sqrt(len(gains))
        for place, (gain, error) in enumerate(zip(gains.mean(axis=0), errors, strict=True), 1):
            side = "more" if gain > 0 else "less"
            message = POSITION_REVEALS.format(position=place, gain=float(gain), side=side)
            assert abs(gain) <= 5 * error + 1e-9, message

    def test_the_best_play_has_no_regret(self) -> None:
        """The best fixed action has static and pseudo regret 0, the best of each round dynamic."""
        for scenario in self._scenarios():
            if scenario.adversary is not None:
                continue
            fixed = np.full(scenario.T, scenario.rewards.sum(axis=0).argmax())
            steady = np.full(scenario.T, scenario.means.sum(axis=0).argmax())
            assert abs(_regrets(scenario, fixed).static_expected) < 1e-9
            assert abs(_regrets(scenario, steady).pseudo) < 1e-9
            assert abs(_regrets(scenario, scenario.means.argmax(axis=1)).dynamic) < 1e-9

    def test_no_play_beats_the_best_means(self) -> None:
        """Dynamic regret is never negative."""
        for scenario in self._scenarios():
            actions = _rng(7).integers(scenario.K, size=scenario.T)
            assert _regrets(scenario, actions).dynamic >= -1e-9

    def _scenarios(self) -> list[Scenario]:
        return [self.make(K, T).draw(_rng(i)) for K, T in self.sizes for i in range(3)]


def _rng(i: int) -> np.random.Generator:
    return np.random.default_rng(i)


def _same(one: Scenario, other: Scenario) -> bool:
    return (
        np.array_equal(one.rewards, other.rewards)
        and np.array_equal(one.means, other.means)
        and one.contexts == other.contexts
        and dict(one.facts) == dict(other.facts)
    )


def _policies(K: int) -> list[regret.Floats]:
    return [np.full(K, 1.0 / K), *(np.eye(K)), _rng(1).dirichlet(np.ones(K))]


def _regrets(scenario: Scenario, actions_T: regret.Ints) -> Regrets:
    policies_TK = regret.one_hot(actions_T, scenario.K)
    return regret.regrets(
        regret.PlayArrays(scenario.rewards, scenario.means, actions_T, policies_TK)
    )
