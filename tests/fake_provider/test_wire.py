"""The fake provider as the `openai` package and plain HTTP clients meet it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.fake_provider.client import Provider, running, start

BASE = "gpt-4.1-2025-04-14"
ASK: Any = [{"role": "user", "content": "3 doors: A, B, C. Open one a round."}]
ROWS = [
    {"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": f"{i}"}]}
    for i in range(10)
]
DATA = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
METHOD: Any = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}}


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with running(tmp_path_factory.mktemp("provider")) as provider:
        yield provider


@pytest.fixture
def client(provider: Provider) -> Iterator[openai.OpenAI]:
    with connect(provider) as client:
        yield client


def connect(provider: Provider, **settings: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=provider.base_url, api_key="sk-test", max_retries=0, **settings)


def trained(client: openai.OpenAI, data: bytes = DATA, **more: Any) -> Any:
    file = client.files.create(file=("rmft-1.jsonl", data), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(
        model=BASE, training_file=file.id, seed=1, suffix="s", method=METHOD, **more
    )
    for _ in range(10):
        job = client.fine_tuning.jobs.retrieve(job.id)
    return job


def test_the_same_question_gets_the_same_answers(client: openai.OpenAI) -> None:
    replies = [
        client.chat.completions.create(model=BASE, messages=ASK, n=4, seed=7) for _ in range(2)
    ]
    said = [[choice.message.content for choice in reply.choices] for reply in replies]
    assert said[0] == said[1]
    assert len(said[0]) == 4
    assert all(text and "<Answer>" in text for text in said[0])


def test_usage_counts_tokens_exactly_and_the_bill_agrees(
    client: openai.OpenAI, provider: Provider
) -> None:
    before = provider.books.billed("chat")
    usage = client.chat.completions.create(model=BASE, messages=ASK, seed=8).usage
    assert usage is not None
    assert usage.prompt_tokens == 3 + 6 + 3
    assert provider.books.billed("chat") - before == 2 * 12 + 8 * usage.completion_tokens


def test_a_file_comes_back_as_it_was_sent_and_can_be_deleted(client: openai.OpenAI) -> None:
    content = b"\r\n--x\r\n\x00\xff" + DATA
    file = client.files.create(file=("odd name.jsonl", content), purpose="fine-tune")
    assert client.files.content(file.id).content == content
    assert file.bytes == len(content)
    assert client.files.list(purpose="fine-tune").data[0].filename == "odd name.jsonl"
    client.files.delete(file.id)
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file.id)


def test_a_job_walks_through_its_statuses_to_a_model_that_answers(client: openai.OpenAI) -> None:
    file = client.files.create(file=("a.jsonl", DATA), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(model=BASE, training_file=file.id, method=METHOD)
    seen = [job.status]
    while job.status != "succeeded":
        job = client.fine_tuning.jobs.retrieve(job.id)
        seen.append(job.status)
    assert seen == ["validating_files", "queued", "running", "running", "succeeded"]
    assert job.fine_tuned_model is not None
    assert client.chat.completions.create(model=job.fine_tuned_model, messages=ASK).choices
    events = client.fine_tuning.jobs.list_events(job.id).data
    assert events[0].message == "The job has successfully completed"
    assert len(client.fine_tuning.jobs.checkpoints.list(job.id).data) == 1


def test_training_is_billed_once_however_often_the_job_is_looked_at(
    client: openai.OpenAI, provider: Provider
) -> None:
    before = provider.books.billed("training")
    job = trained(client)
    assert provider.books.billed("training") - before == 25 * job.trained_tokens
    assert job.trained_tokens == 2 * 10 * (4 + 4 + 3)


def test_the_same_training_gives_the_same_lineage_whatever_the_model_is_called(
    client: openai.OpenAI, provider: Provider
) -> None:
    one, two = trained(client), trained(client, metadata={"k": "v"})
    lineages = provider.books.lineages()
    assert lineages[one.fine_tuned_model] == lineages[two.fine_tuned_model]


def test_jobs_are_listed_newest_first_and_filtered_by_metadata(client: openai.OpenAI) -> None:
    ids = [trained(client, metadata={"rmft_key": "list", "i": str(i)}).id for i in range(3)]
    jobs = client.fine_tuning.jobs
    assert [job.id for job in jobs.list(metadata={"rmft_key": "list"}, limit=2)] == ids[::-1]
    assert [job.id for job in jobs.list(metadata={"i": "1"})] == [ids[1]]
    assert not jobs.list(metadata={"rmft_key": "other"}).data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (DATA[: len(DATA) // 2], "at least 10"),
        (DATA + b'{"messages": []}\n', "line 11"),
        (DATA + b"[1\n", "line 11"),
    ],
)
def test_a_bad_training_file_fails_the_job_and_names_the_line(
    client: openai.OpenAI, data: bytes, message: str
) -> None:
    job = trained(client, data)
    assert job.status == "failed"
    assert job.error.code == "invalid_training_file"
    assert message in job.error.message


def test_a_cancelled_job_stays_cancelled(client: openai.OpenAI) -> None:
    file = client.files.create(file=("a.jsonl", DATA), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(model=BASE, training_file=file.id)
    assert client.fine_tuning.jobs.cancel(job.id).status == "cancelled"
    assert client.fine_tuning.jobs.retrieve(job.id).status == "cancelled"


def test_later_generations_choose_better(client: openai.OpenAI) -> None:
    told: Any = [
        {
            "role": "user",
            "content": "3 doors: A, B, C. Go.\nA: 1 plays, mean 20\nB: 1 plays, mean 90",
        }
    ]
    model = trained(client, metadata={"g": "1"}).fine_tuned_model

    def hits(model: str) -> int:
        reply = client.chat.completions.create(model=model, messages=told, n=100, seed=1)
        return sum("<Answer>B<" in (choice.message.content or "") for choice in reply.choices)

    assert hits(BASE) < 50 < hits(model)


def test_an_unknown_model_argument_or_key_is_refused_in_the_wires_shape(
    client: openai.OpenAI,
) -> None:
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        client.chat.completions.create(model="nope", messages=ASK)
    with pytest.raises(openai.BadRequestError, match="Unrecognized request argument"):
        client.chat.completions.create(model=BASE, messages=ASK, extra_body={"what": 1})


def test_a_provider_started_again_remembers_everything(tmp_path: Path) -> None:
    with running(tmp_path) as provider, connect(provider) as client:
        job, port = trained(client), provider.port
        provider.process.kill()
        provider.process.wait()
    again = start(tmp_path, port=port)
    try:
        with connect(again) as client:
            assert client.fine_tuning.jobs.retrieve(job.id).status == "succeeded"
            assert client.chat.completions.create(model=job.fine_tuned_model, messages=ASK)
    finally:
        again.stop()


def test_lists_lag_but_ids_do_not(tmp_path: Path) -> None:
    with running(tmp_path, list_lag_s=60.0) as provider, connect(provider) as client:
        job = trained(client, metadata={"k": "v"})
        assert client.fine_tuning.jobs.retrieve(job.id).id == job.id
        assert not client.fine_tuning.jobs.list().data
        assert not client.files.list().data


def test_a_rate_limit_is_told_in_headers_and_kept(tmp_path: Path) -> None:
    with running(tmp_path, requests_per_minute=3) as provider, connect(provider) as client:
        raw = client.chat.completions.with_raw_response
        left = [
            raw.create(model=BASE, messages=ASK).headers["x-ratelimit-remaining-requests"]
            for _ in range(3)
        ]
        assert left == ["2", "1", "0"]
        with pytest.raises(openai.RateLimitError, match="try again in"):
            client.chat.completions.create(model=BASE, messages=ASK)
        assert provider.books.number("SELECT count(*) FROM bill") == 3
