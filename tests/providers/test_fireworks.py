"""Fireworks: datasets, jobs that are named by their order, deployments by the hour."""

import json
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import pytest
from msgspec.structs import replace

from rmft_api.core.errors import ConfigError, DataError, FaultKind, ProviderFault
from rmft_api.core.ports import ChatModel, DeploymentClient
from rmft_api.core.records import DeploymentOrder, Hyperparameters
from rmft_api.planning.cost import tuned_id
from rmft_api.providers import Connection, connect
from rmft_api.providers.fireworks import convert, names
from rmft_api.providers.model_list import access_refusal, list_models
from rmft_api.providers.prices import price_of
from rmft_api.providers.profiles import load
from tests.contracts.chat_model import ChatModelContract
from tests.contracts.fine_tuner import Bench, FineTunerContract, examples
from tests.fakes.fireworks import (
    ACCOUNT,
    BASE,
    FIREWORKS,
    KEY,
    PREFIX,
    FakeFireworks,
    environ,
    refusal,
)
from tests.providers.stub import Meets, Serving, error

MARK = "0123456789abcdef"
NAME = "rmft-case-0123456789ab"


@pytest.fixture
async def fireworks() -> AsyncIterator[FakeFireworks]:
    fake = FakeFireworks()
    async with Serving(fake, FIREWORKS, PREFIX):
        yield fake


@pytest.fixture
async def connection(fireworks: FakeFireworks) -> AsyncIterator[Connection]:
    async with connect(load("fireworks"), environ=environ(fireworks)) as connection:
        yield connection


def host_of(connection: Connection) -> DeploymentClient:
    host = connection.host
    assert host is not None
    return host


async def trained(connection: Connection) -> str:
    """A new model."""
    bench = Bench(connection.tuner, BASE)
    _, job = await bench.start()
    model = (await bench.finish(job)).fine_tuned_model
    assert model
    return model


class TestFireworksChat(ChatModelContract):
    @pytest.fixture
    def chat(self, connection: Connection) -> ChatModel:
        return connection.chat

    @pytest.fixture
    def model(self) -> str:
        return BASE

    @pytest.fixture
    def largest_n(self) -> int:
        return 1


class TestFireworksTuner(FineTunerContract):
    @pytest.fixture
    def bench(self, connection: Connection) -> Bench:
        return Bench(connection.tuner, BASE)

    async def test_files_are_found_by_their_very_name_oldest_first(self, bench: Bench) -> None:
        """One dataset has one name: storing it again makes no second one."""
        first = await bench.tuner.upload("rmft-2.jsonl", bench.content)
        await bench.tuner.upload("rmft-22.jsonl", bench.content)
        assert await bench.tuner.upload("rmft-2.jsonl", bench.content) == first
        assert await bench.tuner.find_uploads("rmft-2.jsonl") == [first]

    async def test_a_job_ends_in_a_model_that_answers(self, bench: Bench) -> None:
        """How many tokens are billed is not told."""
        _, job = await bench.start()
        done = await bench.finish(job)
        assert (done.status, done.trained_tokens) == ("succeeded", None)
        assert done.fine_tuned_model
        assert load("fireworks").is_tuned(done.fine_tuned_model)
        assert await bench.tuner.model_ready(done.fine_tuned_model)

    async def test_events_come_oldest_first_and_only_once(self, bench: Bench) -> None:
        """There is no log: the state is told as it changes."""
        _, job = await bench.start()
        (first,) = await bench.tuner.events(job.id, None)
        assert first.message == "running, 50 %"
        (last,) = await bench.tuner.events(job.id, first.id)
        assert last.message == "completed, 100 %"
        assert last.created_at >= first.created_at
        assert await bench.tuner.events(job.id, last.id) == []


async def test_a_file_is_a_dataset_of_its_name_with_its_examples_counted(
    fireworks: FakeFireworks, connection: Connection
) -> None:
    name = "rmft-my_run-01-0123456789abcdef.jsonl"
    file = await connection.tuner.upload(name, examples(11))
    (seen,) = fireworks.asked("dataset")
    assert seen.json == {
        "datasetId": "rmft-my-run-01-0123456789abcdef",
        "dataset": {
            "displayName": f"{name} {len(examples(11))}",
            "exampleCount": "11",
            "format": "CHAT",
            "userUploaded": {},
        },
    }
    assert file.id == f"{ACCOUNT}/datasets/rmft-my-run-01-0123456789abcdef"
    assert fireworks.contents[file.id] == examples(11)


