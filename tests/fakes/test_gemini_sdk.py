"""Google's own SDK walks the whole way against the fake, and asks for what we ask for."""

import json
from collections.abc import AsyncIterator
from importlib import import_module
from typing import Any

import pytest

from rmft_api.core.records import Hyperparameters, JobOrder
from rmft_api.providers import connect
from rmft_api.providers.profiles import load
from tests.contracts.fine_tuner import examples
from tests.fakes.gemini import GEMINI, LOCATION, PROJECT, TOKEN, FakeGemini, environ
from tests.providers.stub import Serving

genai: Any = pytest.importorskip("google.genai", reason="pip install google-genai")
BASE = "gemini-3.5-flash-lite"
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*experimental")


@pytest.fixture
async def gemini() -> AsyncIterator[FakeGemini]:
    fake = FakeGemini(talk=lambda asked, index: "blue")
    async with Serving(fake, GEMINI):
        yield fake


@pytest.fixture
async def client(gemini: FakeGemini) -> AsyncIterator[Any]:
    credentials = import_module("google.oauth2.credentials").Credentials(token=TOKEN)
    origin = gemini.url.removesuffix("/v1")
    made = genai.Client(
        enterprise=True,
        project=PROJECT,
        location=LOCATION,
        credentials=credentials,
        http_options={"base_url": origin, "api_version": "v1"},
    )
    yield made.aio
    await made.aio.aclose()


async def stored(gemini: FakeGemini) -> str:
    """A dataset of ours in the bucket."""
    async with connect(load("gemini"), environ=environ(gemini)) as connection:
        return (await connection.tuner.upload("rmft-1.jsonl", examples())).id


async def ended(client: Any, job: Any) -> Any:
    for _ in range(5):
        job = await client.tunings.get(name=job.name)
        if job.has_ended:
            return job
    raise AssertionError(f"{job.name} is {job.state}")


def dataset(uri: str) -> Any:
    return genai.types.TuningDataset(gcs_uri=uri)


def wanted(**more: Any) -> Any:
    return genai.types.CreateTuningJobConfig(epoch_count=1, labels={"rmft_key": "a"}, **more)


async def test_googles_sdk_tunes_continues_and_asks_its_models(
    gemini: FakeGemini, client: Any
) -> None:
    uri = await stored(gemini)
    first = await client.tunings.tune(
        base_model=BASE,
        training_dataset=dataset(uri),
        config=wanted(tuned_model_display_name="ours"),
    )
    first = await ended(client, first)
    assert first.state == genai.types.JobState.JOB_STATE_SUCCEEDED
    assert [one.checkpoint_id for one in first.tuned_model.checkpoints] == ["1", "2"]
    further = await client.tunings.tune(
        base_model=first.tuned_model.model,
        training_dataset=dataset(uri),
        config=wanted(pre_tuned_model_checkpoint_id="1"),
    )
    further = await ended(client, further)
    assert further.pre_tuned_model.base_model == BASE
    assert further.pre_tuned_model.checkpoint_id == "1"
    assert further.tuned_model.model == first.tuned_model.model.replace("@1", "@2")
    reply = await client.models.generate_content(
        model=further.tuned_model.endpoint, contents="Which?"
    )
    assert (reply.text, reply.response_id[:5]) == ("blue", "resp-")
    found = await client.tunings.list(config={"filter": 'labels.rmft_key="a"'})
    assert {one.name for one in found.page} == {first.name, further.name}


async def test_a_name_of_its_own_makes_a_model_where_continuing_adds_a_version(
    gemini: FakeGemini, client: Any
) -> None:
    uri = await stored(gemini)
    first = await ended(
        client,
        await client.tunings.tune(base_model=BASE, training_dataset=dataset(uri), config=wanted()),
    )
    named = wanted(tuned_model_display_name="another")
    further = await ended(
        client,
        await client.tunings.tune(
            base_model=first.tuned_model.model, training_dataset=dataset(uri), config=named
        ),
    )
    assert further.tuned_model.model.endswith("@1")
    assert further.tuned_model.model != first.tuned_model.model


def order(uri: str, model: str) -> JobOrder:
    return JobOrder(
        key="a",
        model=model,
        training_file=uri,
        method="supervised",
        hyperparameters=Hyperparameters(n_epochs=1, learning_rate_multiplier=2.0),
        seed=7,
        suffix="ours",
        metadata={},
    )


def canonical(body: Any) -> str:
    """Names in either of Google's spellings and numbers in either of their forms, as one."""
    text = json.dumps(body, sort_keys=True).replace("_", "").lower()
    return text.replace('"1"', "1")


@pytest.mark.parametrize("checkpoint", [None, "1"])
async def test_we_ask_for_what_googles_sdk_asks_for(
    gemini: FakeGemini, client: Any, checkpoint: str | None
) -> None:
    uri = await stored(gemini)
    first = await ended(
        client,
        await client.tunings.tune(base_model=BASE, training_dataset=dataset(uri), config=wanted()),
    )
    native = first.tuned_model.model
    async with connect(load("gemini"), environ=environ(gemini)) as connection:
        ours = f"{BASE}:{native}" + (f"#{checkpoint}" if checkpoint else "")
        job = await connection.tuner.create_job(order(uri, ours))
    assert job.model == ours
    await client.tunings.tune(
        base_model=native,
        training_dataset=dataset(uri),
        config=wanted(
            learning_rate_multiplier=2.0,
            tuned_model_display_name="ours-a",
            export_last_checkpoint_only=True,
            pre_tuned_model_checkpoint_id=checkpoint,
        ),
    )
    mine, theirs = [canonical(seen.json) for seen in gemini.asked("create")[-2:]]
    assert mine == theirs


async def test_our_tuner_names_every_checkpoint_that_the_sdk_sees(
    gemini: FakeGemini, client: Any
) -> None:
    uri = await stored(gemini)
    first = await ended(
        client,
        await client.tunings.tune(base_model=BASE, training_dataset=dataset(uri), config=wanted()),
    )
    async with connect(load("gemini"), environ=environ(gemini)) as connection:
        saved = await connection.tuner.checkpoints(first.name)
        ready = [await connection.tuner.model_ready(one.model) for one in saved]
    named = [f"{BASE}:{first.tuned_model.model}#{one}" for one in ("1", "2")]
    assert ([one.model for one in saved], ready) == (named, [True, True])
