"""Which models answer, and their weights in memory.

A model is a base, a fine-tune (`ft:...`) or a checkpoint of one (`ft:...:ckpt-step-N`). Nothing is
stored about them but their jobs.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rmft_api.local_server.engine import Model, Prefers
from rmft_api.local_server.engines import Owner
from rmft_api.local_server.job_records import Job
from rmft_api.local_server.jobs import JobStore
from rmft_api.local_server.refusals import RequestError, no_such_model

IN_MEMORY = 8
"""Models kept loaded; the one unused for longest goes first."""


@dataclass(frozen=True, slots=True)
class Served:
    """A model that answers."""

    id: str
    base: str
    weights: Path | None
    created_at: int
    job_id: str | None = None
    """The job that made it; None for a base."""
    step: int | None = None
    """Set for a checkpoint."""

    def json(self) -> dict[str, object]:
        """The model object of the wire."""
        owner = "system" if self.job_id is None else "local"
        shown: dict[str, object] = {
            "id": self.id,
            "object": "model",
            "created": self.created_at,
            "owned_by": owner,
        }
        if self.weights is not None and self.weights.exists():
            shown["bytes"] = self.weights.stat().st_size
        return shown


class Catalogue:
    """Every model of this server."""

    def __init__(self, owners: Mapping[str, Owner], jobs: JobStore, started_at: int) -> None:
        self._owners = owners
        self._bases = {base: Served(base, base, None, started_at) for base in owners}
        self._jobs = jobs
        self._tuned: dict[str, Served] = {}
        for job in jobs.all():
            self._refresh(job)
        jobs.watch(self._refresh)

    def all(self) -> list[Served]:
        """Bases first, then fine-tunes, oldest first."""
        return [*self._bases.values(), *self._tuned.values()]

    def find(self, model: str) -> Served:
        """Raises Refusal: 404 for a model that is not here, 400 for one whose base is not."""
        served = self._bases.get(model) or self._tuned.get(model)
        if served is None:
            raise no_such_model(model)
        if served.base not in self._owners:
            raise _of_absent_base(served)
        return served

    def learns_from_preferences(self, served: Served) -> bool:
        """Whether the model can be trained by DPO."""
        return isinstance(self._owners[served.base].engine, Prefers)

    def _refresh(self, job: Job) -> None:
        """List what the job has made so far, no more and no less."""
        for old in [model.id for model in self._tuned.values() if model.job_id == job.id]:
            del self._tuned[old]
        self._tuned.update((model.id, model) for model in self._made_by(job))

    def _made_by(self, job: Job) -> list[Served]:
        made = [
            self._tuned_model(job, job.checkpoint_id(saved), saved.step, saved.created_at)
            for saved in job.checkpoints
        ]
        if job.fine_tuned and job.result_step is not None:
            finished_at = job.finished_at or job.created_at
            made.insert(0, self._tuned_model(job, job.target, job.result_step, finished_at))
        return made

    def _tuned_model(self, job: Job, model: str, step: int, created_at: int) -> Served:
        weights = self._jobs.weights(job.id, step)
        return Served(model, job.base, weights, created_at, job.id, step)

    async def delete(self, model: str) -> None:
        """Forget a model and free its weights; a fine-tune goes with its checkpoints."""
        served = self._bases.get(model) or self._tuned.get(model)
        if served is None:
            raise no_such_model(model)
        if served.job_id is None or served.step is None:
            raise RequestError(403, f"The model `{model}` is a base model and cannot be deleted.")
        job = self._jobs.get(served.job_id)
        if served.id == job.target:
            await self._jobs.amend(job.id, checkpoints=(), fine_tuned=False)
        else:
            kept = tuple(saved for saved in job.checkpoints if saved.step != served.step)
            await self._jobs.amend(job.id, checkpoints=kept)


def _of_absent_base(served: Served) -> RequestError:
    message = (
        f"The model `{served.id}` is a fine-tune of `{served.base}`, which this server does not "
        "serve now; start it with that base, too."
    )
    return RequestError(400, message, param="model", code="base_not_served")


class ModelPool:
    """Weights in memory: loaded at first use, the least recently used dropped beyond a bound."""

    def __init__(self, owners: Mapping[str, Owner], most: int = IN_MEMORY) -> None:
        self._owners = owners
        self._most = most
        self._models: OrderedDict[str, asyncio.Task[Model]] = OrderedDict()

    async def get(self, served: Served) -> Model:
        """The loaded model; those who ask while it loads wait for the same load."""
        task = self._models.get(served.id)
        if task is None:
            task = asyncio.create_task(self._load(served))
            self._models[served.id] = task
            while len(self._models) > self._most:
                self._models.popitem(last=False)
        else:
            self._models.move_to_end(served.id)
        if task.done() and task.exception() is None:
            return task.result()
        try:
            return await asyncio.shield(task)
        except BaseException:
            if task.done() and self._models.get(served.id) is task:
                del self._models[served.id]  # the next request tries again
            raise

    async def _load(self, served: Served) -> Model:
        engine = self._owners[served.base].engine
        return await asyncio.to_thread(engine.load, served.base, served.weights)
