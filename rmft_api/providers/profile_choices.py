"""The endpoints side by side, as somebody needs it who must choose one."""

from collections.abc import Iterator
from datetime import date
from typing import Literal

from rmft_api.core.records import Record
from rmft_api.providers import prices, profiles
from rmft_api.providers.profiles import Profile

Known = Literal["yes", "some models", "chats only", "no", "not billed"]


class ProfileChoice(Record, frozen=True):
    """What decides between endpoints."""

    profile: str
    models: str
    """closed: the vendor's own; open: published weights; own: of this machine; any."""
    methods: tuple[str, ...]
    """Of training; empty: it only answers chats."""
    continues: bool
    """Whether a fine-tuned model can be trained further, as a chain of iterations needs."""
    deploy: str
    """What a new model needs before it answers; none: nothing."""
    rented: bool
    """Whether that is billed by the hour."""
    batches: bool
    prices: Known
    """Whether the shipped price list, or the one in RMFT_PRICES, knows what a run needs."""
    no_jobs_from: date | None
    """First day without new jobs for any listed model; None: no end is known."""
    no_answers_from: date | None
    """The same of answers."""
    dates_as_of: date | None
    key: str | None
    """Environment variable of its key."""
    settings: tuple[str, ...]
    """Other environment variables that must be set."""
    base_url: str
    tried: str
    """What the adapter was tried against, and what it was not."""


def choices() -> tuple[ProfileChoice, ...]:
    """Every profile, shipped or named in RMFT_PROFILES. Raises ConfigError."""
    return tuple(map(_choice, profiles.load_all().values()))


def _choice(profile: Profile) -> ProfileChoice:
    training, families = profile.training, profile.lifecycle
    endless = [None] * any(profile.lifecycle_of(model) is None for model in _trained(profile))
    return ProfileChoice(
        profile=profile.name,
        models=profile.models,
        methods=_methods(profile),
        continues=training is not None and training.continue_from_tuned,
        deploy=profile.deploy,
        rented=profile.rents_deployments,
        batches=profile.batch is not None,
        prices=_known(profile),
        no_jobs_from=_last([one.training_end for one in families] + endless),
        no_answers_from=_last([one.shutdown for one in families] + endless),
        dates_as_of=min((one.as_of for one in families), default=None),
        key=profile.api_key_env,
        settings=tuple(profile.setting_envs.values()),
        base_url=profile.base_url,
        tried=profile.tried,
    )


def _trained(profile: Profile) -> tuple[str, ...]:
    """The models that its table of bases names: one without a calendar has no known end."""
    return tuple(base.model for base in profile.training.bases) if profile.training else ()


def _methods(profile: Profile) -> tuple[str, ...]:
    training = profile.training
    if training is None:
        return ()
    known = [*training.methods, *(method for base in training.bases for method in base.methods)]
    return tuple(dict.fromkeys(known))


def _last(ends: list[date | None]) -> date | None:
    """The latest first day without; None where a family has no end, or none is known."""
    known = [end for end in ends if end is not None]
    return max(known) if known and len(known) == len(ends) else None


def _known(profile: Profile) -> Known:
    if not profile.paid:
        return "not billed"
    rows = list(_rows(profile))
    chats = [row for row in rows if None not in (row.input, row.output)]
    whole = [row for row in chats if row.train is not None]
    if profile.training is None:
        return "yes" if chats else "no"
    if not whole:
        return "chats only" if chats else "no"
    return "yes" if len(whole) == len(rows) else "some models"


def _rows(profile: Profile) -> Iterator[prices.Price]:
    """Of bases; fine-tunes have rows of their own in some lists."""
    for row in prices.rows():
        if row.provider == profile.price_list and not row.model.startswith("ft:"):
            yield row
