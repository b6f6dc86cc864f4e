"""Draws up a plan: simulates, walks through the phases, adds them up, looks at the calendar."""

import math
from dataclasses import replace
from datetime import datetime
from functools import partial

import msgspec

from rmft_api.config.schema import RunConfig
from rmft_api.core.records import Split
from rmft_api.datasets import tokens
from rmft_api.datasets.tokens import TokenCounter
from rmft_api.open_models.speed import Calibration
from rmft_api.planning import assumptions, lifecycle, warm_up
from rmft_api.planning.asked_on_log import asked_on_log
from rmft_api.planning.cost import PriceSheet
from rmft_api.planning.lengths import limit_of
from rmft_api.planning.observed_lengths import (
    ExpectedLength,
    ObservedReplies,
    expectation,
)
from rmft_api.planning.open_model import open_model, settings_of
from rmft_api.planning.phases import PhaseBuilder
from rmft_api.planning.plan import Phase, RunPlan, total
from rmft_api.planning.simulated_model import ReplyText, replies_are_reasoned
from rmft_api.planning.simulation import SimulatedSplit, Simulation, simulate
from rmft_api.prompts import PromptSet
from rmft_api.providers.prices import Prices
from rmft_api.providers.profiles import Profile

SimulatedSplits = dict[Split, SimulatedSplit]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


async def build_plan(
    config: RunConfig,
    prompts: PromptSet,
    playing: Profile,
    training: Profile,
    now: datetime,
    *,
    reply_tokens: int | None = None,
    observed: ObservedReplies | None = None,
    counter: TokenCounter | None = None,
    measured: Calibration | None = None,
) -> RunPlan:
    """The plan of a run that begins at `now`. Sends nothing; needs no key.

    `reply_tokens` is the expected length of a reply; None: the mean of those observed in this run,
    else half of `sampling.max_tokens`. `counter` counts the model's tokens; None: by the vocabulary
    that its id names. `measured`: the speed of an open model on this machine.
    """
    expected = expectation(config, reply_tokens, observed)
    counter = counter or tokens.counter_for(config.model.base)
    replies = ReplyText(config, counter, expected.tokens)
    world = Simulation(config, prompts, counter, replies, playing.chat)
    simulated, short = await _simulated(world, playing, training)
    sheet = partial(PriceSheet, base=config.model.base, warmed=config.warm_up is not None)
    batch = config.requests.transport == "batch"
    builder = PhaseBuilder(
        config=config,
        playing=sheet(playing, prices=Prices(playing, batch=batch)),
        other=sheet(playing, prices=Prices(playing, batch=not batch)),
        training=sheet(training, prices=Prices(training)),
        simulated=simulated,
        short=short,
        warm_up=await warm_up.training_size(config, prompts, counter),
        asked=asked_on_log(config, prompts, counter, expected.tokens, playing.chat),
    )
    mine = open_model(config, math.ceil(builder.longest_example() * (1 + counter.error)), measured)
    builder = replace(builder, speed=None if mine is None else mine.speed)
    plan = _plan(builder, counter, expected, now)
    doubts = tuple(assumptions.of_open_model(config, mine, builder.longest_example()))
    return msgspec.structs.replace(plan, open_model=mine, warnings=(*plan.warnings, *doubts))


async def _simulated(
    world: Simulation, playing: Profile, training: Profile
) -> tuple[SimulatedSplits, SimulatedSplits]:
    """Every split played with replies of the expected length, and with the shortest replies.

    The shortest matter where tokens cost money. The worst case is simulated where something is
    bounded: money, an endpoint's context, or memory.
    """
    config = world.config
    paid = playing.paid or training.paid
    bounded = settings_of(config) is not None or limit_of(config, training) is not None
    expected = await _all_splits(world, worst=paid or bounded)
    if not (paid and replies_are_reasoned(config.prompts)):
        return expected, expected
    bare = replace(world, reply_text=ReplyText(config, world.counter, 0))
    return expected, await _all_splits(bare, worst=False)


async def _all_splits(world: Simulation, *, worst: bool) -> SimulatedSplits:
    return {split: await simulate(world, split, worst=worst) for split in SPLITS}


def _plan(
    builder: PhaseBuilder, counter: TokenCounter, expected: ExpectedLength, now: datetime
) -> RunPlan:
    config, phases = builder.config, builder.with_deployments()
    replies = builder.replies(phases)
    expected = expected.played(replies)
    seconds = _seconds(phases)
    profiles = builder.playing.profile, builder.training.profile
    dates = lifecycle.calendar(config, *profiles, now, seconds, _last_job_s(phases))
    budget = config.budget_usd
    plan = RunPlan(
        run=config.name,
        profile=builder.playing.profile.name,
        model=config.model.base,
        counted_by=counter.basis,
        count_error=counter.error,
        reply_tokens=expected.tokens,
        phases=tuple(phases),
        total=total(phase.cost for phase in phases),
        saves=builder.savings(phases),
        crash=builder.crash(),
        budget=None if budget is None else round(budget * 1e6),
        seconds=seconds,
        begins=str(dates.begins.date()),
        ends=str(dates.ends.date()),
        prices=tuple(dict.fromkeys([*builder.playing.used(), *builder.training.used()])),
        assumptions=tuple(assumptions.assumptions(builder, counter, expected)),
        warnings=(),
        refusal=dates.refusal(),
        batches=builder.in_batches(phases),
        replies=replies,
        heard=expected.count,
    )
    warnings = (*dates.warnings(), *assumptions.warnings_of(builder, plan))
    return msgspec.structs.replace(plan, warnings=warnings)


def _seconds(phases: list[Phase]) -> float | None:
    times = [phase.seconds for phase in phases if phase.seconds is not None]
    return sum(times) if len(times) == len(phases) else None


def _last_job_s(phases: list[Phase]) -> float | None:
    """Seconds until the last job is created."""
    last = max(i for i, phase in enumerate(phases) if phase.name == "training")
    return _seconds(phases[:last])
