"""One job, from its file to its model: upload, job, wait, and a model that answers.

    upload (once) -> file processed -> job (once) -> poll to its end -> the model answers

Both effects go through the outbox, so a run that is stopped anywhere continues with the same file
and the same job: the job's id is in the journal before the first poll. Nothing here retries by
itself and nothing waits without an end (wall-clock time).
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import TypeVar

from rmft_api.core.errors import (
    ConfigError,
    DataError,
    NotEntitledError,
    ProviderFault,
    ResumableError,
    StorageError,
)
from rmft_api.core.ports import FineTuner
from rmft_api.core.records import Job, JobOrder, UploadedFile
from rmft_api.finetuning.job_context import JobContext
from rmft_api.finetuning.job_errors import failure, rejected, unprocessed
from rmft_api.finetuning.job_spec import JobSpec
from rmft_api.finetuning.polling import ENDED, JobPolling, stage_of
from rmft_api.finetuning.results import FineTuned
from rmft_api.journal.ledger import dollars
from rmft_api.providers.capabilities import TrainingCapabilities
from rmft_api.requests.journaled_chat import probe, probe_of

_NAME_LAG_S = 600.0
"""A job that succeeded may name its model this much later."""
_READY_WITHIN_S = 900.0
"""A new model may take so long to appear everywhere."""
_FILE_WITHIN_S = 6 * 3600.0
"""A file may be processed for so long."""
_ENDED = ("failed", "cancelled")
_ESTIMATE = "estimate"
"""Of the journal's records: what the endpoint said that a job would cost, in micro-dollars."""
T = TypeVar("T")


