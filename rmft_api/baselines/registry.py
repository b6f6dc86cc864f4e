"""From a name to plays."""

import inspect
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rmft_api.baselines import (
    adversarial,
    bandits,
    bayesian,
    change_points,
    full_information,
    linear,
    nonstationary,
    oracles,
    own,
    stateful,
)
from rmft_api.baselines.game import Algorithm, GameInfo, Needs, is_binary, run, table
from rmft_api.baselines.random_streams import RandomStreams
from rmft_api.core.errors import ConfigError
from rmft_api.environments.options import nearest
from rmft_api.environments.scenario import Scenario
from rmft_api.selection.regret import PlayArrays

CELLS = 1 << 23
"""T x N x K of one batch: bounds memory, changes nothing else."""


@dataclass(frozen=True)
class Baseline:
    """An algorithm and the feedback it needs."""

    make: Callable[..., Algorithm]
    needs: Needs = "bandit"
    known_mix: bool = True
    """Whether its distribution is known: it says its mix, or acts without chance. One that hides
    it in its own draws is none for an adversary, which answers the distribution."""
    memory: int = 1
    """Numbers that it remembers of each action, where those may be more than T."""


BASELINES: Mapping[str, Baseline] = {
    "random": Baseline(bandits.Random),
    "greedy": Baseline(bandits.Greedy),
    "eps_greedy": Baseline(bandits.EpsGreedy),
    "ucb1": Baseline(bandits.ucb1),
    "ucb": Baseline(bandits.UCB),
    "k24_ucb": Baseline(bandits.K24UCB),
    "moss": Baseline(bandits.MOSS),
    "kl_ucb": Baseline(bandits.KLUCB),
    "bayes_ucb": Baseline(bayesian.bayes_ucb),
    "ids": Baseline(bayesian.IDS, memory=4 * bayesian.POINTS),
    "thompson": Baseline(bandits.thompson, known_mix=False),
    "gaussian_thompson": Baseline(bandits.GaussianThompson, known_mix=False),
    "exp3": Baseline(adversarial.exp3),
    "exp3s": Baseline(adversarial.exp3s),
    "rexp3": Baseline(adversarial.rexp3),
    "exp3_ix": Baseline(adversarial.Exp3IX),
    "tsallis_inf": Baseline(adversarial.TsallisINF),
    "sw_ucb": Baseline(nonstationary.SlidingWindowUCB),
    "d_ucb": Baseline(nonstationary.DiscountedUCB),
    "d_ts": Baseline(nonstationary.discounted_thompson, known_mix=False),
    "glr_kl_ucb": Baseline(change_points.GLRKLUCB),
    "hedge": Baseline(full_information.Hedge, needs="full"),
    "ada_hedge": Baseline(full_information.AdaHedge, needs="full"),
    "optimistic_hedge": Baseline(full_information.OptimisticHedge, needs="full"),
    "ftrl_l2": Baseline(full_information.FTRL, needs="full"),
    "ftpl": Baseline(full_information.FTPL, needs="full"),
    "linucb": Baseline(linear.LinUCB, needs="features"),
    "lin_thompson": Baseline(linear.LinThompson, needs="features", known_mix=False),
}
ORACLES: Mapping[str, Callable[[Sequence[Scenario]], Algorithm]] = {
    "best_fixed": oracles.BestFixed,
    "best_dynamic": oracles.BestDynamic,
}


def suitable(scenario: Scenario) -> tuple[str, ...]:
    """The baselines that can play this scenario."""
    if scenario.world is not None:
        return stateful.suitable(scenario.world)
    return tuple(name for name, baseline in BASELINES.items() if _fits(baseline, scenario))


def fits(name: str, scenario: Scenario, folder: Path | None = None) -> bool:
    """Whether it can play this scenario. Raises ConfigError for a class that cannot be had."""
    baseline = _named(name, folder)
    if scenario.world is not None:
        return stateful.fits(name, scenario.world)
    return name in ORACLES or (baseline is not None and _fits(baseline, scenario))


def play(
    name: str,
    scenarios: Sequence[Scenario],
    seed: int,
    options: Mapping[str, Any] | None = None,
    folder: Path | None = None,
) -> list[PlayArrays]:
    """One play of each scenario, in their order, by a baseline or an oracle.

    Chance has the address (seed, name, place in `scenarios`), so the first plays of a longer list
    are the same. `options` are the algorithm's own numbers, e.g. {"c": 1.0} for ucb. `module:Class`
    is looked for in `folder` first. Raises ConfigError for an unknown name or option, or a scenario
    that shows too little, and DataError for a class of one's own that breaks its contract.
    """
    baseline = _named(name, folder)
    _check(name, baseline, scenarios, options or {})
    plays = stateful.play(name, list(enumerate(scenarios)), seed)
    for indices in _batches(scenarios, baseline.memory if baseline else 1):
        batch = [scenarios[i] for i in indices]
        known = table(batch, RandomStreams(seed, name, indices))
        if name in ORACLES:
            player = ORACLES[name](batch)
        else:
            player = baseline.make(known, **(options or {})) if baseline else _nobody(name)
        plays |= zip(indices, run(player, batch, known), strict=True)
    return [plays[i] for i in range(len(scenarios))]


