"""Together: files by a signed address, fine-tunes found by their suffix, endpoints by the hour."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from rmft_api.core.errors import ConfigError, DataError, FaultKind, ProviderFault
from rmft_api.core.ports import ChatModel, DeploymentClient
from rmft_api.core.records import DeploymentOrder, Hyperparameters
from rmft_api.planning.cost import tuned_id
from rmft_api.providers import Connection, connect
from rmft_api.providers.model_list import access_refusal, list_models
from rmft_api.providers.prices import price_of
from rmft_api.providers.profiles import load
from rmft_api.providers.together import convert, names
from tests.contracts.chat_model import ChatModelContract
from tests.contracts.fine_tuner import Bench, FineTunerContract, examples
from tests.fakes.together import BASE, KEY, SLUG, TOGETHER, FakeTogether, environ, told
from tests.providers.stub import Meets, Serving

MARK = "0123456789abcdef"
NAME = "rmft-case-0123456789ab"


@pytest.fixture
async def together() -> AsyncIterator[FakeTogether]:
    fake = FakeTogether()
    async with Serving(fake, TOGETHER):
        yield fake


@pytest.fixture
async def connection(together: FakeTogether) -> AsyncIterator[Connection]:
    async with connect(load("together"), environ=environ(together)) as connection:
        yield connection


def host_of(connection: Connection) -> DeploymentClient:
    host = connection.host
    assert host is not None
    return host


async def trained(connection: Connection, key: str = "k" * 32) -> str:
    """A new model."""
    bench = Bench(connection.tuner, BASE)
    _, job = await bench.start(key)
    model = (await bench.finish(job)).fine_tuned_model
    assert model
    return model


class TestTogetherChat(ChatModelContract):
    @pytest.fixture
    def chat(self, connection: Connection) -> ChatModel:
        return connection.chat

    @pytest.fixture
    def model(self) -> str:
        return BASE

    @pytest.fixture
    def largest_n(self) -> int:
        return 1


async def test_a_hybrid_model_is_asked_not_to_think(
    together: FakeTogether, connection: Connection, tmp_path: Path
) -> None:
    await connection.chat.reply(TestTogetherChat().ask(BASE))
    assert together.asked("chat")[0].json["reasoning"] == {"enabled": False}
    own = tmp_path / "profiles.toml"
    own.write_text("[together.chat]\nextra = { reasoning = { enabled = true } }\n")
    async with connect(load("together", own), environ=environ(together)) as thinking:
        await thinking.chat.reply(TestTogetherChat().ask(BASE))
    assert together.asked("chat")[1].json["reasoning"] == {"enabled": True}


class TestTogetherTuner(FineTunerContract):
    @pytest.fixture
    def bench(self, connection: Connection) -> Bench:
        return Bench(connection.tuner, BASE)

    async def test_files_are_found_by_their_very_name_oldest_first(self, bench: Bench) -> None:
        """A content is stored once: the second name leads to the first one's file."""
        first = await bench.tuner.upload("rmft-2.jsonl", bench.content)
        again = await bench.tuner.upload("rmft-22.jsonl", bench.content)
        assert (again.id, again.filename) == (first.id, "rmft-2.jsonl")
        other = await bench.tuner.upload("rmft-3.jsonl", examples(11))
        assert [one.id for one in await bench.tuner.find_uploads("rmft-3.jsonl")] == [other.id]
        assert await bench.tuner.find_uploads("rmft-22.jsonl") == []

    async def test_a_job_ends_in_a_model_that_answers(self, bench: Bench) -> None:
        """How many tokens are billed is not certain."""
        _, job = await bench.start()
        done = await bench.finish(job)
        assert (done.status, done.trained_tokens) == ("succeeded", None)
        assert done.fine_tuned_model
        assert done.fine_tuned_model == f"ft:{BASE}:{job.id}"
        assert load("together").is_tuned(done.fine_tuned_model)
        assert await bench.tuner.model_ready(done.fine_tuned_model)


async def test_the_bytes_go_to_the_signed_address_without_our_key(
    together: FakeTogether, connection: Connection
) -> None:
    file = await connection.tuner.upload("rmft-1.jsonl", examples())
    (seen,) = together.asked("store")
    assert "authorization" not in seen.headers
    assert (seen.body, seen.query["signature"]) == (examples(), "a/b+c=")
    assert together.contents[file.id] == examples()


