"""How long a chat waits while a job trains: `python benchmarks/serving_beside_training.py`.

A client asks one short chat after another of an open model made on the spot, first alone, then
from the beginning of a job to its end, which trains on the same machine. Told are the waits and the
time of an optimiser step, which another client watches.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import openai

ALONE = 30
"""Chats that are asked before the job begins."""
ASK: list[Any] = [{"role": "user", "content": "Which button?"}]
LONG: list[Any] = [{"role": "user", "content": "Which button? " * 25}]


class Found(NamedTuple):
    """Seconds."""

    alone: list[float]
    beside: list[float]
    step: float
    """The mean from the job's first step to its last."""

    @property
    def longest_in_steps(self) -> float:
        """The longest wait beside the job, over the time of a step."""
        return max(self.beside) / self.step


@contextmanager
def serving(folder: Path) -> Generator[openai.OpenAI]:
    """A server of an open model made on the spot."""
    rmft = [sys.executable, "-m", "rmft_api"]
    model = folder / "tiny-llama"
    subprocess.run(
        [*rmft, "make-checkpoint", str(model), "--steps", "0"], check=True, capture_output=True
    )
    command = [*rmft, "serve", "--engine", "hf", "--checkpoint", str(model), "--port", "0"]
    command += ["--state", str(folder / "state"), "--set", "save_every_s=600"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().decode().strip()
            with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client:
                yield client
        finally:
            process.kill()


def wait(client: openai.OpenAI) -> float:
    """Seconds until one chat is answered."""
    begin = time.perf_counter()
    client.chat.completions.create(model="tiny-llama", messages=ASK, max_tokens=4)
    return time.perf_counter() - begin


def start(client: openai.OpenAI, steps: int, batch: int) -> str:
    """Begin a job of long chats; its id."""
    line = json.dumps({"messages": [*LONG, {"role": "assistant", "content": "blue"}]}) + "\n"
    file = client.files.create(file=("train.jsonl", (line * batch).encode()), purpose="fine-tune")
    numbers: Any = {"n_epochs": steps, "batch_size": batch}
    method: Any = {"type": "supervised", "supervised": {"hyperparameters": numbers}}
    job = client.fine_tuning.jobs.create(
        model="tiny-llama", training_file=file.id, method=method, seed=1
    )
    return job.id


def waits_beside(client: openai.OpenAI, job: str) -> Iterator[float]:
    """Ask without a pause until the job has succeeded."""
    while (status := client.fine_tuning.jobs.retrieve(job).status) != "succeeded":
        assert status not in ("failed", "cancelled"), status
        yield wait(client)


@contextmanager
def watching(client: openai.OpenAI, job: str) -> Generator[dict[int, float]]:
    """When each step of a job was first told of, watched from beside."""
    seen: dict[int, float] = {}
    over = threading.Event()

    def look() -> None:
        for event in client.fine_tuning.jobs.list_events(job, limit=100).data:
            if event.type == "metrics":
                data: Any = event.data
                seen.setdefault(int(data["step"]), time.perf_counter())

    def watch() -> None:
        while not over.wait(0.05):
            look()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
        look()
    finally:
        over.set()
        watcher.join()


def measure(steps: int = 8, batch: int = 32) -> Found:
    """Ask alone, then beside a job of `steps` steps."""
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as client:
        alone = [wait(client) for _ in range(ALONE)][ALONE // 3 :]
        job = start(client, steps, batch)
        with watching(client, job) as seen:
            beside = list(waits_beside(client, job))
        return Found(alone, beside, (seen[steps] - seen[1]) / (steps - 1))


def main() -> None:
    """Measure and print."""
    found = measure()
    for name, waits in (("alone", found.alone), ("beside training", found.beside)):
        middle = statistics.median(waits)
        print(f"{name}: {len(waits)} chats, median {middle:.3f} s, longest {max(waits):.3f} s")
    print(f"a step takes {found.step:.2f} s; longest wait: {found.longest_in_steps:.2f} steps")


if __name__ == "__main__":
    main()
