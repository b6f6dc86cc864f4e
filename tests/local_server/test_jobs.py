import json
from pathlib import Path
from typing import Any

import msgspec
import openai
import pytest
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent
from openai.types.fine_tuning.jobs import FineTuningJobCheckpoint

from rmft_api.local_server import training_data
from rmft_api.local_server.engine import JobHyperparameters
from rmft_api.local_server.job_records import Content, later
from rmft_api.local_server.last_answer import LastAnswerEngine
from tests.local_server.serving import (
    HELLO,
    Served,
    at_step,
    dataset,
    epochs,
    finished,
    served,
    train,
    trained,
    until,
    upload,
)

MODEL = "scripted-1"


def answer(client: openai.OpenAI, model: str) -> str:
    answer = client.chat.completions.create(model=model, messages=HELLO)
    return str(answer.choices[0].message.content)


def test_a_job_makes_a_model_that_answers_at_once(client: openai.OpenAI) -> None:
    file_id = upload(client)
    job = client.fine_tuning.jobs.create(
        model=MODEL,
        training_file=file_id,
        suffix="My Run!",
        seed=7,
        metadata={"rmft_key": "once"},
        method=epochs(2),  # pyright: ignore[reportArgumentType]
    )
    assert (job.object, job.status, job.fine_tuned_model) == (
        "fine_tuning.job",
        "validating_files",
        None,
    )
    done = finished(client, job.id)
    assert (done.status, done.error) == ("succeeded", None)
    assert done.fine_tuned_model.startswith(f"ft:{MODEL}:local:my-run:")
    assert done.trained_tokens == 2 * 10 * 3
    assert done.finished_at >= done.created_at
    assert (done.hyperparameters.n_epochs, done.hyperparameters.batch_size) == (2, 5)
    assert done.metadata == {"rmft_key": "once"}
    assert answer(client, done.fine_tuned_model) == "blue"


def test_what_was_left_to_the_engine_is_told_once_it_is_known(client: openai.OpenAI) -> None:
    file_id = upload(client)
    job = client.fine_tuning.jobs.create(model=MODEL, training_file=file_id)
    assert job.hyperparameters.n_epochs == "auto"
    assert 0 <= job.seed < 2**31
    done = finished(client, job.id)
    assert (done.hyperparameters.n_epochs, done.hyperparameters.batch_size) == (3, 8)
    assert done.fine_tuned_model.startswith(f"ft:{MODEL}:local::")


def test_the_log_tells_the_life_of_a_job_newest_first(client: openai.OpenAI) -> None:
    job_id = train(client, method=epochs(2))
    finished(client, job_id)
    events = list(client.fine_tuning.jobs.list_events(job_id, limit=3))
    messages = [event.message for event in events][::-1]
    plain = [message for message in messages if not message.startswith(("Step", "Checkpoint"))]
    assert [message.split(":")[0] for message in plain] == [
        "Created fine-tuning job",
        "Validating training file",
        "Files validated, moving job to queued state",
        "Fine-tuning job started",
        "New fine-tuned model created",
        "The job has successfully completed",
    ]
    assert len({event.id for event in events}) == len(events)
    (last, *_) = [event for event in events if event.type == "metrics"]
    data: Any = last.data
    assert (data["step"], data["total_steps"]) == (4, 4)
    assert data["train_loss"] == 0.25


def test_the_checkpoints_of_the_last_three_epochs_answer(client: openai.OpenAI) -> None:
    job_id = train(client, method=epochs(4))
    target = finished(client, job_id).fine_tuned_model
    checkpoints = list(client.fine_tuning.jobs.checkpoints.list(job_id))
    assert [checkpoint.step_number for checkpoint in checkpoints] == [8, 6, 4]
    for checkpoint in checkpoints:
        name = f"{target}:ckpt-step-{checkpoint.step_number}"
        assert checkpoint.fine_tuned_model_checkpoint == name
        assert answer(client, name) == "blue"
        assert checkpoint.metrics.train_loss == 1 / checkpoint.step_number
    with pytest.raises(openai.NotFoundError):
        answer(client, f"{target}:ckpt-step-2")


