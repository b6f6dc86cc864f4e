"""What a plan says besides its numbers: what it assumes, and what speaks against it."""

from collections.abc import Iterable, Iterator
from datetime import date

from rmft_api.config.schema import RunConfig
from rmft_api.datasets.tokens import TokenCounter
from rmft_api.open_models.memory import GIB
from rmft_api.planning.cost import BASE
from rmft_api.planning.lengths import limit_of, way_out
from rmft_api.planning.observed_lengths import ExpectedLength
from rmft_api.planning.open_model import OpenModel, settings_of
from rmft_api.planning.phases import PhaseBuilder
from rmft_api.planning.plan import Cost, Phase, PriceUsed, RunPlan
from rmft_api.planning.timing import JOB_S, REPLY_S, speed_of
from rmft_api.providers import prices
from rmft_api.providers.profiles import Profile
from rmft_api.rollouts import log_policy, preparation


def assumptions(
    builder: PhaseBuilder, counter: TokenCounter, expected: ExpectedLength
) -> Iterator[str]:
    """What the figures rest on."""
    config, profile = builder.config, builder.playing.profile
    error = "" if counter.exact else f", {counter.error:.0%} off at times"
    yield from preparation.divisions(config)
    yield from log_policy.not_evaluated(config)
    yield from preparation.references(config)
    yield f"prompts are the real ones, counted by {counter.basis}{error}; actions are drawn evenly"
    if config.prompts.reasoning == "none":
        yield "expected: a reply is its bare answer (prompts.reasoning = 'none')"
    else:
        yield (
            f"expected: a reply has {expected.tokens} of at most {config.sampling.max_tokens} "
            f"tokens, {expected.source}; low: it is its bare answer"
        )
    if config.warm_up is not None:
        yield (
            "the warm-up plays at random and sends nothing; the validation of the base before it "
            "may end early (validation.min_valid)"
        )
    if config.gate.stop_after or config.validation.half_width or config.test.half_width:
        yield "every phase is counted whole; the gate or a narrow interval may end it earlier"
    if not profile.paid:
        return
    yield (
        "worst: what the budget reserves if every prompt is as long as it can get and every reply "
        "is full, each asked for by itself, none lost"
    )
    if profile.rents_deployments:
        yield (
            "worst of hosting: a deployment is waited for as long as it may take "
            f"({profile.hosting.ready_within_s / 3600:g} h to be made, and as long to answer), and "
            f"every reply takes {profile.timeouts.chat_s:g} s"
        )
    yield _time(config, profile)


def _time(config: RunConfig, profile: Profile) -> str:
    """What the hours rest on."""
    pace = speed_of(config, profile)
    if pace.batch_s is not None:
        return (
            f"time: a batch a round of at most {config.rollouts.scenarios} x "
            f"{config.rollouts.trajectories} chats, {pace.batch_s / 3600:g} h each though it may "
            f"take {pace.window_s / 3600:g} h, {JOB_S / 3600:g} h a job"
        )
    limits = "limits as in the profile" if pace.limits_known else "this account's limits unknown"
    return (
        f"time: {REPLY_S:g} s a reply, {config.requests.concurrency} at once, "
        f"{JOB_S / 3600:g} h a job; {limits}"
    )


def warnings_of(builder: PhaseBuilder, plan: RunPlan) -> Iterator[str]:
    """What would stop the run, or surprise."""
    yield from _unknown(builder)
    yield from over_budget(plan.total, plan.budget)
    yield from _refused_data(builder, plan.phases)
    if builder.playing.profile.paid or builder.training.profile.paid:
        yield from old_prices(plan.prices, date.fromisoformat(plan.begins))
    traits = builder.training.profile.training
    if traits is not None and traits.save_every is not None:
        yield (
            "training is driven step by step from this machine, so the run must be up while it "
            "trains; a run that is stopped pays no step twice, a session that is lost at most "
            f"{traits.save_every} steps, which are reserved with the job"
        )
    if builder.playing.profile.rents_deployments:
        yield (
            "a deployment is paid by the hour: more hours than the worst case (faults, limits, a "
            "run that is stopped) are reserved one by one in the budget, which ends the run; what "
            "a lost machine leaves standing is paid until `rmft-api resume` or "
            "`rmft-api cleanup --remove`"
        )


