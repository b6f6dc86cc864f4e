"""Jobs at Tinker: training runs that are found by their metadata and trained on at every look."""

import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from rmft_api.core.errors import ConfigError, ProviderFault
from rmft_api.core.records import Checkpoint, Job, JobEvent, JobOrder, UploadedFile
from rmft_api.providers import faults
from rmft_api.providers.prices import OWN_ENV, Prices
from rmft_api.providers.profiles import Profile
from rmft_api.providers.rest import read
from rmft_api.providers.tinker import names, run
from rmft_api.providers.tinker.control import TinkerControl
from rmft_api.providers.tinker.files import TinkerFiles
from rmft_api.providers.tinker.rendering import tokenizer_of
from rmft_api.providers.tinker.schedule import JobPlan, StepSchedule
from rmft_api.providers.validation import KEY

_RUNS = "api/v1/training_runs"
_PAGE = 100
_MOST_PAGES = 50
_TRUSTED_S = 300.0
"""For so long the package sends a request again under its number; later nobody says what that
does."""
_NEEDED = ("tokenizers", "jinja2", "huggingface_hub")


class _Run(msgspec.Struct):
    training_run_id: str
    base_model: str
    last_request_time: str = ""
    user_metadata: dict[str, str] | None = None


class _Cursor(msgspec.Struct):
    total_count: int = 0


class _Runs(msgspec.Struct):
    training_runs: list[_Run]
    cursor: _Cursor = msgspec.field(default_factory=_Cursor)


class _Saved(msgspec.Struct):
    checkpoint_type: str
    tinker_path: str


class _AllSaved(msgspec.Struct):
    checkpoints: list[_Saved]


