"""What speaks against the rest of a run that is resumed: days have passed, money was spent."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from rmft_api.config.schema import RunConfig
from rmft_api.planning import assumptions, lifecycle
from rmft_api.planning.plan import Cost, Phase, RunPlan
from rmft_api.planning.plan_vs_actual import Spending
from rmft_api.providers.profiles import Profile


def of_the_rest(
    config: RunConfig,
    playing: Profile,
    training: Profile,
    plan: RunPlan,
    spent: Spending,
    now: datetime,
) -> Iterator[str]:
    """The warnings of a run under way `now`, as it was planned and as it stands."""
    ahead = [
        phase
        for phase, line in zip(plan.phases, spent.lines, strict=False)  # then what nobody planned
        if line.state != "done"
    ]
    jobs = [i for i, phase in enumerate(ahead) if phase.name in ("training", "warm-up")]
    left = config.model_copy(update={"iterations": len(jobs), "warm_up": None})
    until_job = _seconds(ahead[: jobs[-1]]) if jobs else 0.0
    dates = lifecycle.calendar(left, playing, training, now, _seconds(ahead), until_job)
    if not jobs:
        dates = replace(dates, trains=None)
    if ahead and (why := dates.collision()):
        yield why
    if ahead:
        yield from dates.warnings()
        yield from assumptions.over_budget(
            Cost(None, spent.projected, spent.projected), _budget(config)
        )


def _seconds(phases: Sequence[Phase]) -> float:
    """What is known of their time."""
    return sum(phase.seconds or 0.0 for phase in phases)


def _budget(config: RunConfig) -> int | None:
    return None if config.budget_usd is None else round(config.budget_usd * 1e6)
