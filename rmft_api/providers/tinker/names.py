"""Our ids of fine-tunes at Tinker: `ft:BASE:tinker://RUN/sampler_weights/NAME`.

The path is what chats name; the state that training continues from has the same name.
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

_TUNED = re.compile(r"ft:(?P<base>.+?):tinker://(?P<run>[^/]+)/sampler_weights/(?P<name>[^/]+)")


class TinkerModelId(NamedTuple):
    """A fine-tune, as its id names it."""

    base: str
    run: str
    name: str

    def __str__(self) -> str:
        """Our id."""
        return f"ft:{self.base}:{self.sampler}"

    @property
    def sampler(self) -> str:
        """What chats name."""
        return f"tinker://{self.run}/sampler_weights/{self.name}"

    @property
    def state(self) -> str:
        """What training continues from."""
        return f"tinker://{self.run}/weights/{self.name}"


def tuned(model: str) -> TinkerModelId | None:
    """The fine-tune of this id; None for any other model."""
    found = _TUNED.fullmatch(model)
    return TinkerModelId(found["base"], found["run"], found["name"]) if found else None


class SamplerPaths(Mapping[str, str]):
    """What a request names instead of a fine-tune's id: its path. Nothing is deployed."""

    def __getitem__(self, model: str) -> str:
        found = tuned(model)
        if found is None:
            raise KeyError(model)
        return found.sampler

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0