class TinkerTuner:
    """A `FineTuner` by training runs. Raises ProviderFault, classified."""

    def __init__(self, profile: Profile, *, environ: Mapping[str, str]) -> None:
        """Raises ConfigError where the packages that render chats are missing."""
        if profile.training is None:
            raise ConfigError(
                f"profile {profile.name!r} cannot train; name another one as model.training_profile"
            )
        if missing := [name for name in _NEEDED if find_spec(name) is None]:
            raise ConfigError(
                f"profile {profile.name!r} renders chats here and needs {', '.join(missing)}: "
                "pip install 'rmft-api[tinker]'"
            )
        self._profile = profile
        self._traits = profile.training
        self._environ = environ
        self._control = TinkerControl(profile, environ)
        self._files = TinkerFiles(environ)
        self._open: dict[str, run.TinkerRun] = {}
        self._schedules: dict[str, StepSchedule] = {}

    async def reach(self) -> None:
        """List training runs. Raises ProviderFault."""
        await self._page(0, 1)

    async def close(self) -> None:
        """Let go of all connections."""
        await self._control.close()

    def stored(self, content: bytes) -> bytes:
        """The bytes as they are: they stay on this machine."""
        return content

    async def upload(self, filename: str, content: bytes) -> UploadedFile:
        """Keep a training file on this machine."""
        return self._files.put(filename, content)

    async def find_uploads(self, filename: str) -> list[UploadedFile]:
        """Files of this very name, oldest first."""
        return self._files.find(filename)

    async def file(self, file_id: str) -> UploadedFile:
        """The file as it stands."""
        return self._files.get(file_id)

    async def estimated_price(self, order: JobOrder) -> int | None:
        """The tokens of the base's own tokenizer, and those that a lost run can cost again."""
        own = self._environ.get(OWN_ENV, "").strip()
        price = Prices(self._profile, Path(own) if own else None).of(order.model)
        if price is None:
            return None
        schedule = self._schedule(self._plan(order), _base(order.model))
        return price.training(schedule.tokens + schedule.most_again)

    async def create_job(self, order: JobOrder) -> Job:
        """A new run that nothing was trained in: it costs nothing until it is looked at."""
        plan = self._plan(order)
        self._schedule(plan, _base(order.model))
        metadata = {**order.metadata, KEY: order.key, **plan.metadata()}
        start = names.tuned(order.model)
        made = await self._begin(order.model, start.state if start else "", metadata, order.seed)
        return Job(
            id=made,
            status="queued",
            model=order.model,
            training_file=order.training_file,
            created_at=plan.at,
            metadata=metadata,
        )

    async def find_jobs(self, order: JobOrder) -> list[Job]:
        """Runs that carry the order's key and continue no other."""
        found = [
            (plan, one)
            for one in await self._all_runs()
            if (told := one.user_metadata or {}).get(KEY) == order.key
            and run.ROOT not in told
            and (plan := JobPlan.of(told))
        ]
        jobs = [
            Job(
                id=one.training_run_id,
                status="queued",
                model=plan.start,
                training_file=plan.file,
                created_at=plan.at,
                metadata=one.user_metadata or {},
            )
            for plan, one in found
        ]
        return sorted(jobs, key=lambda job: (job.created_at, job.id))

    async def job(self, job_id: str) -> Job:
        """The job, trained on up to its next saved state."""
        found = self._open.get(job_id) or await self._found(job_id)
        if found.finished or self._files.has_ended(job_id):
            return self._record(found)
        try:
            await found.advance()
        except run.RunLostError as error:
            found.tell(f"the run is gone: {error}")
            self._open[job_id] = await self._resumed(found)
        return self._record(self._open[job_id])

    async def events(self, job_id: str, after: str | None) -> list[JobEvent]:
        """The log of this process since event `after`, oldest first."""
        found = self._open.get(job_id)
        new = int(after) + 1 if after and after.isdigit() else 0
        return found.events[new:] if found else []

    async def checkpoints(self, job_id: str) -> list[Checkpoint]:
        """What chats can name: the job's last state alone."""
        found = self._open.get(job_id) or await self._found(job_id)
        if not found.finished:
            return []
        model = names.TinkerModelId(found.base, found.run_id, run.FINAL)
        return [Checkpoint(model.sampler, str(model), found.schedule.steps)]

    async def cancel_job(self, job_id: str) -> Job:
        """Never train it on. Repeating it is harmless."""
        found = self._open.get(job_id) or await self._found(job_id)
        self._files.end(job_id)
        return self._record(found)

    async def model_ready(self, model: str) -> bool:
        """Whether its path is saved: it answers at once."""
        found = names.tuned(model)
        if found is None:
            return False
        try:
            return found.sampler in await self._saved(found.run)
        except ProviderFault as fault:
            if fault.status in (403, 404):
                return False
            raise

    def _plan(self, order: JobOrder) -> JobPlan:
        """What is ordered, in full. Raises ConfigError for what cannot be asked for."""
        wanted = order.hyperparameters
        self._profile.check_training(order.model, order.method, wanted)
        return JobPlan(
            file=order.training_file,
            start=order.model,
            at=int(time.time()),
            epochs=wanted.n_epochs or 1,
            batch_size=wanted.batch_size or int(self._traits.extra.get("batch_size", 16)),
            rate=wanted.learning_rate or self._traits.own_rate or 1e-4,
            seed=order.seed,
        )

    def _schedule(self, plan: JobPlan, base: str) -> StepSchedule:
        """Its steps. Raises ProviderFault for a file that is not here, DataError for a bad one."""
        key = f"{base} {plan.metadata()}"
        if key not in self._schedules:
            content = self._files.content(plan.file)
            examples = tokenizer_of(base, self._environ).examples(content)
            self._schedules[key] = StepSchedule(plan, examples, self._traits.save_every or 1)
        return self._schedules[key]

    async def _begin(
        self,
        model: str,
        state: str,
        metadata: Mapping[str, str],
        seed: int,
        *,
        further: bool = False,
    ) -> str:
        """A new run from a state, or from the base; `further`: with what its optimizer knows."""
        base = self._profile.job_model(_base(model))
        session = await self._control.session({KEY: metadata.get(KEY, "")})
        request = self._control.request("begin a training run", model=model)
        place = {"session_id": session, "model_seq_id": 0, "user_metadata": dict(metadata)}
        if state:
            body: dict[str, Any] = {"path": state, "optimizer": further, "base_model": base}
            later = await self._control.later(request, "load_weights", {**place, **body})
        else:
            rank = int(self._traits.extra.get("lora_rank", 32))
            body = {"base_model": base, "lora_config": {"rank": rank, "seed": seed}}
            later = await self._control.later(request, "create_model", {**place, **body})
        found = await self._control.result(request, later)
        named = found.get("model_id") or f"{session}:train:0"
        if not isinstance(named, str) or not named.startswith(session):
            raise faults.malformed(request, f"it names run {named!r} of another session")
        return named

    async def _resumed(self, lost: run.TinkerRun) -> run.TinkerRun:
        """A further run of the same job, from the last saved state."""
        plan, state, again = lost.schedule.plan, lost.last_state, lost.again + lost.unsaved
        metadata = {
            KEY: lost.metadata.get(KEY, ""),
            run.ROOT: lost.job_id,
            run.FROM: str(lost.saved),
            run.AGAIN: str(again),
            run.STATE: state,
        }
        own = names.tuned(plan.start)
        further = state != (own.state if own else "")
        made = await self._begin(plan.start, state, metadata, plan.seed, further=further)
        lost.tell(f"continues as {made} from step {lost.saved}")
        return run.TinkerRun(
            self._control,
            lost.schedule,
            lost.job_id,
            lost.base,
            made,
            begun_at=lost.saved,
            state=state,
            again=again,
            done=lost.saved,
            saved=lost.saved,
            finished=False,
            metadata=lost.metadata,
            events=lost.events,
        )

    async def _found(self, job_id: str) -> run.TinkerRun:
        """The job as Tinker knows it, and as no process of ours has worked on it lately."""
        request = self._control.request(f"get job {job_id}", repeatable=True)
        path = f"{_RUNS}/{_segment(job_id)}"
        root = read(request, await self._control.rest.send(request, "GET", path), _Run)
        told = root.user_metadata or {}
        plan = JobPlan.of(told)
        if plan is None:
            raise faults.malformed(request, "it is no job of rmft-api")
        last, began = await self._latest(root, plan)
        found = await self._standing(job_id, plan, last.training_run_id, began, told)
        found.tell(f"found after step {found.saved} of {found.schedule.steps}")
        if not found.finished and _age_s(last.last_request_time) > _TRUSTED_S:
            found = await self._resumed(found)
        self._open[job_id] = found
        return found

    async def _latest(self, root: _Run, plan: JobPlan) -> tuple[_Run, dict[str, str]]:
        """The run that the job is now, and how it began."""
        start = names.tuned(plan.start)
        last, began = root, {run.FROM: "0", run.AGAIN: "0"}
        began[run.STATE] = start.state if start else ""
        for one in await self._all_runs():
            told = one.user_metadata or {}
            same = told.get(run.ROOT) == root.training_run_id
            if same and int(told[run.AGAIN]) >= int(began[run.AGAIN]):
                last, began = one, told
        return last, began

    async def _standing(
        self,
        job_id: str,
        plan: JobPlan,
        run_id: str,
        began: Mapping[str, str],
        metadata: Mapping[str, str],
    ) -> run.TinkerRun:
        """A run as far as its saved states show."""
        base, saved = _base(plan.start), await self._saved(run_id)
        schedule, first = self._schedule(plan, base), int(began[run.FROM])
        steps = range(first, schedule.steps + 1)
        kept = [step for step in steps if _state(schedule, run_id, step) in saved]
        return run.TinkerRun(
            self._control,
            schedule,
            job_id,
            base,
            run_id,
            begun_at=first,
            state=began[run.STATE],
            again=int(began[run.AGAIN]),
            done=max(kept, default=first),
            saved=max(kept, default=first),
            finished=names.TinkerModelId(base, run_id, run.FINAL).sampler in saved,
            metadata=metadata,
        )

    def _record(self, found: run.TinkerRun) -> Job:
        plan = found.schedule.plan
        ended = not found.finished and self._files.has_ended(found.job_id)
        status = "succeeded" if found.finished else "cancelled" if ended else "running"
        model = names.TinkerModelId(found.base, found.run_id, run.FINAL)
        return Job(
            id=found.job_id,
            status=status,
            model=plan.start,
            training_file=plan.file,
            created_at=plan.at,
            fine_tuned_model=str(model) if found.finished else None,
            trained_tokens=found.trained_tokens if found.finished else None,
            metadata=dict(found.metadata),
        )

    async def _saved(self, run_id: str) -> set[str]:
        """The paths of a run's saved states."""
        request = self._control.request(f"list what {run_id} saved", repeatable=True, tuned=True)
        path = f"{_RUNS}/{_segment(run_id)}/checkpoints"
        listed = read(request, await self._control.rest.send(request, "GET", path), _AllSaved)
        return {one.tinker_path for one in listed.checkpoints}

    async def _all_runs(self) -> list[_Run]:
        found: list[_Run] = []
        for page in range(_MOST_PAGES):
            listed = await self._page(page * _PAGE, _PAGE)
            found += listed.training_runs
            if len(found) >= listed.cursor.total_count or not listed.training_runs:
                break
        return found

    async def _page(self, offset: int, limit: int) -> _Runs:
        request = self._control.request("list training runs", repeatable=True)
        query = {"limit": str(limit), "offset": str(offset), "access_scope": "owned"}
        return read(
            request, await self._control.rest.send(request, "GET", _RUNS, query=query), _Runs
        )


def _base(model: str) -> str:
    """The base of a model that is trained."""
    found = names.tuned(model)
    return found.base if found else model


def _state(schedule: StepSchedule, run_id: str, step: int) -> str:
    return f"tinker://{run_id}/weights/{run.state_name(schedule, step)}"


def _age_s(stated: str) -> float:
    """Seconds since a time; without one, long ago."""
    try:
        at = datetime.fromisoformat(stated)
    except ValueError:
        return math.inf
    return time.time() - (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _segment(name: str) -> str:
    return quote(name, safe="")
