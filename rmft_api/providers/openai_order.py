"""A job's order in the words of an endpoint of the OpenAI wire, as its profile spells them."""

import re
from typing import Any

from rmft_api.core.errors import ConfigError
from rmft_api.core.records import JobOrder
from rmft_api.providers.capabilities import TrainingCapabilities
from rmft_api.providers.profiles import Profile
from rmft_api.providers.validation import KEY


def job_request(order: JobOrder, profile: Profile) -> dict[str, Any]:
    """The arguments of a creation. Raises ConfigError for what the endpoint cannot do."""
    traits = profile.check_training(order.model, order.method, order.hyperparameters)
    body: dict[str, Any] = {
        "model": order.model,
        "training_file": order.training_file,
        "seed": order.seed,
        "method": {
            "type": order.method,
            order.method: {"hyperparameters": _hyperparameters(order, traits)},
        },
        "extra_headers": {"X-Client-Request-Id": order.key},
    }
    if traits.look_up == "token":
        body["extra_headers"]["Idempotency-Key"] = order.key
    if traits.extra:
        body["extra_body"] = traits.extra
    if traits.metadata:
        body["metadata"] = {KEY: order.key, **order.metadata}
    if order.suffix and traits.suffix_length:
        body["suffix"] = _suffix(order.suffix, traits)
    return body


def _hyperparameters(order: JobOrder, traits: TrainingCapabilities) -> dict[str, int | float | str]:
    """Numbers; "auto" or nothing where the order leaves the choice."""
    wanted = order.hyperparameters
    chosen: dict[str, int | float | None] = {
        "n_epochs": wanted.n_epochs,
        "batch_size": wanted.batch_size,
    }
    if traits.learning_rate == "multiplier":
        chosen["learning_rate_multiplier"] = wanted.learning_rate_multiplier
    else:
        chosen["learning_rate"] = wanted.learning_rate
    if order.method == "dpo":
        chosen["beta"] = wanted.beta
    if not traits.auto:
        return {name: value for name, value in chosen.items() if value is not None}
    return {name: "auto" if value is None else value for name, value in chosen.items()}


def _suffix(suffix: str, traits: TrainingCapabilities) -> str:
    if not re.fullmatch(traits.suffix_pattern, suffix):
        raise ConfigError(f"suffix {suffix!r} must match {traits.suffix_pattern}")
    return suffix[: traits.suffix_length]
