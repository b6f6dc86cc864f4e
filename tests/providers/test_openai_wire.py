"""Files and jobs: what is sent, and what is made of replies that are late, partial or wrong."""

import asyncio
from typing import Any

import msgspec
import pytest

from rmft_api.core.errors import ConfigError, FaultKind, ProviderFault
from rmft_api.core.ports import FineTuner
from rmft_api.core.records import Hyperparameters, JobOrder
from rmft_api.providers import Connection, connect
from rmft_api.providers.capabilities import TrainingCapabilities
from rmft_api.providers.openai_shapes import WireJob
from rmft_api.providers.profiles import Profile, load
from tests.contracts.fine_tuner import examples
from tests.providers.conftest import CANARY, ENVIRON
from tests.providers.stub import Meets, StubProvider, advance, error

CONTENT = examples()


@pytest.fixture
def tuner(connection: Connection) -> FineTuner:
    return connection.tuner


def with_training(profile: Profile, **changes: Any) -> Profile:
    traits = profile.training or TrainingCapabilities()
    return profile.model_copy(update={"training": traits.model_copy(update=changes)})


def order(training_file: str = "file-0001", **changes: Any) -> JobOrder:
    fields: dict[str, Any] = {
        "key": "k" * 32,
        "model": "gpt-4.1-mini",
        "training_file": training_file,
        "method": "supervised",
        "hyperparameters": Hyperparameters(n_epochs=2),
        "seed": 7,
        "suffix": "rmft-a-1",
        "metadata": {"rmft_run": "a"},
        **changes,
    }
    return JobOrder(**fields)


async def fault_of(asking: Any) -> ProviderFault:
    with pytest.raises(ProviderFault) as caught:
        await asking
    assert "\n" not in str(caught.value)
    assert CANARY not in f"{caught.value!r}{caught.value}"
    return caught.value


async def test_a_job_is_ordered_as_the_wire_words_it(tuner: FineTuner, stub: StubProvider) -> None:
    await tuner.upload("a.jsonl", CONTENT)
    await tuner.create_job(order())
    (seen,) = stub.asked("create")
    assert seen.json == {
        "model": "gpt-4.1-mini",
        "training_file": "file-0001",
        "seed": 7,
        "suffix": "rmft-a-1",
        "metadata": {"rmft_key": "k" * 32, "rmft_run": "a"},
        "method": {
            "type": "supervised",
            "supervised": {
                "hyperparameters": {
                    "n_epochs": 2,
                    "batch_size": "auto",
                    "learning_rate_multiplier": "auto",
                }
            },
        },
    }
    assert seen.headers["authorization"] == f"Bearer {CANARY}"
    assert seen.headers["x-client-request-id"] == "k" * 32


async def test_a_profile_decides_how_a_job_is_worded(stub: StubProvider) -> None:
    there = with_training(
        load("openai-compatible").at(stub.url),
        learning_rate="absolute",
        metadata=False,
        suffix_length=6,
        methods=("supervised", "dpo"),
        bom=True,
    )
    async with connect(there, environ={}) as connection:
        file = await connection.tuner.upload("a.jsonl", CONTENT)
        wanted = Hyperparameters(n_epochs=1, learning_rate=1e-5, beta=0.1)
        await connection.tuner.create_job(order(file.id, method="dpo", hyperparameters=wanted))
    (seen,) = stub.asked("create")
    assert seen.json["suffix"] == "rmft-a"
    assert "metadata" not in seen.json
    assert seen.json["method"]["dpo"]["hyperparameters"] == {
        "n_epochs": 1,
        "batch_size": "auto",
        "learning_rate": 1e-5,
        "beta": 0.1,
    }
    assert "authorization" not in seen.headers
    assert file.bytes == len(CONTENT) + 3
    assert b"\xef\xbb\xbf" + CONTENT in stub.asked("upload")[0].body


