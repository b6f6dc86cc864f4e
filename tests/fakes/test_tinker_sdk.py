"""Tinker's own package walks the whole way against the fake, and sends what we send."""

import asyncio
import importlib
import warnings
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from rmft_api.providers import Connection, connect
from rmft_api.providers.profiles import load
from rmft_api.providers.tinker import names, wire
from tests.contracts.fine_tuner import Bench
from tests.fakes.tinker import BASE, KEY, PREFIX, TINKER, FakeTinker, environ
from tests.providers.stub import Serving
from tests.providers.test_tinker import OWN, distinct

tinker: Any = pytest.importorskip(
    "tinker", reason="make vendors: it needs packages that nothing else here does"
)
pytestmark = pytest.mark.filterwarnings("ignore")
TOKENS, WEIGHTS = (5, 6, 7, 300, 70000), (0.0, 0.0, 1.0, 1.0, 1.0)


@pytest.fixture
async def fake() -> AsyncIterator[FakeTinker]:
    fake = FakeTinker(talk=lambda asked, index: "blue")
    async with Serving(fake, TINKER, PREFIX):
        yield fake


@pytest.fixture
async def connection(fake: FakeTinker, tmp_path: Path) -> AsyncIterator[Connection]:
    own = tmp_path / "own.toml"
    own.write_text(OWN)
    async with connect(load("tinker", own), environ=environ(fake, tmp_path)) as connection:
        yield connection


@pytest.fixture
def url(fake: FakeTinker, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TINKER_TELEMETRY", "0")
    return fake.url.removesuffix("/oai/api/v1")


def datum() -> Any:
    inputs = {
        "target_tokens": tinker.TensorData(data=list(TOKENS[1:]), dtype="int64", shape=[4]),
        "weights": tinker.TensorData(data=list(WEIGHTS[1:]), dtype="float32", shape=[4]),
    }
    return tinker.Datum(
        model_input=tinker.ModelInput.from_ints(list(TOKENS[:-1])), loss_fn_inputs=inputs
    )


def walk(url: str) -> tuple[str, str, str]:
    """What a script of the cookbook does; the run, its state and its sampler path."""
    warnings.simplefilter("ignore")
    with tinker.ServiceClient(base_url=url, api_key=KEY) as service:
        training = service.create_lora_training_client(
            base_model=BASE, rank=16, seed=7, user_metadata={"rmft_key": "k"}
        ).result()
        learning = training.forward_backward([datum()], "cross_entropy")
        step = training.optim_step(tinker.AdamParams(learning_rate=1e-4))
        assert learning.result().metrics["loss:sum"] == 1.5
        step.result()
        state = training.save_state("final").result().path
        sampler = training.save_weights_for_sampler("final").result().path
        further = service.create_training_client_from_state_with_optimizer(state).result()
        assert further.get_info().model_data.model_name == BASE
        return training.model_id, state, sampler


async def test_tinkers_package_trains_saves_and_continues_against_the_fake(
    fake: FakeTinker, url: str
) -> None:
    run, state, sampler = await asyncio.to_thread(walk, url)
    found = names.TinkerModelId(BASE, run, "final")
    assert (found.state, found.sampler) == (state, sampler)
    assert fake.tokens == 4
    assert list(fake.runs) == [run, run.replace(":train:0", ":train:1")]


async def test_we_send_what_tinkers_package_sends(
    fake: FakeTinker, url: str, connection: Connection
) -> None:
    run, _, _ = await asyncio.to_thread(walk, url)
    (theirs,) = fake.asked("forward")
    read: Any = importlib.import_module("tinker.proto.tinker_public_pb2")
    read = read.ForwardBackwardRequest.FromString
    ours = wire.forward_backward(run, 1, [wire.WeightedTokens(TOKENS, WEIGHTS)])
    assert read(ours) == read(theirs.body)
    sent = {route: fake.asked(route)[0].json for route in ("create", "optim", "save", "sampler")}
    loaded = fake.asked("load")[0].json
    fake.seen.clear()
    bench = Bench(connection.tuner, BASE, content=distinct())
    _, job = await bench.start()
    fake.dead.add(job.id.partition(":")[0])
    assert (await bench.finish(job)).status == "succeeded"
    for route, body in sent.items():
        own = fake.asked(route)[-1].json
        assert set(own) <= set(body) | {"ttl_seconds"}, route
        assert own["type"] == body["type"]
    assert set(fake.asked("create")[0].json["lora_config"]) <= set(sent["create"]["lora_config"])
    assert set(sent["optim"]["adam_params"]) == set(fake.asked("optim")[0].json["adam_params"])
    assert loaded["type"] == "load_weights"


async def test_what_our_adapter_trained_is_what_the_package_sees(
    url: str, connection: Connection
) -> None:
    bench = Bench(connection.tuner, BASE, content=distinct())
    order, job = await bench.start()
    done = await bench.finish(job)

    def look() -> tuple[Any, Any, Any]:
        rest = tinker.RestClient(base_url=url, api_key=KEY)
        runs = rest.list_training_runs(limit=10).result()
        saved = rest.list_checkpoints(job.id).result()
        return runs, saved, rest.get_server_capabilities().result()

    runs, saved, offered = await asyncio.to_thread(look)
    assert runs.training_runs[0].user_metadata["rmft_key"] == order.key
    assert done.fine_tuned_model
    found = names.tuned(done.fine_tuned_model)
    assert found
    assert found.sampler in [one.tinker_path for one in saved.checkpoints]
    assert BASE in [one.model_name for one in offered.supported_models]
