import json
import os
import signal
from pathlib import Path

import openai
import pytest

from rmft_api.core.errors import StorageError
from rmft_api.local_server.jobs import JobStore
from tests.local_server.serving import (
    HELLO,
    Served,
    at_step,
    epochs,
    finished,
    served,
    train,
    trained,
    until,
    upload,
)

LONG = epochs(30)
"""0.6 s of training."""


def trainers(state: Path) -> list[int]:
    """Process ids of the trainers at work under `state`."""
    return [
        int(process.name)
        for process in Path("/proc").glob("[0-9]*")
        if str(state).encode() in command(process) and b"local_server.trainer" in command(process)
    ]


def command(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def weights(server: Served, client: openai.OpenAI, job_id: str) -> bytes:
    """Name and bytes of what a job made."""
    job = finished(client, job_id)
    assert job.status == "succeeded", job.error
    step = max((server.state / "jobs" / job_id / "weights").iterdir())
    return job.fine_tuned_model.encode() + step.read_bytes()


def test_a_job_survives_the_servers_death_and_makes_the_same_model(
    tmp_path: Path, server: Served, client: openai.OpenAI
) -> None:
    order = {"method": LONG, "seed": 77}
    with served(tmp_path) as dying, dying.client() as waiting:
        job_id = train(waiting, **order)
        at_step(waiting, job_id)
        assert len(trainers(tmp_path)) == 1
        dying.kill()
    until(lambda: not trainers(tmp_path), 5)
    log = tmp_path / "jobs" / job_id / "events.jsonl"
    with log.open("ab") as file:
        file.write(b'{"id": "torn')
    with served(tmp_path) as second, second.client() as waiting:
        assert waiting.fine_tuning.jobs.retrieve(job_id).status == "running"
        resumed = weights(second, waiting, job_id)
        events = list(waiting.fine_tuning.jobs.list_events(job_id, limit=5))
    assert resumed == weights(server, client, train(client, **order))
    assert "The server was restarted; the job starts again" in [e.message for e in events]
    assert [json.loads(line)["id"] for line in log.read_bytes().splitlines()] == [
        event.id for event in reversed(events)
    ]


def test_ctrl_c_ends_the_server_cleanly_and_the_job_goes_on_later(tmp_path: Path) -> None:
    with served(tmp_path) as server, server.client() as client:
        job_id = train(client, method=LONG)
        at_step(client, job_id)
        assert server.stop() == 0
    assert trainers(tmp_path) == []
    with served(tmp_path) as server, server.client() as client:
        assert finished(client, job_id).status == "succeeded"


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    def told(client: openai.OpenAI) -> list[object]:
        return [
            [file.to_dict() for file in client.files.list()],
            [job.to_dict() for job in client.fine_tuning.jobs.list()],
            [model.id for model in client.models.list()],
            [event.to_dict() for event in client.fine_tuning.jobs.list_events(job_id)],
            [entry.to_dict() for entry in client.fine_tuning.jobs.checkpoints.list(job_id)],
            client.files.content(file_id).read(),
        ]

    with served(tmp_path) as server, server.client() as client:
        file_id = upload(client)
        job_id = train(client, training_file=file_id)
        model = finished(client, job_id).fine_tuned_model
        cancelled = train(client, method=epochs(1000))
        client.fine_tuning.jobs.cancel(cancelled)
        before = told(client)
        server.kill()
    with served(tmp_path) as server, server.client() as client:
        assert told(client) == before
        answer = client.chat.completions.create(model=model, messages=HELLO)
        assert answer.choices[0].message.content == "blue"


def test_a_trainer_that_dies_fails_its_job_with_the_reason(
    server: Served, client: openai.OpenAI
) -> None:
    job_id = train(client, method=epochs(1000))
    at_step(client, job_id)
    (trainer,) = trainers(server.state / "jobs" / job_id)
    os.kill(trainer, signal.SIGKILL)
    job = finished(client, job_id)
    assert job.error is not None
    assert (job.status, job.error.code) == ("failed", "server_error")
    assert "signal 9" in job.error.message
    trained(client, seed=9)


def test_a_damaged_record_stops_the_start_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "ftjob-1").mkdir()
    (tmp_path / "ftjob-1" / "job.json").write_text("{")
    with pytest.raises(StorageError, match=r"ftjob-1/job\.json' is damaged"):
        JobStore(tmp_path)


def test_a_job_that_was_never_acknowledged_is_swept(tmp_path: Path) -> None:
    (tmp_path / "ftjob-1").mkdir()
    assert JobStore(tmp_path).all() == []
    assert not (tmp_path / "ftjob-1").exists()