async def test_a_dataset_whose_file_never_arrived_is_filled(
    fireworks: FakeFireworks, connection: Connection
) -> None:
    fireworks.plan("upload", Meets(manner="reset"))
    with pytest.raises(ProviderFault):
        await connection.tuner.upload("rmft-1.jsonl", examples())
    assert await connection.tuner.find_uploads("rmft-1.jsonl") == []
    file = await connection.tuner.upload("rmft-1.jsonl", examples())
    assert file.status == "processed"
    assert len(fireworks.datasets) == 1


async def test_a_file_that_is_refused_is_the_datas_fault(
    fireworks: FakeFireworks, connection: Connection
) -> None:
    fireworks.refuses = "invalid example on line 2: too long"
    with pytest.raises(ProviderFault, match="line 2: too long") as caught:
        await connection.tuner.upload("rmft-1.jsonl", examples())
    assert caught.value.kind is FaultKind.REJECTED
    (dataset,) = fireworks.datasets.values()
    dataset["status"] = {"code": "INVALID_ARGUMENT", "message": "line 3 is no chat"}
    file = await connection.tuner.file(dataset["name"])
    assert (file.status, file.detail) == ("error", "line 3 is no chat")


async def test_a_dataset_of_another_file_is_not_taken_for_ours(
    fireworks: FakeFireworks, connection: Connection
) -> None:
    await connection.tuner.upload("rmft-a_b.jsonl", examples())
    with pytest.raises(ProviderFault, match="holds"):
        await connection.tuner.upload("rmft-a-b.jsonl", examples())
    assert await connection.tuner.find_uploads("rmft-a-b.jsonl") == []


def chat(*roles: str, **more: Any) -> bytes:
    messages = [{"role": role, "content": "x", **more} for role in roles]
    return json.dumps({"messages": messages}).encode()


def said(role: str, content: str | None = "x") -> dict[str, Any]:
    return {"role": role, "content": content}


def pair(**more: Any) -> bytes:
    row = {
        "input": {"messages": [said("user")]},
        "preferred_output": [said("assistant")],
        "non_preferred_output": [said("assistant", "y")],
    }
    return json.dumps(row | more).encode()


PAIRS = (pair() + b"\n") * 10


