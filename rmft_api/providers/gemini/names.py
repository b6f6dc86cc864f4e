"""What things are called: by us, and in Google's paths.

A tuned model's id begins with its base (`gemini-3.5-flash:projects/…/models/7@1`), so that price
and calendar are found by it as for any other provider. Where it ends in `#` and a number, one of
the model's checkpoints is meant.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from rmft_api.providers import access_tokens
from rmft_api.providers.profiles import Profile
from rmft_api.providers.rest import Rest

DEFAULT = "https://aiplatform.googleapis.com/v1"
GLOBAL = "global"


@dataclass(frozen=True)
class GeminiProject:
    """A project in a location."""

    project: str
    location: str

    @classmethod
    def of(cls, profile: Profile, environ: Mapping[str, str]) -> Self:
        """As the environment names it. Raises ConfigError."""
        return cls(profile.setting("project", environ), profile.setting("location", environ))

    @property
    def parent(self) -> str:
        """The path of everything in it."""
        return f"projects/{self.project}/locations/{self.location}"

    def generating(self, target: str) -> str:
        """Where a chat goes: to an endpoint, or to a model of Google's."""
        if target.startswith("projects/"):
            return f"{target}:generateContent"
        return f"{self.parent}/publishers/google/models/{target}:generateContent"

    def address(self, profile: Profile) -> str:
        """Every location answers at a host of its own."""
        if profile.base_url.rstrip("/") != DEFAULT or self.location == GLOBAL:
            return profile.base_url
        return f"https://{self.location}-aiplatform.googleapis.com/v1"


def connected(profile: Profile, environ: Mapping[str, str], place: GeminiProject) -> Rest:
    """Requests to the location's host. Raises ConfigError where no token can be had."""
    waits = profile.timeouts
    return Rest(
        place.address(profile),
        access_tokens.google(profile, environ),
        environ=environ,
        connect_s=waits.connect_s,
        total_s=waits.list_s,
    )


def tuned(base: str, native: str, checkpoint: str | None = None) -> str:
    """Our id of a tuned model, or of one of its checkpoints."""
    return f"{base}:{native}" + (f"#{checkpoint}" if checkpoint else "")


def split(model: str) -> tuple[str, str]:
    """Base and native name of a model; the native name of a base is empty."""
    base, _, native = model.partition(":")
    return base, native


def pre_tuned(native: str) -> dict[str, str]:
    """What is tuned further, as a job's order says it."""
    name, _, checkpoint = native.partition("#")
    return {"tunedModelName": name} | ({"checkpointId": checkpoint} if checkpoint else {})
