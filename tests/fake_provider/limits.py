"""Requests and tokens a minute, as buckets that fill steadily, told in x-ratelimit headers."""

import time
from dataclasses import dataclass, field

from tests.fake_provider.scripts import refusal
from tests.fake_provider.wire import Response


@dataclass
class Bucket:
    """So many a minute, and never more than that at once."""

    per_minute: float
    level: float = field(init=False)
    at: float = field(init=False)

    def __post_init__(self) -> None:
        self.level, self.at = self.per_minute, time.monotonic()

    def fill(self) -> None:
        """Let the time since the last look count."""
        now = time.monotonic()
        gained = (now - self.at) * self.per_minute / 60
        self.level, self.at = min(self.per_minute, self.level + gained), now

    def wait_s(self, amount: float) -> float:
        """Seconds until `amount` fits; 0 where it does."""
        return max(0.0, amount - self.level) * 60 / self.per_minute

    @property
    def full_in(self) -> str:
        """Until it is full again, as `x-ratelimit-reset-*` says it."""
        seconds = (self.per_minute - self.level) * 60 / self.per_minute
        minutes, rest = divmod(seconds, 60)
        return f"{int(minutes)}m{rest:.3f}s" if minutes else f"{rest:.3f}s"


class Limits:
    """Both buckets; absent ones never refuse."""

    def __init__(self, requests_per_minute: float | None, tokens_per_minute: float | None) -> None:
        given = {"requests": requests_per_minute, "tokens": tokens_per_minute}
        self._buckets = {name: Bucket(rate) for name, rate in given.items() if rate}

    def refuse(self, tokens: int) -> Response | None:
        """A 429 where this request does not fit; a request that is let in is counted."""
        amounts = {"requests": 1.0, "tokens": float(tokens)}
        for name, bucket in self._buckets.items():
            bucket.fill()
            if wait := bucket.wait_s(amounts[name]):
                message = f"Rate limit reached on {name}. Please try again in {wait:.3f}s."
                return refusal(429, message, name, "rate_limit_exceeded", self.headers())
        for name, bucket in self._buckets.items():
            bucket.level -= amounts[name]
        return None

    def headers(self) -> dict[str, str]:
        """The state of both, as real replies tell it."""
        told: dict[str, str] = {}
        for name, bucket in self._buckets.items():
            told[f"x-ratelimit-limit-{name}"] = str(int(bucket.per_minute))
            told[f"x-ratelimit-remaining-{name}"] = str(int(max(0, bucket.level)))
            told[f"x-ratelimit-reset-{name}"] = bucket.full_in
        return told