@pytest.mark.parametrize("route", ["upload", "store", "preprocess"])
@pytest.mark.parametrize(
    "meets", [Meets(manner="after"), Meets(manner="reset"), Meets(503, {}, done=True), Meets(200)]
)
async def test_an_upload_that_was_cut_off_anywhere_is_sent_again_and_is_one_file(
    together: FakeTogether, connection: Connection, route: str, meets: Meets
) -> None:
    """The content tells that it is known; a record without content costs nothing."""
    together.plan(route, meets)
    try:
        file = await connection.tuner.upload("rmft-1.jsonl", examples())
    except ProviderFault as fault:
        assert fault.kind is FaultKind.SAFE
        file = await connection.tuner.upload("rmft-1.jsonl", examples())
    assert together.contents[file.id] == examples()
    assert [one["id"] for one in together.files if one["bytes"]] == [file.id]


async def test_a_file_is_validated_before_a_job_and_a_bad_one_says_why(
    together: FakeTogether, connection: Connection
) -> None:
    assert load("together").training.wait_for_file  # pyright: ignore[reportOptionalMemberAccess]
    file = await connection.tuner.upload("rmft-1.jsonl", examples())
    assert file.status == "pending"
    assert (await connection.tuner.file(file.id)).status == "processed"
    together.contents[file.id] = b'{"text": "a"}\n'
    together.files[0]["processing_status"] = "PENDING"
    found = await connection.tuner.file(file.id)
    assert (found.status, found.detail) == (
        "error",
        "Invalid format on line 1: unknown dataset format",
    )


def chat(*roles: str) -> bytes:
    return json.dumps({"messages": [{"role": role, "content": "x"} for role in roles]}).encode()


PAIR: dict[str, Any] = {
    "input": {"messages": [{"role": "user", "content": "x"}]},
    "preferred_output": [{"role": "assistant", "content": "a"}],
    "non_preferred_output": [{"role": "assistant", "content": "b"}],
}


