"""What fine-tunes take on the disk, and whether there is room for one more.

A job that would pass the cap is refused before it begins. Nothing is removed to make room: a run
may still need the oldest model of all, and only its owner knows.
"""

from collections.abc import Mapping

from rmft_api.local_server.engine import Capped, JobHyperparameters
from rmft_api.local_server.engines import Owner
from rmft_api.local_server.job_records import Job
from rmft_api.local_server.jobs import KEPT_CHECKPOINTS, JobStore
from rmft_api.local_server.models import Catalogue, Served
from rmft_api.local_server.refusals import RequestError

MB = 10**6


class WeightStore:
    """The weights files of all jobs."""

    def __init__(self, jobs: JobStore, catalogue: Catalogue, owners: Mapping[str, Owner]) -> None:
        self._jobs = jobs
        self._catalogue = catalogue
        self._owners = owners

    def require_room(self, start: Served, numbers: JobHyperparameters) -> None:
        """Raise Refusal (400) where a job from this model would pass its base's cap."""
        engine = self._owners[start.base].engine
        if not isinstance(engine, Capped) or not engine.most_bytes:
            return
        wanted = self._wanted(engine, start, numbers)
        taken = sum(self._taken(job, engine) for job in self._jobs.all() if job.base == start.base)
        if taken + wanted > engine.most_bytes:
            raise self._refusal(start.base, engine.most_bytes, taken, wanted)

    def _taken(self, job: Job, engine: Capped) -> int:
        """By a job, or what it will take when it has ended."""
        folder = self._jobs.folder(job.id) / "weights"
        held = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
        if job.final:
            return held
        return max(held, self._wanted(engine, self._catalogue.find(job.model), job.requested))

    def _wanted(self, engine: Capped, start: Served, numbers: JobHyperparameters) -> int:
        epochs = engine.resolve(numbers, 1).n_epochs or 1
        return min(epochs, KEPT_CHECKPOINTS) * engine.bytes_of_one(start.weights)

    def _refusal(self, base: str, most: int, taken: int, wanted: int) -> RequestError:
        oldest = next(
            (one for one in self._catalogue.all() if one.base == base and one.weights), None
        )
        example = "" if oldest is None else f" (DELETE /v1/models/{oldest.id} is the oldest)"
        message = (
            f"Fine-tunes of `{base}` take {taken / MB:,.0f} MB of the {most / MB:,.0f} MB that "
            f"they may (adapters_mb), and this job's would take {wanted / MB:,.0f} MB more. None "
            f"is removed by itself: delete what is no longer wanted{example}, or raise adapters_mb."
        )
        return RequestError(400, message, param="model", code="adapters_full")
