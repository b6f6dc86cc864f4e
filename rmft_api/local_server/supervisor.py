"""Takes jobs to their end: one trains at a time, a few more validate and wait their turn.

Each job is a task of the server with a process of its own. Ending the server ends the processes
but not the jobs: those that were not final start again at the next start and make the same bytes,
or, where the engine can, continue from what it saved.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack

import msgspec

from rmft_api.core.files import replace_file
from rmft_api.local_server.engine import EngineError, Resumes
from rmft_api.local_server.engines import Owner
from rmft_api.local_server.job_records import Job, JobError, Saved, Status, later
from rmft_api.local_server.jobs import KEPT_CHECKPOINTS, JobStore
from rmft_api.local_server.models import Catalogue
from rmft_api.local_server.refusals import RequestError
from rmft_api.local_server.training_messages import (
    SCRATCH,
    CheckpointSaved,
    Diverged,
    Failed,
    Finished,
    Order,
    Rejected,
    Said,
    Started,
    Step,
    Validated,
)
from rmft_api.local_server.training_process import TrainingProcess

PROCESSES = 4
"""Jobs that have a process; more wait in `validating_files`."""
TRAINING = 1
"""Jobs that train; the others of those with a process wait in `queued`."""

DEATHS = 3
"""Times that a training may be killed; it is taken up again only when it got further each time."""

log = logging.getLogger(__name__)


class Supervisor:
    """The jobs under way."""

    def __init__(self, jobs: JobStore, catalogue: Catalogue, owners: Mapping[str, Owner]) -> None:
        self._jobs = jobs
        self._catalogue = catalogue
        self._owners = owners
        self._processes = asyncio.Semaphore(PROCESSES)
        self._training = asyncio.Semaphore(TRAINING)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._started_at: dict[str, tuple[float, int]] = {}
        self._ends: dict[str, int] = {}

    def resume_all(self) -> None:
        """Take on every job that a former server left unfinished."""
        for job in self._jobs.all():
            if not job.final and not job.paused:
                after = self._after(job)
                how = f"continues after step {after}" if after else "starts again"
                self._jobs.log(job.id, f"The server was restarted; the job {how}")
                self.start(job.id)

    def start(self, job_id: str) -> None:
        """Take a job on."""
        task = asyncio.create_task(self._take_to_end(job_id))
        self._tasks[job_id] = task
        task.add_done_callback(lambda _: self._tasks.pop(job_id, None))

    async def cancel(self, job_id: str) -> Job:
        """Cancel a job and end its process. Raises Refusal when it has ended already."""
        status = self._jobs.get(job_id).status
        self._jobs.log(job_id, "The job is being cancelled")
        ended = await self._jobs.end(job_id, "cancelled", checkpoints=())
        if ended is None:
            raise RequestError(
                400, f"Job {job_id} has already ended: it is {status}.", code="job_already_ended"
            )
        await self._end_process(job_id)
        return ended

    async def pause(self, job_id: str) -> Job:
        """End a job's process, not the job. Raises Refusal when there is nothing to pause."""
        before = self._jobs.get(job_id)
        job = None if before.paused else await self._jobs.change(job_id, paused=True)
        if job is None:
            message = f"Job {job_id} is {before.wire_status} and cannot be paused."
            raise RequestError(400, message, code="job_not_running")
        await self._end_process(job_id)
        after = self._after(job)
        how = f"continue after step {after}" if after else "start again"
        self._jobs.log(job_id, f"The job is paused; it will {how}")
        return self._jobs.get(job_id)

    async def resume(self, job_id: str) -> Job:
        """Take a paused job on again. Raises Refusal when it is not paused."""
        before = self._jobs.get(job_id)
        job = await self._jobs.change(job_id, paused=False) if before.paused else None
        if job is None:
            message = f"Job {job_id} is {before.wire_status}, not paused."
            raise RequestError(400, message, code="job_not_paused")
        self._jobs.log(job_id, "The job is resumed")
        self.start(job_id)
        return job

    async def _end_process(self, job_id: str) -> None:
        await self._end([task for name, task in self._tasks.items() if name == job_id])

    async def stop(self) -> None:
        """End all processes; their jobs continue at the next start."""
        await self._end(list(self._tasks.values()))

    async def _end(self, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def estimated_finish(self, job_id: str) -> int | None:
        """When a running job will end, by its speed so far."""
        return self._ends.get(job_id)

    async def _take_to_end(self, job_id: str) -> None:
        try:
            async with self._processes:
                await self._run(job_id)
        except RequestError as refusal:  # the model to start from was deleted
            await self._fail(job_id, JobError("model_not_found", refusal.message, "model"))
        except EngineError as error:
            await self._fail(job_id, JobError(error.code, str(error), error.param))
        except Exception as error:
            log.exception("job %s cannot be run", job_id)
            await self._fail(job_id, JobError("server_error", f"{type(error).__name__}: {error}"))
        finally:
            self._started_at.pop(job_id, None)
            self._ends.pop(job_id, None)

    async def _run(self, job_id: str) -> None:
        got_to, reason = -1, ""
        for _ in range(DEATHS):
            job = self._jobs.get(job_id)
            after = self._after(job)
            kept = tuple(saved for saved in job.checkpoints if saved.step <= after)
            job = await self._jobs.change(job_id, checkpoints=kept)
            if job is None:
                return
            reason = await self._train(job)
            if self._jobs.get(job_id).final:
                return
            got_to, before = self._after(job), got_to
            if got_to <= max(before, 0):
                break
            self._jobs.log(job_id, f"{reason}; it continues after step {got_to}", level="warn")
        await self._fail(job_id, JobError("server_error", reason))

    async def _train(self, job: Job) -> str:
        """One process, to its end, however that comes; the reason, where it was a death."""
        order = msgspec.json.encode(self._order(job))
        folder = self._jobs.folder(job.id)
        await asyncio.to_thread(replace_file, folder / "order.json", order)
        async with AsyncExitStack() as held:
            process = await held.enter_async_context(TrainingProcess(folder))
            async for said in process.messages():
                await self._note(job.id, said)
                if isinstance(said, Validated):
                    await held.enter_async_context(self._training)
                    process.go()
            return await process.last_words()

    def _after(self, job: Job) -> int:
        """The step that a killed training would continue after; 0: it starts again."""
        owner = self._owners.get(job.base)
        if owner is None or not isinstance(owner.engine, Resumes):
            return 0
        return owner.engine.resumes_at(self._jobs.folder(job.id) / SCRATCH)

    def _order(self, job: Job) -> Order:
        start = self._catalogue.find(job.model).weights
        return Order(
            engine=self._owners[job.base].name,
            base=job.base,
            start=None if start is None else str(start),
            hyperparameters=job.requested,
            seed=job.seed,
            beta=job.beta,
        )

    async def _note(self, job_id: str, said: Said) -> None:
        match said:
            case Validated():
                self._jobs.log(job_id, "Files validated, moving job to queued state")
                await self._advance(job_id, "queued", resolved=said.hyperparameters)
            case Started():
                self._jobs.log(job_id, "Fine-tuning job started")
                self._started_at[job_id] = (time.time(), said.after)
                await self._advance(job_id, "running")
            case Step():
                self._note_step(job_id, said)
            case CheckpointSaved():
                await self._note_checkpoint(job_id, said)
            case Finished():
                await self._succeed(job_id, said)
            case Rejected():
                error = JobError("invalid_training_file", said.reason, "training_file")
                await self._fail(job_id, error)
            case Diverged():
                reason = (
                    f"the loss is not finite at step {said.step}; "
                    "try a lower learning_rate_multiplier"
                )
                await self._fail(job_id, JobError("training_diverged", reason, "hyperparameters"))
            case Failed():
                await self._fail(job_id, JobError(said.code, said.reason, said.param))

    async def _advance(self, job_id: str, status: Status, **changes: object) -> None:
        now = self._jobs.get(job_id).status
        await self._jobs.change(job_id, status=later(now, status), **changes)

    def _note_step(self, job_id: str, step: Step) -> None:
        data = {name: float(value) for name, value in msgspec.structs.asdict(step).items()}
        message = f"Step {step.step}/{step.total_steps}: training loss={step.train_loss:.4f}"
        self._jobs.log(job_id, message, data=data)
        start, after = self._started_at[job_id]
        per_step_s = (time.time() - start) / max(1, step.step - after)
        self._ends[job_id] = int(start + per_step_s * (step.total_steps - after))

    async def _note_checkpoint(self, job_id: str, saved: CheckpointSaved) -> None:
        self._jobs.log(job_id, f"Checkpoint created at step {saved.step}")
        entry = Saved(saved.step, int(time.time()), saved.metrics)
        checkpoints = (*self._jobs.get(job_id).checkpoints, entry)[-KEPT_CHECKPOINTS:]
        await self._jobs.change(job_id, checkpoints=checkpoints)

    async def _succeed(self, job_id: str, finished: Finished) -> None:
        self._jobs.log(job_id, "New fine-tuned model created")
        self._jobs.log(job_id, "The job has successfully completed")
        await self._jobs.end(
            job_id,
            "succeeded",
            trained_tokens=finished.trained_tokens,
            result_step=finished.step,
            fine_tuned=True,
        )

    async def _fail(self, job_id: str, error: JobError) -> None:
        try:
            self._jobs.log(job_id, f"The job failed: {error.message}", level="error")
        except OSError:  # a full disk; the job says why by itself
            log.exception("job %s: an event cannot be kept", job_id)
        await self._jobs.end(job_id, "failed", error=error, checkpoints=())
