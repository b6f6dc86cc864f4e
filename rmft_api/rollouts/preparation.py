"""Seating: environments x prompts -> scenarios ready to be played.

Training scenarios are fresh in every iteration; validation and test scenarios are the same for
every model, so that two models meet the same chance.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import get_args

import msgspec

from rmft_api import environments, statistics
from rmft_api.config.schema import RunConfig, ScenarioConfig
from rmft_api.core import seeds
from rmft_api.core.errors import ConfigError
from rmft_api.core.paths import DIVIDED
from rmft_api.core.records import Address, Sampling, Split
from rmft_api.environments import ConcreteProblem, Scenario
from rmft_api.environments.scenario import Floats
from rmft_api.prompts import PromptSet
from rmft_api.rollouts.engine import PreparedScenario, RolloutSettings


def section_of(config: RunConfig, split: Split) -> ScenarioConfig:
    """The part of the run file that describes a split."""
    return {"train": config.rollouts, "validation": config.validation, "test": config.test}[split]


@dataclass(frozen=True)
class HeldOutPlan:
    """How a model plays a held-out split, and when it has played enough (docs/method.md 5)."""

    trajectories: int
    """L: plays of each scenario."""
    looks: tuple[int, ...]
    """Numbers of scenarios, from the first one, at which the evaluation may end; rising."""
    half_width: float | None
    """Narrow enough; None: only the last look counts."""

    @property
    def level(self) -> float:
        """What each look's intervals are made at, so that the one stopped at holds at 95 %."""
        return 1.0 - (1.0 - statistics.LEVEL) / len(self.looks)

    def ends(self, drop_M: Floats) -> bool:
        """Whether the paired drop over one of the looks' scenarios is known well enough."""
        if self.half_width is None or len(drop_M) == self.looks[-1]:
            return True
        return statistics.StoppingRule(self.half_width, self.looks).look(drop_M).stop


