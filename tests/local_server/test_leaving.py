"""A client that has gone costs no more tokens."""

from pathlib import Path

import pytest
import torch

from rmft_api.local_server.engine import ChatMessage, Prompt
from rmft_api.local_server.tiny import engine, network, pretraining
from tests.local_server.leaving import LONG, SEED, Watch

HELLO = (ChatMessage("user", "Which button?"),)


@pytest.fixture
def talkative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> engine.TinyModel:
    """Random weights in the base's place, which hardly ever end an answer."""
    path = tmp_path / "random.safetensors"
    weights = network.TinyNetwork()
    pretraining.initialise(weights, 0)
    with torch.no_grad():
        network.save(weights, path)
    monkeypatch.setattr(engine, "BASE_WEIGHTS", path)
    return engine.TinyModel(path)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch, talkative: engine.TinyModel) -> Watch:
    return Watch(monkeypatch, engine.TinyModel)


def test_an_answer_that_somebody_waits_for_is_long(talkative: engine.TinyModel) -> None:
    (answer,) = talkative.complete([Prompt(HELLO, SEED, max_tokens=LONG)])
    assert answer.completion_tokens == LONG


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_whose_client_has_gone_is_not_sampled_to_its_end(
    watch: Watch, tmp_path: Path, caplog: pytest.LogCaptureFixture, stream: bool
) -> None:
    sampled = await watch.tokens(tmp_path / "state", "tiny", engine.BASE, stream=stream)
    assert sampled < LONG
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


def test_its_neighbours_in_the_batch_are_answered_as_ever(talkative: engine.TinyModel) -> None:
    asked = iter(range(1000))
    leaving = Prompt(HELLO, 9, max_tokens=20, is_gone=lambda: next(asked) >= 5)
    staying = [Prompt(HELLO, seed, max_tokens=20) for seed in range(5)]
    alone = talkative.complete(staying)
    gone, *others = talkative.complete([leaving, *staying])
    assert gone.completion_tokens == 5
    assert others == alone
