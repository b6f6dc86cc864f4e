"""A dataset becomes a model: a stub provider, a real journal, and a clock of the tests' own."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from rmft_api.config.schema import RunConfig
from rmft_api.core.errors import (
    BudgetError,
    ConfigError,
    DataError,
    FaultKind,
    NotEntitledError,
    ProviderFault,
    ResumableError,
)
from rmft_api.core.records import ChatRequest, Job, JobOrder, Method
from rmft_api.core.waits import Wait, Waits
from rmft_api.finetuning import FineTuned, Trainer
from rmft_api.journal import Journal
from rmft_api.providers import Connection, connect
from rmft_api.providers.prices import Prices
from rmft_api.providers.profiles import Profile, load
from rmft_api.requests.retries import Retries
from tests.contracts.fine_tuner import examples
from tests.providers.conftest import ENVIRON
from tests.providers.stub import Meets, Serving, StubProvider, error

BASE = "gpt-4.1-mini"


@dataclass
class Time:
    """A wall clock that only sleeping moves."""

    now: float = 1_800_000_000.0
    slept: list[float] = field(default_factory=list[float])

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@dataclass(frozen=True)
class Data:
    content: bytes = field(default_factory=examples)
    tokens: int = 1000

    @property
    def sha256(self) -> str:
        return sha256(self.content).hexdigest()

    def source_of_line(self, line: int) -> str:
        return f"scenario {line}, trajectory 0"


def config(**finetuning: Any) -> RunConfig:
    return RunConfig.model_validate(
        {
            "name": "test-run",
            "seed": 3,
            "model": {"base": BASE, "profile": "openai"},
            "rollouts": {"problems": [{"environment": "bandit"}]},
            "finetuning": {"n_epochs": 3, **finetuning},
        }
    )


@dataclass
class Bench:
    """A trainer and all that it works with; `again` is what a resumed run is."""

    stub: StubProvider
    profile: Profile
    connection: Connection
    path: Path
    time: Time = field(default_factory=Time)
    said: list[str] = field(default_factory=list[str])
    config: RunConfig = field(default_factory=config)
    journal: Journal | None = None
    probe_price: Callable[[ChatRequest], int | None] = lambda request: None

    def open(self) -> Journal:
        directory = self.path / "test-run"
        exists = (directory / "journal.sqlite").exists()
        clock = self.time.clock
        self.journal = (
            Journal.open(directory, clock=clock)
            if exists
            else Journal.create(directory, "{}", {}, clock=clock)
        )
        return self.journal

    async def train(
        self,
        *,
        cap_usd: float = 10.0,
        start: str = BASE,
        method: Method = "supervised",
        waits: Waits | None = None,
    ) -> FineTuned:
        journal = self.open()
        try:
            await journal.ledger.set_cap(round(cap_usd * 1e6))
            trainer = Trainer(
                self.profile,
                self.connection,
                journal,
                Retries(
                    clock=self.time.clock, sleep=self.time.sleep, jitter=lambda: 0.5, waits=waits
                ),
                self.config,
                Prices(self.profile).training,
                self.said.append,
                probe_price=self.probe_price,
            )
            return await trainer.train(1, start, Data(), method)
        finally:
            journal.close()

    def spent(self) -> tuple[int, int]:
        journal = self.open()
        totals = journal.ledger.totals()
        journal.close()
        return totals.spent, totals.reserved


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with Serving() as stub:
        profile = load("openai").at(stub.url)
        async with connect(profile, environ=ENVIRON) as connection:
            yield Bench(stub, profile, connection, tmp_path)


async def test_preferences_are_ordered_as_such_and_by_a_job_of_their_own(bench: Bench) -> None:
    await bench.train()
    await bench.train(method="dpo")
    body = bench.stub.asked("create")[1].json
    numbers = body["method"]["dpo"]["hyperparameters"]
    assert body["method"]["type"] == "dpo"
    assert (numbers["n_epochs"], numbers["beta"]) == (1, 0.1)


async def test_a_dataset_becomes_a_model_that_answers(bench: Bench) -> None:
    trained = await bench.train()
    assert trained.model.startswith("ft:gpt-4.1-mini:")
    assert trained.trained_tokens == 5768
    assert trained.start == BASE
    (created,) = bench.stub.asked("create")
    body = created.json
    assert body["model"] == BASE
    assert body["training_file"] == bench.stub.files[0]["id"]
    assert body["suffix"] == "rmft-test-r-1"
    assert body["seed"] == trained.seed
    assert body["method"] == {
        "type": "supervised",
        "supervised": {
            "hyperparameters": {
                "n_epochs": 3,
                "batch_size": "auto",
                "learning_rate_multiplier": "auto",
            }
        },
    }
    assert body["metadata"]["rmft_data"] == Data().sha256
    assert body["metadata"].keys() == {
        "rmft_key",
        "rmft_run",
        "rmft_iter",
        "rmft_data",
        "rmft_attempt",
    }


async def test_what_was_trained_is_paid_for_and_no_more(bench: Bench) -> None:
    await bench.train()
    assert bench.spent() == (5768 * 5, 0)


async def test_work_that_was_done_sends_nothing_when_it_is_done_again(bench: Bench) -> None:
    first = await bench.train()
    seen = len(bench.stub.seen)
    assert await bench.train() == first
    assert len(bench.stub.seen) == seen


async def test_a_log_that_cannot_be_read_stops_no_job(bench: Bench) -> None:
    bench.stub.plan("events", *[Meets(500, b"")] * 2, error(404, "no such route"))
    assert (await bench.train()).model


async def test_the_profile_knows_how_often_to_poll_unless_the_run_file_says_so(
    bench: Bench,
) -> None:
    bench.config = RunConfig.model_validate(config().model_dump())  # as a resumed run reads it
    bench.stub.polls_to_end = 4
    assert bench.profile.training
    often = bench.profile.training.model_copy(update={"poll_every_s": 2.5})
    bench.profile = bench.profile.model_copy(update={"training": often})
    await bench.train()
    assert bench.time.slept == [2.5] * 3


async def test_the_job_is_known_before_the_first_poll(bench: Bench) -> None:
    bench.stub.plan("job", error(401, "Incorrect API key provided", code="invalid_api_key"))
    with pytest.raises(NotEntitledError):
        await bench.train()
    assert (await bench.train()).model
    assert len(bench.stub.asked("create")) == 1


@pytest.mark.parametrize("route", ["upload", "create"])
@pytest.mark.parametrize("manner", ["after", "reset"])
async def test_a_lost_reply_makes_no_second_thing(bench: Bench, route: str, manner: Any) -> None:
    bench.stub.plan(route, Meets(manner=manner))
    assert (await bench.train()).model
    assert len(bench.stub.files) == 1
    assert len(bench.stub.jobs) == 1


async def test_a_twin_whose_end_was_heeded_and_then_refused_stops_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = bench.connection.tuner.create_job

    async def sent_twice_by_a_gateway(order: JobOrder) -> Job:
        for _ in range(2):
            await create(order)
        raise ProviderFault("slow down", FaultKind.SAFE, status=429)

    monkeypatch.setattr(bench.connection.tuner, "create_job", sent_twice_by_a_gateway)
    ended = error(400, "Job has already completed and cannot be cancelled.")
    bench.stub.plan("cancel", replace(ended, done=True))
    assert (await bench.train()).model
    assert [job["status"] for job in bench.stub.jobs] == ["succeeded", "cancelled"]


async def test_where_a_token_makes_it_safe_the_same_order_is_sent_again(bench: Bench) -> None:
    assert bench.profile.training
    traits = bench.profile.training.model_copy(update={"look_up": "token"})
    bench.profile = bench.profile.model_copy(update={"training": traits})
    async with connect(bench.profile, environ=ENVIRON) as bench.connection:
        bench.stub.plan("create", Meets(manner="after"))
        assert (await bench.train()).model
    first, second = bench.stub.asked("create")
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert not bench.stub.asked("jobs")
    assert len(bench.stub.jobs) == 1


async def test_an_empty_object_is_not_a_job(bench: Bench) -> None:
    bench.stub.plan("create", Meets(body={}))
    assert (await bench.train()).model
    assert len(bench.stub.jobs) == 1


async def test_polling_outlives_an_outage(bench: Bench) -> None:
    bench.stub.plan("job", *[Meets(503, b"<html>busy</html>")] * 5, Meets(manner="reset"))
    assert (await bench.train()).model


async def test_a_new_job_that_is_not_found_yet_is_waited_for(bench: Bench) -> None:
    bench.stub.plan("job", *[error(404, "No such job", code="not_found")] * 3)
    assert (await bench.train()).model
    assert len(bench.stub.jobs) == 1


async def test_a_job_that_is_never_found_ends_the_run_and_is_asked_for_again(bench: Bench) -> None:
    bench.stub.plan("job", *[error(404, "No such job", code="not_found")] * 500)
    with pytest.raises(NotEntitledError, match="asking for job ftjob-"):
        await bench.train()
    assert 600 <= sum(bench.time.slept) < 1200
    bench.stub.plans.clear()
    assert (await bench.train()).model
    assert len(bench.stub.jobs) == 1


async def test_an_unknown_status_is_waited_out_and_told_once(bench: Bench) -> None:
    bench.stub.polls_to_end = 6
    shown = Meets(body=_job_in("optimising"))
    bench.stub.plan("job", shown, shown)
    assert (await bench.train()).model
    assert len([line for line in bench.said if "unknown status" in line]) == 1


def _job_in(status: str) -> dict[str, Any]:
    """A job object as it will stand once made, in some status."""
    return {
        "id": "ftjob-0002",
        "object": "fine_tuning.job",
        "status": status,
        "model": BASE,
        "training_file": "file-0001",
        "created_at": 1,
        "fine_tuned_model": None,
        "trained_tokens": None,
        "error": None,
    }


async def test_a_job_that_never_ends_is_given_up_and_waited_for_again(bench: Bench) -> None:
    bench.config = config(give_up_after_s=3600.0, poll_every_s=60.0)
    bench.stub.polls_to_end = 75
    with pytest.raises(ResumableError, match="rmft-api resume test-run"):
        await bench.train()
    assert (await bench.train()).model
    assert len(bench.stub.asked("create")) == 1


async def test_a_file_that_the_provider_rejects_names_the_trajectory(bench: Bench) -> None:
    bench.stub.end = {
        "status": "failed",
        "error": {
            "code": "invalid_training_file",
            "message": "The job failed due to an invalid training file. Line 7: bad role",
            "param": "training_file",
        },
    }
    with pytest.raises(DataError, match="scenario 7, trajectory 0"):
        await bench.train()
    with pytest.raises(DataError):
        await bench.train()
    assert len(bench.stub.asked("create")) == 1


async def test_a_file_refused_at_once_is_the_datas_fault(bench: Bench) -> None:
    refusal = error(400, "Example 3 has no assistant message", code="invalid_training_file")
    bench.stub.plan("create", refusal)
    with pytest.raises(DataError, match="scenario 3, trajectory 0"):
        await bench.train()


@pytest.mark.parametrize(
    ("end", "words"),
    [
        ({"status": "failed", "error": {"code": "server_error", "message": "oops"}}, "oops"),
        ({"status": "cancelled", "error": None}, "cancelled"),
    ],
)
async def test_a_job_that_others_ended_is_not_started_again(
    bench: Bench, end: dict[str, Any], words: str
) -> None:
    bench.stub.end = end
    for _ in range(2):
        with pytest.raises(ProviderFault, match=words) as caught:
            await bench.train()
        assert caught.value.kind is FaultKind.STOP
    assert len(bench.stub.asked("create")) == 1


async def test_a_closed_organisation_is_told_so(bench: Bench) -> None:
    bench.stub.plan(
        "create", error(403, "Training is not available", code="training_not_available")
    )
    with pytest.raises(NotEntitledError, match="training_profile") as caught:
        await bench.train()
    (file,) = bench.stub.files
    assert f"file {file['id']}" in str(caught.value)
    assert "may be deleted" in str(caught.value)


@pytest.mark.parametrize(
    ("message", "code", "words"),
    [
        ("Error while running moderation eval refusals_v3", "job_failed", "failed at the provider"),
        ("The job failed moderation eval refusals_v3.", "job_blocked", "safety checks block"),
    ],
)
async def test_a_failed_safety_check_is_told_from_a_check_that_failed(
    bench: Bench, message: str, code: str, words: str
) -> None:
    bench.stub.end = {"status": "failed", "error": {"code": "moderation", "message": message}}
    with pytest.raises(ProviderFault, match=words) as caught:
        await bench.train()
    assert caught.value.code == code
    assert "--again" in str(caught.value)


@pytest.mark.parametrize(
    "told",
    [
        {"code": "exceeded_quota", "message": "It would exceed your hard limit", "param": None},
        {"code": "insufficient_quota", "message": None},
        {"type": "billing_hard_limit_reached", "message": "x"},
        {"error": {"code": 429, "message": "Please check your plan and billing details."}},
        {"message": "Your account has insufficient credits."},
        "exceeded_quota",
        [{"msg": "The spending limit was reached"}],
    ],
)
async def test_a_job_that_failed_for_money_says_to_add_credit(bench: Bench, told: Any) -> None:
    bench.stub.end = {"status": "failed", "error": told}
    for _ in range(2):
        with pytest.raises(ResumableError, match=r"add credit .* `rmft-api resume .* --again`"):
            await bench.train()
    assert len(bench.stub.asked("create")) == 1


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        ({"code": "server_error", "message": "oops"}, ProviderFault),
        ({"code": "overloaded_error", "message": "no capacity"}, ProviderFault),
        ({"code": "invalid_training_file", "message": "it says 'check your billing'"}, DataError),
        ({"message": "line 3 asks to check your plan and billing"}, DataError),
        ({"code": 17, "message": ["bad", {"msg": "file"}]}, DataError),
    ],
)
async def test_whose_fault_a_failed_job_is(bench: Bench, told: Any, kind: type[Exception]) -> None:
    bench.stub.end = {"status": "failed", "error": told}
    with pytest.raises(kind):
        await bench.train()


@pytest.mark.parametrize("told", [None, {}, {"code": None, "message": None}, "", []])
async def test_a_job_that_failed_without_a_word_says_so(bench: Bench, told: Any) -> None:
    bench.stub.end = {"status": "failed", "error": told}
    with pytest.raises(DataError, match=r"failed: no reason given; `rmft-api resume"):
        await bench.train()


@pytest.mark.parametrize("status", ["pausing", "paused", "resuming"])
async def test_a_paused_job_is_waited_for(bench: Bench, status: str) -> None:
    bench.stub.plan("job", Meets(body=_job_in(status)), Meets(body=_job_in(status)))
    assert (await bench.train()).model
    assert not [line for line in bench.said if "unknown status" in line]


async def test_a_file_that_is_too_large_is_not_uploaded(bench: Bench) -> None:
    assert bench.profile.training
    small = bench.profile.training.model_copy(update={"file_bytes": 100})
    bench.profile = bench.profile.model_copy(update={"training": small})
    with pytest.raises(DataError, match="the endpoint takes 100"):
        await bench.train()
    assert bench.stub.asked("upload") == []


async def test_what_a_job_carries_fits_into_its_metadata(bench: Bench) -> None:
    await bench.train()
    told = bench.stub.asked("create")[0].json["metadata"]
    assert len(told) <= 16
    assert max(map(len, told)) <= 64
    assert max(len(value) for value in told.values()) <= 512


async def test_a_model_that_is_named_late_is_waited_for(bench: Bench) -> None:
    bench.stub.polls_to_end = 5
    nameless = Meets(body=_job_in("succeeded"))
    bench.stub.plan("job", nameless, nameless, nameless)
    told: set[str] = set()
    waits = Waits(bench.time.clock, lambda wait, _: told.add(wait.what if wait else ""))
    assert (await bench.train(waits=waits)).model.startswith("ft:")
    assert any("names no model yet" in what for what in told)


async def test_a_model_never_named_is_its_last_checkpoint(bench: Bench) -> None:
    bench.stub.end = {"status": "succeeded", "fine_tuned_model": None}
    bench.stub.models.add(f"ft:{BASE}:org::x:ckpt-step-2000")
    assert (await bench.train()).model == f"ft:{BASE}:org::x:ckpt-step-2000"


async def test_a_model_that_does_not_answer_yet_is_waited_for(bench: Bench) -> None:
    missing = error(404, "The model does not exist", code="model_not_found")
    bench.stub.plan("model", *[missing] * 4)
    assert (await bench.train()).model
    assert len(bench.stub.asked("model")) == 5


async def test_a_model_that_never_answers_is_waited_for_again(bench: Bench) -> None:
    missing = error(404, "The model does not exist", code="model_not_found")
    bench.stub.plan("model", *[missing] * 500)
    with pytest.raises(ResumableError, match="does not answer yet"):
        await bench.train()
    bench.stub.plans.clear()
    assert (await bench.train()).model


async def test_a_model_that_answers_is_found_though_no_list_shows_it(bench: Bench) -> None:
    missing = error(404, "The model does not exist", code="model_not_found")
    bench.stub.plan("model", *[missing] * 500)
    bench.stub.plan("chat", missing, missing)
    bench.probe_price = lambda request: 30
    trained = await bench.train()
    asked = bench.stub.asked("chat")
    assert [one.json["model"] for one in asked] == [trained.model] * 3
    assert asked[0].json["max_completion_tokens"] == 1
    listed = bench.spent()[0]
    assert listed == Prices(bench.profile).training(BASE, 5768, 1) + 30  # pyright: ignore[reportOptionalOperand]


def _with_training(profile: Profile, **changes: Any) -> Profile:
    assert profile.training is not None
    return profile.model_copy(update={"training": profile.training.model_copy(update=changes)})


async def test_an_endpoint_that_lists_no_models_is_asked_by_chats_alone(bench: Bench) -> None:
    bench.profile = _with_training(bench.profile, readiness="chat")
    bench.probe_price = lambda request: 0
    await bench.train()
    assert len(bench.stub.asked("chat")) == 1
    assert not bench.stub.asked("model")


@pytest.mark.parametrize("status", [403, 500])
async def test_a_new_model_is_found_by_a_chat_where_models_may_not_be_listed(
    bench: Bench, status: int
) -> None:
    bench.probe_price = lambda request: 30
    bench.stub.plan("model", *[error(status, "Missing scopes: api.model.read")] * 50)
    trained = await bench.train()
    assert [one.json["model"] for one in bench.stub.asked("chat")] == [trained.model]
    assert len(bench.stub.asked("model")) == 1


async def test_a_job_and_a_model_that_take_long_are_told(bench: Bench) -> None:
    told: list[str] = []

    def listen(wait: Wait | None, is_news: bool) -> None:
        if wait is not None and is_news:
            told.append(wait.what)

    bench.stub.polls_to_end = 5
    bench.stub.plan("model", *[error(404, "No such model", code="model_not_found")] * 3)
    trained = await bench.train(waits=Waits(bench.time.clock, listen))
    assert told[0].startswith(f"job {trained.job.id} is still ")
    assert f"model {trained.model} of job {trained.job.id} does not answer yet" in told[-1]


async def test_a_job_above_the_cap_is_not_created(bench: Bench) -> None:
    with pytest.raises(BudgetError):
        await bench.train(cap_usd=0.01)
    assert not bench.stub.asked("create")


async def test_a_job_without_a_bound_on_its_price_is_refused(bench: Bench) -> None:
    bench.config = config(n_epochs=None)
    with pytest.raises(ConfigError, match="n_epochs"):
        await bench.train()
    assert not bench.stub.seen


async def test_a_profile_that_cannot_continue_is_told_before_the_upload(bench: Bench) -> None:
    assert bench.profile.training
    closed = bench.profile.training.model_copy(update={"continue_from_tuned": False})
    bench.profile = bench.profile.model_copy(update={"training": closed})
    with pytest.raises(ConfigError, match="from_base"):
        await bench.train(start="ft:gpt-4.1-mini:org::x")
    assert not bench.stub.seen


async def test_a_file_is_waited_for_where_the_profile_says_so(bench: Bench) -> None:
    assert bench.profile.training
    slow = bench.profile.training.model_copy(update={"wait_for_file": True})
    bench.profile = bench.profile.model_copy(update={"training": slow})
    bench.stub.file_status = "uploaded"
    bench.stub.plan("file", error(404, "No such File object"))
    assert (await bench.train()).model
    assert len(bench.stub.asked("file")) == 3


async def test_jobs_of_another_run_are_never_ours(bench: Bench) -> None:
    """Two runs of one name and the same data: their jobs differ, whatever lists show."""
    bench.stub.filters_metadata = False
    await bench.train()
    for file in (bench.path / "test-run").iterdir():
        file.unlink()
    bench.time.now += 1
    await bench.train()
    assert len(bench.stub.jobs) == 2


async def test_steps_are_told_as_they_come(bench: Bench) -> None:
    await bench.train()
    assert any("training loss=0.50" in line for line in bench.said)
    assert any("succeeded" in line for line in bench.said)
    assert all(isinstance(line, str) for line in bench.said)
