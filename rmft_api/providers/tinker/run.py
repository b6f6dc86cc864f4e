"""A training run: its steps are sent under fixed numbers, its state is saved now and then.

The package sends a request again for up to five minutes, under its number (`seq_id`), so a step
that may have been done is asked for again under the same number and is not done twice. A process
that finds a run whose last request is older, or that is gone, continues from its last saved state:
the steps since then are done again, at most `save_every` of them, and counted.
"""

from collections import deque
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rmft_api.core.errors import ProviderFault
from rmft_api.core.fault_points import fault_point
from rmft_api.core.records import JobEvent
from rmft_api.providers import faults
from rmft_api.providers.tinker import wire
from rmft_api.providers.tinker.control import TinkerControl
from rmft_api.providers.tinker.schedule import StepSchedule

FINAL = "final"
"""The name of a job's last state, and of what chats name."""
ROOT, FROM, AGAIN, STATE = "rmft_root", "rmft_from", "rmft_again", "rmft_state"
"""Of the metadata of a run that continues a job: which job, from which step and state, and the
tokens that were perhaps billed twice."""
_GONE = (404, 410)
_NO_SESSION = "session"
"""A session that has ended is refused with 403, and named; any other 403 says nothing about the
run, whose steps would be paid again if it were given up."""
_TTL_S = 7 * 24 * 3600
"""Saved states on the way expire by themselves; the cookbook keeps them for as long."""
_AHEAD = 1
"""Steps that are sent while an earlier one is worked on."""
_ADAM = {"beta1": 0.9, "beta2": 0.95, "eps": 1e-8, "weight_decay": 0.0, "grad_clip_norm": 0.0}


class RunLostError(Exception):
    """The run takes no further requests."""


def state_name(schedule: StepSchedule, step: int) -> str:
    """What the state after so many steps is called."""
    return FINAL if step == schedule.steps else f"rmft-{step:06}"


@dataclass
class TinkerRun:
    """One job as far as it is."""

    control: TinkerControl
    schedule: StepSchedule
    job_id: str
    """The run that the job began as."""
    base: str
    run_id: str
    """The run that it is now."""
    begun_at: int
    """The step that this run began with."""
    state: str
    """The state that it began from; empty: the base's."""
    again: int
    """Tokens that were perhaps billed twice."""
    done: int
    """Steps that are known to be done."""
    saved: int
    """Steps that the last saved state holds."""
    finished: bool
    metadata: Mapping[str, str]
    events: list[JobEvent] = field(default_factory=list[JobEvent])

    @property
    def trained_tokens(self) -> int:
        """What was billed, at most."""
        return self.schedule.tokens + self.again

    @property
    def last_state(self) -> str:
        """What a further run can begin from; empty: the base."""
        saved = f"tinker://{self.run_id}/weights/{state_name(self.schedule, self.saved)}"
        return saved if self.saved > self.begun_at else self.state

    @property
    def unsaved(self) -> int:
        """Tokens of the steps that may have been done since the last saved state."""
        return sum(self.schedule.billed(step) for step in range(self.saved, self._next_save()))

    async def advance(self) -> None:
        """Train up to the next saved state. Raises ProviderFault, and RunLostError."""
        end, number = self._next_save(), self.schedule.number
        sent: deque[tuple[int, list[str]]] = deque()
        async with self.control.alive(self.run_id.partition(":")[0]):
            for step in range(self.done, end):
                sent.append((step, await self._send(step, number(self.begun_at, step))))
                if len(sent) > _AHEAD:
                    await self._collect(*sent.popleft())
            while sent:
                await self._collect(*sent.popleft())
            await self._save(end, self.schedule.saving_number(self.begun_at, end))

    def tell(self, message: str, **metrics: float) -> None:
        """Add to the log."""
        now = int(datetime.now(UTC).timestamp())
        self.events.append(JobEvent(str(len(self.events)), now, "info", message, dict(metrics)))

    def _next_save(self) -> int:
        ahead = range(self.saved, self.schedule.steps)
        ends = (step + 1 for step in ahead if self.schedule.saves_after(step))
        return next(ends, self.schedule.steps)

    async def _send(self, step: int, number: int) -> list[str]:
        """A step's requests; the ids of their results."""
        request = self.control.request(f"train step {step + 1} of {self.job_id}", model=self.base)
        ids: list[str] = []
        for examples in wire.chunks(self.schedule.batch(step)):
            body = wire.forward_backward(self.run_id, number, examples)
            with _losing():
                ids.append(
                    await self.control.packed(request, "forward_backward", body, wire.MEDIA_TYPE)
                )
            fault_point("step.sent")
            number += 1
        rate = self.schedule.rate(step)
        ids.append(
            await self._later(
                request, "optim_step", number, adam_params={"learning_rate": rate, **_ADAM}
            )
        )
        fault_point("step.optimized")
        return ids

    async def _collect(self, step: int, ids: list[str]) -> None:
        request = self.control.request(f"train step {step + 1} of {self.job_id}", model=self.base)
        metrics: dict[str, Any] = {}
        for one in ids:
            with _losing():
                found = await self.control.result(request, one, packed=one != ids[-1])
            metrics |= found.get("metrics") or {}
        self.done = step + 1
        told = {str(name): float(value) for name, value in metrics.items() if _is_number(value)}
        self.tell(f"Step {step + 1}/{self.schedule.steps}", step=float(step + 1), **told)
        fault_point("step.done")

    async def _save(self, end: int, number: int) -> None:
        """Keep the state; a name that is taken is this very state's."""
        last = end == self.schedule.steps
        request = self.control.request(f"save step {end} of {self.job_id}", model=self.base)
        kept = {} if last else {"ttl_seconds": _TTL_S}
        name = state_name(self.schedule, end)
        await self._saved(request, "save_weights", number, path=name, overwrite=False, **kept)
        fault_point("step.saved")
        if last:
            await self._saved(
                request, "save_weights_for_sampler", number + 1, path=FINAL, kind="snapshot"
            )
        self.saved, self.finished = end, last
        self.tell(f"Saved after step {end}")

    async def _saved(self, request: faults.Request, what: str, number: int, **body: Any) -> None:
        try:
            later = await self._later(request, what, number, **body)
            with _losing():
                await self.control.result(request, later)
        except ProviderFault as fault:
            if fault.status != 409:
                raise

    async def _later(self, request: faults.Request, what: str, number: int, **body: Any) -> str:
        with _losing():
            place = {"model_id": self.run_id, "seq_id": number}
            return await self.control.later(request, what, {**place, **body})


@contextmanager
def _losing() -> Generator[None]:
    """Distinguish a run that is gone from every other fault."""
    try:
        yield
    except ProviderFault as fault:
        ended = fault.status == 403 and _NO_SESSION in str(fault).lower()
        if ended or fault.status in _GONE:
            raise RunLostError(str(fault)) from fault
        raise


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
