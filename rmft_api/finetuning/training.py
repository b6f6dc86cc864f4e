"""A dataset becomes the next model: upload, job, wait, and a model that answers.

    upload (once) -> file processed -> job (once) -> poll to its end -> the model answers

Both effects go through the outbox, so a run that is stopped anywhere goes on with the same file and
the same job: the job's id is in the journal before the first poll. Nothing here retries by itself
and nothing waits without an end (wall-clock time).
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from typing import Protocol, TypeVar

import msgspec

from rmft_api import seeds
from rmft_api.config import RunConfig
from rmft_api.errors import (
    ConfigError,
    DataError,
    FaultKind,
    ProviderFault,
    ResumableError,
    RmftError,
    StorageError,
)
from rmft_api.finetuning.waiting import Waiting, stage_of
from rmft_api.journal import Journal, Outbox, Quarantine
from rmft_api.ports import FineTuner
from rmft_api.providers.profiles import Profile
from rmft_api.providers.traits import TrainingTraits
from rmft_api.records import (
    Hyperparameters,
    Job,
    JobOrder,
    Method,
    Record,
    UploadedFile,
)
from rmft_api.retries import Retries

_KIND = "training"
_DATA = "job_data"
_LOOKS_S = (0.0, 5.0, 15.0, 30.0, 60.0, 120.0)
_NAME_LAG_S = 600.0
"""A job that succeeded may name its model this much later."""
_READY_WITHIN_S = 900.0
"""A new model may take so long to appear everywhere."""
_FILE_WITHIN_S = 6 * 3600.0
"""A file may be processed for so long."""
_PROVIDERS_FAULT = ("server_error", "internal")
_LINE = re.compile(r"\b(?:line|example|row)s? #?([0-9]{1,9})", re.IGNORECASE)


T = TypeVar("T")


class TrainingData(Protocol):
    """A checked training file (`dataset.Dataset`)."""

    @property
    def content(self) -> bytes:
        """The very bytes to upload."""
        ...

    @property
    def sha256(self) -> str:
        """Of the content, in hex."""
        ...

    @property
    def tokens(self) -> int:
        """Of one epoch."""
        ...

    def source_of_line(self, line: int) -> str:
        """Which trajectory and rounds stand in a line, counted from 1."""
        ...


class Trains(Protocol):
    """A connection that can train; its tuner is only made when it is needed."""

    @property
    def tuner(self) -> FineTuner:
        """Where files and jobs go."""
        ...


class Trained(Record, frozen=True):
    """A new model, and where it comes from."""

    model: str
    """Its id: the next iteration plays it, opaque to everybody but its provider."""
    start: str
    """The model that was trained further."""
    dataset: str
    """SHA-256 of the training file."""
    job: Job
    trained_tokens: int | None
    """As billed: tokens x epochs."""
    hyperparameters: Hyperparameters
    seed: int


class Failure(Record, frozen=True):
    """A job that ended without a model. It is not started again by itself: that costs again."""

    message: str
    code: str
    """`job_cancelled`, `job_failed` (the provider's fault) or `job_data`."""

    def error(self) -> RmftError:
        """What the run ends with."""
        if self.code == _DATA:
            return DataError(self.message)
        return ProviderFault(self.message, FaultKind.STOP, code=self.code)


Price = Callable[[str, int, int], int | None]
"""What training a model on so many tokens for so many epochs costs, in micro-dollars."""


@dataclass(frozen=True)
class Trainer:
    """Makes models for one run."""

    profile: Profile
    connection: Trains
    journal: Journal
    retries: Retries
    config: RunConfig
    price: Price
    say: Callable[[str], None]
    again: bool = False
    """Whether an order that was refused, failed or cancelled is placed once more."""

    async def train(
        self, iteration: int, start: str, data: TrainingData, method: Method = "supervised"
    ) -> Trained:
        """The model that `start` becomes by learning `data`.

        Raises ConfigError for what this profile cannot do; DataError for a rejected file;
        NotEntitledError where the account may not train; BudgetError; ResumableError when waiting
        was given up; ProviderFault for a job that the provider failed or somebody cancelled, now
        or before, unless it is to be ordered again.
        """
        wanted = hyperparameters(self.config, method)
        traits = self.profile.check_training(start, method, wanted)
        work = await self._attempt(_Training(self, traits, wanted, iteration, start, data, method))
        done = self.journal.get(_KIND, work.key, Trained)
        if done is None:
            done = await work.done()
            await self.journal.put(_KIND, work.key, done)
        return done

    async def _attempt(self, first: "_Training") -> "_Training":
        """The attempt to go on with: the last one, or a further one after a failure, if asked."""
        number = self.journal.get("attempt", first.key, int) or 1
        work = replace(first, attempt=number)
        failure = self.journal.get("failure", work.key, Failure)
        if failure is None:
            return work
        if not self.again:
            raise failure.error()
        await self.journal.put("attempt", first.key, number + 1)
        return replace(first, attempt=number + 1)


@dataclass(frozen=True)
class _Training:
    """One job, from its file to its model."""

    trainer: Trainer
    traits: TrainingTraits
    hyperparameters: Hyperparameters
    iteration: int
    start: str
    data: TrainingData
    method: Method
    attempt: int = 1

    @property
    def tuner(self) -> FineTuner:
        return self.trainer.connection.tuner

    @property
    def seed(self) -> int:
        return seeds.number(self.trainer.config.seed, "training", self.iteration)

    @property
    def name(self) -> str:
        """The file's: no other order has it, so that a file names its job, and is found again."""
        return f"rmft-{self._run[:12]}-{self.iteration:02}-{self.key[:16]}.jsonl"

    @property
    def key(self) -> str:
        """The job's name for ever, at every provider."""
        parts = (
            self._run,
            self.trainer.journal.run.created,
            self.iteration,
            self.trainer.profile.name,
            self.start,
            self.data.sha256,
            msgspec.json.encode(self.hyperparameters).decode(),
            *([] if self.attempt == 1 else [self.attempt]),
        )
        return sha256("|".join(map(str, parts)).encode()).hexdigest()[:32]

    @property
    def _run(self) -> str:
        return self.trainer.config.name

    async def done(self) -> Trained:
        """The whole way; a model that answered once is not asked for again."""
        job = await self.end_of(await self.job())
        model = await self.model_of(job)
        await self.settle(job)
        return Trained(
            model=model,
            start=self.start,
            dataset=self.data.sha256,
            job=job,
            trained_tokens=job.trained_tokens,
            hyperparameters=self.hyperparameters,
            seed=self.seed,
        )

    async def job(self) -> Job:
        """The job, created now or earlier."""
        reserve = self._price()
        file = await self._file()
        if self.traits.wait_for_file:
            await self._processed(file)
        order = self._order(file)
        outbox = self._outbox(self.trainer.profile.timeouts.list_s)
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
            raise self._rejected(fault) from fault
        self.trainer.say(f"job {job.id}: trains {self.start} on {file.filename}")
        return job

    async def end_of(self, job: Job) -> Job:
        """The job once it has succeeded, with its model's name or without."""
        give_up_s = self.trainer.config.finetuning.give_up_after_s
        waiting = self._waiting(give_up_s)
        while True:
            job = await waiting.look(job)
            stage = stage_of(job)
            if stage == "succeeded":
                return job
            if stage in ("failed", "cancelled"):
                await self.settle(job)
                failure = self._failure(job)
                await self.trainer.journal.put("failure", self.key, failure)
                raise failure.error()
            await waiting.pause(f"job {job.id} is still {job.status!r}")

    async def model_of(self, job: Job) -> str:
        """The new model's id, once it answers."""
        names_none = self.traits.result == "checkpoint"
        naming = self._waiting(0.0 if names_none else _NAME_LAG_S)
        while not job.fine_tuned_model and not naming.is_over:
            await naming.pause("")
            job = await naming.look(job)
        model = job.fine_tuned_model or await self._last_checkpoint(job)
        appearing = self._waiting(_READY_WITHIN_S)
        while not await self._look(lambda: self.tuner.model_ready(model), f"asking for {model}"):
            await appearing.pause(f"model {model} of job {job.id} does not answer yet")
        return model

    async def settle(self, job: Job) -> None:
        """Book what the job did cost, as far as the provider tells."""
        if job.trained_tokens is None:
            return
        cost = self.trainer.price(self.start, job.trained_tokens, 1)
        if cost is not None:
            await self.trainer.journal.ledger.settle(f"job/{self.key}", cost)

    async def _file(self) -> UploadedFile:
        content = self.data.content
        if sha256(content).hexdigest() != self.data.sha256:
            raise StorageError(f"{self.name} changed since it was written; resume to write it anew")
        size = len(self.tuner.stored(content))

        async def look_up() -> list[UploadedFile]:
            found = await self.tuner.find_uploads(self.name)
            return [file for file in found if file.bytes == size and file.status != "error"]

        waits = self.trainer.profile.timeouts.upload_s
        # A file that stays behind costs nothing, so only the list's own lag is waited for.
        outbox = self._outbox(waits, quarantine_s=self.traits.list_lag_s)
        try:
            return await outbox.once(
                f"upload/{self.name}",
                "upload",
                {"filename": self.name, "bytes": size, "sha256": self.data.sha256},
                look_up=look_up,
                act=lambda: self.tuner.upload(self.name, content),
                returns=UploadedFile,
            )
        except ProviderFault as fault:
            raise self._rejected(fault) from fault

    async def _processed(self, file: UploadedFile) -> None:
        waiting = self._waiting(_FILE_WITHIN_S)
        while file.status != "processed":
            if file.status == "error":
                raise DataError(f"{file.filename}: the provider cannot process it as {file.id}")
            await waiting.pause(f"file {file.id} is still {file.status!r}")
            ask = partial(self.tuner.file, file.id)
            file = await self._look(ask, f"asking for {file.id}")

    def _order(self, file: UploadedFile) -> JobOrder:
        return JobOrder(
            key=self.key,
            model=self.start,
            training_file=file.id,
            method=self.method,
            hyperparameters=self.hyperparameters,
            seed=self.seed,
            suffix=self._suffix(),
            metadata={
                "rmft_key": self.key,
                "rmft_run": self._run,
                "rmft_iter": str(self.iteration),
                "rmft_data": self.data.sha256,
                "rmft_attempt": str(self.attempt),
            },
        )

    def _suffix(self) -> str:
        own = self.trainer.config.finetuning.suffix
        return own or f"rmft-{self._run[:6].replace('_', '-')}-{self.iteration}"

    def _price(self) -> int | None:
        """The most that the job can cost. Raises ConfigError where that has no bound."""
        epochs = self.hyperparameters.n_epochs
        if epochs is None and self.trainer.profile.paid:
            raise ConfigError(
                "finetuning.n_epochs is left to the provider, so the job's price has no bound; "
                "set it, e.g. n_epochs = 3"
            )
        return self.trainer.price(self.start, self.data.tokens, epochs or 1)

    def _waiting(self, within_s: float) -> Waiting:
        wanted = self.trainer.config.finetuning
        chosen = wanted.poll_every_s != type(wanted).model_fields["poll_every_s"].default
        return Waiting(
            tuner=self.tuner,
            retries=self.trainer.retries,
            say=self.trainer.say,
            run=self._run,
            every_s=wanted.poll_every_s if chosen else self.traits.poll_every_s,
            within_s=within_s,
        )

    def _outbox(self, timeout_s: float, quarantine_s: float | None = None) -> Outbox:
        longest = self.traits.quarantine_s if quarantine_s is None else quarantine_s
        looks = sorted({look for look in _LOOKS_S if look < longest} | {longest})
        quarantine = Quarantine(tuple(looks), timeout_s)
        trainer = self.trainer
        return Outbox(trainer.journal, trainer.retries, quarantine, again=trainer.again)

    async def _jobs_of(self, order: JobOrder) -> list[Job]:
        found = await self.tuner.find_jobs(order)
        return [job for job in found if job.metadata.get("rmft_key", order.key) == order.key]

    async def _cancel(self, order: JobOrder, others: Sequence[Job]) -> None:
        """End further jobs of one order, where they surely are ours and cost nothing yet."""
        for job in others:
            ours = job.metadata.get("rmft_key") == order.key
            if stage_of(job) in ("failed", "cancelled"):
                continue
            if not ours or stage_of(job) != "pending":
                self._show(others)
                raise ResumableError(
                    f"job {job.id} ({job.status}) trains on the same file {job.training_file}; "
                    "cancel one of the two in the provider's console, then resume"
                )
            await self._look(partial(self.tuner.cancel_job, job.id), f"cancelling {job.id}")

    def _show(self, jobs: Sequence[Job]) -> None:
        """Jobs of one order as a table, for whoever must choose among them."""
        for job in jobs:
            key = job.metadata.get("rmft_key", "not ours")
            self.trainer.say(f"{job.id:34} {job.status:12} {job.created_at} {key}")

    async def _last_checkpoint(self, job: Job) -> str:
        saved = await self._look(lambda: self.tuner.checkpoints(job.id), f"asking for {job.id}")
        if not saved:
            raise ResumableError(
                f"job {job.id} succeeded but names no model; look for it in the provider's "
                f"console; `rmft-api resume {self._run}` asks again"
            )
        return saved[-1].model

    def _look(self, ask: Callable[[], Awaitable[T]], what: str) -> Awaitable[T]:
        return self.trainer.retries.look(ask, what)

    def _rejected(self, fault: ProviderFault) -> Exception:
        """A refused file is the data's fault: say which trajectory stands in the line it names."""
        if fault.kind is not FaultKind.REJECTED:
            return fault
        return DataError(f"{self.name}: {fault}{self._source(str(fault))}")

    def _failure(self, job: Job) -> Failure:
        reason = job.error or "no reason given"
        anew = f"`rmft-api resume {self._run} --again` orders it once more"
        if stage_of(job) == "cancelled":
            said = f"job {job.id} was cancelled ({reason}); find out who did it, then {anew}"
            return Failure(said, "job_cancelled")
        if any(word in reason.lower() for word in _PROVIDERS_FAULT):
            return Failure(f"job {job.id} failed at the provider: {reason}; {anew}", "job_failed")
        return Failure(f"job {job.id} failed: {reason}{self._source(reason)}; {anew}", _DATA)

    def _source(self, text: str) -> str:
        found = _LINE.search(text)
        return f"; that is {self.data.source_of_line(int(found[1]))}" if found else ""


def hyperparameters(config: RunConfig, method: Method = "supervised") -> Hyperparameters:
    """What the run file asks jobs of this method for."""
    wanted = config.finetuning if method == "supervised" else config.finetuning.dpo
    return Hyperparameters(
        n_epochs=wanted.n_epochs,
        batch_size=wanted.batch_size,
        learning_rate_multiplier=wanted.learning_rate_multiplier,
        learning_rate=wanted.learning_rate,
        beta=None if method == "supervised" else config.finetuning.dpo.beta,
    )
