"""One stated limit of a provider: an even stream at its rate, and what it must have left."""

from typing import NamedTuple

MINUTE_S = 60.0
_SPARE = 0.015
"""Share of a limit that is left alone: clocks differ, and replies overtake each other."""
_EVEN_S = 0.25
"""Requests held up by a busy machine are made up for over this much time, not over more."""
_LESSON, _TRUST, _MOST_SCALE = 0.01, 0.8, 16.0
"""How providers count tokens is learnt each time that so much of a limit was used, by so much of
the difference, up to this factor."""
_SAME = 0.01
"""Share of a limit by which two accounts of a full bucket may differ."""


class Account(NamedTuple):
    """What a provider had left when a request came to it."""

    at: float
    remaining: float
    mark: float
    """What the gate had let through by then."""
    reset_s: float | None
    """Until it is full again."""

    def full(self, gate: "Gate") -> float:
        """What it holds when full, if it fills steadily.

        A window, which is full again all at once, seems to hold less each time.
        """
        return self.remaining + (self.reset_s or 0.0) * gate.rate


class Gate:
    """One stated limit: an even stream at its rate, and what the provider must have left.

    Levels are in the limit's own unit (requests or tokens), times in seconds.
    """

    def __init__(self, limit: float, period_s: float, now: float, *, of_tokens: bool) -> None:
        self.of_tokens = of_tokens
        self.spent = 0.0
        """All that was ever let through."""
        self.left: float
        """What the provider has left, as far as its last account tells."""
        self.most: float
        """The most that it ever had left: limits a minute are often enforced by the second."""
        self._at = now
        self._seen = -1
        self._regain = 1.0
        """How much faster than its rate the provider's account recovers (1 but for windows)."""
        self.limit = self.rate = self.stream = self.most = 0.0
        self.scale = 1.0
        """What the provider counts for one of ours: its way to count tokens is its own."""
        self._anchor: Account | None = None
        self.tune(limit, period_s)
        self.left = limit

    def tune(self, limit: float, period_s: float) -> None:
        """Take a limit as it is now stated."""
        self.limit = limit
        self.rate = limit / period_s
        # A day's limit is there to be used when needed; only a minute's is spread evenly.
        self._is_spread = period_s <= MINUTE_S

    def pass_time(self, now: float, caution: float) -> None:
        """Let both levels rise."""
        gained = (now - self._at) * self.rate
        self._at = now
        self.stream = min(self.rate * _EVEN_S, self.stream + gained * caution * (1 - _SPARE))
        self.left = min(self.limit, self.left + gained * self._regain)

    def wait_s(self, cost: float, caution: float) -> float:
        """Until `cost` may pass; 0 when it may now. A cost above the whole limit waits for all."""
        needed = min(cost + self.most * _SPARE, self.limit)
        even = 0.0
        if self._is_spread and self.stream < 0:
            even = -self.stream / (self.rate * caution * (1 - _SPARE))
        return max(even, (needed - self.left) / (self.rate * self._regain), 0.0)

    def take(self, cost: float) -> None:
        """Let `cost` pass."""
        self.stream -= cost
        self.left -= cost
        self.spent += cost

    def refund(self, amount: float) -> None:
        """Give the stream what a request did not use; the provider's account is its own."""
        self.stream = min(self.rate * _EVEN_S, self.stream + amount)

    def learn(self, account: Account) -> None:
        """Compare what the provider counted since an earlier account with what we let through."""
        before = self._anchor
        if before is None or self._has_sprung(before, account):
            self._anchor = account
            return
        ours = account.mark - before.mark
        if ours < _LESSON * self.limit:
            return
        gained = (account.at - before.at) * self.rate if self._fills(before, account) else 0.0
        theirs = before.remaining - account.remaining + gained
        ratio = min(2.0, max(0.5, theirs / ours))
        self.scale = min(_MOST_SCALE, max(1.0, self.scale * ratio**_TRUST))
        self._anchor = account

    def _fills(self, before: Account, now: Account) -> bool:
        """Whether the account fills steadily, as a bucket does."""
        return abs(before.full(self) - now.full(self)) < _SAME * self.limit

    def _has_sprung(self, before: Account, now: Account) -> bool:
        """Whether the provider's account was full in between, so that it tells nothing."""
        if self._fills(before, now):
            return max(before.remaining, now.remaining) > 0.9 * self.most
        return now.remaining > before.remaining

    def opened(self, remaining: float) -> None:
        """What the provider had left when it first told of this limit."""
        self.left = self.most = remaining

    def told(
        self,
        number: int,
        remaining: float,
        reset_s: float | None,
        since: float,
        sent_at: float,
        own: float = 0.0,
    ) -> None:
        """What the provider had left when it met request `number`, which `since` then followed.

        Providers count a request when it comes in, so their account is as old as the request.
        Where they count by windows, it recovers all at once: `reset_s` shows it.
        """
        if number <= self._seen:
            return
        self._seen = number
        self.most = min(self.limit, max(self.most, remaining + own))
        if reset_s:
            self._regain = max(1.0, (self.most - remaining) / (reset_s * self.rate))
        gained = (self._at - sent_at) * self.rate * self._regain
        self.left = min(self.limit, remaining + gained - since)
