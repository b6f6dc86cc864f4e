"""The first token of a deployment: only that shows that a model answers."""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from rmft_api.errors import FaultKind, ProviderFault, ResumableError
from rmft_api.hosting.leases import Lease
from rmft_api.hosting.troubles import late
from rmft_api.journal import Journal
from rmft_api.journal.ledger import digest_of
from rmft_api.ports import ChatModel
from rmft_api.records import Ask, Message, Sampling
from rmft_api.retries import Retries

_TOKEN = Sampling(temperature=1.0, max_tokens=1)


@dataclass(frozen=True)
class FirstToken:
    """Asks for it, and pays for it like for any other."""

    chat: ChatModel
    """The bare wire."""
    journal: Journal
    retries: Retries
    price: Callable[[Ask], int | None]
    """The most that it can cost."""

    async def first(self, model: str, lease: Lease, within_s: float) -> None:
        """Ask for one token until there is one: only that shows that a model answers.

        Raises ResumableError where none came in time.
        """
        key = f"ready/{lease.name}/{lease.number}"
        ask = Ask(key, model, (Message("user", "1"),), 1, 0, _TOKEN)
        if self.journal.get("answered", key, bool):
            return
        try:
            await self.retries.look(lambda: self._probe(ask), f"asking {model}", within_s=within_s)
        except (ResumableError, ProviderFault) as error:
            raise late(lease.name, str(error), self.journal.run_dir.name) from error
        await self.journal.put("answered", key, True)

    async def _probe(self, ask: Ask) -> None:
        """One request for one token, paid for like any other."""
        ledger = self.journal.ledger
        digest = digest_of(msgspec.json.encode((ask.model, ask.messages)))
        number = 1 + len(await ledger.history(ask.key, digest))
        reserve = self.price(ask) or 0
        attempt = await ledger.begin(ask.key, "probe", digest, reserve, number=number)
        try:
            reply = await self.chat.reply(ask)
        except ProviderFault as fault:
            if fault.status == 404:  # the data plane lags behind the one that manages it
                fault.kind = FaultKind.WAIT
            await ledger.failed(attempt, fault)
            raise
        await ledger.done(attempt, msgspec.json.encode(reply), reserve)
