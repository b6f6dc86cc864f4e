"""An open model on the OpenAI wire, as the vendor's own package meets it."""

import os
import signal
from typing import Any

import openai
import pytest

from tests.local_server.serving import (
    HELLO,
    Served,
    dataset,
    epochs,
    finished,
    train,
    until,
    upload,
)
from tests.local_server.test_restart import trainers

pytest.importorskip("trl", reason="pip install 'rmft-api[open]'")

MODEL = "specimen"


def test_it_answers_n_times_with_odds_seed_and_stream(open_client: openai.OpenAI) -> None:
    def ask() -> Any:
        return open_client.chat.completions.create(
            model=MODEL, messages=HELLO, n=3, seed=4, max_tokens=5, logprobs=True, top_logprobs=2
        )

    first, second = ask(), ask()
    said = [choice.message.content for choice in first.choices]
    assert said == [choice.message.content for choice in second.choices]
    assert len(set(said)) == 3
    assert all(len(choice.logprobs.content) <= 5 for choice in first.choices)
    stream = open_client.chat.completions.create(
        model=MODEL, messages=HELLO, seed=4, max_tokens=5, stream=True
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    assert text == said[0]


def preferring(client: openai.OpenAI, model: str) -> str:
    """A job that teaches one answer over another; its id."""
    line = (
        b'{"input": {"messages": [{"role": "user", "content": "Which button?"}]}, '
        b'"preferred_output": [{"role": "assistant", "content": "blue"}], '
        b'"non_preferred_output": [{"role": "assistant", "content": "red"}]}\n'
    )
    numbers = {"n_epochs": 1, "batch_size": 5, "beta": 0.2}
    method = {"type": "dpo", "dpo": {"hyperparameters": numbers}}
    return train(client, model=model, training_file=upload(client, line * 10), method=method)


def test_a_job_runs_to_a_model_that_is_served_and_can_be_taught_on(
    open_client: openai.OpenAI,
) -> None:
    file_id = upload(open_client, dataset(["blue"] * 12))
    job_id = train(open_client, model=MODEL, training_file=file_id, method=epochs(2))
    job = finished(open_client, job_id)
    assert job.status == "succeeded", job.error
    tuned = job.fine_tuned_model
    assert tuned.startswith(f"ft:{MODEL}:local:test:")
    events = open_client.fine_tuning.jobs.list_events(job_id, limit=100).data
    losses = [event.data["train_loss"] for event in events if event.type == "metrics"]  # type: ignore[index]
    assert losses[0] < losses[-1]  # newest first
    steps = [one.step_number for one in open_client.fine_tuning.jobs.checkpoints.list(job_id)]
    assert steps == [6, 3]
    for model in (tuned, f"{tuned}:ckpt-step-3", MODEL):
        answer = open_client.chat.completions.create(model=model, messages=HELLO, max_tokens=2)
        assert answer.model == model
    job = finished(open_client, preferring(open_client, tuned))
    assert job.status == "succeeded", job.error
    assert job.method.dpo.hyperparameters.beta == 0.2
    again = job.fine_tuned_model
    assert again in [model.id for model in open_client.models.list()]
    open_client.models.delete(again)
    with pytest.raises(openai.NotFoundError):
        open_client.chat.completions.create(model=again, messages=HELLO)


def test_a_killed_trainer_is_started_again_where_it_was(
    open_server: Served, open_client: openai.OpenAI
) -> None:
    file_id = upload(open_client, dataset(["blue"] * 40))
    job_id = train(open_client, model=MODEL, training_file=file_id, method=epochs(60))
    scratch = open_server.state / "jobs" / job_id / "scratch"
    until(lambda: any(scratch.glob("checkpoint-*/whole")))
    (trainer,) = trainers(open_server.state / "jobs" / job_id)
    os.kill(trainer, signal.SIGKILL)

    def told() -> list[str] | None:
        events = open_client.fine_tuning.jobs.list_events(job_id, limit=1000).data
        return [one.message for one in events if "continues after step" in one.message] or None

    assert "signal 9" in until(told)[0]
    until(lambda: len(trainers(open_server.state / "jobs" / job_id)) == 1)
    status, answer = open_server.chat(model=MODEL, max_tokens=2)  # training does not hold it up
    assert (status, len(answer["choices"])) == (200, 1)
    assert open_client.fine_tuning.jobs.cancel(job_id).status == "cancelled"
    until(lambda: not trainers(open_server.state / "jobs" / job_id))


def test_the_whole_life_of_a_job_by_the_vendors_package(
    open_server: Served, open_client: openai.OpenAI
) -> None:
    jobs = open_client.fine_tuning.jobs
    file_id = upload(open_client, dataset(["blue"] * 20))
    job_id = train(open_client, model=MODEL, training_file=file_id, method=epochs(60))
    assert job_id in [job.id for job in jobs.list(limit=5)]
    until(lambda: bool(jobs.checkpoints.list(job_id).data))
    assert jobs.retrieve(job_id).status == "running"
    assert jobs.pause(job_id).status == "paused"
    told = jobs.list_events(job_id, limit=1).data[0].message
    assert told.startswith("The job is paused; it will continue after step ")
    paused_at = jobs.checkpoints.list(job_id).data[0].step_number
    assert jobs.resume(job_id).status == "running"
    until(lambda: jobs.checkpoints.list(job_id).data[0].step_number > paused_at)
    assert jobs.cancel(job_id).status == "cancelled"
    with pytest.raises(openai.BadRequestError, match="already ended"):
        jobs.cancel(job_id)
    assert jobs.checkpoints.list(job_id).data == []
    events = [event.message for event in jobs.list_events(job_id, limit=1000)]
    assert events[-1] == f"Created fine-tuning job: {job_id}"
