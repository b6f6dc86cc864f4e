"""From a name in a run file to an environment, and from there to scenarios."""

import functools
import inspect
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any, cast

from rmft_api import seeds
from rmft_api.config import Problem, as_words
from rmft_api.environments.bandit import Bandit
from rmft_api.environments.contextual import Contextual
from rmft_api.environments.gym import Gym
from rmft_api.environments.loading import imported
from rmft_api.environments.logged import Logged
from rmft_api.environments.nonstationary import Nonstationary
from rmft_api.environments.online_learning import OnlineLearning
from rmft_api.environments.options import nearest
from rmft_api.environments.scenario import Environment, EnvironmentFactory, Options, Scenario
from rmft_api.errors import ConfigError, DataError
from rmft_api.records import Split

GROUP = "rmft_api.environments"
"""The entry-point group that other packages name their environments in."""
BUILT_IN: Mapping[str, EnvironmentFactory] = {
    "bandit": Bandit,
    "contextual": Contextual,
    "gym": Gym,
    "logged": Logged,
    "nonstationary": Nonstationary,
    "online_learning": OnlineLearning,
}


@dataclass(frozen=True)
class ConcreteProblem:
    """A problem without alternatives: what one scenario is drawn from."""

    environment: str
    K: int
    T: int
    options: Options = field(default_factory=dict[str, Any])
    contexts: tuple[str, ...] = ()
    """The stories that its scenarios are told in, as the run file names them; empty: any."""

    @property
    def label(self) -> str:
        """Short and the same everywhere, e.g. `bandit bernoulli K=3 T=25 gap=0.2`."""
        words = [str(v) for v in self.options.values() if isinstance(v, str)]
        rest = [f"{k}={_told(v)}" for k, v in self.options.items() if not isinstance(v, str)]
        told = [f"K={self.K}", f"T={self.T}", *rest, *(f"in {word}" for word in self.contexts)]
        return " ".join([self.environment, *words, *told])


def names() -> tuple[str, ...]:
    """Every name that `make` knows, installed packages' included (none of them is loaded)."""
    return tuple(sorted({*BUILT_IN, *(plugin.name for plugin in entry_points(group=GROUP))}))


def make(name: str, K: int, T: int, options: Options) -> Environment:
    """An environment. Raises ConfigError that names the wrong word or value, and the right ones."""
    if K < 2:
        raise ConfigError(f"environment {name!r}: K={K} leaves nothing to decide; use K >= 2")
    if T < 1:
        raise ConfigError(f"environment {name!r}: T={T} has no rounds; use T >= 1")
    factory = BUILT_IN.get(name) or _own(name)
    _check_option_names(name, factory, options)
    try:
        return factory(K=K, T=T, **options)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"environment {name!r} with K={K}, T={T}: {error}") from error


def expand(problems: Sequence[Problem]) -> tuple[ConcreteProblem, ...]:
    """All combinations of the alternatives, in the order written, each one checked.

    Raises ConfigError.
    """
    concrete = tuple(itertools.chain.from_iterable(_combinations(p) for p in problems))
    for problem in concrete:
        make(problem.environment, problem.K, problem.T, problem.options)
    return concrete


def draw(
    problems: Sequence[ConcreteProblem], seed: int, split: Split, iteration: int, index: int
) -> Scenario:
    """Scenario `index` of a split: of problem `index` mod their number, from its own address.

    Raises DataError for a table that cannot be played.
    """
    problem = problems[index % len(problems)]
    environment = make(problem.environment, problem.K, problem.T, problem.options)
    try:
        scenario = environment.draw(seeds.rng(seed, "scenario", split, iteration, index))
    except ValueError as error:
        raise DataError(f"{problem.label}: {split} scenario {index}: {error}") from error
    if (scenario.T, scenario.K) != (problem.T, problem.K):
        raise DataError(
            f"{problem.label}: {split} scenario {index}: came as T={scenario.T}, K={scenario.K}"
        )
    return scenario


def _combinations(problem: Problem) -> Iterator[ConcreteProblem]:
    alternatives = [_alternatives(problem, key) for key in problem.options]
    contexts = () if problem.context is None else as_words(problem.context)
    for K, T in itertools.product(_many(problem.K), _many(problem.T)):
        for values in itertools.product(*alternatives):
            options = dict(zip(problem.options, values, strict=True))
            yield ConcreteProblem(problem.environment, K, T, options, contexts)


def _alternatives(problem: Problem, key: str) -> tuple[Any, ...]:
    values = _many(problem.options[key])
    if not values:
        raise ConfigError(f"environment {problem.environment!r}: {key} = [] leaves no alternative")
    return values


def _many(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, list | tuple) else (value,)  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType]


def _own(name: str) -> EnvironmentFactory:
    """A user's class: `module:Class`, or the name of an entry point. Raises ConfigError."""
    if ":" not in name:
        return _plugin(name)
    factory = imported("environment", name)
    if not callable(factory):
        raise ConfigError(f"environment {name!r} is {factory!r}, not a class")
    return cast("EnvironmentFactory", factory)


@functools.cache  # looking through installed packages takes milliseconds, drawing microseconds
def _plugin(name: str) -> EnvironmentFactory:
    found = [plugin for plugin in entry_points(group=GROUP) if plugin.name == name]
    if not found:
        raise ConfigError(f"no environment {name!r}{nearest(name, names())}")
    try:
        return found[0].load()
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"environment {name!r} cannot be loaded from {found[0].value!r}: {error}"
        ) from error


def _check_option_names(name: str, factory: EnvironmentFactory, options: Options) -> None:
    known = _option_names(factory)
    for key, value in options.items():
        if known is not None and key not in known:
            raise ConfigError(
                f"environment {name!r} has no option {key}={value!r}{nearest(key, known)}"
            )


@functools.cache
def _option_names(factory: EnvironmentFactory) -> frozenset[str] | None:
    """None for a factory that takes any option and judges by itself."""
    parameters = inspect.signature(factory).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return None
    return frozenset(parameters) - {"K", "T"}


def _told(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value).replace(" ", "")
