"""One endpoint's facts: where it is, what it can do, what it needs, and until when."""

import os
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from ipaddress import ip_address
from typing import Any, Literal, Protocol, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, model_validator

from rmft_api.config.schema import Section
from rmft_api.config.validation_errors import first_mistake
from rmft_api.core.errors import ConfigError
from rmft_api.core.records import Hyperparameters
from rmft_api.providers.capabilities import (
    BatchCapabilities,
    ChatCapabilities,
    DeploymentCapabilities,
    Lifecycle,
    Timeouts,
    TrainingCapabilities,
)

_RATES = {
    "multiplier": "set learning_rate_multiplier (1 is the provider's own rate) instead",
    "absolute": "set learning_rate (such as 1e-5) instead",
}
_PLACEHOLDER = re.compile(
    r"<.*>|[$]?\{.*\}|[$][A-Z_]+|.*[.]{3}|[*]+|x{3,}|change[-_]?me|(.*[-_])?your[-_].*",
    re.IGNORECASE,
)
"""What examples show in place of a key, such as <key>, sk-..., YOUR_KEY and ${KEY}."""


class Secret:
    """A key that no print, traceback or log shows."""

    __slots__ = ("_reveal",)

    def __init__(self, value: str) -> None:
        self._reveal = lambda: value

    def reveal(self) -> str:
        """The key itself, for the request header alone."""
        return self._reveal()

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> str:
        raise TypeError("keys are never stored")


