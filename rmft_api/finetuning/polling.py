"""Waiting for what a provider does in its own time: always with an end, by the wall clock."""

from collections.abc import Callable
from typing import Literal, Self

from rmft_api.core.errors import FaultKind, ProviderFault, ResumableError
from rmft_api.core.fault_points import fault_point
from rmft_api.core.ports import FineTuner
from rmft_api.core.records import Job, JobEvent
from rmft_api.requests.retries import Retries

Stage = Literal["pending", "running", "succeeded", "failed", "cancelled", "unknown"]
STAGES: dict[str, Stage] = {
    "validating_files": "pending",
    "queued": "pending",
    "running": "running",
    "pausing": "pending",
    "paused": "pending",
    "resuming": "pending",
    "cancelling": "running",
    "succeeded": "succeeded",
    "failed": "failed",
    "cancelled": "cancelled",
}
"""Statuses are an open set: one that is not here is not final."""
ENDED = ("succeeded", "failed", "cancelled")
STEPS_EVERY_S = 10.0
"""How often a training step is reported."""
_LISTED_WITHIN_S = 600.0
"""How long a job that was just made may be unknown where its state is read."""


def stage_of(job: Job) -> Stage:
    """Where a job stands."""
    return STAGES.get(job.status, "unknown")


class JobPolling:
    """One wait. Its clock and its sleep are the retry owner's, so a test can let time pass."""

    def __init__(
        self,
        *,
        tuner: FineTuner,
        retries: Retries,
        say: Callable[[str], None],
        run: str,
        every_s: float,
        within_s: float,
    ) -> None:
        self._tuner = tuner
        self._retries = retries
        self._waits = retries.waits
        self._say = say
        self._run = run
        self._every_s = every_s
        self._began = retries.clock()
        self._end = self._began + within_s
        self._reported: str | None = None
        self._status = ""
        self._next_step_at = 0.0

    @property
    def is_over(self) -> bool:
        """Whether its time is up."""
        return self._retries.clock() >= self._end

    async def pause(self, what: str, *, optional: bool = False) -> None:
        """Let some time pass: `what` says what is awaited.

        Raises ResumableError once its time is up, unless there is another way on (`optional`).
        """
        if self.is_over and not optional:
            raise ResumableError(
                f"{what}; it may yet finish: `rmft-api resume {self._run}` waits again"
            )
        self._waits.begin(self, f"{what}; asked every {self._every_s:.2g} s", self._end)
        await self._retries.pause(self._every_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._waits.end(self)

    async def look(self, job: Job) -> Job:
        """The job's current state; its new events are reported."""
        now = await self._retries.look(lambda: self._job(job.id), f"asking for job {job.id}")
        fault_point("job.polled")
        if now.status != self._status:
            self._status = now.status
            known = "" if stage_of(now) != "unknown" else " (an unknown status: still waiting)"
            self._say(f"job {now.id}: {now.status}{known}")
        for event in self._worth_telling(await self._news(now)):
            self._say(f"job {now.id}: {event.message}")
        return now

    async def _job(self, job_id: str) -> Job:
        """The job; one that was made is there, so at first not to be found is only not yet."""
        try:
            return await self._tuner.job(job_id)
        except ProviderFault as fault:
            new = not self._status and self._retries.clock() < self._began + _LISTED_WITHIN_S
            if fault.status == 404 and new:
                fault.kind = FaultKind.WAIT
            raise

    def _worth_telling(self, events: list[JobEvent]) -> list[JobEvent]:
        """All messages, and of the training steps the last, now and then."""
        steps = [event for event in events if event.metrics]
        due = self._retries.clock() >= self._next_step_at
        if steps and due:
            self._next_step_at = self._retries.clock() + STEPS_EVERY_S
        shown = steps[-1:] if due else []
        return [event for event in events if not event.metrics or event in shown]

    async def _news(self, job: Job) -> list[JobEvent]:
        try:
            news = await self._tuner.events(job.id, self._reported)
        except ProviderFault:
            return []  # the log is for people; the job itself holds its state
        if news:
            self._reported = news[-1].id
        return news
