"""Seating: environments x prompts -> scenarios ready to be played.

Training scenarios are fresh in every iteration; validation and test scenarios are the same for
every model, so that two models meet the same chance.
"""

from collections.abc import Iterator
from functools import partial

from rmft_api import environments
from rmft_api.config import RunConfig, ScenarioConfig
from rmft_api.environments import ConcreteProblem, Scenario
from rmft_api.prompts import PromptSet
from rmft_api.records import Address, Sampling, Split
from rmft_api.rollouts import Game, Seat


def section_of(config: RunConfig, split: Split) -> ScenarioConfig:
    """The part of the run file that describes a split."""
    return {"train": config.rollouts, "validation": config.validation, "test": config.test}[split]


def problems_of(config: RunConfig, split: Split) -> tuple[ConcreteProblem, ...]:
    """What a split's scenarios are drawn from: scenario i is of problem i mod their number."""
    return environments.expand(config.problems_of(section_of(config, split)))


def scenarios(config: RunConfig, split: Split, iteration: int) -> Iterator[Scenario]:
    """The M scenarios of a split, drawn one by one as they are needed."""
    problems = problems_of(config, split)
    draw = iteration if split == "train" else 0
    for index in range(section_of(config, split).scenarios):
        yield environments.draw(problems, config.seed, split, draw, index)


def seats(config: RunConfig, prompts: PromptSet, split: Split, iteration: int) -> Iterator[Seat]:
    """The scenarios of a split and how each is told."""
    draw = iteration if split == "train" else 0
    for index, scenario in enumerate(scenarios(config, split, iteration)):
        wording = prompts.wording(config.seed, Address(split, draw, index, 0))
        yield Seat(
            index=index,
            scenario=scenario,
            names=prompts.names(wording, scenario.K),
            telling=partial(prompts.telling, wording, scenario),
        )


def rounds_of(config: RunConfig, split: Split) -> int:
    """Decisions in one whole play of a split."""
    problems = problems_of(config, split)
    section = section_of(config, split)
    horizons = (problems[index % len(problems)].T for index in range(section.scenarios))
    return section.trajectories * sum(horizons)


def game(config: RunConfig, split: Split, iteration: int, model: str, largest_n: int) -> Game:
    """The rules that `model` plays a split by; `largest_n`: most choices of one request."""
    return Game(
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
        output=config.prompts.output,
        largest_n=largest_n if config.rollouts.coalesce else 1,
        live=2 * config.rollouts.concurrency,  # while one is read and stepped, another is asked
        unreadable=config.rollouts.unreadable,
        seed_block=config.rollouts.seed_block,
    )