def held_out(config: RunConfig, split: Split) -> HeldOutPlan:
    """The plan of a held-out split. Looks are at whole rounds of its problems, evenly drawn."""
    section = config.validation if split == "validation" else config.test
    problems = len(problems_of(config, split))
    first = -(-section.first_look // problems) * problems
    early = section.half_width is not None and first < section.scenarios
    looks = statistics.doubling(first, section.scenarios) if early else (section.scenarios,)
    return HeldOutPlan(section.trajectories, looks, section.half_width)


def problems_of(config: RunConfig, split: Split) -> tuple[ConcreteProblem, ...]:
    """What a split's scenarios are drawn from: scenario i is of problem i mod their number."""
    return environments.expand(config.problems_of(section_of(config, split)), config.origin.folder)


SHARED = "rows of the file serve every split: this run was started by an earlier version"


def divisions(config: RunConfig, splits: Sequence[Split] = get_args(Split)) -> tuple[str, ...]:
    """How the rows of the run's files are divided, a line each. Raises ConfigError, DataError."""
    problems: dict[Split, tuple[ConcreteProblem, ...]] = {
        split: problems_of(config, split) for split in splits
    }
    if config.origin.rules >= DIVIDED:
        return environments.divisions(problems)
    files = any(problem.environment == "table" for many in problems.values() for problem in many)
    return (SHARED,) if files else ()


TRIALS = 4
"""Worlds of each problem with state that are played before anything is paid."""


def references(config: RunConfig, trials: int = 0) -> tuple[str, ...]:
    """What regret is against in problems with state, a line each; `trials` are played first.

    Raises ConfigError, and DataError for a class that breaks its contract.
    """
    splits: tuple[Split, ...] = get_args(Split)
    problems = [problem for split in splits for problem in problems_of(config, split)]
    return environments.references(problems, trials)


def files(config: RunConfig) -> dict[str, str]:
    """Every file that the run's scenarios are rows of, by its path, and its SHA-256."""
    splits: tuple[Split, ...] = get_args(Split)
    problems = [problem for split in splits for problem in problems_of(config, split)]
    return environments.files(problems)


def scenarios(config: RunConfig, split: Split, iteration: int) -> Iterator[Scenario]:
    """The M scenarios of a split, drawn one by one as they are needed."""
    problems = problems_of(config, split)
    draw = iteration if split == "train" else 0
    for index in range(section_of(config, split).scenarios):
        yield environments.draw(problems, config.seed, split, draw, index, config.origin.rules)


def prepared_scenarios(
    config: RunConfig, prompts: PromptSet, split: Split, iteration: int
) -> Iterator[PreparedScenario]:
    """The scenarios of a split and how each is worded.

    Raises ConfigError for an adversary that would answer models and algorithms by two rules.
    """
    problems = problems_of(config, split)
    for index, scenario in enumerate(scenarios(config, split, iteration)):
        yield _prepared(config, prompts, problems, (split, iteration, index), scenario)


def prepared_scenario(
    config: RunConfig, prompts: PromptSet, split: Split, iteration: int, index: int
) -> PreparedScenario:
    """One scenario alone, also beyond those that the split has; raises as `prepared_scenarios`."""
    problems = problems_of(config, split)
    draw = iteration if split == "train" else 0
    scenario = environments.draw(problems, config.seed, split, draw, index, config.origin.rules)
    return _prepared(config, prompts, problems, (split, iteration, index), scenario)


def _prepared(
    config: RunConfig,
    prompts: PromptSet,
    problems: Sequence[ConcreteProblem],
    place: tuple[Split, int, int],
    scenario: Scenario,
) -> PreparedScenario:
    split, iteration, index = place
    _check_output(config, problems[index % len(problems)].label, scenario)
    wording = wording_of(config, prompts, problems, split, iteration, index)
    address = _address(split, iteration, index)
    names = scenario.names or prompts.names(
        wording, scenario.K, config.seed, address, scenario.bears
    )
    return PreparedScenario(
        index=index,
        scenario=scenario,
        names=names,
        prompt_builder=partial(prompts.prompt_builder, wording, scenario, names),
        order=_orders(config, address, scenario.K),
    )


def _check_output(config: RunConfig, label: str, scenario: Scenario) -> None:
    """Refuse an output that this problem cannot be played with."""
    if scenario.adversary is not None and config.prompts.output == "action":
        raise ConfigError(
            f"{label}: its adversary answers the distribution "
            "acted from, and that is unknown for a model which names one action; set "
            "prompts.output = 'distribution' or 'policy', or play another problem"
        )
    if scenario.world is not None and config.prompts.output != "action":
        raise ConfigError(
            f"{label}: with state, one action is taken in a "
            "round, and a distribution leads to several; set prompts.output = 'action'"
        )


def _orders(
    config: RunConfig, address: Address, K: int
) -> Callable[[int, int], tuple[int, ...]] | None:
    """The orders in which a scenario's actions are listed; None: always the same."""
    if config.prompts.name_order == "fixed":
        return None
    return lambda number, t: shown_order(
        config, msgspec.structs.replace(address, trajectory=number), K, t
    )


def shown_order(config: RunConfig, address: Address, K: int, t: int) -> tuple[int, ...]:
    """The actions in the order in which round `t` (from 0) of a trajectory lists them.

    Held-out scenarios have the same orders for every model.
    """
    if config.prompts.name_order == "fixed":
        return tuple(range(K))
    draw = address.iteration if address.split == "train" else 0
    place = (address.split, draw, address.scenario, address.trajectory)
    round = (t,) if config.prompts.name_order == "round" else ()
    order: list[int] = seeds.rng(config.seed, "name order", *place, *round).permutation(K).tolist()
    return tuple(order)


def wording_of(
    config: RunConfig,
    prompts: PromptSet,
    problems: Sequence[ConcreteProblem],
    split: Split,
    iteration: int,
    index: int,
) -> str:
    """The story of scenario `index`: one of its problem's contexts, or of the set's own."""
    pool = problems[index % len(problems)].contexts
    return prompts.wording(config.seed, _address(split, iteration, index), pool)


def _address(split: Split, iteration: int, index: int) -> Address:
    """Where a scenario's own draws stand: held-out ones are the same for every model."""
    return Address(split, iteration if split == "train" else 0, index, 0)


def _live(config: RunConfig, split: Split) -> int:
    """Trajectories under way at once."""
    if config.requests.transport == "batch":  # all of them are a round's batch
        section = section_of(config, split)
        return section.scenarios * section.trajectories
    return 2 * config.requests.concurrency  # while one is read and stepped, another is asked


def rounds_of(config: RunConfig, split: Split, count: int | None = None) -> int:
    """Decisions in one play of a split, or of its first `count` scenarios."""
    return section_of(config, split).trajectories * sum(horizons_of(config, split, count))


def horizons_of(config: RunConfig, split: Split, count: int | None = None) -> list[int]:
    """T of every scenario of a split, or of its first `count`."""
    problems = problems_of(config, split)
    whole = section_of(config, split).scenarios if count is None else count
    return [problems[index % len(problems)].T for index in range(whole)]


def rollout_settings(
    config: RunConfig, split: Split, iteration: int, model: str, largest_n: int
) -> RolloutSettings:
    """The rules that `model` plays a split by; `largest_n`: most choices of one request."""
    return RolloutSettings(
        split=split,
        iteration=iteration,
        model=model,
        seed=config.seed,
        trajectories=section_of(config, split).trajectories,
        sampling=Sampling(
            temperature=config.temperature(split, iteration),
            top_p=config.sampling.top_p,
            max_tokens=config.sampling.max_tokens,
        ),
        output=config.prompts.answer_form,
        largest_n=largest_n if config.rollouts.coalesce else 1,
        live=_live(config, split),
        unreadable=config.rollouts.unreadable,
        seed_block=config.rollouts.seed_block,
        reasoned=config.prompts.reasoning != "none",
    )
