"""The server over the model that really trains."""

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.types.fine_tuning import FineTuningJobEvent

from tests.local_server.serving import Served, dataset, epochs, finished, served, train, upload

pytest.importorskip("torch")

MODEL = "rmft-tiny"
ASKED: list[Any] = [{"role": "user", "content": "Which button?"}]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("tiny"), "--engine", "tiny") as server:
        yield server


def says(client: openai.OpenAI, model: str) -> list[str | None]:
    answer = client.chat.completions.create(
        model=model, messages=ASKED, n=8, seed=3, max_tokens=8, logprobs=True, top_logprobs=2
    )
    assert all(choice.logprobs is not None for choice in answer.choices)
    return [choice.message.content for choice in answer.choices]


def test_the_tiny_model_learns_what_it_is_shown(tiny: Served) -> None:
    with tiny.client() as client:
        file_id = upload(client, dataset(["<Answer>C</Answer>"] * 20))
        job_id = train(client, model=MODEL, training_file=file_id, method=epochs(6))
        job = finished(client, job_id)
        assert job.status == "succeeded", job.error
        assert says(client, MODEL) == says(client, MODEL)
        assert says(client, job.fine_tuned_model) == ["<Answer>C</Answer>"] * 8
        assert says(client, MODEL) != says(client, job.fine_tuned_model)
        events = client.fine_tuning.jobs.list_events(job_id, limit=100).data[::-1]
        losses = [loss(event) for event in events if event.type == "metrics"]
        assert losses[0] > losses[-1]


def loss(event: FineTuningJobEvent) -> float:
    data: Any = event.data
    return float(data["train_loss"])


def test_a_chat_that_is_too_long_for_it_is_refused(tiny: Served) -> None:
    long = [{"role": "user", "content": "word " * 5000}]
    status, body = tiny.chat(model=MODEL, messages=long)
    assert (status, body["error"]["param"]) == (400, "messages")
    assert body["error"]["code"] in ("context_length_exceeded", "invalid_value")