@dataclass(frozen=True)
class JobRunner:
    """What becomes of a commission."""

    context: JobContext
    traits: TrainingCapabilities
    spec: JobSpec

    @property
    def tuner(self) -> FineTuner:
        """Where files and jobs go."""
        return self.context.connection.tuner

    async def run(self) -> FineTuned:
        """The whole way; a model that answered once is not asked for again."""
        job = await self.wait_for_end(await self.job())
        model = await self.wait_for_model(job)
        await self.settle(job)
        return FineTuned(
            model=model,
            start=self.spec.start,
            dataset=self.spec.data.sha256,
            job=job,
            trained_tokens=job.trained_tokens,
            hyperparameters=self.spec.hyperparameters,
            seed=self.spec.seed,
        )

    async def job(self) -> Job:
        """The job, created now or earlier."""
        reserve = self._price()
        file = await self._file()
        if self.traits.wait_for_file:
            await self._processed(file)
        order = self.spec.order(file)
        reserve = await self._most(order, reserve)
        outbox = self.context.outbox(self.context.profile.timeouts.list_s, self.traits.quarantine_s)
        try:
            job = await outbox.once(
                f"job/{order.key}",
                "job",
                order,
                look_up=lambda: self._jobs_of(order),
                act=lambda: self.tuner.create_job(order),
                returns=Job,
                reserve=reserve,
                cost=None,
                cancel=lambda others: self._cancel(order, others),
                repeatable=self.traits.look_up == "token",
            )
        except ProviderFault as fault:
            raise rejected(fault, self.spec) from fault
        except NotEntitledError as error:
            left = f"file {file.id} ({file.filename}) was stored there and may be deleted"
            raise NotEntitledError(f"{error}; {left}") from error
        self.context.say(f"job {job.id}: trains {self.spec.start} on {file.filename}")
        return job

    async def wait_for_end(self, job: Job) -> Job:
        """The job once it has succeeded, with its model's name or without."""
        with self._waiting(self.context.config.finetuning.give_up_after_s) as waiting:
            while stage_of(job := await waiting.look(job)) not in ENDED:
                await waiting.pause(f"job {job.id} is still {job.status!r}")
        if stage_of(job) == "succeeded":
            return job
        await self.settle(job)
        why = failure(job, self.spec)
        await self.context.journal.put("failure", self.spec.key, why)
        raise why.error()

    async def wait_for_model(self, job: Job) -> str:
        """The new model's id, once it answers."""
        names_none = self.traits.result == "checkpoint"
        with self._waiting(0.0 if names_none else _NAME_LAG_S) as naming:
            while not job.fine_tuned_model and not naming.is_over:
                await naming.pause(f"job {job.id} names no model yet", optional=True)
                job = await naming.look(job)
        model = job.fine_tuned_model or await self._last_checkpoint(job)
        with self._waiting(_READY_WITHIN_S) as appearing:
            while why := await self._why_not_ready(model):
                await appearing.pause(f"model {model} of job {job.id} does not answer yet: {why}")
        return model

    async def _why_not_ready(self, model: str) -> str:
        """Why the model is not ready; empty once the endpoint lists it or it answers a chat.

        Some endpoints serve a new model minutes before they list it, some never list any, and some
        refuse to.
        """
        unlisted = "it is not listed"
        if self.traits.readiness == "models":
            try:
                if await self.tuner.model_ready(model):
                    return ""
            except ProviderFault as fault:  # a key may chat, and not list models
                unlisted = str(fault)
        request = probe_of(f"ready/{model}", model)
        reserve = self.context.probe_price(request)
        if reserve is None:
            return unlisted
        try:
            await probe(self.context.journal, self.context.connection.chat, request, reserve)
        except ProviderFault as fault:
            return str(fault)
        return ""

    async def settle(self, job: Job) -> None:
        """Book what the job did cost: by the provider's count, else by our own."""
        if job.trained_tokens is not None:
            cost = self.context.price(self.spec.start, job.trained_tokens, 1, self.spec.method)
        elif stage_of(job) == "succeeded":
            estimate = self.context.journal.get(_ESTIMATE, self.spec.key, int)
            own = self._price()
            cost = own if own is None else max(own, estimate or 0)
        else:
            return
        if cost is not None:
            await self.context.journal.ledger.settle(f"job/{self.spec.key}", cost)

    async def _file(self) -> UploadedFile:
        content = self.spec.data.content
        if sha256(content).hexdigest() != self.spec.data.sha256:
            raise StorageError(
                f"{self.spec.filename} changed since it was written; resume to write it again"
            )
        size, most = len(self.tuner.stored(content)), self.traits.file_bytes
        if most is not None and size > most:
            raise DataError(
                f"{self.spec.filename} has {size:,} bytes and the endpoint takes {most:,}; a run "
                "with fewer rollouts.scenarios or a smaller selection.k makes smaller ones"
            )

        async def look_up() -> list[UploadedFile]:
            found = await self.tuner.find_uploads(self.spec.filename)
            return [file for file in found if file.bytes == size and file.status != "error"]

        waits = self.context.profile.timeouts.upload_s
        # A file that stays behind costs nothing, so only the list's own lag is waited for.
        outbox = self.context.outbox(waits, self.traits.list_lag_s)
        try:
            return await outbox.once(
                f"upload/{self.spec.filename}",
                "upload",
                {
                    "filename": self.spec.filename,
                    "bytes": size,
                    "sha256": self.spec.data.sha256,
                },
                look_up=look_up,
                act=lambda: self.tuner.upload(self.spec.filename, content),
                returns=UploadedFile,
            )
        except ProviderFault as fault:
            raise rejected(fault, self.spec) from fault

    async def _processed(self, file: UploadedFile) -> None:
        with self._waiting(_FILE_WITHIN_S) as waiting:
            while file.status not in ("processed", "error"):
                await waiting.pause(f"file {file.id} is still {file.status!r}")
                send = partial(self.tuner.file, file.id)
                file = await self._look(send, f"asking for {file.id}")
        if file.status == "error":
            raise unprocessed(file, self.spec)

    async def _most(self, order: JobOrder, own: int | None) -> int | None:
        """What is reserved: our own count's price, or the endpoint's estimate where it is higher.

        The estimate is asked for before the job is ordered, and never again.
        """
        journal = self.context.journal
        estimate = journal.get(_ESTIMATE, order.key, int)
        if estimate is None and not journal.ledger.knows(f"job/{order.key}"):
            estimate = await self._look(
                lambda: self.tuner.estimated_price(order), "asking for the price of a job"
            )
            if estimate is not None:
                await journal.put(_ESTIMATE, order.key, estimate)
        if estimate is None or own is None or estimate <= own:
            return own
        self.context.say(
            f"the job of {order.training_file} is estimated at {dollars(estimate)} by "
            f"{self.context.profile.name}, and at {dollars(own)} by our own count; the "
            "higher is reserved"
        )
        return estimate

    def _price(self) -> int | None:
        """The most that the job can cost. Raises ConfigError where that has no bound."""
        epochs = self.spec.hyperparameters.n_epochs
        if epochs is None and self.context.profile.paid:
            raise ConfigError(
                "finetuning.n_epochs is chosen by the provider, so the job's price has no bound; "
                "set it, e.g. n_epochs = 3"
            )
        return self.context.price(
            self.spec.start, self.spec.data.tokens, epochs or 1, self.spec.method
        )

    def _waiting(self, within_s: float) -> JobPolling:
        wanted = self.context.config.finetuning
        chosen = wanted.poll_every_s != type(wanted).model_fields["poll_every_s"].default
        return JobPolling(
            tuner=self.tuner,
            retries=self.context.retries,
            say=self.context.say,
            run=self.spec.run,
            every_s=wanted.poll_every_s if chosen else self.traits.poll_every_s,
            within_s=within_s,
        )

    async def _jobs_of(self, order: JobOrder) -> list[Job]:
        found = await self.tuner.find_jobs(order)
        return [job for job in found if job.metadata.get("rmft_key", order.key) == order.key]

    async def _cancel(self, order: JobOrder, others: Sequence[Job]) -> None:
        """End further jobs of one order, where they surely are ours and cost nothing yet."""
        for job in others:
            ours = job.metadata.get("rmft_key") == order.key
            if stage_of(job) in _ENDED:
                continue
            if not ours or stage_of(job) != "pending":
                self._show(others)
                raise ResumableError(
                    f"job {job.id} ({job.status}) trains on the same file {job.training_file}; "
                    "cancel one of the two in the provider's console, then resume"
                )
            await self._look(partial(self._end, job.id), f"cancelling {job.id}")

    async def _end(self, job_id: str) -> None:
        """One request to cancel. It may be refused because an earlier one succeeded."""
        try:
            await self.tuner.cancel_job(job_id)
        except ProviderFault as fault:
            if fault.never_sent or stage_of(await self.tuner.job(job_id)) not in _ENDED:
                raise

    def _show(self, jobs: Sequence[Job]) -> None:
        """Jobs of one order as a table, for the person who must choose among them."""
        for job in jobs:
            key = job.metadata.get("rmft_key", "not ours")
            self.context.say(f"{job.id:34} {job.status:12} {job.created_at} {key}")

    async def _last_checkpoint(self, job: Job) -> str:
        saved = await self._look(lambda: self.tuner.checkpoints(job.id), f"asking for {job.id}")
        if not saved:
            raise ResumableError(
                f"job {job.id} succeeded but names no model; look for it in the provider's "
                f"console; `rmft-api resume {self.spec.run}` asks again"
            )
        return saved[-1].model

    def _look(self, send: Callable[[], Awaitable[T]], what: str) -> Awaitable[T]:
        return self.context.retries.look(send, what)
