"""One stated limit of a provider: an even stream at its rate, and what it must have left."""

from typing import NamedTuple

MINUTE_S = 60.0
_SPARE = 0.015
"""Share of a limit that is left alone: clocks differ, and replies overtake each other."""
_EVEN_S = 0.25
"""Requests held up by a busy machine are made up for over this much time, not over more."""
_FIRST_WINDOW, _LONGEST_WINDOW = 0.01, 0.1
"""How providers count tokens is learnt each time that such a share of a limit was used: at first
soon, then with growing certainty."""
_TRUST, _MOST_SCALE = 0.8, 16.0
"""By so much of the difference, up to this factor (and down to its inverse)."""
_SAME = 0.01
"""Share of a limit by which two accounts of a full bucket may differ."""
_FULL = 0.9
"""Share of the most that was left so far, from which an account counts as full."""
_SATURATED, _PROBE = 0.9, 0.03
"""From such a share of the rate on we use all of it; a bucket that stays full then is tried by so
much more at a time."""
_FORGOTTEN_S = 0.9 * MINUTE_S
"""After so long an account may hold again what was taken from it when it was full."""


class LimitState(NamedTuple):
    """What a provider had left when a request came to it."""

    at: float
    remaining: float
    mark: float
    """What the gate had let through by then, as we count."""
    reset_s: float | None
    """Until it is full again."""

    def full(self, gate: "RateLimit") -> float:
        """What it holds when full, if it fills steadily.

        A window, which is full again all at once, seems to hold less each time.
        """
        return self.remaining + (self.reset_s or 0.0) * gate.rate


class RateLimit:
    """One stated limit: an even stream at its rate, and what the provider must have left.

    Levels are in the limit's own unit (requests or tokens), times in seconds.
    """

    def __init__(self, limit: float, period_s: float, now: float, *, of_tokens: bool) -> None:
        self.of_tokens = of_tokens
        self.spent = 0.0
        """All that was let through, by our own count."""
        self.left: float
        """What the provider has left, by its last headers."""
        self.most: float
        """The most that it had left so far: limits a minute are often enforced by the second."""
        self._at = now
        self._seen = -1
        self._regain = 1.0
        """How much faster than its rate the provider's account recovers (1 but for windows)."""
        self.limit = self.rate = self.stream = self.most = 0.0
        self.scale = 1.0
        """What the provider counts for one of ours: its way to count tokens is its own."""
        self._anchor: LimitState | None = None
        self._full_at = now
        self._counted = 0.0
        """What had been let through when the scale was last learnt."""
        self._has_learnt = False
        self._window = _FIRST_WINDOW
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
        even = 0.0
        if self._is_spread and self.stream < 0:
            even = -self.stream / (self.rate * caution * (1 - _SPARE))
        needed = cost + self.most * _SPARE
        if needed <= self.left:
            return even
        return max(even, (min(needed, self.limit) - self.left) / (self.rate * self._regain))

    def take(self, cost: float) -> float:
        """Let `cost` pass; all that was let through by then, as we count."""
        self.stream -= cost
        self.left -= cost
        self.spent += cost / self.scale
        return self.spent

    def refund(self, amount: float) -> None:
        """Give the stream what a request did not use, until the provider's own way is known."""
        if not self._has_learnt:
            self._return(amount)

    def refused(self, cost: float) -> None:
        """Forget what was let through and not counted."""
        self.spent -= cost / self.scale

    def learn(self, account: LimitState) -> None:
        """Compare what the provider counted since an earlier account with what we let through."""
        before = self._anchor
        if account.remaining > _FULL * self.most:
            self._full_at = account.at
        fills = before is not None and self._fills(before, account)
        if before is None or (account.remaining > before.remaining and not fills):
            self._anchor = account  # it was full in between, so it says nothing
            return
        ours = (account.mark - before.mark) * self.scale
        if ours <= 0 or ours < min(self._window * self.limit, self.most / 2):
            return
        self._anchor, self._window = account, min(_LONGEST_WINDOW, 2 * self._window)
        gained = (account.at - before.at) * self.rate if fills else 0.0
        if fills and self._full_at >= before.at:  # it may have run over
            self._probe(ours, gained)
            return
        theirs = self.scale * (before.remaining - account.remaining + gained) / ours
        if theirs > self.scale or fills or account.at - self._full_at < _FORGOTTEN_S:
            self._has_learnt = True
            self._rescale(self.scale + _TRUST * (theirs - self.scale))

    def _probe(self, ours: float, gained: float) -> None:
        """Go a little faster where all is used by our count and nothing is missing by theirs."""
        if ours > _SATURATED * gained:
            self._rescale(self.scale * (1 - _PROBE))

    def _rescale(self, scale: float) -> None:
        """Count by another scale from now on, and what passed since the last estimate as well."""
        scale = min(_MOST_SCALE, max(1 / _MOST_SCALE, scale))
        self._return((self.scale - scale) * (self.spent - self._counted))
        self.scale, self._counted = scale, self.spent

    def _return(self, amount: float) -> None:
        self.stream = min(self.rate * _EVEN_S, self.stream + amount)

    def _fills(self, before: LimitState, now: LimitState) -> bool:
        """Whether the account fills steadily, as a bucket does."""
        full = now.full(self)
        is_steady = abs(before.full(self) - full) < _SAME * self.limit
        return is_steady and full > _FULL * self.most

    def opened(self, remaining: float) -> None:
        """What the provider had left when it first stated this limit."""
        self.left = self.most = remaining

    def report(
        self,
        number: int,
        remaining: float,
        reset_s: float | None,
        since: float,
        sent_at: float,
        own: float = 0.0,
    ) -> None:
        """What the provider had left when it met request `number`, which `since` then followed.

        `own` is what the request itself took of it.

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
        self.left = min(self.limit, remaining + gained - since * self.scale)