@pytest.mark.parametrize(
    "line",
    [
        chat("user", "assistant"),
        chat("system", "user", "user", "assistant", weight=0),
        b"",
        pair(),
        pair(input={"messages": [said("system"), said("user")], "tools": []}),
    ],
)
def test_what_fireworks_takes_is_sent_as_it_stands(line: bytes) -> None:
    assert convert.checked(line + b"\n") == line + b"\n"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"{", "no JSON object"),
        (b"[1]", "no JSON object"),
        (b'{"input": {}}', "trains on chats alone"),
        (b'{"messages": [1]}', "trains on chats alone"),
        (chat("user", "system", "assistant"), "'system'"),
        (chat("user", "tool", "assistant"), "'tool'"),
        (chat("user"), "nothing that the assistant says"),
        (chat("user", "assistant", content=None), "no text"),
        (chat("user", "assistant", weight=0.5), "neither 0 nor 1"),
        (pair(input={}), "must end its input.messages with what the user says"),
        (pair(input={"messages": [said("assistant")]}), "with what the user says"),
        (pair(preferred_output=[]), "one message of the assistant in 'preferred_output'"),
        (pair(non_preferred_output=[said("user")]), "'non_preferred_output'"),
        (pair(input={"messages": [said("tool"), said("user")]}), "'tool'"),
        (pair(preferred_output=[said("assistant", None)]), "no text"),
    ],
)
def test_what_fireworks_would_refuse_in_a_line_is_refused_here(line: bytes, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        convert.checked(chat("user", "assistant") + b"\n" + line + b"\n")
    assert str(caught.value).startswith("line 2 of the dataset")
    assert "\n" not in str(caught.value)


async def test_a_job_is_ordered_in_its_words_and_named_by_its_order(
    fireworks: FakeFireworks, connection: Connection
) -> None:
    bench = Bench(connection.tuner, BASE)
    file = await bench.tuner.upload("rmft-1.jsonl", bench.content)
    wanted = Hyperparameters(n_epochs=2, learning_rate=2e-5, batch_size=8)
    order = replace(bench.order(file.id), hyperparameters=wanted)
    job = await bench.tuner.create_job(order)
    (seen,) = fireworks.asked("create")
    assert seen.query == {"supervisedFineTuningJobId": f"test-{'k' * 24}"}
    assert seen.json == {
        "dataset": file.id,
        "baseModel": BASE,
        "outputModel": f"test-{'k' * 24}",
        "displayName": "test",
        "epochs": 2,
        "learningRate": 2e-5,
        "batchSizeSamples": 8,
    }
    done = await bench.finish(job)
    assert done.fine_tuned_model == f"ft:{BASE}:{ACCOUNT}/models/test-{'k' * 24}"


async def test_preferences_are_a_job_of_another_kind_in_its_words(
    fireworks: FakeFireworks, connection: Connection
) -> None:
    first = await trained(connection)
    bench = Bench(connection.tuner, first, content=PAIRS)
    file = await bench.tuner.upload("rmft-2.jsonl", bench.content)
    wanted = Hyperparameters(n_epochs=1, learning_rate=2e-5, batch_size=8, beta=0.2)
    order = replace(bench.order(file.id, "d" * 32), method="dpo", hyperparameters=wanted)
    job = await bench.tuner.create_job(order)
    seen = fireworks.asked("create")[1]
    assert job.id == f"{ACCOUNT}/dpoJobs/test-{'d' * 24}"
    assert seen.query == {"dpoJobId": f"test-{'d' * 24}"}
    assert seen.json == {
        "dataset": file.id,
        "displayName": "test",
        "trainingConfig": {
            "warmStartFrom": fireworks.jobs[0]["outputModel"],
            "outputModel": f"test-{'d' * 24}",
            "epochs": 1,
            "learningRate": 2e-5,
            "batchSizeSamples": 8,
        },
        "lossConfig": {"method": "DPO", "dpo": {"beta": 0.2}},
    }
    assert (await bench.tuner.create_job(order)).id == job.id
    assert [found.id for found in await bench.tuner.find_jobs(order)] == [job.id]
    assert len(await bench.tuner.events(job.id, None)) == 1
    done = await bench.finish(job)
    assert (done.status, done.model) == ("succeeded", first)
    assert done.fine_tuned_model
    assert done.fine_tuned_model == f"ft:{BASE}:{ACCOUNT}/models/test-{'d' * 24}"
    assert await bench.tuner.model_ready(done.fine_tuned_model)


async def test_a_job_of_preferences_can_be_cancelled(
    fireworks: FakeFireworks, connection: Connection
) -> None:
    bench = Bench(connection.tuner, BASE, content=PAIRS)
    file = await bench.tuner.upload("rmft-2.jsonl", bench.content)
    order = replace(bench.order(file.id), method="dpo")
    job = await bench.tuner.create_job(order)
    assert (await bench.tuner.cancel_job(job.id)).status == "cancelled"
    assert fireworks.jobs[0]["lossConfig"] == {"method": "DPO"}


async def test_the_same_order_twice_is_one_job_by_its_name(
    fireworks: FakeFireworks, connection: Connection
) -> None:
    bench = Bench(connection.tuner, BASE)
    order, job = await bench.start()
    assert (await bench.tuner.create_job(order)).id == job.id
    fireworks.plan("create", Meets(manner="after"))
    further, key = replace(order, key="z" * 32), "z" * 24
    with pytest.raises(ProviderFault):
        await bench.tuner.create_job(further)
    assert (await bench.tuner.create_job(further)).id.endswith(f"/test-{key}")
    assert len(fireworks.jobs) == 2


async def test_a_name_that_another_file_has_taken_is_no_job_of_ours(
    connection: Connection,
) -> None:
    bench = Bench(connection.tuner, BASE)
    order, _ = await bench.start()
    other = await bench.tuner.upload("rmft-9.jsonl", examples(12))
    with pytest.raises(ProviderFault, match="already exists"):
        await bench.tuner.create_job(replace(order, training_file=other.id))
    assert await bench.tuner.find_jobs(replace(order, training_file=other.id)) == []


@pytest.mark.parametrize("tells_base", [True, False])
async def test_a_fine_tune_is_trained_further_by_its_name(
    fireworks: FakeFireworks, connection: Connection, tells_base: bool
) -> None:
    fireworks.tells_base = tells_base
    first = await trained(connection)
    bench = Bench(connection.tuner, first, content=examples(11))
    _, further = await bench.start("y" * 32)
    done = await bench.finish(further)
    seen = fireworks.asked("create")[1].json
    assert seen["warmStartFrom"] == fireworks.jobs[0]["outputModel"]
    assert "baseModel" not in seen
    assert done.model == first
    assert done.fine_tuned_model == f"ft:{BASE}:{fireworks.jobs[1]['outputModel']}"


@pytest.mark.parametrize(
    ("there", "here"),
    [
        ("JOB_STATE_PENDING", "queued"),
        ("JOB_STATE_RE_QUEUEING", "queued"),
        ("JOB_STATE_VALIDATING", "validating_files"),
        ("JOB_STATE_WRITING_RESULTS", "running"),
        ("JOB_STATE_EARLY_STOPPED", "succeeded"),
        ("JOB_STATE_EXPIRED", "failed"),
        ("JOB_STATE_PAUSED", "paused"),
        ("JOB_STATE_CANCELLING", "cancelling"),
        ("JOB_STATE_THINKING", "thinking"),
    ],
)
async def test_states_are_an_open_set(
    fireworks: FakeFireworks, connection: Connection, there: str, here: str
) -> None:
    _, job = await Bench(connection.tuner, BASE).start()
    entry = {"name": job.id, "state": there, "baseModel": BASE, "dataset": "d"}
    fireworks.plan("job", Meets(200, entry))
    found = await connection.tuner.job(job.id)
    assert found.status == here
    assert bool(found.fine_tuned_model) == (here == "succeeded")


async def test_a_job_that_failed_tells_why(
    fireworks: FakeFireworks, connection: Connection
) -> None:
    fireworks.end_state, fireworks.end = "FAILED", {"message": "line 3 is too long"}
    bench = Bench(connection.tuner, BASE)
    _, job = await bench.start()
    done = await bench.finish(job)
    assert (done.status, done.error) == ("failed", "INVALID_ARGUMENT: line 3 is too long")


# --- deployments --------------------------------------------------------------------------------


async def test_a_fine_tune_answers_once_it_is_deployed(fireworks: FakeFireworks) -> None:
    targets: dict[str, str] = {}
    told = environ(fireworks)
    async with connect(load("fireworks"), environ=told, targets=targets) as connection:
        host, model = host_of(connection), await trained(connection)
        order = DeploymentOrder(NAME, model, "case", MARK)
        assert host.billed_hourly
        assert await host.find(order) == []
        made = await host.deploy(order, "a")
        asked, seen = fireworks.asked("deploy")
        assert asked.query["validateOnly"] == "true"
        ordered = seen.json
        assert seen.query == {"deploymentId": NAME}
        about = {"rmft_run": "case", "rmft_key": MARK, "rmft_model": model}
        assert json.loads(ordered.pop("description")) == about
        assert ordered == {
            "baseModel": fireworks.jobs[0]["outputModel"],
            "deploymentShape": "default",
            "minReplicaCount": 0,
            "maxReplicaCount": 1,
            "autoscalingPolicy": {"scaleToZeroWindow": "3600s"},
            "displayName": NAME,
        }
        states = [(await host.find(order))[0].state for _ in range(2)]
        assert (made.state, states) == ("pending", ["pending", "ready"])
        assert made.target == f"{fireworks.jobs[0]['outputModel']}#{ACCOUNT}/deployments/{NAME}"
        targets[model] = made.target
        assert (await connection.chat.reply(TestFireworksChat().ask(model))).choices
        await host.remove(NAME)
        await host.remove(NAME)
    assert fireworks.stays == {}
    assert fireworks.made == fireworks.removed


async def test_the_same_order_twice_deploys_once(
    fireworks: FakeFireworks, connection: Connection
) -> None:
    host, model = host_of(connection), await trained(connection)
    order = DeploymentOrder(NAME, model, "case", MARK)
    first = await host.deploy(order, "a")
    assert (await host.deploy(order, "a")).target == first.target
    fireworks.plan("deploy", Meets(200, {"name": "x"}), Meets(409, {}, done=False))
    assert (await host.deploy(order, "a")).target == first.target
    assert fireworks.made.total() == 1


async def test_a_name_that_a_removed_deployment_holds_back_is_freed(
    fireworks: FakeFireworks, connection: Connection
) -> None:
    host, model = host_of(connection), await trained(connection)
    order = DeploymentOrder(NAME, model, "case", MARK)
    await host.deploy(order, "a")
    fireworks.stays[NAME]["state"] = "DELETED"  # somebody removed it, softly
    assert await host.find(order) == []
    assert await host.deployments() == []
    with pytest.raises(ProviderFault, match="not quite gone") as caught:
        await host.deploy(order, "b")
    assert caught.value.kind is FaultKind.SAFE
    assert (await host.deploy(order, "b")).state == "pending"


async def test_a_removal_overrules_the_checks_and_frees_the_name(
    fireworks: FakeFireworks, connection: Connection
) -> None:
    host, model = host_of(connection), await trained(connection)
    await host.deploy(DeploymentOrder(NAME, model, "case", MARK), "a")
    await host.remove(NAME)
    (seen,) = fireworks.asked("remove")
    assert seen.query == {"hard": "true", "ignoreChecks": "true"}


async def test_whose_a_deployment_is_is_read_from_its_description(
    fireworks: FakeFireworks, connection: Connection
) -> None:
    host, model = host_of(connection), await trained(connection)
    for name in (NAME, "rmft-b", "rmft-c"):
        await host.deploy(DeploymentOrder(name, model, "case", MARK), "a")
    fireworks.stays["rmft-c"]["description"] = "mine"
    first, _, odd = await host.deployments()
    assert (first.name, first.run, first.key, first.model) == (NAME, "case", MARK, model)
    assert (odd.name, odd.run, odd.key) == ("rmft-c", "", "")


async def test_a_base_answers_by_itself(fireworks: FakeFireworks, connection: Connection) -> None:
    order = DeploymentOrder(NAME, BASE, "case", MARK)
    made = await host_of(connection).deploy(order, "a")
    assert (made.target, made.state) == (BASE, "ready")
    assert fireworks.stays == {}


@pytest.mark.parametrize("gpus", [("NVIDIA_H100_80GB", 4), ("NVIDIA_B200_180GB", 1)])
async def test_hardware_whose_price_is_not_known_is_not_rented(
    fireworks: FakeFireworks, connection: Connection, gpus: tuple[str, int]
) -> None:
    fireworks.gpus = gpus
    host, model = host_of(connection), await trained(connection)
    with pytest.raises(ConfigError, match=rf"{gpus[1]} x {gpus[0]}.*hosting.base_sku"):
        await host.deploy(DeploymentOrder(NAME, model, "case", MARK), "a")
    assert fireworks.stays == {}


async def test_a_quota_of_none_is_told_and_deploys_nothing(
    fireworks: FakeFireworks, connection: Connection
) -> None:
    fireworks.quota = 0
    host, model = host_of(connection), await trained(connection)
    with pytest.raises(ProviderFault, match=r"quota is used up.*cleanup") as caught:
        await host.deploy(DeploymentOrder(NAME, model, "case", MARK), "a")
    assert caught.value.kind is FaultKind.STOP
    assert fireworks.stays == {}


async def test_a_deployment_that_fails_says_why(
    fireworks: FakeFireworks, connection: Connection
) -> None:
    fireworks.becomes, fireworks.creating_looks = "FAILED", 0
    host, model = host_of(connection), await trained(connection)
    order = DeploymentOrder(NAME, model, "case", MARK)
    await host.deploy(order, "a")
    (found,) = await host.find(order)
    assert (found.state, found.detail) == ("failed", "no capacity in the region")


# --- before a run -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "about", "words"),
    [
        (BASE, {}, None),
        (BASE, {"tunable": False}, "cannot be fine-tuned"),
        (BASE, {"supportsServerless": False}, "by the token"),
        ("accounts/fireworks/models/none", {}, "is unknown there"),
        ("llama", {}, "accounts/fireworks/models/NAME"),
    ],
)
async def test_a_base_that_cannot_be_trained_or_played_is_told_before_a_run(
    fireworks: FakeFireworks, base: str, about: dict[str, Any], words: str | None
) -> None:
    fireworks.about_base = about
    refused = await access_refusal(load("fireworks"), base, environ(fireworks))
    assert refused == "" if words is None else words in (refused or "")


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("CREDIT_DEPLETED", "add credit"),
        ("FAILED_PAYMENTS", "check its billing"),
        ("MONTHLY_SPEND_LIMIT_EXCEEDED", "raise it"),
        ("BLOCKED", "blocked"),
    ],
)
async def test_an_account_that_may_not_spend_is_told_before_a_run(
    fireworks: FakeFireworks, state: str, words: str
) -> None:
    fireworks.suspended = state
    refused = await access_refusal(load("fireworks"), BASE, environ(fireworks))
    assert refused and words in refused


