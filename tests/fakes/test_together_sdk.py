"""Together's own package walks the whole way against the fake, and asks for what we ask for."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from rmft_api.core.records import DeploymentOrder, Hyperparameters, JobOrder
from rmft_api.providers import Connection, connect
from rmft_api.providers.profiles import load
from tests.contracts.fine_tuner import examples
from tests.fakes.together import BASE, KEY, PROJECT, TOGETHER, FakeTogether, environ
from tests.providers.stub import Serving

together: Any = pytest.importorskip(
    "together", reason="make vendors: it pins rich below ours, so no extra can name it"
)
pytestmark = pytest.mark.filterwarnings("ignore")
ORDER = JobOrder(
    key="k" * 32,
    model=BASE,
    training_file="",
    method="supervised",
    hyperparameters=Hyperparameters(n_epochs=2, learning_rate=2e-5),
    seed=7,
    suffix="case-1",
    metadata={"rmft_run": "case"},
)


@pytest.fixture
async def fake() -> AsyncIterator[FakeTogether]:
    fake = FakeTogether(talk=lambda asked, index: "blue")
    async with Serving(fake, TOGETHER):
        yield fake


@pytest.fixture
async def connection(fake: FakeTogether) -> AsyncIterator[Connection]:
    async with connect(load("together"), environ=environ(fake)) as connection:
        yield connection


@pytest.fixture
def sdk(fake: FakeTogether) -> Any:
    """It checks every reply against its own models."""
    return together.Together(
        api_key=KEY,
        project_id=PROJECT,
        base_url=fake.url.removesuffix("/v1"),
        max_retries=0,
        _strict_response_validation=True,
    )


async def call(function: Any, *args: Any, **more: Any) -> Any:
    return await asyncio.to_thread(function, *args, **more)


async def ended(sdk: Any, job: str) -> Any:
    for _ in range(5):
        found = await call(sdk.fine_tuning.retrieve, job)
        if found.status in ("completed", "error"):
            return found
    raise AssertionError(f"{job} did not end")


async def test_togethers_package_stores_tunes_deploys_and_plays_against_the_fake(
    fake: FakeTogether, sdk: Any, tmp_path: Path
) -> None:
    path = tmp_path / "rmft-1.jsonl"
    path.write_bytes(examples())
    file = await call(sdk.files.upload, path, purpose="fine-tune", check=True)
    assert (file.filename, file.bytes, file.processing_status) == (
        "rmft-1.jsonl",
        len(examples()),
        "PENDING",
    )
    again = await call(sdk.files.upload, path, purpose="fine-tune")
    assert again.id == file.id
    assert (await call(sdk.files.retrieve, file.id)).validation_report.valid
    assert [one.id for one in (await call(sdk.files.list)).data] == [file.id]
    job = await call(
        sdk.fine_tuning.create,
        training_file=file.id,
        model=BASE,
        n_epochs=2,
        learning_rate=2e-5,
        lora=True,
        suffix="case",
        verbose=False,
    )
    done = await ended(sdk, job.id)
    assert done.x_model_output_name.startswith("lab/Qwen3.5-9B-case-")
    events = (await call(sdk.fine_tuning.list_events, job.id)).data
    assert {one.type for one in events} == {"job_pending", "checkpoint_save", "job_complete"}
    saved = (await call(sdk.fine_tuning.list_checkpoints, job.id)).data
    assert [one.step for one in saved] == [10, 5]
    endpoint = await call(sdk.endpoints.create, name="rmft-case-1")
    model = await call(sdk.models.retrieve, id=done.api_model_object_id)
    config = (await call(sdk.models.configs.list, reference_model_id=model.base_model_id)).data[1]
    stay = await call(
        sdk.endpoints.deployments.create,
        endpoint.id,
        name="mark-job",
        model=f"projects/{model.project_id}/models/{model.id}",
        config=f"projects/{config.project_id}/configs/{config.id}",
        autoscaling={"min_replicas": 1, "max_replicas": 1},
        inactive_timeout=60,
    )
    await call(sdk.endpoints.list)
    listed: Any = (await call(sdk.endpoints.list)).data
    assert listed[0].deployments[0].state == "DEPLOYMENT_STATE_READY"
    reply = await call(
        sdk.chat.completions.create,
        model=stay.name,
        messages=[{"role": "user", "content": "Which button?"}],
        max_tokens=8,
        seed=1,
        reasoning={"enabled": False},
    )
    assert reply.choices[0].message.content == "blue"
    deployments = sdk.endpoints.deployments
    with pytest.raises(together.ConflictError, match="must be stopped"):
        await call(deployments.delete, stay.id, endpoint_id=endpoint.id)
    nothing = {"min_replicas": 0, "max_replicas": 0}
    await call(
        deployments.update,
        stay.id,
        endpoint_id=endpoint.id,
        autoscaling=nothing,
        update_mask="autoscaling",
    )
    await call(deployments.delete, stay.id, endpoint_id=endpoint.id)
    await call(sdk.endpoints.delete, endpoint.id)
    assert fake.endpoints == {}


def sent(fake: FakeTogether, route: str) -> list[Any]:
    return [seen.json for seen in fake.asked(route)]


async def test_we_ask_for_what_togethers_package_asks_for(
    fake: FakeTogether, connection: Connection, sdk: Any, tmp_path: Path
) -> None:
    path = tmp_path / "rmft-1.jsonl"
    path.write_bytes(examples())
    file = await call(sdk.files.upload, path, purpose="fine-tune")
    ours = await connection.tuner.upload("rmft-2.jsonl", examples(11))
    theirs, own = fake.asked("upload")
    for field in ("purpose", "file_name", "file_type", "checksum"):
        assert f'name="{field}"'.encode() in theirs.body
        assert f'name="{field}"'.encode() in own.body
    await call(sdk.files.retrieve, file.id)
    order = replace(ORDER, training_file=ours.id)
    await connection.tuner.file(ours.id)
    await connection.tuner.estimated_price(order)
    made = await connection.tuner.create_job(order)
    await call(
        sdk.fine_tuning.create,
        training_file=ours.id,
        model=BASE,
        n_epochs=2,
        learning_rate=2e-5,
        suffix=f"case-1-{'k' * 16}",
        random_seed=7,
        verbose=False,
    )
    own_job, their_job = sent(fake, "create")
    assert own_job == {name: their_job[name] for name in own_job}
    own_estimate, their_estimate = sent(fake, "estimate")
    told = {name: their_estimate.get(name) for name in own_estimate}
    assert own_estimate == told
    await ended(sdk, made.id)
    fake.seen.clear()
    further = replace(order, key="y" * 32, model=f"ft:{BASE}:{made.id}")
    await connection.tuner.create_job(further)
    await call(
        sdk.fine_tuning.create,
        training_file=ours.id,
        from_checkpoint=made.id,
        n_epochs=2,
        learning_rate=2e-5,
        suffix=f"case-1-{'y' * 16}",
        random_seed=7,
        verbose=False,
    )
    own_job, their_job = sent(fake, "create")
    assert own_job == {name: their_job[name] for name in own_job}
    assert own_job["from_checkpoint"] == made.id


async def test_what_our_adapter_makes_is_what_the_package_sees(
    fake: FakeTogether, connection: Connection, sdk: Any
) -> None:
    file = await connection.tuner.upload("rmft-1.jsonl", examples())
    assert (await call(sdk.files.retrieve, file.id)).filename == "rmft-1.jsonl"
    made = await connection.tuner.create_job(replace(ORDER, training_file=file.id))
    done = await ended(sdk, made.id)
    host = connection.host
    assert host
    order = DeploymentOrder("rmft-case-1", f"ft:{BASE}:{done.id}", "case", "0123456789abcdef")
    await host.deploy(order, "a")
    (endpoint,) = (await call(sdk.endpoints.list)).data
    (stay,) = endpoint.deployments
    whole = await call(sdk.endpoints.deployments.retrieve, stay.id, endpoint_id=endpoint.id)
    assert (whole.inactive_timeout, whole.autoscaling.max_replicas) == (60, 1)
    assert json.dumps(fake.made) == json.dumps({"lab/rmft-case-1": 1})
    await host.remove("rmft-case-1")
    assert (await call(sdk.endpoints.list)).data == []
    assert (await call(sdk.whoami)).project.id == PROJECT
    listed = (await call(sdk.models.list_supported, search=BASE)).data
    assert [one.name for one in listed] == [BASE]
    limits = await call(sdk.fine_tuning.model_limits, model_name=BASE)
    assert not limits.supports_full_training
    assert (await call(sdk.endpoints.hardware.list)).data[0].price_cents_per_hour == 399
