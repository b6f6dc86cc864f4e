"""The server as its users meet it: a process of its own, reached over HTTP."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import openai

T = TypeVar("T")

COMMAND = (sys.executable, "-m", "rmft_api", "serve", "--port", "0")
FINAL = ("succeeded", "failed", "cancelled")
HELLO: list[Any] = [{"role": "user", "content": "Which button?"}]


def until(ask: Callable[[], T | None], within_s: float = 60.0) -> T:
    """What `ask` answers as soon as it is not None or False."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        answer = ask()
        if answer is not None and answer is not False:
            return answer
        time.sleep(0.01)
    raise AssertionError(f"still waiting after {within_s} s")


@dataclass
class Served:
    """A server under test."""

    process: subprocess.Popen[bytes]
    base_url: str
    state: Path

    def client(self, key: str = "any") -> openai.OpenAI:
        """The official SDK, as it is."""
        return openai.OpenAI(base_url=self.base_url, api_key=key, max_retries=0, timeout=20)

    def request(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, Any]:
        """One bare request: status and decoded body."""
        connection = http.client.HTTPConnection(urlsplit(self.base_url).netloc, timeout=20)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())

    def chat(self, **fields: object) -> tuple[int, Any]:
        """POST a chat completion."""
        asked = {"model": "scripted-1", "messages": HELLO, **fields}
        return self.request("POST", "/v1/chat/completions", json.dumps(asked).encode())

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """End it as Ctrl-C does; the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(10)


@contextlib.contextmanager
def served(state: Path, *options: str, **environment: str) -> Generator[Served]:
    """A server over `state`, gone after the block."""
    command = [*COMMAND, "--state", str(state), *(options or ("--engine", "scripted"))]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **environment},
    ) as process:
        try:
            assert process.stdout is not None
            base_url = process.stdout.readline().decode().strip()
            assert base_url, "the server did not start"
            yield Served(process, base_url, state)
        finally:
            process.kill()


def refused(*options: str, **environment: str) -> tuple[int, str]:
    """Exit code and error line of a server that does not start."""
    done = subprocess.run(
        [*COMMAND, *options],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        env={**os.environ, **environment},
    )
    return done.returncode, done.stderr.strip()


def dataset(answers: Sequence[str] = ("blue",) * 10) -> bytes:
    """A training file: one chat per answer."""
    chats = [{"messages": [*HELLO, {"role": "assistant", "content": text}]} for text in answers]
    return b"".join(json.dumps(chat).encode() + b"\n" for chat in chats)


def upload(client: openai.OpenAI, content: bytes | None = None) -> str:
    """Upload a training file; its id."""
    content = dataset() if content is None else content
    return client.files.create(file=("train.jsonl", content), purpose="fine-tune").id


def train(client: openai.OpenAI, **fields: Any) -> str:
    """Start a job; its id."""
    fields = {"model": "scripted-1", "seed": 7, "suffix": "test", **fields}
    fields.setdefault("training_file", upload(client))
    return client.fine_tuning.jobs.create(**fields).id


def epochs(count: int) -> dict[str, Any]:
    """`method` of a job of that many epochs; one epoch of `dataset()` takes 20 ms."""
    numbers = {"n_epochs": count, "batch_size": 5}
    return {"type": "supervised", "supervised": {"hyperparameters": numbers}}


def finished(client: openai.OpenAI, job_id: str) -> Any:
    """The job at its end."""

    def ended() -> Any:
        job = client.fine_tuning.jobs.retrieve(job_id)
        return job if job.status in FINAL else None

    return until(ended)


def trained(client: openai.OpenAI, **fields: Any) -> str:
    """Id of a fine-tuned model."""
    job = finished(client, train(client, **fields))
    assert job.status == "succeeded", job.error
    return str(job.fine_tuned_model)


def at_step(client: openai.OpenAI, job_id: str) -> None:
    """Wait until the job reports a training step."""

    def stepped() -> bool:
        events = client.fine_tuning.jobs.list_events(job_id).data
        return any(event.type == "metrics" for event in events)

    until(stepped)
