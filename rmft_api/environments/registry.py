"""From a name in a run file to an environment, and from there to scenarios."""

import functools
import inspect
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard, cast

import numpy as np

from rmft_api.config.schema import Problem, as_words
from rmft_api.core import paths, seeds
from rmft_api.core.errors import ConfigError, DataError, RmftError
from rmft_api.core.records import Split
from rmft_api.environments.division import NONE
from rmft_api.environments.loading import imported
from rmft_api.environments.options import nearest
from rmft_api.environments.scenario import (
    Divided,
    Environment,
    EnvironmentFactory,
    Options,
    Scenario,
)
from rmft_api.environments.table_files import sha256
from rmft_api.environments.worlds import (
    StatefulEnvironment,
    StatefulProblem,
    is_stateful,
)

if TYPE_CHECKING:
    from rmft_api.environments.gym import Gym
    from rmft_api.environments.logs import LoggedFeedback
    from rmft_api.environments.table import TableEnvironment

    OfRows = LoggedFeedback | TableEnvironment

StatefulFactory = Callable[..., StatefulEnvironment]
GROUP = "rmft_api.environments"
"""The entry-point group that other packages name their environments in."""
BUILT_IN: Mapping[str, str] = {
    "bandit": "Bandit",
    "classification": "Classification",
    "contextual": "Contextual",
    "gym": "Gym",
    "inventory": "Inventory",
    "logs": "LoggedFeedback",
    "nonstationary": "Nonstationary",
    "online_learning": "OnlineLearning",
    "pricing": "Pricing",
    "table": "TableEnvironment",
}
"""The class of each name, in the module of that name. A run loads only those that it uses."""
_OF_ROWS = frozenset({"logs", "table"})
"""Those whose scenarios are rows of a file."""
_LOOKS_BESIDE = frozenset({"gym", "logs", "table"})
"""Those that look for files or modules, and so get the folder."""


@dataclass(frozen=True)
class ConcreteProblem:
    """A problem without alternatives: what one scenario is drawn from."""

    environment: str
    K: int
    T: int
    options: Options = field(default_factory=dict[str, Any])
    contexts: tuple[str, ...] = ()
    """The stories of its scenarios, as the run file names them; empty: any."""
    folder: Path = field(default_factory=Path.cwd, compare=False)
    """Where its relative paths and classes are looked for: the run file's own."""

    def make(self) -> Environment:
        """Its environment. Raises ConfigError."""
        return make(self.environment, self.K, self.T, self.options, self.folder)

    @property
    def label(self) -> str:
        """Short and the same everywhere, e.g. `bandit bernoulli K=3 T=25 gap=0.2`."""
        words = [str(v) for v in self.options.values() if isinstance(v, str)]
        rest = [
            f"{k}={_option_in_words(v)}" for k, v in self.options.items() if not isinstance(v, str)
        ]
        shown = [f"K={self.K}", f"T={self.T}", *rest, *(f"in {word}" for word in self.contexts)]
        return " ".join([self.environment, *words, *shown])


def names() -> tuple[str, ...]:
    """Every name that `make` knows, installed packages' included (none of them is loaded)."""
    return tuple(sorted({*BUILT_IN, *(plugin.name for plugin in entry_points(group=GROUP))}))


def make(name: str, K: int, T: int, options: Options, folder: Path | None = None) -> Environment:
    """An environment; what it names relatively is looked for in `folder`, else where one works.

    Raises ConfigError that names the wrong word or value, and the right ones.
    """
    folder = folder or Path.cwd()
    if K < 2:
        raise ConfigError(f"environment {name!r}: K={K} leaves nothing to decide; use K >= 2")
    if T < 1:
        raise ConfigError(f"environment {name!r}: T={T} has no rounds; use T >= 1")
    factory = _built_in(name) if name in BUILT_IN else _own(name, folder)
    _check_option_names(name, factory, options)
    given = dict(options) if name in BUILT_IN else paths.own_options(options, folder)
    if name in _LOOKS_BESIDE:
        given["folder"] = folder
    try:
        made = factory(K=K, T=T, **given)
        if name == "gym" and (gym := cast("Gym", made)).mode == "step":
            return gym.step_by_step()
        if not is_stateful(made):
            return made
        again = functools.partial(cast("StatefulFactory", factory), K=K, T=T, **given)
        return StatefulProblem(again, K, T, name.rpartition(":")[2])
    except (TypeError, ValueError) as error:
        raise ConfigError(f"environment {name!r} with K={K}, T={T}: {error}") from error