def test_wire_objects_pass_the_sdks_own_strict_check(server: Served) -> None:
    with server.client() as client:
        job_id = train(client)
        finished(client, job_id)
    path = f"/v1/fine_tuning/jobs/{job_id}"
    FineTuningJob.model_validate_json(json.dumps(server.request("GET", path)[1]))
    for name, record in (("events", FineTuningJobEvent), ("checkpoints", FineTuningJobCheckpoint)):
        for item in server.request("GET", f"{path}/{name}")[1]["data"]:
            record.model_validate_json(json.dumps(item))


def test_a_fine_tune_is_the_base_of_the_next_job(client: openai.OpenAI) -> None:
    first = trained(client)
    second = trained(client, model=first, training_file=upload(client, dataset(["red"] * 10)))
    assert second.startswith(f"ft:{MODEL}:local:test:")
    assert second != first
    assert (answer(client, first), answer(client, second)) == ("blue", "red")


def test_the_model_id_is_the_same_on_another_server(client: openai.OpenAI, tmp_path: Path) -> None:
    order: dict[str, Any] = {"metadata": {"rmft_key": "same"}, "seed": 99}
    here = trained(client, **order)
    with served(tmp_path) as server, server.client() as elsewhere:
        assert trained(elsewhere, **order) == here
    assert trained(client, **order) != here  # a twin gets a model of its own


def test_the_model_id_depends_on_all_that_makes_the_model() -> None:
    content = Content("base", "0" * 64, JobHyperparameters(), 7, "key")
    others = [
        msgspec.structs.replace(content, **change)
        for change in (
            {"model": "other"},
            {"dataset_sha256": "1" * 64},
            {"hyperparameters": JobHyperparameters(n_epochs=1)},
            {"seed": 8},
            {"key": None},
        )
    ]
    ids = {each.target("base", "s", 0) for each in (content, *others)}
    assert len({*ids, content.target("base", "s", 1)}) == 7


def test_a_status_never_goes_back() -> None:
    assert later("validating_files", "queued") == "queued"
    assert later("running", "queued") == "running"


def test_jobs_are_found_by_metadata_in_pages_newest_first(client: openai.OpenAI) -> None:
    jobs = [train(client, metadata={"batch": "paged", "place": str(place)}) for place in range(3)]
    train(client)
    found = client.fine_tuning.jobs.list(metadata={"batch": "paged"}, limit=2)
    assert [job.id for job in found.data] == [jobs[2], jobs[1]]
    assert found.has_more
    assert [job.id for job in found] == jobs[::-1]
    one = client.fine_tuning.jobs.list(metadata={"batch": "paged", "place": "1"})
    assert [job.id for job in one] == [jobs[1]]
    assert client.fine_tuning.jobs.list(metadata={"batch": "none"}).data == []
    bare = client.fine_tuning.jobs.list(extra_query={"metadata": "null"}, limit=100)
    assert not {job.id for job in bare} & set(jobs)
    for job_id in jobs:
        finished(client, job_id)


def line(*messages: dict[str, object]) -> bytes:
    return json.dumps({"messages": messages}).encode() + b"\n"


USER: dict[str, object] = {"role": "user", "content": "hi"}
GOOD: dict[str, object] = {"role": "assistant", "content": "blue"}
BAD_LINES: list[tuple[bytes, str]] = [
    (b"{]\n", "malformed"),
    (b"{\n", "truncated"),
    (b'{"messages": []}\n', "empty"),
    (b'{"prompt": "a"}\n', "messages"),
    (line(USER), "last message"),
    (line({"role": "robot", "content": "x"}, GOOD), "robot"),
    (line({"role": "user", "content": ""}, GOOD), "no content"),
    (line({"role": "user"}, GOOD), "no content"),
    (line({**USER, "weight": 1}, GOOD), "weight"),
    (line(USER, {**GOOD, "weight": 2}), "weight"),
    (line(USER, {**GOOD, "weight": 0}), "nothing to learn"),
    (line({"role": "user", "content": "word " * 3000}, GOOD), "tokens"),
    (b'{"messages": [], "functions": [{}]}\n', "functions"),
    (b"\xff\n", "malformed"),
    (b'{"messages": [], "tools": ' + b"[" * 100_000 + b"\n", "recursion"),
]


