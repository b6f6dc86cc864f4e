"""Names of ours, and at Fireworks, where the client names what it makes.

A fine-tune is called by its base and its name there,
`ft:accounts/fireworks/models/llama-v3p1-8b-instruct:accounts/lab/models/rmft-...`: price and
calendar are found by the base.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from rmft_api.core.errors import ConfigError
from rmft_api.core.records import JobOrder
from rmft_api.providers.profiles import Profile

_TUNED = re.compile(r"ft:(?P<base>[^:]+):(?P<name>accounts/[^/:]+/models/[^/:]+)")
_ACCOUNT = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_NOT_IN_IDS = re.compile(r"[^0-9a-z]+")
_LONGEST_ID = 63
_KEY_LENGTH = 24


class FireworksModelId(NamedTuple):
    """A fine-tune, as its id names it."""

    base: str
    name: str
    """At Fireworks."""

    def __str__(self) -> str:
        """Our id."""
        return f"ft:{self.base}:{self.name}"


def tuned(model: str) -> FireworksModelId | None:
    """The fine-tune of this id; None for any other model."""
    found = _TUNED.fullmatch(model)
    return FireworksModelId(found["base"], found["name"]) if found else None


def account(profile: Profile, environ: Mapping[str, str]) -> str:
    """The account's id. Raises ConfigError."""
    answer = profile.setting("account", environ).removeprefix("accounts/")
    if not _ACCOUNT.fullmatch(answer):
        variable = profile.setting_envs["account"]
        raise ConfigError(f"{variable}={answer!r} is no id of an account, such as my-team")
    return answer


def job_id(order: JobOrder) -> str:
    """Of a job and of its model: no other order's, so that asking twice makes one."""
    room = _LONGEST_ID - _KEY_LENGTH - 1
    readable = _NOT_IN_IDS.sub("-", order.suffix.lower())[:room].strip("-")
    return f"{readable}-{order.key[:_KEY_LENGTH].lower()}".strip("-")


def dataset_id(filename: str) -> str:
    """Of the dataset that holds a file."""
    stem = filename.removesuffix(".jsonl").lower()
    return _NOT_IN_IDS.sub("-", stem)[:_LONGEST_ID].strip("-")