@pytest.mark.parametrize(
    "line",
    [
        chat("user", "assistant"),
        chat("system", "user", "assistant", "user", "assistant"),
        json.dumps(PAIR).encode(),
        b"",
    ],
)
def test_what_together_takes_is_sent_as_it_stands(line: bytes) -> None:
    assert convert.checked(line + b"\n") == line + b"\n"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"{", "no JSON object"),
        (b"[]", "no JSON object"),
        (b'{"a": 1}', "has none"),
        (b'{"messages": [], "text": "a"}', "has messages and text"),
        (chat("user", "user", "assistant"), "single_turn"),
        (chat("assistant", "user"), "begin with what the user says"),
        (chat("user"), "end with what the assistant says"),
        (chat("user", "critic"), "'critic'"),
        (b'{"messages": [{"role": "user", "content": 1}]}', "no text"),
        (json.dumps({**PAIR, "preferred_output": []}).encode(), "one message of the assistant"),
        (json.dumps({"input": PAIR["input"]}).encode(), "'preferred_output'"),
        (json.dumps({**PAIR, "input": 1}).encode(), "begin with what the user says"),
    ],
)
def test_what_together_would_refuse_in_a_line_is_refused_here(line: bytes, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        convert.checked(chat("user", "assistant") + b"\n" + line + b"\n")
    assert str(caught.value).startswith("line 2 of the dataset")
    assert "\n" not in str(caught.value)


async def test_a_job_is_ordered_in_its_words(
    together: FakeTogether, connection: Connection
) -> None:
    bench = Bench(connection.tuner, BASE)
    file = await bench.tuner.upload("rmft-1.jsonl", bench.content)
    wanted = Hyperparameters(n_epochs=2, learning_rate=2e-5, batch_size=8)
    order = replace(bench.order(file.id), hyperparameters=wanted)
    await bench.tuner.create_job(order)
    (seen,) = together.asked("create")
    assert seen.json == {
        "model": BASE,
        "training_file": file.id,
        "training_method": {"method": "sft", "train_on_inputs": "auto"},
        "n_epochs": 2,
        "learning_rate": 2e-5,
        "batch_size": 8,
        "n_checkpoints": 1,
        "random_seed": 7,
        "suffix": f"test-{'k' * 16}",
    }
    dpo = Hyperparameters(n_epochs=1, beta=0.2)
    await bench.tuner.create_job(replace(order, method="dpo", hyperparameters=dpo))
    assert together.asked("create")[-1].json["training_method"] == {
        "method": "dpo",
        "dpo_beta": 0.2,
    }


@pytest.mark.parametrize("suffix", ["a" * 64, "Ärger & _ !", "", "-"])
async def test_a_suffix_holds_the_key_in_forty_characters(
    together: FakeTogether, connection: Connection, suffix: str
) -> None:
    bench = Bench(connection.tuner, BASE)
    file = await bench.tuner.upload("rmft-1.jsonl", bench.content)
    order = replace(bench.order(file.id), suffix=suffix)
    job = await bench.tuner.create_job(order)
    sent = together.asked("create")[0].json["suffix"]
    assert len(sent) <= 40
    assert sent.endswith("k" * 16)
    assert [one.id for one in await bench.tuner.find_jobs(order)] == [job.id]


async def test_two_orders_of_one_content_share_a_file_and_no_job(
    together: FakeTogether, connection: Connection
) -> None:
    bench = Bench(connection.tuner, BASE)
    first, job = await bench.start("a" * 32)
    second, other = await bench.start("b" * 32)
    assert first.training_file == second.training_file
    assert [one.id for one in await bench.tuner.find_jobs(first)] == [job.id]
    assert [one.id for one in await bench.tuner.find_jobs(second)] == [other.id]
    assert [one.metadata for one in await bench.tuner.find_jobs(first)] == [{"rmft_key": "a" * 32}]
    together.jobs[0]["suffix"] = None
    assert {one.id for one in await bench.tuner.find_jobs(first)} == {job.id}


@pytest.mark.parametrize("tells_base", [True, False])
async def test_a_fine_tune_is_trained_further_from_its_job(
    together: FakeTogether, connection: Connection, tells_base: bool
) -> None:
    together.tells_base = tells_base
    bench = Bench(connection.tuner, BASE)
    first = await trained(connection)
    bench.base, bench.content = first, examples(11)
    _, further = await bench.start("y" * 32)
    done = await bench.finish(further)
    seen = together.asked("create")[1].json
    assert seen["from_checkpoint"] == together.jobs[0]["id"]
    assert "model" not in seen
    assert done.model == first
    assert done.fine_tuned_model == f"ft:{BASE}:{further.id}"


async def test_what_the_account_cannot_pay_is_not_ordered(
    together: FakeTogether, connection: Connection
) -> None:
    together.allowed, together.estimate = False, 1.25
    bench = Bench(connection.tuner, BASE)
    file = await bench.tuner.upload("rmft-1.jsonl", bench.content)
    await bench.tuner.file(file.id)
    with pytest.raises(
        ProviderFault, match=r"about 1.25 USD.*limit is 1.00 USD.*add cred"
    ) as caught:
        await bench.tuner.estimated_price(bench.order(file.id))
    assert (caught.value.kind, caught.value.never_sent) == (FaultKind.STOP, True)
    assert together.asked("create") == []


@pytest.mark.parametrize("meets", [Meets(503, {}), Meets(404, {}), Meets(200, b"[]")])
async def test_an_estimate_that_is_not_to_be_had_is_none(
    together: FakeTogether, connection: Connection, meets: Meets
) -> None:
    bench = Bench(connection.tuner, BASE)
    order, _ = await bench.start()
    assert await bench.tuner.estimated_price(order) is None  # the file is not validated yet
    await bench.tuner.file(order.training_file)
    assert await bench.tuner.estimated_price(order) == 100
    together.plan("estimate", meets)
    assert await bench.tuner.estimated_price(order) is None


@pytest.mark.parametrize(
    ("there", "here"),
    [
        ("pending", "queued"),
        ("compressing", "running"),
        ("uploading", "running"),
        ("cancel_requested", "cancelling"),
        ("user_error", "failed"),
        ("error", "failed"),
        ("thinking", "thinking"),
    ],
)
async def test_states_are_an_open_set(
    together: FakeTogether, connection: Connection, there: str, here: str
) -> None:
    _, job = await Bench(connection.tuner, BASE).start()
    entry = {"id": job.id, "status": there, "model": BASE, "training_file": "f"}
    together.plan("job", Meets(200, entry))
    assert (await connection.tuner.job(job.id)).status == here


async def test_a_job_that_failed_tells_why(together: FakeTogether, connection: Connection) -> None:
    together.end = {"status": "error", "message": "Dataset line 3 is too long"}
    bench = Bench(connection.tuner, BASE)
    _, job = await bench.start()
    done = await bench.finish(job)
    assert (done.status, done.error) == ("failed", "Dataset line 3 is too long")


async def test_a_checkpoint_has_the_id_of_its_step(connection: Connection) -> None:
    model = await trained(connection)
    job = names.required(model).job
    saved = await connection.tuner.checkpoints(job)
    assert [one.model for one in saved] == [f"{model}:5", f"{model}:10"]
    assert all(load("together").is_tuned(one.model) for one in saved)
    assert names.required(saved[0].model).checkpoint == f"{job}:5"


# --- endpoints ----------------------------------------------------------------------------------


async def test_a_fine_tune_answers_once_it_is_deployed(together: FakeTogether) -> None:
    targets: dict[str, str] = {}
    told_of = environ(together)
    async with connect(load("together"), environ=told_of, targets=targets) as connection:
        host, model = host_of(connection), await trained(connection)
        order = DeploymentOrder(NAME, model, "case", MARK)
        assert host.billed_hourly
        assert await host.find(order) == []
        made = await host.deploy(order, "a")
        (seen,) = together.asked("deploy")
        job = names.required(model).job
        assert seen.json == {
            "name": f"{MARK}-{job}",
            "model": f"projects/proj_0123/models/{together.jobs[0]['model_object_id']}",
            "config": "projects/proj_public/configs/cr_1",  # one GPU: the cheaper of two
            "autoscaling": {"minReplicas": 1, "maxReplicas": 1},
            "inactiveTimeout": 60,
        }
        states = [(await host.find(order))[0].state for _ in range(2)]
        assert (made.state, states) == ("pending", ["pending", "ready"])
        assert made.target == f"{SLUG}/{NAME}/{MARK}-{job}"
        targets[model] = made.target
        assert (await connection.chat.reply(TestTogetherChat().ask(model))).choices
        await host.remove(NAME)
        await host.remove(NAME)
    assert together.endpoints == {}
    assert together.made == together.removed


async def test_the_same_order_twice_deploys_once(
    together: FakeTogether, connection: Connection
) -> None:
    host, model = host_of(connection), await trained(connection)
    order = DeploymentOrder(NAME, model, "case", MARK)
    first = await host.deploy(order, "a")
    assert (await host.deploy(order, "a")).target == first.target
    together.plan("endpoints", Meets(200, {"data": []}))  # a list that lags
    assert (await host.deploy(order, "a")).target == first.target
    assert together.made.total() == 1


async def test_a_deployment_that_stopped_by_itself_is_gone_and_started_again(
    together: FakeTogether, connection: Connection
) -> None:
    host, model = host_of(connection), await trained(connection)
    order = DeploymentOrder(NAME, model, "case", MARK)
    await host.deploy(order, "a")
    (endpoint,) = together.endpoints.values()
    endpoint["deployments"][0]["state"] = "STOPPED"
    assert await host.find(order) == []
    await host.deploy(order, "b")
    assert together.made.total() == 1
    assert [one.state for one in await host.find(order)] == ["pending"]


async def test_what_is_removed_is_stopped_first_and_asked_again_while_it_stops(
    together: FakeTogether, connection: Connection
) -> None:
    together.stopping_looks = 2
    host, model = host_of(connection), await trained(connection)
    await host.deploy(DeploymentOrder(NAME, model, "case", MARK), "a")
    with pytest.raises(ProviderFault, match="must be stopped") as caught:
        await host.remove(NAME)
    assert caught.value.kind is FaultKind.SAFE
    (endpoint,) = together.endpoints.values()
    assert endpoint["deployments"][0]["autoscaling"]["maxReplicas"] == 0
    for _ in range(2):
        try:
            await host.remove(NAME)
        except ProviderFault:
            continue
    assert together.endpoints == {}


async def test_whose_a_deployment_is_is_read_from_its_name(connection: Connection) -> None:
    host, model = host_of(connection), await trained(connection)
    await host.deploy(DeploymentOrder(NAME, model, "case", MARK), "a")
    (one,) = await host.deployments()
    assert (one.name, one.run, one.key, one.model) == (NAME, "case", MARK, model)


async def test_a_base_answers_by_itself(together: FakeTogether, connection: Connection) -> None:
    order = DeploymentOrder(NAME, BASE, "case", MARK)
    made = await host_of(connection).deploy(order, "a")
    assert (made.target, made.state) == (BASE, "ready")
    assert together.endpoints == {}


async def test_a_quota_of_none_is_told_and_leaves_no_endpoint(
    together: FakeTogether, connection: Connection
) -> None:
    together.quota = 0
    host, model = host_of(connection), await trained(connection)
    with pytest.raises(ProviderFault, match=r"quota is used up.*cleanup") as caught:
        await host.deploy(DeploymentOrder(NAME, model, "case", MARK), "a")
    assert caught.value.kind is FaultKind.STOP
    assert together.endpoints == {}


async def test_hardware_dearer_than_the_price_list_is_not_rented(
    together: FakeTogether, connection: Connection
) -> None:
    together.cents = 549
    host, model = host_of(connection), await trained(connection)
    with pytest.raises(ConfigError, match=r"5.49 USD an hour.*says 3.99.*hosting_per_hour"):
        await host.deploy(DeploymentOrder(NAME, model, "case", MARK), "a")
    assert together.endpoints == {}


async def test_a_base_without_hardware_is_told_before_anything_is_made(
    together: FakeTogether, connection: Connection
) -> None:
    together.configs = False
    host, model = host_of(connection), await trained(connection)
    with pytest.raises(ConfigError, match="has no hardware for fine-tunes"):
        await host.deploy(DeploymentOrder(NAME, model, "case", MARK), "a")
    assert together.endpoints == {}


async def test_a_deployment_that_fails_says_so(
    together: FakeTogether, connection: Connection
) -> None:
    together.becomes, together.provisioning_looks = "FAILED", 0
    host, model = host_of(connection), await trained(connection)
    order = DeploymentOrder(NAME, model, "case", MARK)
    await host.deploy(order, "a")
    (found,) = await host.find(order)
    assert (found.state, found.detail) == ("failed", "failed")


async def test_a_key_of_an_organisation_needs_a_project(together: FakeTogether) -> None:
    together.key_has_project = False
    async with connect(load("together"), environ=environ(together)) as connection:
        with pytest.raises(ProviderFault, match="set TOGETHER_PROJECT_ID"):
            await host_of(connection).deployments()
    own = {**environ(together), "TOGETHER_PROJECT_ID": "proj_0123"}
    async with connect(load("together"), environ=own) as connection:
        assert await host_of(connection).deployments() == []


# --- before a run -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "products", "words"),
    [
        (BASE, ("PRODUCT_SERVERLESS", "PRODUCT_DEDICATED"), None),
        (BASE, ("PRODUCT_DEDICATED",), "by the token"),
        (BASE, ("PRODUCT_SERVERLESS",), "cannot be hosted"),
        ("acme/unknown", ("PRODUCT_SERVERLESS",), "cannot be fine-tuned"),
    ],
)
async def test_a_base_that_cannot_be_trained_played_or_hosted_is_told_before_a_run(
    together: FakeTogether, base: str, products: tuple[str, ...], words: str | None
) -> None:
    together.products = products
    refused = await access_refusal(load("together"), base, environ(together))
    assert refused == "" if words is None else words in (refused or "")