def expand(problems: Sequence[Problem], folder: Path | None = None) -> tuple[ConcreteProblem, ...]:
    """All combinations of the alternatives, in the order written, each one checked.

    What they name relatively is looked for in `folder`, else where one works. Raises ConfigError.
    """
    place = folder or Path.cwd()
    concrete = tuple(itertools.chain.from_iterable(_combinations(p, place) for p in problems))
    return tuple(_with_its_story(problem) for problem in concrete)


def _with_its_story(problem: ConcreteProblem) -> ConcreteProblem:
    """The problem, checked; its own story is used unless another is set.

    A problem with state needs one: what its actions do must be described.
    """
    story = getattr(problem.make(), "story", "")
    return replace(problem, contexts=(story,)) if story and not problem.contexts else problem


def references(problems: Iterable[ConcreteProblem], trials: int = 0) -> tuple[str, ...]:
    """What regret is against in problems with state, in a line for each.

    `trials` worlds of each are played first, so that a class that breaks its contract is found
    before money is spent. Raises DataError for one.
    """
    lines: dict[str, None] = {}
    for problem in {problem.label: problem for problem in problems}.values():
        environment = problem.make()
        if _is_gym(environment, problem):  # returns outside its bounds are found in a drawn play
            for trial in range(trials):
                environment.draw(np.random.default_rng(trial))
        if not isinstance(environment, StatefulProblem):
            continue
        for trial in range(trials):
            environment.try_out(trial)
        reference = environment.world(0).reference
        lines[f"{problem.environment}: regret is against {reference}"] = None
    return tuple(lines)


def draw(
    problems: Sequence[ConcreteProblem],
    seed: int,
    split: Split,
    iteration: int,
    index: int,
    rules: int = paths.RULES,
) -> Scenario:
    """Scenario `index` of a split: of problem `index` mod their number, from its own address.

    Raises DataError for a table that cannot be played.
    """
    problem = problems[index % len(problems)]
    environment, address = problem.make(), (split, iteration, index)
    rng = seeds.rng(seed, "scenario", *address)
    try:
        scenario = _drawn(environment, problem, split, rng, rules)
        if rules < paths.NAMED and _is_logs(environment, problem):
            scenario = replace(scenario, names=None)
        if rules >= paths.DIVIDED and _may_keep_places(problem.environment, scenario):
            order: list[int] = seeds.rng(seed, "columns", *address).permutation(scenario.K).tolist()
            scenario = scenario.in_order(order)
    except ValueError as error:
        raise DataError(f"{problem.label}: {split} scenario {index}: {error}") from error
    if (scenario.T, scenario.K) != (problem.T, problem.K):
        raise DataError(
            f"{problem.label}: {split} scenario {index}: came as T={scenario.T}, K={scenario.K}"
        )
    return scenario


def _drawn(
    environment: Environment,
    problem: ConcreteProblem,
    split: Split,
    rng: np.random.Generator,
    rules: int,
) -> Scenario:
    """What the environment draws. Raises DataError for a class that breaks its contract."""
    divided = isinstance(environment, Divided) and rules >= paths.DIVIDED
    method = "draw_from(split, rng)" if divided else "draw(rng)"
    try:
        if isinstance(environment, Divided) and rules >= paths.DIVIDED:
            found: Any = environment.draw_from(split, rng)
        else:
            found = environment.draw(rng)
    except (RmftError, ValueError):
        raise
    except Exception as error:
        if problem.environment in BUILT_IN:
            raise
        what = f"{problem.label}: {method} raised {type(error).__name__}: {error}"
        raise DataError(what) from error
    if not isinstance(found, Scenario):
        shown = " ".join(repr(found).split())[:80]
        raise DataError(f"{problem.label}: {method} returned {shown}; a Scenario expected")
    # a run of an earlier version continues as it began
    return replace(found, bears=None) if rules < paths.DIVIDED else found


