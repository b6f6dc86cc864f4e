"""Preferences on the local server: the wire as documented, and a loss that really prefers."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rmft_api.local_server import training_data
from rmft_api.local_server.engine import (
    ChatMessage,
    ChatPair,
    JobHyperparameters,
    TrainingStep,
)
from tests.local_server.serving import Served, finished, served, upload

torch = pytest.importorskip("torch")

from rmft_api.local_server.tiny import network, preferences  # noqa: E402
from rmft_api.local_server.tiny.engine import BASE, BASE_WEIGHTS, TinyEngine  # noqa: E402

ASKED = "Round 1 of 25.\nA: untried\nB: untried"
GOOD = "Best B, few B, hope B.\nHope decides. <Answer>B</Answer>"
BAD = "Best A, few A, hope A.\nThe least tried. <Answer>A</Answer>"
PAIR = ChatPair((ChatMessage("user", ASKED),), GOOD, BAD)


def line(**changes: Any) -> dict[str, Any]:
    return {
        "input": {"messages": [{"role": "user", "content": ASKED}]},
        "preferred_output": [{"role": "assistant", "content": GOOD}],
        "non_preferred_output": [{"role": "assistant", "content": BAD}],
        **changes,
    }


def prefer(folder: Path, beta: float, epochs: int = 4) -> tuple[Path, list[TrainingStep], int]:
    folder.mkdir(exist_ok=True)
    steps: list[TrainingStep] = []
    tokens = TinyEngine().prefer(
        BASE,
        None,
        [PAIR] * 16,
        JobHyperparameters(epochs, 8, 1.0),
        beta,
        1,
        lambda step: folder / "weights.safetensors",
        steps.append,
    )
    return folder / "weights.safetensors", steps, tokens


def margin(weights: Path) -> float:
    with torch.no_grad():
        pair = preferences.as_pair(PAIR)
        return float(preferences.margins(network.load(weights), [pair])[0])


def test_the_preferred_answer_gains_on_the_other(tmp_path: Path) -> None:
    weights, steps, tokens = prefer(tmp_path, beta=0.1)
    assert margin(weights) > margin(BASE_WEIGHTS) + 5
    assert steps[0].train_loss == pytest.approx(0.6931, abs=1e-3)  # log 2: it is the reference
    assert steps[-1].train_loss < steps[0].train_loss
    assert steps[-1].train_mean_token_accuracy == 1.0
    assert tokens == 4 * 16 * preferences.as_pair(PAIR).tokens


def test_a_large_beta_holds_on_to_the_reference(tmp_path: Path) -> None:
    loose, _, _ = prefer(tmp_path / "a", beta=0.05, epochs=12)
    tight, _, _ = prefer(tmp_path / "b", beta=2.0, epochs=12)
    assert margin(tight) - margin(BASE_WEIGHTS) < margin(loose) - margin(BASE_WEIGHTS)


def test_the_same_pairs_make_the_same_bytes(tmp_path: Path) -> None:
    first, _, _ = prefer(tmp_path / "a", beta=0.1, epochs=1)
    second, _, _ = prefer(tmp_path / "b", beta=0.1, epochs=1)
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"input": {"messages": []}}, "must end with a user message"),
        ({"input": {"messages": [{"role": "assistant", "content": "x"}]}}, "end with a user"),
        ({"preferred_output": []}, "'preferred_output' must hold exactly one assistant"),
        (
            {"non_preferred_output": [{"role": "user", "content": "x"}]},
            "'non_preferred_output' must hold exactly one assistant",
        ),
        ({"input": {"messages": [{"role": "user", "content": "x"}], "tools": [1]}}, "tools"),
    ],
)
def test_a_pair_that_is_none_is_refused(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        training_data.read_pair(json.dumps(line(**changes)).encode())


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("tiny"), "--engine", "tiny") as server:
        yield server


def method(**numbers: Any) -> Any:
    return {"type": "dpo", "dpo": {"hyperparameters": numbers}}


def test_a_dpo_job_is_taken_to_its_end(tiny: Served) -> None:
    with tiny.client() as client:
        content = b"".join(json.dumps(line()).encode() + b"\n" for _ in range(12))
        file_id = upload(client, content)
        job = client.fine_tuning.jobs.create(
            model="rmft-tiny",
            training_file=file_id,
            seed=1,
            method=method(n_epochs=1, beta=0.2),
        )
        done = finished(client, job.id)
        assert done.status == "succeeded", done.error
        told = done.method
        assert told is not None
        assert told.type == "dpo"
        assert told.dpo.hyperparameters.beta == 0.2
        wrong = client.fine_tuning.jobs.create(
            model="rmft-tiny",
            training_file=upload(client),
            method=method(n_epochs=1),
        )
        failed = finished(client, wrong.id)
        assert failed.error.code == "invalid_training_file"
