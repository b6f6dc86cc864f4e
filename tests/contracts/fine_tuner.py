"""Every `FineTuner` passes these: a new adapter inherits the class and overrides its fixtures."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from rmft_api.core.errors import ProviderFault
from rmft_api.core.ports import FineTuner
from rmft_api.core.records import Hyperparameters, Job, JobOrder

FINAL = ("succeeded", "failed", "cancelled")


def examples(count: int = 10) -> bytes:
    """A small valid dataset."""
    line = {
        "messages": [
            {"role": "user", "content": "Which button?"},
            {"role": "assistant", "content": "blue"},
        ]
    }
    return b"".join(json.dumps(line).encode() + b"\n" for _ in range(count))


@dataclass
class Bench:
    """A fine-tuner, a model it can train, and how to let its time pass."""

    tuner: FineTuner
    base: str
    work: Callable[[], None] = field(default=lambda: None)
    """Lets the provider go on; nothing for those that do so by themselves."""
    content: bytes = field(default_factory=examples)

    def order(self, training_file: str, key: str = "k" * 32) -> JobOrder:
        """A small job."""
        return JobOrder(
            key=key,
            model=self.base,
            training_file=training_file,
            method="supervised",
            hyperparameters=Hyperparameters(n_epochs=1),
            seed=7,
            suffix="test",
            metadata={"rmft_run": "test", "rmft_iter": "0"},
        )

    async def start(self, key: str = "k" * 32) -> tuple[JobOrder, Job]:
        """Upload and start."""
        file = await self.tuner.upload(f"rmft-{key[:8]}.jsonl", self.content)
        order = self.order(file.id, key)
        return order, await self.tuner.create_job(order)

    async def finish(self, job: Job) -> Job:
        """The job at its end."""
        for _ in range(600):
            job = await self.tuner.job(job.id)
            if job.status in FINAL:
                return job
            self.work()
            await asyncio.sleep(0.02)
        raise AssertionError(f"{job} did not end")


class FineTunerContract:
    """Override `bench`."""

    @pytest.fixture
    def bench(self) -> Bench:
        raise NotImplementedError

    async def test_an_uploaded_file_tells_its_name_and_size(self, bench: Bench) -> None:
        file = await bench.tuner.upload("rmft-1.jsonl", bench.content)
        assert (file.filename, file.bytes) == ("rmft-1.jsonl", len(bench.content))
        assert (await bench.tuner.file(file.id)).id == file.id

    async def test_files_are_found_by_their_very_name_oldest_first(self, bench: Bench) -> None:
        first = await bench.tuner.upload("rmft-2.jsonl", bench.content)
        await bench.tuner.upload("rmft-22.jsonl", bench.content)
        second = await bench.tuner.upload("rmft-2.jsonl", bench.content)
        found = await bench.tuner.find_uploads("rmft-2.jsonl")
        assert [file.id for file in found] == [first.id, second.id]

    async def test_a_job_has_its_id_before_it_ends(self, bench: Bench) -> None:
        order, job = await bench.start()
        assert job.id
        assert job.status not in FINAL
        assert job.training_file == order.training_file

    async def test_a_job_is_found_by_its_order(self, bench: Bench) -> None:
        order, job = await bench.start()
        await bench.start("x" * 32)
        assert [found.id for found in await bench.tuner.find_jobs(order)] == [job.id]

    async def test_an_order_never_made_finds_nothing(self, bench: Bench) -> None:
        await bench.start()
        assert await bench.tuner.find_jobs(bench.order("file-none", "n" * 32)) == []

    async def test_a_job_ends_in_a_model_that_answers(self, bench: Bench) -> None:
        _, job = await bench.start()
        done = await bench.finish(job)
        assert done.status == "succeeded", done.error
        assert done.fine_tuned_model
        assert done.trained_tokens
        assert await bench.tuner.model_ready(done.fine_tuned_model)

    async def test_a_model_that_nobody_made_is_not_ready(self, bench: Bench) -> None:
        assert not await bench.tuner.model_ready("ft:nobody:made::this")

    async def test_events_come_oldest_first_and_only_once(self, bench: Bench) -> None:
        _, job = await bench.start()
        await bench.finish(job)
        events = await bench.tuner.events(job.id, None)
        assert len(events) >= 2
        assert [e.created_at for e in events] == sorted(e.created_at for e in events)
        assert await bench.tuner.events(job.id, events[0].id) == events[1:]
        assert await bench.tuner.events(job.id, events[-1].id) == []

    async def test_checkpoints_come_in_order_of_steps(self, bench: Bench) -> None:
        _, job = await bench.start()
        await bench.finish(job)
        steps = [checkpoint.step for checkpoint in await bench.tuner.checkpoints(job.id)]
        assert steps == sorted(steps)

    async def test_a_cancelled_job_ends(self, bench: Bench) -> None:
        _, job = await bench.start()
        await bench.tuner.cancel_job(job.id)
        assert (await bench.finish(job)).status in ("cancelled", "succeeded")

    async def test_an_unknown_job_is_a_fault(self, bench: Bench) -> None:
        with pytest.raises(ProviderFault):
            await bench.tuner.job("ftjob-none")

    async def test_an_unknown_file_cannot_be_trained_on(self, bench: Bench) -> None:
        with pytest.raises(ProviderFault):
            await bench.tuner.create_job(bench.order("file-none"))
