"""Answers of a batch -> rows of the journal, and replies to those who wait."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from rmft_api.batches.waiting_requests import WaitingRequest
from rmft_api.core.errors import ConfigError, FaultKind, ProviderFault, ResumableError
from rmft_api.core.fault_points import fault_point
from rmft_api.core.ports import BatchClient
from rmft_api.core.records import Batch, BatchAnswer, ChatRequest, ChatResponse
from rmft_api.journal import Ledger
from rmft_api.requests.journaled_chat import cost_of


@dataclass(frozen=True)
class BatchAnswers:
    """Settles the requests of a batch, each by its own answer."""

    ledger: Ledger
    wire: BatchClient
    cost: Callable[[ChatRequest, ChatResponse], int | None]
    """What a reply cost in micro-dollars; None: not stated, so its reservation counts as spent."""

    async def save(
        self, found: Sequence[BatchAnswer], group: Sequence[WaitingRequest], batch: Batch
    ) -> None:
        """Store every answer, and free what has none; its waiters resume once it is stored."""
        by_key = {answer.key: answer for answer in found}
        faults = await asyncio.gather(
            *(self._settle(one, by_key.get(one.request.key), batch) for one in group)
        )
        forms = {None if fault is None else fault.mismatch for fault in faults}
        if len(group) > 1 and len(forms) == 1 and None not in forms:
            for one, fault in zip(group, faults, strict=True):
                one.fail(ConfigError(f"batch {batch.id}: {fault} (in all its answers)"))

    async def release(self, group: Sequence[WaitingRequest], why: ProviderFault) -> None:
        """Nothing of these was carried out: their reservations are free again."""
        await asyncio.gather(*(self._free(one, why) for one in group))

    async def _settle(
        self, one: WaitingRequest, answer: BatchAnswer | None, batch: Batch
    ) -> ProviderFault | None:
        """Keep one answer; the fault that it is, where it is none."""
        if answer is None or answer.status == 0:
            why = answer.error if answer else f"it is {batch.status} without it"
            fault = ProviderFault(f"batch {batch.id}: not carried out: {why}", FaultKind.SAFE)
            await self._free(one, fault)
            return fault
        try:
            reply = self.wire.read(one.request, answer)
        except ProviderFault as fault:
            await self._failed(one, answer, fault)
            return fault
        cost = self.cost(one.request, reply)
        cost = one.reserved if cost is None else cost
        kept = cost if one.reserved or cost else None
        await self.ledger.done(_attempt_of(one), msgspec.json.encode(reply), kept)
        fault_point("batch.saved")
        one.answer(reply)
        return None

    async def _failed(self, one: WaitingRequest, answer: BatchAnswer, fault: ProviderFault) -> None:
        """A refusal is an answer; what came and is no answer may be billed; errors are not."""
        if fault.kind is FaultKind.REJECTED:
            await self._keep(one, fault)
            one.fail(fault)
            return
        if answer.status == 200:
            await self._keep(one, fault)
            self._again(one, fault)
        else:
            await self._free(one, ProviderFault(str(fault), FaultKind.SAFE, status=fault.status))
        if fault.kind is FaultKind.STOP:
            one.fail(ResumableError(f"{one.request.key}: {fault}"))

    async def _keep(self, one: WaitingRequest, fault: ProviderFault) -> None:
        cost = cost_of(fault, one.request, self.cost)
        await self.ledger.failed(_attempt_of(one), fault, cost)

    def _again(self, one: WaitingRequest, fault: ProviderFault) -> None:
        """Ask again, but not for a form that comes again: the endpoint is set up so."""
        if fault.mismatch is not None and fault.mismatch == one.mismatch:
            one.fail(ConfigError(f"{one.request.key}: {fault} (in two batches in a row)"))
        one.mismatch = fault.mismatch
        one.forget()

    async def _free(self, one: WaitingRequest, why: ProviderFault) -> None:
        freed = ProviderFault(str(why), FaultKind.SAFE, status=why.status, code=why.code)
        await self.ledger.failed(_attempt_of(one), freed)
        one.forget()


def _attempt_of(one: WaitingRequest) -> int:
    if one.attempt is None:
        raise TypeError(f"{one.request.key} has no open attempt")
    return one.attempt