@pytest.mark.parametrize(("bad", "reason"), BAD_LINES)
def test_a_bad_line_is_named_with_its_reason(tmp_path: Path, bad: bytes, reason: str) -> None:
    (tmp_path / "x.jsonl").write_bytes(dataset() + bad + dataset())
    with pytest.raises(training_data.TrainingFileError) as caught:
        training_data.read_examples(tmp_path / "x.jsonl", LastAnswerEngine().check)
    assert str(caught.value).startswith("Invalid file format. Line 11: ")
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    "written",
    [
        b"\xef\xbb\xbf" + dataset(),
        dataset() + b"\n",
        dataset() + b"\r\n \t\r\n",
        dataset().replace(b"\n", b"\r\n"),
        dataset().replace(b"\n", b"\n\n").removesuffix(b"\n\n"),
    ],
)
def test_a_byte_order_mark_and_empty_lines_are_no_examples(
    tmp_path: Path, client: openai.OpenAI, written: bytes
) -> None:
    (tmp_path / "plain.jsonl").write_bytes(dataset())
    (tmp_path / "written.jsonl").write_bytes(written)
    check = LastAnswerEngine().check
    plain = training_data.read_examples(tmp_path / "plain.jsonl", check)
    assert training_data.read_examples(tmp_path / "written.jsonl", check) == plain
    job = finished(client, train(client, training_file=upload(client, written)))
    assert job.status == "succeeded"


def test_a_bad_line_is_counted_with_the_empty_ones(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(b"\xef\xbb\xbf\n" + dataset() + b"\n\n{")
    with pytest.raises(training_data.TrainingFileError, match="Line 14: "):
        training_data.read_examples(tmp_path / "x.jsonl", LastAnswerEngine().check)
    (tmp_path / "y.jsonl").write_bytes(dataset().decode().encode("utf-16"))
    with pytest.raises(training_data.TrainingFileError, match=r"Line 1: the file is UTF-16"):
        training_data.read_examples(tmp_path / "y.jsonl", LastAnswerEngine().check)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (dataset(["blue"] * 9), "has 9 example(s), but must have at least 10"),
        (b"", "has 0 example(s)"),
        (dataset() + line(USER), "Line 11"),
    ],
)
def test_a_file_that_cannot_be_trained_on_fails_its_job(
    client: openai.OpenAI, content: bytes, reason: str
) -> None:
    job_id = train(client, training_file=upload(client, content))
    job = finished(client, job_id)
    assert (job.status, job.fine_tuned_model) == ("failed", None)
    assert (job.error.code, job.error.param) == ("invalid_training_file", "training_file")
    assert reason in job.error.message
    newest = client.fine_tuning.jobs.list_events(job_id, limit=1).data[0]
    assert (newest.level, reason in newest.message) == ("error", True)


REFUSED: list[tuple[dict[str, Any], int, str | None, str | None]] = [
    ({"model": "gpt-9"}, 404, None, "model_not_found"),
    ({"training_file": "file-none"}, 400, "training_file", "invalid_training_file"),
    ({"validation_file": "file-none"}, 400, "validation_file", "unsupported_parameter"),
    ({"seed": -1}, 400, "seed", "integer_below_min_value"),
    ({"suffix": "x" * 65}, 400, "suffix", "string_above_max_length"),
    ({"colour": "red"}, 400, "colour", "unknown_parameter"),
    ({"method": {"type": "dpo"}}, 400, "method.type", "invalid_value"),
    (
        {"hyperparameters": {"n_epochs": 0}},
        400,
        "hyperparameters.n_epochs",
        "integer_below_min_value",
    ),
    ({"hyperparameters": {"n_epochs": "many"}}, 400, "hyperparameters.n_epochs", "invalid_value"),
    ({"metadata": {"a": 1}}, 400, "metadata", "invalid_type"),
    ({"metadata": {str(i): "" for i in range(17)}}, 400, "metadata", "object_above_max_length"),
    ({"integrations": [{"type": "wandb"}]}, 400, "integrations", "unsupported_parameter"),
]


@pytest.mark.parametrize(("fields", "status", "param", "code"), REFUSED)
def test_an_order_that_cannot_be_followed_makes_no_job(
    server: Served,
    client: openai.OpenAI,
    fields: dict[str, Any],
    status: int,
    param: str | None,
    code: str | None,
) -> None:
    before = len(list((server.state / "jobs").iterdir()))
    order = {"model": MODEL, "training_file": upload(client), **fields}
    got, body = server.request("POST", "/v1/fine_tuning/jobs", json.dumps(order).encode())
    error = body["error"]
    assert (got, error["param"], error["code"]) == (status, param, code), error
    assert len(list((server.state / "jobs").iterdir())) == before


