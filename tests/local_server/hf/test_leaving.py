"""A client that has gone costs no more tokens of an open model."""

import json
from pathlib import Path

import pytest

from rmft_api.local_server.engine import ChatMessage, Prompt
from rmft_api.local_server.hf.engine import HfEngine
from tests.local_server.leaving import LONG, SEED, Watch

pytest.importorskip("trl", reason="pip install 'rmft-api[open]'")

HELLO = (ChatMessage("user", "Which button?"),)


def test_an_answer_that_somebody_waits_for_is_long(engine: HfEngine) -> None:
    (answer,) = engine.load("specimen", None).complete([Prompt(HELLO, SEED, max_tokens=LONG)])
    assert answer.completion_tokens == LONG


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_whose_client_has_gone_is_not_sampled_to_its_end(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stream: bool
) -> None:
    from rmft_api.local_server.hf.network import HfModel

    watch = Watch(monkeypatch, HfModel)
    settings = json.dumps({"checkpoint": str(checkpoint)})
    sampled = await watch.tokens(tmp_path, f"hf:{settings}", "specimen", stream=stream)
    assert sampled < LONG


def test_its_neighbours_in_the_batch_are_answered_as_ever(engine: HfEngine) -> None:
    asked = iter(range(1000))
    leaving = Prompt(HELLO, 9, max_tokens=20, is_gone=lambda: next(asked) >= 5)
    staying = [Prompt(HELLO, seed, max_tokens=20) for seed in range(5)]
    model = engine.load("specimen", None)
    alone = [one.text for one in model.complete(staying)]
    gone, *others = model.complete([leaving, *staying])
    assert gone.completion_tokens == 5
    assert [one.text for one in others] == alone