async def test_a_refused_key_is_one_line(fireworks: FakeFireworks) -> None:
    assert (await list_models(load("fireworks"), environ(fireworks))).shutdowns == {}
    wrong = {**environ(fireworks), "FIREWORKS_API_KEY": "wrong-key-0123456789"}
    with pytest.raises(ProviderFault, match="check FIREWORKS_API_KEY") as caught:
        await list_models(load("fireworks"), wrong)
    assert (caught.value.kind, "\n" in str(caught.value)) == (FaultKind.STOP, False)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("account", "words"),
    [("", "set FIREWORKS_ACCOUNT_ID"), ("My Team", "is no id"), ("a/b", "is no id")],
)
def test_whatever_is_missing_or_malformed_is_named(account: str, words: str) -> None:
    told = {"FIREWORKS_API_KEY": KEY, "FIREWORKS_ACCOUNT_ID": account}
    with pytest.raises(ConfigError, match=words):
        connect(load("fireworks"), environ=told).check()


async def test_an_account_may_be_named_in_full(fireworks: FakeFireworks) -> None:
    told = {**environ(fireworks), "FIREWORKS_ACCOUNT_ID": "accounts/lab"}
    async with connect(load("fireworks"), environ=told) as connection:
        assert await host_of(connection).deployments() == []