async def test_a_refused_key_is_one_line(together: FakeTogether) -> None:
    listed = await list_models(load("together"), environ(together))
    assert listed.shutdowns == {}
    wrong = {**environ(together), "TOGETHER_API_KEY": "wrong-key-0123456789"}
    with pytest.raises(ProviderFault, match="check TOGETHER_API_KEY") as caught:
        await list_models(load("together"), wrong)
    assert (caught.value.kind, "\n" in str(caught.value)) == (FaultKind.STOP, False)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("refused", "words"),
    [
        (
            told(404, "Unable to access non-serverless model x.", code="model_not_available"),
            "set model.base to a serverless model",
        ),
        (told(404, "Unable to access model x.", code="model_not_available"), "rmft-api profiles"),
        (told(402, "Credit limit exceeded", kind="credit_limit"), "add credit"),
    ],
)
async def test_refusals_of_a_chat_are_one_line(
    together: FakeTogether, connection: Connection, refused: Meets, words: str
) -> None:
    together.plan("chat", refused)
    with pytest.raises(ProviderFault, match=words) as caught:
        await connection.chat.reply(TestTogetherChat().ask(BASE))
    assert caught.value.kind is FaultKind.STOP
    assert "\n" not in str(caught.value)


def test_what_a_fine_tune_costs_is_an_hour_and_no_token() -> None:
    model = tuned_id(load("together"), BASE)
    assert load("together").is_tuned(model)
    price = price_of("together", model)
    assert price is not None
    assert (price.input, price.output, str(price.train)) == (0, 0, "1.35")
    assert "upper end" in price.source
    assert price.deployment(1) == 3_990_000


@pytest.mark.parametrize("model", [BASE, "ft:x", "ft:a:org:run:0", "x:ft-1"])
def test_an_id_of_another_form_is_no_fine_tune(model: str) -> None:
    assert names.tuned(model) is None
    assert not load("together").is_tuned(model)
    with pytest.raises(ConfigError, match="no fine-tune of Together's"):
        names.required(model)
