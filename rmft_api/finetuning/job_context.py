"""What every job of a run is done with."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from rmft_api.config.schema import RunConfig
from rmft_api.core.ports import ChatModel, FineTuner
from rmft_api.core.records import ChatRequest, Method
from rmft_api.journal import Journal
from rmft_api.providers.profiles import Profile
from rmft_api.requests.outbox import Outbox, Quarantine
from rmft_api.requests.retries import Retries

_LOOKS_S = (0.0, 5.0, 15.0, 30.0, 60.0, 120.0)


class TrainingConnection(Protocol):
    """A connection that can train; its tuner is only made when it is needed."""

    @property
    def tuner(self) -> FineTuner:
        """Where files and jobs go."""
        ...

    @property
    def chat(self) -> ChatModel:
        """The adapter for its chats, without retries: it shows whether a new model answers."""
        ...


Price = Callable[[str, int, int, Method], int | None]
"""What training a model on so many tokens, for so many epochs, by a method costs: micro-dollars."""


@dataclass(frozen=True)
class JobContext:
    """Endpoint, journal, retries, and the reporter."""

    profile: Profile
    connection: TrainingConnection
    journal: Journal
    retries: Retries
    config: RunConfig
    price: Price
    say: Callable[[str], None]
    again: bool = False
    """Whether an order that was refused, failed or cancelled is placed once more."""
    probe_price: Callable[[ChatRequest], int | None] = lambda request: None
    """What asking a new model for a token costs at most, in micro-dollars; None: nobody asks."""

    def outbox(self, timeout_s: float, quarantine_s: float) -> Outbox:
        """Where an effect happens once, looked for until the quarantine is over."""
        looks = sorted({look for look in _LOOKS_S if look < quarantine_s} | {quarantine_s})
        quarantine = Quarantine(tuple(looks), timeout_s)
        return Outbox(self.journal, self.retries, quarantine, again=self.again)