async def test_the_environments_openai_settings_go_to_openai_alone(
    stub: StubProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-1")
    async with connect(load("local").at(stub.url)) as connection:
        await connection.tuner.find_uploads("a.jsonl")
    async with connect(load("openai").at(stub.url)) as connection:
        await connection.tuner.find_uploads("a.jsonl")
    local, openai = stub.asked("files")
    assert local.headers.keys().isdisjoint(
        {"authorization", "openai-organization", "openai-project"}
    )
    assert openai.headers["openai-organization"] == "org-1"
    assert openai.headers["openai-project"] == "proj-1"


@pytest.mark.parametrize("page", [1, 2, 100])
async def test_lists_are_read_to_their_end(tuner: FineTuner, stub: StubProvider, page: int) -> None:
    stub.page = page
    for _ in range(3):
        file = await tuner.upload("a.jsonl", CONTENT)
        await tuner.upload("b.jsonl", CONTENT)
        await tuner.create_job(order(file.id))
    assert [f.id for f in await tuner.find_uploads("a.jsonl")] == [
        f["id"] for f in stub.files if f["filename"] == "a.jsonl"
    ]
    assert [j.id for j in await tuner.find_jobs(order())] == [j["id"] for j in stub.jobs]
    for job in stub.jobs:
        advance(stub, job)
        advance(stub, job)
    events = await tuner.events(stub.jobs[0]["id"], None)
    assert [e.id for e in events] == [e["id"] for e in stub.logs[stub.jobs[0]["id"]]]
    steps = [c.step for c in await tuner.checkpoints(stub.jobs[0]["id"])]
    assert steps == [1000, 2000]


async def test_a_list_that_repeats_itself_ends(tuner: FineTuner, stub: StubProvider) -> None:
    entry = {"id": "file-1", "filename": "a.jsonl", "bytes": 1}
    page = Meets(body={"data": [entry], "has_more": True})
    stub.plan("files", *[page] * 5)
    await tuner.find_uploads("a.jsonl")
    assert len(stub.asked("files")) == 2


async def test_a_job_is_found_though_metadata_is_not_indexed_yet(
    tuner: FineTuner, stub: StubProvider
) -> None:
    """One of two look-ups may lag: the list by key is empty, the newest jobs show the file."""
    file = await tuner.upload("a.jsonl", CONTENT)
    job = await tuner.create_job(order(file.id))
    stub.plan("jobs", Meets(body={"object": "list", "data": [], "has_more": False}))
    assert [found.id for found in await tuner.find_jobs(order(file.id))] == [job.id]


async def test_a_server_that_ignores_the_filter_shows_no_foreign_job(
    tuner: FineTuner, stub: StubProvider
) -> None:
    stub.filters_metadata = False
    theirs = await tuner.upload("theirs.jsonl", CONTENT)
    await tuner.create_job(order(theirs.id, key="x" * 32))
    ours = await tuner.upload("ours.jsonl", CONTENT)
    job = await tuner.create_job(order(ours.id))
    assert [found.id for found in await tuner.find_jobs(order(ours.id))] == [job.id]


async def test_jobs_of_strange_form_do_not_hide_ours(tuner: FineTuner, stub: StubProvider) -> None:
    ours = await tuner.upload("ours.jsonl", CONTENT)
    job = await tuner.create_job(order(ours.id))
    stub.jobs.insert(0, {"id": "ftjob-old", "metadata": "none", "polls": 0, "model": None})
    stub.filters_metadata = False
    assert [found.id for found in await tuner.find_jobs(order(ours.id))] == [job.id]


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        "text",
        b"<html></html>",
        b"",
        b'{"id": "x", ',
        {"id": "", "status": "queued", "model": "m", "training_file": "f", "created_at": 1},
        {"id": None, "status": "queued", "model": "m", "training_file": "f", "created_at": 1},
        {"id": "j", "status": None, "model": "m", "training_file": "f", "created_at": 1},
        {"id": "j", "status": "queued", "model": "m", "training_file": "other", "created_at": 1},
        {
            "id": "j",
            "status": "queued",
            "model": "m",
            "training_file": "file-0001",
            "created_at": 1,
            "metadata": {"rmft_key": "another"},
        },
        {"error": {"message": "upstream failed", "type": "server_error"}},
    ],
)
async def test_what_is_no_job_of_ours_may_still_have_been_created(
    tuner: FineTuner, stub: StubProvider, body: Any
) -> None:
    stub.plan("create", Meets(body=body))
    assert (await fault_of(tuner.create_job(order()))).kind is FaultKind.AMBIGUOUS