def test_a_file_of_another_purpose_cannot_be_trained_on(client: openai.OpenAI) -> None:
    file = client.files.create(file=("x", dataset()), purpose="user_data")
    with pytest.raises(openai.BadRequestError, match="must be 'fine-tune'"):
        train(client, training_file=file.id)


def test_a_cancelled_job_ends_and_stays_so(client: openai.OpenAI) -> None:
    job_id = train(client, method=epochs(1000))
    at_step(client, job_id)
    assert client.fine_tuning.jobs.cancel(job_id).status == "cancelled"
    job = client.fine_tuning.jobs.retrieve(job_id)
    assert (job.status, job.fine_tuned_model) == ("cancelled", None)
    assert client.fine_tuning.jobs.checkpoints.list(job_id).data == []
    with pytest.raises(openai.BadRequestError, match="already ended: it is cancelled"):
        client.fine_tuning.jobs.cancel(job_id)
    trained(client)  # its place is free for the next one


def test_one_job_trains_while_the_next_is_queued_and_can_be_cancelled(
    client: openai.OpenAI,
) -> None:
    first = train(client, method=epochs(1000))
    at_step(client, first)
    second = train(client)
    until(lambda: client.fine_tuning.jobs.retrieve(second).status == "queued")
    assert client.fine_tuning.jobs.retrieve(first).status == "running"
    client.fine_tuning.jobs.cancel(second)
    client.fine_tuning.jobs.cancel(first)


def test_answers_come_while_a_job_trains(client: openai.OpenAI) -> None:
    job_id = train(client, method=epochs(1000))
    at_step(client, job_id)
    running = client.fine_tuning.jobs.retrieve(job_id)
    assert running.estimated_finish is not None
    assert running.estimated_finish > running.created_at
    assert answer(client, MODEL).startswith("I choose ")
    client.fine_tuning.jobs.cancel(job_id)


def test_an_unknown_job_is_404(client: openai.OpenAI) -> None:
    jobs = client.fine_tuning.jobs
    for request in (jobs.retrieve, jobs.cancel, jobs.checkpoints.list):
        with pytest.raises(openai.NotFoundError) as caught:
            request("ftjob-none")
        assert caught.value.code == "fine_tune_not_found"


def test_a_deleted_training_file_does_not_stop_its_job(client: openai.OpenAI) -> None:
    file_id = upload(client)
    job_id = train(client, training_file=file_id, method=epochs(20))
    client.files.delete(file_id)
    assert finished(client, job_id).status == "succeeded"


def weights(server: Served) -> list[Path]:
    return list((server.state / "jobs").glob("*/weights/*"))


def test_models_are_listed_and_a_deleted_one_frees_its_weights(tmp_path: Path) -> None:
    with served(tmp_path) as server, server.client() as client:
        model = trained(client, method=epochs(3))
        ids = [entry.id for entry in client.models.list()]
        steps = [f"{model}:ckpt-step-{step}" for step in (2, 4, 6)]
        assert ids == [MODEL, model, *steps]
        assert client.models.retrieve(model).owned_by == "local"
        assert client.models.delete(steps[2]).deleted
        assert answer(client, model) == "blue"  # the same weights are still its own
        assert len(weights(server)) == 3
        client.models.delete(steps[0])
        assert len(weights(server)) == 2
        client.models.delete(model)
        assert weights(server) == []
        assert [entry.id for entry in client.models.list()] == [MODEL]
        with pytest.raises(openai.NotFoundError):
            answer(client, model)
        with pytest.raises(openai.PermissionDeniedError, match="base model"):
            client.models.delete(MODEL)


def test_a_job_whose_start_model_was_deleted_fails_with_that_reason(
    client: openai.OpenAI,
) -> None:
    start = trained(client)
    running = [train(client, method=epochs(1000)) for _ in range(4)]
    waiting = train(client, model=start)
    client.models.delete(start)
    for job_id in running:
        client.fine_tuning.jobs.cancel(job_id)
    job = finished(client, waiting)
    assert (job.status, job.error.code) == ("failed", "model_not_found")
