"""The plan of a comparison: what every player will take and cost. Sends and spends nothing."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

from rmft_api.config.schema import RunConfig
from rmft_api.core.records import Record
from rmft_api.datasets import tokens
from rmft_api.planning.asked_on_log import asked_on_log
from rmft_api.planning.cost import PriceSheet
from rmft_api.planning.phases import PhaseBuilder
from rmft_api.planning.plan import Cost, Phase, PriceUsed, added, total
from rmft_api.planning.simulated_model import ReplyText, replies_are_reasoned
from rmft_api.planning.simulation import Simulation, simulate
from rmft_api.prompts import PromptSet
from rmft_api.providers.prices import Prices
from rmft_api.providers.profiles import Profile
from rmft_api.rollouts import log_policy


class PlannedPlayer(Record, frozen=True):
    """One player of a comparison that is planned."""

    label: str
    model: str
    profile: str
    counted_by: str
    """The vocabulary that tokens were counted with, or what the estimate is made from."""
    phase: Phase
    crash: int | None
    """The most that a crash while it plays can waste."""
    prices: tuple[PriceUsed, ...]
    off_policy: Phase | None = None
    """What it is asked about held-out rows of logs; None: nothing."""

    @property
    def phases(self) -> tuple[Phase, ...]:
        """All that it does."""
        return (self.phase,) if self.off_policy is None else (self.phase, self.off_policy)


class ComparisonPlan(Record, frozen=True):
    """What a comparison will do and cost. Money is integer micro-dollars; None is "unknown"."""

    contest: str
    suite: str
    reply_tokens: int
    """The assumed length of a reply."""
    players: tuple[PlannedPlayer, ...]
    total: Cost
    budget: int | None
    seconds: float | None
    """One player after the other; None: unknown."""
    warnings: tuple[str, ...]
    refusal: str | None
    """Why it does not start."""

    @property
    def phases(self) -> tuple[Phase, ...]:
        """What every player plays, one after the other."""
        return tuple(phase for player in self.players for phase in player.phases)

    def against_it(self) -> tuple[str, ...]:
        """All that speaks against it."""
        return (*(() if self.refusal is None else (self.refusal,)), *self.warnings)


async def plan_comparison(
    suite: str,
    players: Mapping[str, tuple[RunConfig, Profile]],
    prompts: PromptSet,
    today: date,
    reply_tokens: int | None = None,
) -> ComparisonPlan:
    """The plan. `players` holds, by label, what each plays under and where."""
    prepared_scenarios = [
        await _planned_player(label, config, profile, prompts, reply_tokens)
        for label, (config, profile) in players.items()
    ]
    config = next(config for config, _ in players.values())
    phases = [phase for prepared in prepared_scenarios for phase in prepared.phases]
    cost = total(phase.cost for phase in phases)
    budget = None if config.budget_usd is None else round(config.budget_usd * 1e6)
    times = [phase.seconds for phase in phases if phase.seconds is not None]
    return ComparisonPlan(
        contest=config.name,
        suite=suite,
        reply_tokens=_length(config, reply_tokens),
        players=tuple(prepared_scenarios),
        total=cost,
        budget=budget,
        seconds=sum(times) if len(times) == len(phases) else None,
        warnings=(*_warnings(cost, budget), *log_policy.not_evaluated(config)),
        refusal=_refusal(players, today),
    )


def _length(config: RunConfig, reply_tokens: int | None) -> int:
    return config.sampling.max_tokens // 2 if reply_tokens is None else reply_tokens


async def _planned_player(
    label: str, config: RunConfig, profile: Profile, prompts: PromptSet, reply_tokens: int | None
) -> PlannedPlayer:
    model = config.model.base
    counter = tokens.counter_for(model)
    reply_text = ReplyText(config, counter, _length(config, reply_tokens))
    world = Simulation(config, prompts, counter, reply_text, profile.chat)
    simulated = await simulate(world, "test", worst=profile.paid)
    short = simulated
    if profile.paid and replies_are_reasoned(config.prompts):
        bare = replace(world, reply_text=ReplyText(config, counter, 0))
        short = await simulate(bare, "test", worst=False)
    price_sheet = PriceSheet(profile, model, Prices(profile))
    asked = asked_on_log(config, prompts, counter, _length(config, reply_tokens), profile.chat)
    builder = PhaseBuilder(
        config, price_sheet, price_sheet, {"test": simulated}, {"test": short}, asked=asked
    )
    return PlannedPlayer(
        label=label,
        model=model,
        profile=profile.name,
        counted_by=counter.basis,
        phase=builder.tested(),
        crash=builder.crash(),
        prices=tuple(dict.fromkeys(price_sheet.used()))[:1],
        off_policy=builder.asked_of_base(),
    )


def _refusal(players: Mapping[str, tuple[RunConfig, Profile]], today: date) -> str | None:
    for label, (config, profile) in players.items():
        life = profile.lifecycle_of(config.model.base)
        if life is not None and life.shutdown is not None and life.shutdown <= today:
            return (
                f"{label}: {config.model.base!r} stopped answering at {profile.name!r} on "
                f"{life.shutdown} ({life.source}); leave it out"
            )
    return None


def _warnings(cost: Cost, budget: int | None) -> tuple[str, ...]:
    if budget is None:
        return ()
    if cost.expected is not None and cost.expected > budget:
        return ("the budget is below the expected cost: the evaluation will stop before its end",)
    if added([cost.worst]) is None or (cost.worst or 0) > budget:
        return ("the budget is below the worst case: the evaluation may stop before its end",)
    return ()