@pytest.mark.parametrize(
    ("told", "tokens"),
    [
        ({"trained_tokens": 1000.0}, 1000),
        ({"trained_tokens": "1000"}, 1000),
        ({"trained_tokens": -1}, None),
        ({"trained_tokens": "many"}, None),
        ({"created_at": "2026-01-01T00:00:00Z"}, 7),
        ({"created_at": None, "status": "SUCCEEDED"}, 7),
    ],
)
def test_nothing_depends_on_how_a_job_writes_its_numbers(
    told: dict[str, Any], tokens: int | None
) -> None:
    plain = {"id": "j", "status": "succeeded", "model": "m", "training_file": "f"}
    job = msgspec.convert({**plain, "trained_tokens": 7, "created_at": 1, **told}, WireJob).record()
    assert (job.status, job.trained_tokens) == ("succeeded", tokens)


async def test_an_upload_that_lost_bytes_is_not_trusted(
    tuner: FineTuner, stub: StubProvider
) -> None:
    file = {"id": "file-1", "filename": "a.jsonl", "bytes": len(CONTENT) - 1}
    stub.plan("upload", Meets(body=file))
    assert (await fault_of(tuner.upload("a.jsonl", CONTENT))).kind is FaultKind.AMBIGUOUS


async def test_a_file_that_tells_no_status_is_ready(tuner: FineTuner, stub: StubProvider) -> None:
    told = {"id": "file-1", "filename": "a.jsonl", "bytes": len(CONTENT)}
    stub.plan("upload", Meets(body=told))
    assert (await tuner.upload("a.jsonl", CONTENT)).status == "processed"


@pytest.mark.parametrize("status", [408, 409, 500, 502, 503, 504, 520])
async def test_a_creation_that_failed_on_the_way_is_sent_once_and_may_have_been_done(
    tuner: FineTuner, stub: StubProvider, status: int
) -> None:
    stub.plan("create", Meets(status, b"<html></html>"))
    assert (await fault_of(tuner.create_job(order()))).kind is FaultKind.AMBIGUOUS
    assert len(stub.asked("create")) == 1


@pytest.mark.parametrize("manner", ["reset", "truncated", "after"])
async def test_a_lost_reply_is_in_doubt_for_a_post_and_not_for_a_get(
    tuner: FineTuner, stub: StubProvider, manner: Any
) -> None:
    file = await tuner.upload("a.jsonl", CONTENT)
    stub.plan("create", Meets(manner=manner))
    stub.plan("jobs", Meets(manner=manner))
    assert (await fault_of(tuner.create_job(order(file.id)))).kind is FaultKind.AMBIGUOUS
    assert (await fault_of(tuner.find_jobs(order()))).kind is FaultKind.SAFE
    assert len(stub.asked("create")) == len(stub.asked("jobs")) == 1


@pytest.mark.parametrize("manner", ["hang", "drip"])
async def test_a_silent_or_endless_reply_is_given_up(
    profile: Profile, stub: StubProvider, manner: Any
) -> None:
    waits = profile.timeouts.model_copy(update={"list_s": 0.3, "upload_s": 0.3})
    impatient = profile.model_copy(update={"timeouts": waits})
    for route in ("create", "upload", "jobs"):
        stub.plan(route, Meets(manner=manner))
    async with asyncio.timeout(5), connect(impatient, environ=ENVIRON) as connection:
        tuner = connection.tuner
        assert (await fault_of(tuner.create_job(order()))).kind is FaultKind.AMBIGUOUS
        assert (await fault_of(tuner.upload("a", CONTENT))).kind is FaultKind.AMBIGUOUS
        assert (await fault_of(tuner.find_jobs(order()))).kind is FaultKind.SAFE