class Profile(Section):
    """One endpoint."""

    name: str
    wire: Literal["openai", "gemini", "bedrock", "together", "fireworks", "tinker"] = "openai"
    base_url: str
    base_url_env: str | None = None
    """Environment variable that replaces `base_url`."""
    base_url_required: bool = False
    """Everybody has an address of their own: `base_url` only shows how it looks."""
    api_key_env: str | None = None
    """Environment variable that holds the key; None: the endpoint takes none."""
    api_key_optional: bool = False
    key_header: str = "Authorization"
    """The header that carries the key: as a bearer token in Authorization, else as it stands."""
    setting_envs: dict[str, str] = Field(default_factory=dict)
    """What must be set besides the key, such as a project, and the environment variables that
    hold it."""
    header_envs: dict[str, str] = Field(default_factory=dict)
    """Further request headers and the environment variables that fill them, where set."""
    prices: str = ""
    """The provider's name in `prices.toml`; the profile's name when empty."""
    paid: bool = True
    """False only where nothing is billed."""
    deploy: Literal[
        "none",
        "arm",
        "models_object",
        "auto",
        "custom_model_deployment",
        "provisioned_throughput",
        "dedicated_endpoint",
        "on_demand_deployment",
    ] = "none"
    """What a new model needs before it answers."""
    tuned_model: str = r"ft:.*"
    """How ids of fine-tuned models look."""
    lists_models: bool = True
    """A model that the endpoint does not list is closed to the key."""
    hosting: DeploymentCapabilities = Field(default_factory=DeploymentCapabilities)
    """How such a model is deployed."""
    chat: ChatCapabilities = Field(default_factory=ChatCapabilities)
    training: TrainingCapabilities | None = None
    """None: the endpoint only answers chats."""
    batch: BatchCapabilities | None = None
    """None: chats can be asked one by one alone."""
    timeouts: Timeouts = Field(default_factory=Timeouts)
    lifecycle: tuple[Lifecycle, ...] = ()
    models: Literal["closed", "open", "own", "any"] = "any"
    """Whose weights answer there: the vendor's alone, published ones, those of this machine."""
    tried: str = ""
    """What the adapter was tried against, and what it was not."""

    @model_validator(mode="after")
    def _the_address_is_one(self) -> Self:
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(
                f"base_url={self.base_url!r} must begin with https:// or http:// and name a host"
            )
        if not self.base_url.isprintable() or " " in self.base_url:
            raise ValueError(f"base_url={self.base_url!r} must hold no space and no line break")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("base_url must hold no key and no query; keys come from api_key_env")
        return self

    def at(self, base_url: str) -> "Profile":
        """The same endpoint elsewhere. Raises ConfigError for what is no address."""
        return checked(self.name, {**self.model_dump(), "base_url": base_url})

    def here(self, environ: Mapping[str, str] = os.environ) -> "Profile":
        """The profile with the address that the environment gives it. Raises ConfigError."""
        given = environ.get(self.base_url_env or "", "").strip()
        if self.base_url_required and not given:
            raise ConfigError(
                f"profile {self.name!r} has no address: set {self.base_url_env}, "
                f"e.g. to {self.base_url}"
            )
        return self.at(given) if given else self

    def setting(self, name: str, environ: Mapping[str, str] = os.environ) -> str:
        """The environment's values of `setting_envs`. Raises ConfigError where one is missing."""
        variable = self.setting_envs[name]
        if value := environ.get(variable, "").strip():
            return value
        raise ConfigError(f"profile {self.name!r} needs its {name}: set {variable}")

    def authorization(self, key: Secret | None) -> dict[str, str]:
        """The header that carries the key; none where there is none."""
        if key is None:
            return {}
        bearer = self.key_header == "Authorization"
        return {self.key_header: f"Bearer {key.reveal()}" if bearer else key.reveal()}

    def key(self, environ: Mapping[str, str] = os.environ) -> Secret | None:
        """The key. Raises ConfigError where it is missing, or would travel unencrypted."""
        if self.api_key_env is None:
            return None
        value = environ.get(self.api_key_env, "").strip()
        if value and not re.fullmatch(r"[!-~]+", value):
            raise ConfigError(
                f"{self.api_key_env} holds a space, a line break or a character that keys lack"
            )
        if _PLACEHOLDER.fullmatch(value):
            raise ConfigError(
                f"{self.api_key_env} holds a placeholder of some example; put the key in its place"
            )
        if not value and not self.api_key_optional:
            raise ConfigError(
                f"profile {self.name!r} needs a key: set {self.api_key_env}, or leave "
                "model.profile at 'local', which needs none"
            )
        if value and not self._is_private():
            raise ConfigError(
                f"profile {self.name!r}: base_url={self.base_url!r} would send {self.api_key_env} "
                "unencrypted; use https://"
            )
        return Secret(value) if value else None

    def headers(self, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
        """Headers of this endpoint that the environment fills, such as a project's id."""
        named = {header: environ.get(name, "") for header, name in self.header_envs.items()}
        return {header: value for header, value in named.items() if value}

    def account(self, salt: str, environ: Mapping[str, str] = os.environ) -> str:
        """Whose key and project these are: equal for equal ones, and nothing can be read from it.

        Raises ConfigError as `key` does.
        """
        key = self.key(environ)
        parts = [salt, key.reveal() if key else "", *sorted(self.headers(environ).items())]
        return sha256(repr(parts).encode()).hexdigest()[:16]

    def tokens_per_example(self, model: str) -> int | None:
        """The most that an example may have where it trains the model; None: not known."""
        if self.training is None:
            return None
        row = _longest(self.training.bases, model)
        own = row.tokens_per_example if row else None
        return own or self.training.tokens_per_example

    def job_model(self, base: str) -> str:
        """What a job calls a base model."""
        row = _longest(self.training.bases, base) if self.training else None
        return (row.job_model if row else "") or base

    @property
    def rents_deployments(self) -> bool:
        """Whether a fine-tune answers only where it is rented by the hour."""
        return self.deploy in (
            "arm",
            "provisioned_throughput",
            "dedicated_endpoint",
            "on_demand_deployment",
        )

    @property
    def deploys_for_a_while(self) -> bool:
        """Whether what a run deploys must not outlive it."""
        return self.rents_deployments or self.deploy == "custom_model_deployment"

    def is_tuned(self, model: str) -> bool:
        """Whether the id is a fine-tuned model's."""
        return re.fullmatch(self.tuned_model, model) is not None

    def check_training(
        self, model: str, method: str, wanted: Hyperparameters
    ) -> TrainingCapabilities:
        """What the endpoint does with such a job. Raises ConfigError for what it cannot do."""
        traits = self.training
        if traits is None:
            raise ConfigError(
                f"profile {self.name!r} cannot train; name another one as model.training_profile"
            )
        self._check_method(traits, model, method)
        if self.is_tuned(model) and not traits.continue_from_tuned:
            raise self.cannot_continue(model)
        if wanted.batch_size is not None and not traits.batch_size:
            raise ConfigError(
                f"profile {self.name!r} chooses the batch size itself; leave out "
                f"finetuning.batch_size = {wanted.batch_size}"
            )
        rates = {"multiplier": wanted.learning_rate_multiplier, "absolute": wanted.learning_rate}
        self._check_bounds(traits, wanted)
        for kind, rate in rates.items():
            if rate is not None and kind != traits.learning_rate:
                raise ConfigError(
                    f"learning rate {rate} is of the {kind} kind, but profile {self.name!r} takes "
                    f"the {traits.learning_rate} kind; {_RATES[traits.learning_rate]}"
                )
        return traits

    def _check_bounds(self, traits: TrainingCapabilities, wanted: Hyperparameters) -> None:
        epochs, rate = wanted.n_epochs, wanted.learning_rate
        if epochs is not None and traits.most_epochs is not None and epochs > traits.most_epochs:
            raise ConfigError(
                f"profile {self.name!r} trains for {traits.most_epochs} epochs at most; "
                f"finetuning.n_epochs = {epochs}"
            )
        beta, below = wanted.beta, traits.beta_below
        if beta is not None and below is not None and beta >= below:
            raise ConfigError(
                f"profile {self.name!r} takes a DPO beta below {below:g}; "
                f"finetuning.dpo.beta = {beta:g}"
            )
        if rate is not None and traits.rates and not traits.rates[0] <= rate <= traits.rates[1]:
            raise ConfigError(
                f"profile {self.name!r} takes learning rates from {traits.rates[0]:g} to "
                f"{traits.rates[1]:g}; finetuning.learning_rate = {rate:g}"
            )

    def _check_method(self, traits: TrainingCapabilities, model: str, method: str) -> None:
        row = _longest(traits.bases, model)
        if method in (row.methods if row else traits.methods):
            return
        if row is None:
            raise ConfigError(
                f"profile {self.name!r} does not train by {method!r}, by "
                f"{' or '.join(traits.methods)} alone; set finetuning.method"
            )
        others = [base.model for base in traits.bases if method in base.methods]
        known = f", or model.base to one of {', '.join(others)}" if others else ""
        raise ConfigError(
            f"profile {self.name!r} does not train {model!r} by {method!r}, by "
            f"{' or '.join(row.methods)} alone ({row.source}, as of {row.as_of}); set "
            f"finetuning.method{known}"
        )

    def cannot_continue(self, model: str) -> ConfigError:
        """What to say where a chain was asked for that the endpoint cannot make."""
        return ConfigError(
            f"profile {self.name!r} cannot continue from a fine-tune of {model!r}; "
            "set finetuning.chain = 'from_base'"
        )

    def lifecycle_of(self, model: str) -> Lifecycle | None:
        """The calendar of a model: the longest family that its id begins with."""
        return _longest(self.lifecycle, model)

    def _is_private(self) -> bool:
        """Whether what is sent is encrypted on the way."""
        parts = urlsplit(self.base_url)
        return parts.scheme == "https" or _is_loopback(parts.hostname or "")

    @property
    def price_list(self) -> str:
        """The provider's name in `prices.toml`."""
        return self.prices or self.name


def checked(name: str, table: Mapping[str, Any]) -> Profile:
    """The profile that a table describes. Raises ConfigError."""
    try:
        return Profile.model_validate(table)
    except ValidationError as error:
        raise ConfigError(f"profile {name!r}: {first_mistake(error, Profile)}") from None


class _OfFamily(Protocol):
    @property
    def model(self) -> str: ...


_F = TypeVar("_F", bound=_OfFamily)


def _longest(rows: Sequence[_F], model: str) -> _F | None:
    """The row of the longest family that a model's id belongs to."""
    known = [row for row in rows if _belongs(model.removeprefix("ft:"), row.model)]
    return max(known, key=lambda row: len(row.model), default=None)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _belongs(model: str, family: str) -> bool:
    """Whether `model` is `family`, a dated snapshot of it, or a fine-tune of either."""
    snapshot = r"(-[0-9]{4}-[0-9]{2}-[0-9]{2})?(:.*|[.]ft-.*)?"
    return re.fullmatch(re.escape(family) + snapshot, model) is not None
