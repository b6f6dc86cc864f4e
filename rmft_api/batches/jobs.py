"""One batch from its requests to its answers, so that it can stop anywhere and continue."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from rmft_api.batches.answers import BatchAnswers
from rmft_api.batches.waiting_requests import (
    Manifest,
    WaitingRequest,
    manifest_of,
    name_of,
)
from rmft_api.core.errors import (
    BudgetError,
    DataError,
    FaultKind,
    ProviderFault,
    ResumableError,
)
from rmft_api.core.fault_points import fault_point
from rmft_api.core.ports import BatchClient
from rmft_api.core.records import (
    Batch,
    BatchAnswer,
    BatchOrder,
    ChatRequest,
    UploadedFile,
)
from rmft_api.journal import Journal
from rmft_api.journal import ledger as ledgers
from rmft_api.journal.accounting import BATCH
from rmft_api.providers.capabilities import BatchCapabilities
from rmft_api.requests.outbox import Outbox, Quarantine
from rmft_api.requests.retries import Retries

FINAL = ("completed", "failed", "expired", "cancelled")
"""Statuses are an open set: one that is not here is not final."""
_ENDING = (*FINAL, "cancelling")
_KIND = "batch"
_LOOKS_S = (0.0, 5.0, 15.0, 30.0, 60.0, 120.0)
_GRACE_S = 2 * 3600.0
"""How much later than its window a batch may report its end."""
_NEWS_S = 300.0
"""How often the progress of a batch is reported."""
_READS = 10
"""How often answers that are missing from a file are looked for."""
_NOT_WHOLE = "not_whole"


@dataclass(frozen=True)
class BatchJobs:
    """Takes groups of requests through batches for one run."""

    journal: Journal
    wire: BatchClient
    retries: Retries
    traits: BatchCapabilities
    price: Callable[[ChatRequest], int | None]
    """The most that a request of a batch can cost in micro-dollars; None: unknown, so not sent."""
    answers: BatchAnswers
    say: Callable[[str], None]
    timeout_s: float
    """A creation is given up after this long."""

    def line(self, one: WaitingRequest) -> bytes:
        """The request as it stands in the file."""
        return self.wire.line(one.request)

    async def begin(self, group: list[WaitingRequest]) -> None:
        """Send a group that is in no batch yet, and see it to its end."""
        run = self.journal.run_dir.name
        name = name_of(run, self.journal.run.created, group)
        content = self._content(group)
        manifest = manifest_of(name, run, content, len(group))
        await self.journal.put(_KIND, name, manifest)
        await self._reserve(name, group)
        fault_point("batch.reserved")
        await self._follow(name, manifest, content, group)

    async def go_on(self, group: list[WaitingRequest]) -> None:
        """See a group to its end that an earlier process began to send."""
        name = str(group[0].batch)
        manifest = self.journal.get(_KIND, name, Manifest)
        if manifest is None:
            raise DataError(f"{name}: the journal does not hold this batch's requests")
        content = self._content(sorted(group, key=lambda one: one.request.key))
        whole = manifest == manifest_of(name, self.journal.run_dir.name, content, len(group))
        await self._follow(name, manifest, content if whole else None, group)

    async def _follow(
        self, name: str, manifest: Manifest, content: bytes | None, group: list[WaitingRequest]
    ) -> None:
        place = _place_of(group)
        try:
            file = await self._file(place, name, manifest, content)
        except ProviderFault as fault:
            if fault.code != _NOT_WHOLE:
                raise await self._refused(group, fault) from fault
            # Without its file no batch was ever created: nothing was sent.
            await self.answers.release(group, fault)
            return
        try:
            batch = await self._create(place, name, file)
        except ProviderFault as fault:
            raise await self._refused(group, fault) from fault
        batch = await self._end_of(batch)
        fault_point("batch.ended")
        await self._settle(batch, group)

    async def _reserve(self, name: str, group: Sequence[WaitingRequest]) -> None:
        """Hold the worst case of all, or of none."""
        for one in group:
            one.reserved = self._worst_case(one.request)
        requests = [
            ledgers.NewAttempt(one.request.key, one.digest, one.number + 1, one.reserved)
            for one in group
        ]
        ids = await self.journal.ledger.begin_all(requests, "chat", name.encode())
        for one, attempt in zip(group, ids, strict=True):
            one.attempt, one.batch, one.number = attempt, name, one.number + 1

    async def _file(
        self, place: str, name: str, manifest: Manifest, content: bytes | None
    ) -> UploadedFile:
        async def look_up() -> list[UploadedFile]:
            found = await self.wire.find_uploads(manifest.filename)
            return [file for file in found if file.bytes == manifest.bytes]

        async def act() -> UploadedFile:
            if content is None:
                raise ProviderFault(
                    f"{manifest.filename} was not stored, and some of its requests were answered",
                    FaultKind.REJECTED,
                    code=_NOT_WHOLE,
                    never_sent=True,
                )
            return await self.wire.upload(manifest.filename, content)

        return await self._outbox().once(
            f"{BATCH}{place}/{name}/file",
            "batch_file",
            msgspec.to_builtins(manifest),
            look_up=look_up,
            act=act,
            returns=UploadedFile,
        )

    async def _create(self, place: str, name: str, file: UploadedFile) -> Batch:
        run = self.journal.run_dir.name
        order = BatchOrder(
            name, file.id, self.traits.window, {"rmft_run": run, "rmft_phase": place}
        )
        batch = await self._outbox().once(
            f"{BATCH}{place}/{name}/create",
            _KIND,
            order,
            look_up=lambda: self.wire.find(order),
            act=lambda: self.wire.create(order),
            returns=Batch,
            cancel=self._cancel,
        )
        self.say(f"batch {batch.id}: a round of {place}, answered within {order.window}")
        return batch

    async def _cancel(self, others: Sequence[Batch]) -> None:
        """End further batches of the same requests: only the oldest is waited for."""
        for other in others:
            if other.status not in _ENDING:
                await self.retries.look(
                    lambda id_=other.id: self._end(id_), f"cancelling {other.id}"
                )

    async def _end(self, id_: str) -> None:
        """One request to cancel. It may be refused because an earlier one succeeded."""
        try:
            await self.wire.cancel(id_)
        except ProviderFault as fault:
            if fault.never_sent or (await self.wire.batch(id_)).status not in _ENDING:
                raise

    async def _end_of(self, batch: Batch) -> Batch:
        """The batch once it has ended, however."""
        until = batch.created_at + self.traits.window_s + _GRACE_S
        id_, report_at = batch.id, self.retries.clock() + _NEWS_S
        with self.retries.waits.waiting(f"batch {id_}, answered within the window", until):
            return await self._polled(id_, until, report_at)

    async def _polled(self, id_: str, until: float, report_at: float) -> Batch:
        while True:
            batch = await self.retries.look(lambda: self.wire.batch(id_), f"asking for batch {id_}")
            fault_point("batch.polled")
            news = f"batch {batch.id}: {batch.status}, {batch.completed} of {batch.total} answered"
            if self.retries.clock() >= report_at:
                self.say(news)
                report_at = self.retries.clock() + _NEWS_S
            if batch.status in FINAL:
                return batch
            if self.retries.clock() > until:
                raise ResumableError(
                    f"{news}, though its time is up; `rmft-api resume` waits again"
                )
            await self.retries.pause(self.traits.poll_every_s)

    async def _settle(self, batch: Batch, group: list[WaitingRequest]) -> None:
        """Save what was answered, and free what was not carried out."""
        if batch.status == "failed":
            fault = ProviderFault(f"batch {batch.id} failed: {batch.errors}", FaultKind.SAFE)
            await self.answers.release(group, fault)
            raise DataError(
                f"batch {batch.id} was refused as a whole: {batch.errors or 'no reason given'}; "
                "begin a run of another name with requests.transport = 'direct'"
            )
        found = await self._answers(batch)
        fault_point("batch.answered")
        await self.answers.save(found, group, batch)
        if batch.status == "cancelled":
            raise ResumableError(
                f"batch {batch.id} was cancelled; what it had answered is saved, "
                "`rmft-api resume` asks for the rest"
            )

    async def _answers(self, batch: Batch) -> list[BatchAnswer]:
        """All that was carried out; answers that were paid for and are not shown are waited for."""
        answered = 0
        for _ in range(_READS):
            found = await self.retries.look(
                lambda: self.wire.answers(batch), f"reading the answers of {batch.id}"
            )
            answered = sum(answer.status == 200 for answer in found)
            if answered >= batch.completed:
                return found
            await self.retries.pause(self.traits.poll_every_s)
        raise ResumableError(
            f"batch {batch.id} has {batch.completed} answers and shows {answered} of them; "
            "`rmft-api resume` reads them again"
        )

    async def _refused(self, group: list[WaitingRequest], fault: ProviderFault) -> Exception:
        """What to raise when the batch itself was refused: none of it was carried out."""
        if fault.kind is not FaultKind.REJECTED:
            return fault
        await self.answers.release(group, fault)
        return DataError(
            f"{fault}; if this model takes no batches, start a run of another name with "
            "requests.transport = 'direct'"
        )

    def _content(self, group: Sequence[WaitingRequest]) -> bytes:
        return b"".join(self.line(one) + b"\n" for one in group)

    def _outbox(self) -> Outbox:
        longest = self.traits.quarantine_s
        looks = sorted({look for look in _LOOKS_S if look < longest} | {longest})
        quarantine = Quarantine(tuple(looks), self.timeout_s)
        return Outbox(self.journal, self.retries, quarantine)

    def _worst_case(self, request: ChatRequest) -> int:
        price = self.price(request)
        if price is None:
            raise BudgetError(
                f"the price of {request.model!r} in batches is not known, so nothing is asked of "
                "it; add batch_input and batch_output to a prices file of yours"
            )
        return price


def _place_of(group: Sequence[WaitingRequest]) -> str:
    """Split and iteration, the beginning of every key."""
    return "/".join(group[0].request.key.split("/", 2)[:2])
