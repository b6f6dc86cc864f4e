"""Fireworks' own package walks the whole way against the fake, and asks for what we ask for."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace

from rmft_api.core.records import DeploymentOrder, Hyperparameters, JobOrder
from rmft_api.providers import Connection, connect
from rmft_api.providers.fireworks import names
from rmft_api.providers.profiles import load
from tests.contracts.fine_tuner import examples
from tests.fakes.fireworks import (
    ACCOUNT,
    BASE,
    FIREWORKS,
    KEY,
    PREFIX,
    FakeFireworks,
    environ,
)
from tests.providers.stub import Serving

sdk_of: Any = pytest.importorskip("fireworks", reason="make vendors")
pytestmark = pytest.mark.filterwarnings("ignore")
ORDER = JobOrder(
    key="k" * 32,
    model=BASE,
    training_file="",
    method="supervised",
    hyperparameters=Hyperparameters(n_epochs=2, learning_rate=2e-5, batch_size=8),
    seed=7,
    suffix="case-1",
    metadata={"rmft_run": "case"},
)


@pytest.fixture
async def fake() -> AsyncIterator[FakeFireworks]:
    fake = FakeFireworks(talk=lambda asked, index: "blue")
    async with Serving(fake, FIREWORKS, PREFIX):
        yield fake


@pytest.fixture
async def connection(fake: FakeFireworks) -> AsyncIterator[Connection]:
    async with connect(load("fireworks"), environ=environ(fake)) as connection:
        yield connection


@pytest.fixture
def sdk(fake: FakeFireworks) -> Any:
    """It checks every reply against its own models."""
    return sdk_of.Fireworks(
        api_key=KEY,
        account_id="lab",
        base_url=fake.url.removesuffix(PREFIX),
        max_retries=0,
        _strict_response_validation=True,
    )


async def call(function: Any, *args: Any, **more: Any) -> Any:
    return await asyncio.to_thread(function, *args, **more)


async def ended(sdk: Any, job: str) -> Any:
    for _ in range(5):
        found = await call(sdk.supervised_fine_tuning_jobs.get, job)
        if found.state in ("JOB_STATE_COMPLETED", "JOB_STATE_FAILED"):
            return found
    raise AssertionError(f"{job} did not end")


async def stored(sdk: Any, id_: str = "rmft-1") -> Any:
    about = {"display_name": "rmft-1.jsonl 9", "example_count": "10", "format": "CHAT"}
    await call(sdk.datasets.create, dataset_id=id_, dataset={**about, "user_uploaded": {}})
    await call(sdk.datasets.upload, id_, file=(f"{id_}.jsonl", examples(), "application/jsonl"))
    return await call(sdk.datasets.get, id_)


async def test_fireworks_package_stores_tunes_deploys_and_plays_against_the_fake(
    fake: FakeFireworks, sdk: Any
) -> None:
    dataset = await stored(sdk)
    assert (dataset.state, dataset.example_count) == ("READY", "10")
    jobs = sdk.supervised_fine_tuning_jobs
    job = await call(
        jobs.create,
        dataset=dataset.name,
        base_model=BASE,
        supervised_fine_tuning_job_id="job-1",
        output_model="model-1",
        epochs=2,
    )
    assert job.estimated_cost.units == "1"
    with pytest.raises(sdk_of.ConflictError, match="already exists"):
        await call(
            jobs.create,
            dataset=dataset.name,
            base_model=BASE,
            supervised_fine_tuning_job_id="job-1",
        )
    done = await ended(sdk, "job-1")
    assert done.output_model == f"{ACCOUNT}/models/model-1"
    model = await call(sdk.models.get, "model-1")
    assert (model.state, model.peft_details.base_model) == ("READY", BASE)
    stay = await call(
        sdk.deployments.create,
        base_model=model.name,
        deployment_id="rmft-1",
        deployment_shape="default",
        min_replica_count=0,
        max_replica_count=1,
        autoscaling_policy={"scale_to_zero_window": "3600s"},
    )
    for _ in range(2):
        await call(sdk.deployments.get, "rmft-1")
    reply = await call(
        sdk.chat.completions.create,
        model=f"{model.name}#{stay.name}",
        messages=[{"role": "user", "content": "Which button?"}],
        max_tokens=8,
    )
    assert reply.choices[0].message.content == "blue"
    with pytest.raises(sdk_of.BadRequestError, match="used recently"):
        await call(sdk.deployments.delete, "rmft-1")
    await call(sdk.deployments.delete, "rmft-1", hard=True, ignore_checks=True)
    assert fake.stays == {}


async def test_we_ask_for_what_fireworks_package_asks_for(
    fake: FakeFireworks, connection: Connection, sdk: Any
) -> None:
    await stored(sdk)
    ours = await connection.tuner.upload("rmft-2.jsonl", examples(11))
    theirs, own = fake.asked("dataset")
    assert own.json.keys() == theirs.json.keys()
    assert own.json["dataset"].keys() == theirs.json["dataset"].keys()
    theirs, own = fake.asked("upload")
    assert b'name="file"' in own.body and b'name="file"' in theirs.body
    order = replace(ORDER, training_file=ours.id)
    made = await connection.tuner.create_job(order)
    await call(
        sdk.supervised_fine_tuning_jobs.create,
        dataset=ours.id,
        base_model=BASE,
        supervised_fine_tuning_job_id="other-1",
        output_model=names.job_id(order),
        display_name="case-1",
        epochs=2,
        learning_rate=2e-5,
        batch_size_samples=8,
    )
    own, theirs = fake.asked("create")
    assert own.json == theirs.json
    assert own.query.keys() == theirs.query.keys()
    done = await ended(sdk, names.job_id(order))
    model = f"ft:{BASE}:{done.output_model}"
    assert (await connection.tuner.job(made.id)).fine_tuned_model == model
    fake.seen.clear()
    further = replace(order, key="y" * 32, model=model)
    await connection.tuner.create_job(further)
    await call(
        sdk.supervised_fine_tuning_jobs.create,
        dataset=ours.id,
        warm_start_from=done.output_model,
        supervised_fine_tuning_job_id="other-2",
        output_model=names.job_id(further),
        display_name="case-1",
        epochs=2,
        learning_rate=2e-5,
        batch_size_samples=8,
    )
    own, theirs = fake.asked("create")
    assert own.json == theirs.json
    host = connection.host
    assert host
    await host.deploy(DeploymentOrder("rmft-a", model, "case", "mark"), "a")
    await call(
        sdk.deployments.create,
        base_model=done.output_model,
        deployment_id="rmft-b",
        deployment_shape="default",
        min_replica_count=0,
        max_replica_count=1,
        autoscaling_policy={"scale_to_zero_window": "3600s"},
        display_name="rmft-a",
        description=fake.stays["rmft-a"]["description"],
    )
    _, own, theirs = fake.asked("deploy")
    assert own.json == theirs.json
    assert own.query.keys() == theirs.query.keys()
    await host.remove("rmft-a")
    await call(sdk.deployments.delete, "rmft-b", hard=True, ignore_checks=True)
    own, theirs = fake.asked("remove")
    assert own.query == theirs.query


async def test_what_our_adapter_makes_is_what_the_package_sees(
    fake: FakeFireworks, connection: Connection, sdk: Any
) -> None:
    file = await connection.tuner.upload("rmft-1.jsonl", examples())
    seen = await call(sdk.datasets.get, "rmft-1")
    assert (seen.name, seen.format, seen.state) == (file.id, "CHAT", "READY")
    order = replace(ORDER, training_file=file.id)
    await connection.tuner.create_job(order)
    done = await ended(sdk, names.job_id(order))
    host, model = connection.host, f"ft:{BASE}:{done.output_model}"
    assert host
    for name in ("rmft-a", "rmft-b", "rmft-c"):
        await host.deploy(DeploymentOrder(name, model, "case", "mark"), "a")
    listed = await call(lambda: list(sdk.deployments.list()))
    assert [one.accelerator_count for one in listed] == [1, 1, 1]
    assert [one.key for one in await host.deployments()] == ["mark"] * 3
    account = await call(sdk.accounts.get, account_id="lab")
    assert account.suspend_state == "UNSUSPENDED"
    assert (await call(sdk.models.get, "llama-v3p1-8b-instruct", account_id="fireworks")).tunable