def old_prices(used: Iterable[PriceUsed], today: date) -> Iterator[str]:
    """The rows of the price list that should be checked again, in a line."""
    old = {price.as_of for price in used if prices.is_old(date.fromisoformat(price.as_of), today)}
    if old:
        days = (today - date.fromisoformat(min(old))).days
        yield (
            f"prices are {days} days old (as of {min(old)}); compare them with the provider's "
            f"page, and name a file with newer ones in {prices.OWN_ENV}"
        )


def of_open_model(config: RunConfig, mine: OpenModel | None, longest: int) -> Iterator[str]:
    """What speaks against an open model on one's own machine."""
    settings = settings_of(config)
    if settings is None:
        return
    if mine is None:
        yield (
            f"the shape of {settings.checkpoint!r} is not known, so nothing is said of memory and "
            "time; name a folder that holds it in model.checkpoint"
        )
        return
    if longest > mine.length:
        yield (
            f"a chat may reach {longest} tokens, {mine.length} are allowed; raise "
            "model.engine.max_length, or lower T or the prompts"
        )
    if mine.room is not None and mine.total > mine.room:
        way = "no setting would fit; take a card with more"
        if mine.way_out:
            way = f"would fit: {', '.join(mine.way_out)} ([model.engine])"
        yield (
            f"needs about {mine.total / GIB:.0f} GiB, {mine.accelerator} has "
            f"{mine.room / GIB:.0f}; {way}"
        )


def _unknown(builder: PhaseBuilder) -> Iterator[str]:
    """Which prices are missing."""
    for model, which in ((BASE, "base"), (1, "fine-tunes of it")):
        price = builder.playing.price(model)
        if price is None or price.input is None or price.output is None:
            yield _no_price(
                builder.config, builder.playing.profile.price_list, f"chats with the {which}"
            )
    price = builder.training.price(BASE)
    if price is None or price.train is None:
        yield _no_price(builder.config, builder.training.profile.price_list, "training")
    if builder.config.finetuning.n_epochs is None and builder.training.profile.paid:
        yield "finetuning.n_epochs is left to the provider, so a job's price has no bound; set it"


def _no_price(config: RunConfig, where: str, what: str) -> str:
    return (
        f"no price is known at {where!r} for {what} ({config.model.base}), so the total is "
        "unknown; write one into a prices file and name it in RMFT_PRICES"
    )


def over_budget(total: Cost, budget: int | None, what: str = "the run") -> Iterator[str]:
    """Whether the budget will or may end the run, or the runs that share it."""
    if budget is None or total.worst is None or total.expected is None:
        return
    if total.expected > budget:
        yield f"expected to stop at its budget of ${budget / 1e6:,.2f} before it ends; resumable"
    elif total.worst > budget:
        yield f"the worst case is above the budget of ${budget / 1e6:,.2f}; {what} stops there"


def _refused_data(builder: PhaseBuilder, phases: tuple[Phase, ...]) -> Iterator[str]:
    """Datasets that the provider would refuse or cut."""
    traits = builder.training.profile.training
    if traits is None:
        yield f"profile {builder.training.profile.name!r} cannot train"
        return
    taught = min((phase.examples for phase in phases if phase.name == "warm-up"), default=None)
    if taught is not None and taught < traits.least_examples:
        yield (
            f"a warm-up of {taught} examples is refused, the provider takes "
            f"{traits.least_examples} or more; raise warm_up.scenarios"
        )
    examples = min((phase.examples for phase in phases if phase.name == "training"), default=0)
    if examples < traits.least_examples:
        yield (
            f"a dataset of {examples} examples is refused, the provider takes "
            f"{traits.least_examples} or more; raise rollouts.scenarios, selection.k or T"
        )
    limit = limit_of(builder.config, builder.training.profile)
    if limit is not None and (longest := builder.longest_example()) > limit:
        yield (
            f"an example may reach {longest} tokens and {limit} are allowed: a dataset with such a "
            f"one is refused after it was played; {way_out(builder.config)}"
        )