@pytest.mark.parametrize(
    ("refused", "words", "kind"),
    [
        (
            error(404, "Model not found, inaccessible, and/or not deployed", code="NOT_FOUND"),
            "rmft-api profiles",
            FaultKind.STOP,
        ),
        (
            error(503, "The deployment is scaling up.", code="DEPLOYMENT_SCALING_UP"),
            "still being loaded",
            FaultKind.WAIT,
        ),
        (
            error(
                412,
                "Account lab is suspended, possibly due to reaching the monthly spending limit",
                code="ACCOUNT_SUSPENDED",
            ),
            "raise the spend limit",
            FaultKind.STOP,
        ),
        (
            refusal(429, 8, "rate limit exceeded, please try again later"),
            "slowing down",
            FaultKind.SAFE,
        ),
    ],
)
async def test_refusals_of_a_chat_are_one_line(
    fireworks: FakeFireworks, connection: Connection, refused: Meets, words: str, kind: FaultKind
) -> None:
    fireworks.plan("chat", refused)
    with pytest.raises(ProviderFault, match=words) as caught:
        await connection.chat.reply(TestFireworksChat().ask(BASE))
    assert caught.value.kind is kind
    assert "\n" not in str(caught.value)


def test_a_beta_that_no_job_takes_is_refused_before_anything_is_played() -> None:
    load("fireworks").check_training(BASE, "dpo", Hyperparameters(beta=0.49))
    with pytest.raises(ConfigError, match=r"beta below 0\.5; finetuning\.dpo\.beta = 0\.5"):
        load("fireworks").check_training(BASE, "dpo", Hyperparameters(beta=0.5))


def test_what_a_fine_tune_costs_is_an_hour_and_no_token() -> None:
    model = tuned_id(load("fireworks"), BASE)
    assert load("fireworks").is_tuned(model)
    price = price_of("fireworks", model)
    assert price is not None
    assert (price.input, price.output) == (0, 0)
    assert price.deployment(1) == 8_000_000


def test_training_is_priced_by_the_bases_size_and_twice_as_high_by_preferences() -> None:
    price = price_of("fireworks", BASE)
    assert price is not None
    assert price.training(1000) == 500
    assert price.training(1000, 2, "dpo") == 2000
    assert price.as_of == date(2026, 10, 7)
    assert "up to 16B" in price.source


@pytest.mark.parametrize("suffix", ["a" * 64, "Ärger & _ !", "", "-"])
def test_an_id_is_one_that_fireworks_takes(suffix: str) -> None:
    order = replace(Bench(None, BASE).order("d", "A" * 32), suffix=suffix)  # pyright: ignore[reportArgumentType]
    made = names.job_id(order)
    assert len(made) <= 63
    assert made.endswith("a" * 24)
    assert made[0].isalnum()
