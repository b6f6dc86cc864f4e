"""From `[tracking]` of a run file to a tracker."""

import asyncio
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rmft_api.config.schema import TrackingConfig
from rmft_api.core.errors import ConfigError
from rmft_api.core.ports import Tracker
from rmft_api.tracking.mlflow import MlflowTracker
from rmft_api.tracking.wandb import WandbTracker


@dataclass(frozen=True)
class Identity:
    """A run, as a tracker knows it again when the run is resumed."""

    name: str
    created: int
    """UTC milliseconds."""
    directory: Path
    settings: Mapping[str, str]
    """Dotted keys of the run file."""

    @property
    def key(self) -> str:
        """One for each run, whatever others are called."""
        return f"{self.name}-{self.created}"


TRACKERS: Mapping[str, Callable[[TrackingConfig, Identity], Tracker]] = {
    "mlflow": MlflowTracker,
    "wandb": WandbTracker,
}


def check(config: TrackingConfig) -> None:
    """Raise ConfigError where the tracker's package is missing."""
    if config.to is not None and importlib.util.find_spec(config.to) is None:
        raise ConfigError(
            f"tracking.to={config.to!r} needs a package: pip install 'rmft-api[{config.to}]'"
        )


def open_tracker(config: TrackingConfig, run: Identity) -> Tracker | None:
    """The tracker that the run file asks for, opened at its first use; None: no tracker."""
    if config.to is None:
        return None
    made = TRACKERS[config.to]
    return _Opened(lambda: made(config, run))


async def report_to_tracker(work: Callable[[], None], say: Callable[[str], None]) -> bool:
    """Call a tracker in a thread, so that signals are handled meanwhile; whether it succeeded.

    Whatever another package raises, the run continues: the failure is reported, and no more.
    """
    try:
        await asyncio.to_thread(work)
    except Exception as error:  # noqa: BLE001 - a copy for people must not end what it copies
        first = " ".join(str(error).split())[:300]
        say(f"warning: the tracker was not updated, the run continues: {first}")
        return False
    return True


class _Opened:
    """A tracker that is made when it is first needed."""

    def __init__(self, make: Callable[[], Tracker]) -> None:
        self._make = make
        self._tracker: Tracker | None = None

    def figures(self, index: int, model: str, figures: Mapping[str, float]) -> None:
        """As the tracker does."""
        self._tracker = self._tracker or self._make()
        self._tracker.figures(index, model, figures)

    def results(self, pictures: Mapping[str, Path], champion: Mapping[str, str]) -> None:
        """As the tracker does."""
        self._tracker = self._tracker or self._make()
        self._tracker.results(pictures, champion)

    def close(self, *, finished: bool) -> None:
        """As the tracker does, where it was opened at all."""
        if self._tracker is not None:
            self._tracker.close(finished=finished)
