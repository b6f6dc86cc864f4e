"""Our ids of fine-tunes.

A fine-tune is called by its base and its job, `ft:Qwen/Qwen3.5-9B:ft-3b8a...`: the price and the
calendar are found by the base, and everything at Together by the job: what training continues from
(`from_checkpoint`), and the model that is deployed. A checkpoint has its step after that.
"""

import re
from typing import NamedTuple

from rmft_api.core.errors import ConfigError
from rmft_api.providers.profiles import Profile

_TUNED = re.compile(r"ft:(?P<base>.+):(?P<job>ft-[^:]+)(:(?P<step>[0-9]+))?")


class TogetherModelId(NamedTuple):
    """A fine-tune, as its id names it."""

    base: str
    job: str
    step: int | None = None
    """Of a checkpoint; None: the job's last."""

    def __str__(self) -> str:
        """Our id."""
        return f"ft:{self.base}:{self.checkpoint}"

    @property
    def checkpoint(self) -> str:
        """What `from_checkpoint` takes."""
        return self.job if self.step is None else f"{self.job}:{self.step}"


def tuned(model: str) -> TogetherModelId | None:
    """The fine-tune of this id; None for any other model."""
    found = _TUNED.fullmatch(model)
    if found is None:
        return None
    step = found["step"]
    return TogetherModelId(found["base"], found["job"], None if step is None else int(step))


def required(model: str) -> TogetherModelId:
    """The fine-tune of this id. Raises ConfigError."""
    found = tuned(model)
    if found is None:
        raise ConfigError(f"{model!r} names no fine-tune of Together's, such as ft:BASE:ft-JOB")
    return found


def base_of(profile: Profile, name: str) -> str:
    """What answers chats under the base that a job names; the same unless the profile knows."""
    rows = profile.training.bases if profile.training else ()
    return next((row.model for row in rows if row.job_model == name), name)