def _named(name: str, folder: Path | None) -> Baseline | None:
    """The algorithm; None for oracles and for policies of a problem. Raises ConfigError."""
    if name in BASELINES or not own.is_own(name):
        return BASELINES.get(name)
    algorithm = own.load(name, folder)

    def make(known: GameInfo, **options: Any) -> Algorithm:
        return own.made(name, algorithm, known, options)

    make.__signature__ = inspect.signature(algorithm)  # pyright: ignore[reportFunctionMemberAccess]
    return Baseline(make, own.needs_of(algorithm), getattr(algorithm, "known_mix", True))


def _nobody(name: str) -> Algorithm:
    raise ConfigError(f"baseline {name!r} plays only problems with state")


def _check(
    name: str,
    baseline: Baseline | None,
    scenarios: Sequence[Scenario],
    options: Mapping[str, Any],
) -> None:
    if baseline is None and name not in ORACLES and not _is_own(name, scenarios):
        policies = {n: None for s in scenarios if s.world is not None for n in s.world.references}
        known = [*BASELINES, *ORACLES, *policies, *own.names()]
        raise ConfigError(f"unknown baseline {name!r}{nearest(name, known)}")
    known_options = _options(baseline)
    for option, value in options.items():
        if option not in known_options:
            known = ", ".join(known_options) or "none"
            raise ConfigError(f"baseline {name!r} has no option {option}={value!r}; known: {known}")
    for index, scenario in enumerate(scenarios):
        if scenario.world is not None:
            if not stateful.fits(name, scenario.world):
                raise ConfigError(
                    f"baseline {name!r} cannot play scenario {index}, which has state; these can: "
                    f"{', '.join(stateful.suitable(scenario.world))}"
                )
        elif baseline is None and name not in ORACLES:
            _nobody(name)
        elif baseline is not None and not _fits(baseline, scenario):
            raise ConfigError(
                f"baseline {name!r} {_lack(baseline, scenario)} scenario {index}; these can play "
                f"it: {', '.join(suitable(scenario))}"
            )


def _is_own(name: str, scenarios: Sequence[Scenario]) -> bool:
    """Whether it is a policy of one of the problems' own classes."""
    return any(s.world is not None and name in s.world.references for s in scenarios)


NEEDS = {"full": "all K rewards of a round", "features": "contexts as numbers", "bandit": "nothing"}


def _lack(baseline: Baseline, scenario: Scenario) -> str:
    """Why it does not fit."""
    if scenario.adversary is not None and not baseline.known_mix:
        return "hides its distribution in its own draws, which is what an adversary answers, as in"
    return f"needs {NEEDS[baseline.needs]}, not shown in"


def _options(baseline: Baseline | None) -> list[str]:
    if baseline is None:
        return []
    _, *rest = inspect.signature(baseline.make).parameters
    return rest


def _fits(baseline: Baseline, scenario: Scenario) -> bool:
    if scenario.adversary is not None and not baseline.known_mix:
        return False
    if baseline.needs == "full":
        return scenario.feedback == "full"
    return baseline.needs == "bandit" or scenario.features is not None


def _batches(scenarios: Sequence[Scenario], memory: int) -> Iterator[list[int]]:
    """Indices that can be played side by side."""
    groups: defaultdict[tuple[object, ...], list[int]] = defaultdict(list)
    for index, scenario in enumerate(scenarios):
        if scenario.world is not None:  # played by itself
            continue
        d = None if scenario.features is None else scenario.features.shape[1]
        adversary = _kind(scenario.adversary, index)
        groups[scenario.T, scenario.K, d, is_binary(scenario), adversary].append(index)
    for (T, K, *_), indices in groups.items():
        size = max(1, CELLS // (max(int(str(T)), memory) * int(str(K))))
        yield from (indices[i : i + size] for i in range(0, len(indices), size))


def _kind(adversary: object, index: int) -> object:
    """Adversaries that share an answer: equal ones on batches, any others one by one."""
    if adversary is None:
        return None
    if not getattr(adversary, "on_batches", False):
        return "one by one"
    return adversary if isinstance(adversary, Hashable) else index