async def test_a_closed_port_was_certainly_not_reached(profile: Profile) -> None:
    async with connect(profile.at("http://127.0.0.1:9/v1"), environ=ENVIRON) as connection:
        assert (await fault_of(connection.tuner.create_job(order()))).kind is FaultKind.SAFE


async def test_a_redirect_is_not_followed_with_the_key(
    tuner: FineTuner, stub: StubProvider
) -> None:
    stub.plan("create", Meets(307, b"", {"location": f"{stub.url}/files"}))
    assert (await fault_of(tuner.create_job(order()))).kind is FaultKind.STOP
    assert len(stub.seen) == 1


@pytest.mark.parametrize(
    ("met", "kind"),
    [
        (error(403, "closed", code="training_not_available"), FaultKind.STOP),
        (
            error(429, "no money", code="insufficient_quota", kind="insufficient_quota"),
            FaultKind.STOP,
        ),
        (error(429, "8 per day", code="daily_rate_limit_exceeded"), FaultKind.WAIT),
        (error(429, "slow", code="rate_limit_exceeded", kind="requests"), FaultKind.SAFE),
        (error(400, "bad file", code="invalid_training_file"), FaultKind.REJECTED),
        (error(400, "Unknown parameter: 'seed'"), FaultKind.STOP),
    ],
)
async def test_refusals_are_classified_by_the_one_table(
    tuner: FineTuner, stub: StubProvider, met: Meets, kind: FaultKind
) -> None:
    stub.plan("create", met)
    assert (await fault_of(tuner.create_job(order()))).kind is kind
    assert len(stub.asked("create")) == 1


async def test_a_failed_job_tells_its_reason(tuner: FineTuner, stub: StubProvider) -> None:
    reason = {"code": "invalid_training_file", "message": "Line 3", "param": "training_file"}
    stub.end = {"status": "failed", "error": reason}
    file = await tuner.upload("a.jsonl", CONTENT)
    job = await tuner.create_job(order(file.id))
    await tuner.job(job.id)
    failed = await tuner.job(job.id)
    assert failed.status == "failed"
    assert failed.error == "invalid_training_file: Line 3 (training_file)"


async def test_events_of_unknown_form_are_left_out(tuner: FineTuner, stub: StubProvider) -> None:
    good = {"id": "e2", "created_at": 2, "level": "warn", "message": "hi", "type": "moderation"}
    steps = {"id": "e1", "created_at": 1.5, "message": "step", "data": {"loss": 0.5, "ok": True}}
    odd = [{}, {"id": 7, "message": "x"}, {"id": "e0", "message": None}]
    stub.plan("events", Meets(body={"data": [good, *odd, steps]}))
    events = await tuner.events("ftjob-1", None)
    assert [(e.id, e.level, e.metrics) for e in events] == [
        ("e1", "info", {"loss": 0.5}),
        ("e2", "warn", {}),
    ]


@pytest.mark.parametrize("status", [404, 405])
async def test_an_endpoint_without_checkpoints_keeps_none(
    tuner: FineTuner, stub: StubProvider, status: int
) -> None:
    stub.plan("checkpoints", error(status, "no such route"))
    assert await tuner.checkpoints("ftjob-1") == []


async def test_ids_reach_the_server_whole(tuner: FineTuner, stub: StubProvider) -> None:
    model = "ft:gpt-4.1-mini-2025-04-14:my-org:my suffix:abc"
    stub.models.add(model)
    assert await tuner.model_ready(model)


async def test_a_profile_without_training_says_so(stub: StubProvider) -> None:
    chat_only = load("local").model_copy(update={"training": None, "base_url": stub.url})
    async with connect(chat_only, environ={}) as connection:
        with pytest.raises(ConfigError, match="training_profile"):
            _ = connection.tuner


async def test_a_suffix_that_no_provider_takes_is_refused_here(
    tuner: FineTuner, stub: StubProvider
) -> None:
    with pytest.raises(ConfigError, match="suffix"):
        await tuner.create_job(order(suffix="a b"))
    assert not stub.seen
