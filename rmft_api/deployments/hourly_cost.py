"""Rent: every hour of a deployment is reserved before a request begins in it."""

import asyncio
import math
from collections.abc import Callable

from rmft_api.deployments.leases import Lease, deploy_key
from rmft_api.journal import Journal
from rmft_api.journal.ledger import digest_of, dollars

HOUR_MS = 3_600_000


class HourlyCost:
    """What the deployments of one run cost by the hour. The first hour is the deployment's own."""

    def __init__(
        self,
        journal: Journal,
        hour: Callable[[str], int | None],
        clock: Callable[[], float],
    ) -> None:
        """`hour`: what an hour of a model costs in micro-dollars; None: unknown."""
        self.hour = hour
        self._journal = journal
        self._clock = clock
        self._leases: dict[str, Lease] = {}
        self._paid_until: dict[str, int] = {}
        self._paying = asyncio.Lock()

    def begin(self, model: str, lease: Lease) -> None:
        """From now on requests to the model pay for its hours."""
        self._leases[model] = lease

    def end(self, model: str) -> None:
        """Nothing more is asked of the model."""
        self._leases.pop(model, None)
        self._paid_until.pop(model, None)

    async def keep(self, model: str) -> None:
        """Reserve the hour that a request is about to begin in. Raises BudgetError."""
        if model not in self._leases or self._now() < self._paid_until.get(model, 0):
            return
        lease = self._leases[model]
        async with self._paying:
            while self._now() >= self._end_of_paid(lease):
                await self._pay(model, lease)
            self._paid_until[model] = self._end_of_paid(lease)

    async def book(self, model: str, lease: Lease, until: int) -> None:
        """Book the whole stay: every hour that was started, watched or not."""
        hour = self.hour(model) or 0
        hours = max(1, math.ceil((until - lease.since) / HOUR_MS))
        first = hour * (1 + max(0, hours - self._paid(lease)))
        await self._journal.ledger.settle(deploy_key(lease), first)
        await self._journal.event(
            "hosting", f"{lease.name} stood for {hours} h: {dollars(hour * hours)}"
        )

    async def _pay(self, model: str, lease: Lease) -> None:
        key = f"rent/{lease.name}/{lease.number}/{self._paid(lease)}"
        ledger, hour = self._journal.ledger, self.hour(model) or 0
        attempt = await ledger.begin(key, "rent", digest_of(key.encode()), hour)
        await ledger.done(attempt, b"null", hour)

    def _paid(self, lease: Lease) -> int:
        """Hours that are reserved or paid."""
        hours = 1
        while self._journal.ledger.knows(f"rent/{lease.name}/{lease.number}/{hours}"):
            hours += 1
        return hours

    def _end_of_paid(self, lease: Lease) -> int:
        return lease.since + self._paid(lease) * HOUR_MS

    def _now(self) -> int:
        return int(self._clock() * 1000)
