"""Answering goes on while a job trains."""

import pytest

from benchmarks.serving_beside_training import measure

pytest.importorskip("trl", reason="pip install 'rmft-api[open]'")


def test_no_chat_waits_for_longer_than_a_training_step() -> None:
    found = measure(steps=5, batch=16)
    assert found.longest_in_steps < 1, found
