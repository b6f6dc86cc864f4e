"""How long a run takes, as far as anything is known about it."""

from dataclasses import dataclass

from rmft_api.config.schema import RunConfig
from rmft_api.providers.profiles import Profile

REPLY_S = 2.0
"""Assumed wait for a reply. Providers promise none; a few hundred tokens take about that long."""
JOB_S = 3600.0
"""Assumed time from a job's creation to a model that answers."""
MINUTE_S = 60.0


@dataclass(frozen=True)
class EndpointSpeed:
    """The speed of one endpoint. On a machine of one's own nothing is assumed."""

    paid: bool
    concurrency: int
    requests_per_minute: int | None
    tokens_per_minute: int | None
    batch_s: float | None = None
    """What a batch takes where a round is one; None: requests are asked one by one."""
    window_s: float = 0.0
    """What a batch takes at most."""

    @property
    def limits_known(self) -> bool:
        """Whether the account's limits were reported."""
        return self.requests_per_minute is not None or self.tokens_per_minute is not None

    def playing_s(self, calls: float, tokens: float, rounds: int) -> float | None:
        """Seconds for so many calls, of which at least `rounds` follow each other."""
        if not self.paid and not self.limits_known:
            return None
        if self.batch_s is not None:
            return rounds * self.batch_s
        times = [REPLY_S * max(rounds, calls / self.concurrency) if self.paid else 0.0]
        if self.requests_per_minute is not None:
            times.append(calls / self.requests_per_minute * MINUTE_S)
        if self.tokens_per_minute is not None:
            times.append(tokens / self.tokens_per_minute * MINUTE_S)
        return max(times)

    def longest_s(self, calls: int, tokens: int, rounds: int, reply_s: float) -> float:
        """Seconds at most, if every reply takes `reply_s` and nothing is asked twice.

        A run that always sends as many as may be under way needs no longer than all the work shared
        among them, and then the longest chain of rounds; waiting for turns comes on top.
        """
        if self.batch_s is not None:
            return rounds * self.window_s
        turns = 0.0
        if self.requests_per_minute is not None:
            turns = calls / self.requests_per_minute * MINUTE_S
        if self.tokens_per_minute is not None:
            turns = max(turns, tokens / self.tokens_per_minute * MINUTE_S)
        return reply_s * (calls / self.concurrency + rounds) + turns

    def training_s(self) -> float | None:
        """Seconds for one job."""
        return JOB_S if self.paid else None


def speed_of(config: RunConfig, profile: Profile) -> EndpointSpeed:
    """The speed that a run can go at."""
    batch = profile.batch if config.requests.transport == "batch" else None
    return EndpointSpeed(
        paid=profile.paid,
        concurrency=config.requests.concurrency,
        requests_per_minute=profile.chat.requests_per_minute,
        tokens_per_minute=profile.chat.tokens_per_minute,
        batch_s=batch.usual_s if batch else None,
        window_s=batch.window_s if batch else 0.0,
    )
