"""A run's plan again with cheaper settings, or at other endpoints. Asks nobody, needs no key."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from rmft_api.config import schema
from rmft_api.config.changes import Change, changed
from rmft_api.config.schema import RunConfig
from rmft_api.core.errors import RmftError, UsageError
from rmft_api.planning import RunPlan, alternatives
from rmft_api.planning.alternatives import (
    PLAYING,
    CheaperOption,
    CheaperPlan,
    EndpointComparison,
    EndpointQuote,
    Lever,
)
from rmft_api.providers import prices, profiles
from rmft_api.providers.profiles import Profile
from rmft_api.session.plans import plan_of, profiles_of


def _silent(line: str) -> None:
    """Nobody reads the progress."""


async def cheaper(
    config: RunConfig,
    runs: Path,
    reply_tokens: int | None = None,
    progress: Callable[[str], None] = _silent,
) -> CheaperPlan:
    """The levers that change a run's price, each by a plan of the changed file, largest first.

    Takes about a second a lever; `progress` gets a line before each. Raises as `plan_of` does for
    the run as it is.
    """
    plan = await plan_of(config, runs, reply_tokens)
    options: list[CheaperOption] = []
    impossible: list[str] = []
    if plan.total.expected == 0:
        return CheaperPlan(config.name, plan.total, plan.total, None, (), None, ())
    for lever in (*alternatives.levers(config, *profiles_of(config)), *_elsewhere(config)):
        progress(f"planning: {lever.name}")
        try:
            options.append(await _option(config, runs, reply_tokens, plan, [lever]))
        except RmftError as error:
            impossible.append(f"{lever.name}: {error}")
    progress("planning: several together")
    combined = await _together(config, runs, reply_tokens, plan, options)
    if (early := alternatives.early_ends(config, plan)) is not None:
        options.append(early)
    return CheaperPlan(
        run=config.name,
        total=plan.total,
        training=alternatives.cost_of(plan, "training"),
        trained_tokens=alternatives.trained(plan),
        options=tuple(sorted(options, key=_by_savings)),
        together=combined,
        impossible=tuple(impossible),
        refusal=plan.refusal,
    )


def _by_savings(option: CheaperOption) -> tuple[bool, int]:
    return option.saves is None, -(option.saves or 0)


async def _option(
    config: RunConfig,
    runs: Path,
    reply_tokens: int | None,
    plan: RunPlan,
    used: Sequence[Lever],
) -> CheaperOption:
    changes = {key: value for lever in used for key, value in lever.changes.items()}
    other = await plan_of(with_changes(config, changes), runs, reply_tokens)
    return CheaperOption(
        name=" + ".join(lever.name for lever in used),
        changes=changes,
        effect="; ".join(lever.effect for lever in used),
        total=other.total,
        saves=alternatives.saved(plan.total, other.total),
        trained_tokens=alternatives.trained(other),
        seconds=other.seconds,
        refusal=other.refusal,
    )


async def _together(
    config: RunConfig,
    runs: Path,
    reply_tokens: int | None,
    plan: RunPlan,
    options: Sequence[CheaperOption],
) -> CheaperOption | None:
    """The levers that save, added one by one, each kept only where it saves more still."""
    best: CheaperOption | None = None
    used: list[Lever] = []
    for one in sorted(options, key=_by_savings):
        if not one.saves or one.saves < 0 or one.refusal != plan.refusal:
            continue
        lever = Lever(one.name, one.changes, one.effect)
        try:
            found = await _option(config, runs, reply_tokens, plan, [*used, lever])
        except RmftError:
            continue
        if best is None or (found.saves or 0) > (best.saves or 0):
            best, used = found, [*used, lever]
    return best if len(used) > 1 else None


def with_changes(config: RunConfig, changes: Mapping[str, Any]) -> RunConfig:
    """The settings with other values. Raises ConfigError where they do not go together."""
    raw = config.model_dump(mode="json")
    changed(raw, [Change(key, value) for key, value in changes.items()])
    return schema.parse(raw, f"run {config.name}", config.origin)


def _elsewhere(config: RunConfig) -> list[Lever]:
    """Other endpoints whose price list knows this very model, and that train it."""
    own = config.model.profile
    if not profiles.load(own).paid or config.model.training_profile not in (None, own):
        return []
    return [
        Lever(
            f"the same model at {name}",
            {"model.profile": name, "model.training_profile": name},
            "another provider: the same weights, other limits and dates",
        )
        for name, profile in profiles.load_all().items()
        if name != own and profile.paid and profile.training and _is_priced(profile, config)
    ]


def _is_priced(profile: Profile, config: RunConfig) -> bool:
    price = prices.price_of(profile.price_list, config.model.base)
    return price is not None and None not in (price.input, price.output, price.train)


async def compared(
    config: RunConfig, endpoints: Sequence[str], runs: Path, reply_tokens: int | None = None
) -> EndpointComparison:
    """One run file at its own endpoint and at others, the cheapest first, without its budget.

    `endpoints`: names of profiles, each with the model to start from where it is another one:
    `PROFILE` or `PROFILE:MODEL`. Raises UsageError for an endpoint that is named twice or is not
    known.
    """
    places = [_endpoint(config, one) for one in endpoints]
    if config.model.profile not in {name for name, _ in places}:
        places.append((config.model.profile, config.model.base))
    if len(set(places)) < len(places):
        raise UsageError(f"an endpoint is named twice in {', '.join(endpoints)}; name each once")
    quotes: list[EndpointQuote] = []
    impossible: list[str] = []
    for profile, model in places:
        changes = {
            "model.profile": profile,
            "model.training_profile": profile,
            "model.base": model,
            "budget_usd": None,
        }
        try:
            there = with_changes(config, changes)
            quotes.append(_quote(there, await plan_of(there, runs, reply_tokens)))
        except RmftError as error:
            impossible.append(f"{profile}: {error}")
    return EndpointComparison(config.name, tuple(sorted(quotes, key=_by_total)), tuple(impossible))


def _by_total(quote: EndpointQuote) -> tuple[bool, int]:
    return quote.total.expected is None, quote.total.expected or 0


def _endpoint(config: RunConfig, named: str) -> tuple[str, str]:
    name, colon, model = named.partition(":")
    known = profiles.load_all()
    if "," in named and all(one.partition(":")[0].strip() in known for one in named.split(",")):
        raise UsageError(f"{named!r} names several endpoints; name each by itself")
    if name not in known:
        raise UsageError(f"no profile {name!r}; known: {', '.join(known)}")
    if colon and not model.strip():
        raise UsageError(f"{named!r} names no model; leave out the colon, or add one")
    return name, model or config.model.base


def _quote(config: RunConfig, plan: RunPlan) -> EndpointQuote:
    phases = plan.phases
    life = profiles.load(plan.profile).lifecycle_of(plan.model)
    last = life.training_end and life.training_end - timedelta(days=1) if life else None
    return EndpointQuote(
        profile=plan.profile,
        model=plan.model,
        calls=sum(phase.calls for phase in phases),
        prompt_tokens=sum(phase.prompt_tokens for phase in phases),
        output_tokens=sum(phase.output_tokens for phase in phases),
        trained_tokens=alternatives.trained(plan),
        playing=alternatives.cost_of(plan, *PLAYING),
        hosting=alternatives.cost_of(plan, "hosting"),
        training=alternatives.cost_of(plan, "training"),
        total=plan.total,
        seconds=plan.seconds,
        last_day=None if last is None else str(last),
        days_left=None if last is None else (last - _today()).days,
        refusal=plan.refusal,
    )


def _today() -> date:
    return datetime.now(UTC).date()


def cheaper_now(
    config: RunConfig,
    runs: Path,
    reply_tokens: int | None = None,
    progress: Callable[[str], None] = _silent,
) -> CheaperPlan:
    """As `cheaper`, where no event loop runs."""
    return asyncio.run(cheaper(config, runs, reply_tokens, progress))


def compared_now(
    config: RunConfig, endpoints: Sequence[str], runs: Path, reply_tokens: int | None = None
) -> EndpointComparison:
    """As `compared`, where no event loop runs."""
    return asyncio.run(compared(config, endpoints, runs, reply_tokens))
