"""Weights prepared for the model that answers: the same answers, and none left for the next."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("trl", reason="pip install 'rmft-api[open]'")

from rmft_api.local_server.engine import ChatMessage, JobHyperparameters, Prompt
from rmft_api.local_server.hf import products
from rmft_api.local_server.hf.engine import HfEngine
from rmft_api.local_server.hf.network import HfModel
from rmft_api.open_models.settings import HfSettings

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")

QUESTION = ChatMessage("user", "Which button?")
ASKED = [
    Prompt((ChatMessage("user", f"{n % 5} buttons."),), seed=n, max_tokens=6) for n in range(12)
]


@pytest.fixture(params=["oneDNN", "MKL"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "oneDNN" and not torch.backends.mkldnn.is_available():
        pytest.skip("this torch has no oneDNN")
    monkeypatch.setattr(products, "is_slow_in_mkl", lambda: request.param == "oneDNN")
    return request.param


@pytest.fixture(scope="module")
def adapter(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fine-tune that answers otherwise than its base."""
    engine = HfEngine(HfSettings(checkpoint=str(checkpoint), lora_rank=4, learning_rate=0.05))
    folder = tmp_path_factory.mktemp("adapters")
    engine.train(
        engine.bases[0],
        None,
        [(QUESTION, ChatMessage("assistant", "blue blue blue"))] * 4,
        JobHyperparameters(3, 2, 1.0),
        0,
        lambda step: folder / f"{step}.safetensors",
        lambda step: None,
    )
    return max(folder.glob("*.safetensors"), key=lambda path: int(path.stem))


@pytest.fixture
def models(checkpoint: Path, adapter: Path, library: str) -> Iterator[tuple[HfModel, HfModel]]:
    """The base, and the fine-tune over the same weights."""
    engine: Any = HfEngine(HfSettings(checkpoint=str(checkpoint), prefix_mb=0, lora_rank=4))
    yield engine.load(engine.bases[0], None), engine.load(engine.bases[0], adapter)


def held(model: HfModel) -> str | None:
    merged: Any = model._base._merged  # pyright: ignore[reportPrivateUsage]
    return merged._held if merged._layers else None


def odds(model: HfModel) -> torch.Tensor:
    """Of the token after a text, as whoever answered last is asked."""
    base: Any = model._base  # pyright: ignore[reportPrivateUsage]
    with torch.inference_mode(), base._worn(model._name):  # pyright: ignore[reportPrivateUsage]
        return base._network(input_ids=torch.arange(5, 25)[None]).logits[0].softmax(-1)


def test_an_adapter_added_to_its_base_answers_as_one_beside_it(
    models: tuple[HfModel, HfModel],
) -> None:
    _, tuned = models
    apart, odds_apart = tuned.complete(ASKED), odds(tuned)
    assert held(tuned) is None
    together, odds_together = tuned.complete(ASKED), odds(tuned)
    assert held(tuned) == tuned._name  # pyright: ignore[reportPrivateUsage]
    torch.testing.assert_close(odds_together, odds_apart, rtol=1e-4, atol=1e-6)
    assert [one.text for one in together] == [one.text for one in apart]


def test_who_answers_next_meets_no_weights_of_the_last(
    models: tuple[HfModel, HfModel], adapter: Path, library: str
) -> None:
    base, tuned = models
    first, plain = base.complete(ASKED), odds(base)
    for _ in range(2):
        tuned.complete(ASKED)
    assert held(tuned) == tuned._name  # pyright: ignore[reportPrivateUsage]
    assert not torch.allclose(odds(tuned), plain, atol=1e-3)
    for _ in range(3):
        assert [one.text for one in base.complete(ASKED)] == [one.text for one in first]
        torch.testing.assert_close(odds(base), plain, rtol=1e-4, atol=1e-6)
    assert held(base) == ("" if library == "oneDNN" else None)
    another = HfModel(base._base, adapter)  # pyright: ignore[reportPrivateUsage]
    assert held(base) is None
    tuned.complete(ASKED)
    torch.testing.assert_close(odds(another), odds(tuned), rtol=1e-4, atol=1e-6)


def test_models_that_are_asked_in_turn_are_not_prepared(models: tuple[HfModel, HfModel]) -> None:
    for _ in range(2):
        for model in models:
            model.complete(ASKED[:1])
            assert held(model) is None


@pytest.mark.parametrize(
    "settings",
    [{"merged_mb": 0}, {"sampling_dtype": "bfloat16"}],
)
def test_weights_that_do_not_fit_or_are_not_float32_are_not_prepared(
    checkpoint: Path, adapter: Path, settings: dict[str, Any]
) -> None:
    engine = HfEngine(HfSettings(checkpoint=str(checkpoint), lora_rank=4, **settings))
    tuned = engine.load(engine.bases[0], adapter)
    assert isinstance(tuned, HfModel)
    for _ in range(3):
        tuned.complete(ASKED[:1])
    assert held(tuned) is None
