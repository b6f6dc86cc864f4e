"""The first token of a deployment: only that shows that a model answers."""

from collections.abc import Callable
from dataclasses import dataclass

from rmft_api.core.errors import ProviderFault, ResumableError
from rmft_api.core.ports import ChatModel
from rmft_api.core.records import ChatRequest
from rmft_api.deployments.errors import late
from rmft_api.deployments.leases import Lease
from rmft_api.journal import Journal
from rmft_api.requests.journaled_chat import probe, probe_of
from rmft_api.requests.retries import Retries


@dataclass(frozen=True)
class ReadinessProbe:
    """Asks for it, and pays for it like for any other."""

    chat: ChatModel
    """The adapter without retries."""
    journal: Journal
    retries: Retries
    price: Callable[[ChatRequest], int | None]
    """The most that it can cost."""

    async def first(self, model: str, lease: Lease, within_s: float) -> None:
        """Ask for one token until there is one: only that shows that a model answers.

        Raises ResumableError where none came in time.
        """
        key = f"ready/{lease.name}/{lease.number}"
        request = probe_of(key, model)
        if self.journal.get("answered", key, bool):
            return

        async def send() -> None:
            await probe(self.journal, self.chat, request, self.price(request) or 0)

        try:
            await self.retries.look(send, f"asking {model}", within_s=within_s)
        except (ResumableError, ProviderFault) as error:
            raise late(lease.name, str(error), self.journal.run_dir.name) from error
        await self.journal.put("answered", key, True)