def files(problems: Iterable[ConcreteProblem]) -> dict[str, str]:
    """Every file that scenarios are rows of, by the path that is written, and its SHA-256."""
    of_rows = [p for p in problems if p.environment in _OF_ROWS]
    return {str(p.options["path"]): sha256(p.folder / str(p.options["path"])) for p in of_rows}


def divisions(problems: Mapping[Split, Sequence[ConcreteProblem]]) -> tuple[str, ...]:
    """How each file's rows are divided among the splits, and what is made of them, a line each.

    Raises ConfigError where two problems would divide one file in two ways, and DataError where a
    split would have too few rows.
    """
    found: dict[Path, tuple[OfRows, set[Split]]] = {}
    shown: dict[str, None] = {}
    for split, several in problems.items():
        for problem in several:
            environment = problem.make()
            if _is_gym(environment, problem):
                shown[environment.divided()] = None
            if not _is_of_rows(environment, problem):
                continue
            environment.check(split)
            first, splits = found.setdefault(environment.source[0], (environment, set()))
            splits.add(split)
            _check_division(first, environment, splits)
            if _is_logs(environment, problem):
                shown |= dict.fromkeys(environment.description())
    divided = [environment.divided() for environment, _ in found.values()]
    return (*divided, *shown)


def _built_in(name: str) -> EnvironmentFactory:
    return getattr(import_module(f"{__package__}.{name}"), BUILT_IN[name])


def _is_gym(environment: Environment, problem: ConcreteProblem) -> TypeGuard["Gym"]:
    """Whether each of its rounds is an episode of a Gymnasium environment."""
    return problem.environment == "gym" and not isinstance(environment, StatefulProblem)


def _is_of_rows(environment: Environment, problem: ConcreteProblem) -> TypeGuard["OfRows"]:
    return problem.environment in _OF_ROWS


def _is_logs(environment: Environment, problem: ConcreteProblem) -> TypeGuard["LoggedFeedback"]:
    return problem.environment == "logs"


def log_of(problem: ConcreteProblem) -> "LoggedFeedback | None":
    """The environment of a problem that is a log; None for another. Raises ConfigError."""
    return cast("LoggedFeedback", problem.make()) if problem.environment == "logs" else None


def _check_division(one: "OfRows", other: "OfRows", splits: set[Split]) -> None:
    path, how = one.source
    if other.source[1] != how:
        raise ConfigError(
            f"{path.name} is divided in two ways ({how} and {other.source[1]}), so that rows would "
            "serve two splits; give all problems of one file the same split, shares and split_seed"
        )
    if how.by == NONE and len(splits) > 1:
        raise ConfigError(
            f"{path.name}: split = 'none' would let rows serve {' and '.join(sorted(splits))}; "
            "use it only if each split has its own file"
        )


def _may_keep_places(name: str, scenario: Scenario) -> bool:
    """Whether an action may stand in one place in all scenarios, so that its place reveals it."""
    if scenario.world is not None:  # names of its own say what an action does
        return False
    return name not in BUILT_IN or scenario.bears is not None


def _combinations(problem: Problem, folder: Path) -> Iterator[ConcreteProblem]:
    alternatives = [_alternatives(problem, key) for key in problem.options]
    contexts = () if problem.story is None else as_words(problem.story)
    for K, T in itertools.product(_many(problem.K), _many(problem.T)):
        for values in itertools.product(*alternatives):
            options = dict(zip(problem.options, values, strict=True))
            yield ConcreteProblem(problem.environment, K, T, options, contexts, folder)


def _alternatives(problem: Problem, key: str) -> tuple[Any, ...]:
    values = _many(problem.options[key])
    if not values:
        raise ConfigError(f"environment {problem.environment!r}: {key} = [] leaves no alternative")
    return values


def _many(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, list | tuple) else (value,)  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType]


def _own(name: str, folder: Path) -> EnvironmentFactory:
    """A user's class: `module:Class`, or the name of an entry point. Raises ConfigError."""
    if ":" not in name:
        return _plugin(name)
    factory = imported("environment", name, folder)
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
    is_own = not factory.__module__.startswith(f"{__package__}.")
    return frozenset(parameters) - ({"K", "T"} if is_own else {"K", "T", "folder"})


def _option_in_words(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value).replace(" ", "")
