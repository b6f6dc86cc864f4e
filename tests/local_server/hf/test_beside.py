"""Answering goes on while a job trains."""

import pytest

from benchmarks.serving_beside_training import measure

pytest.importorskip("trl", reason="pip install 'rmft-api[open]'")


def test_no_chat_waits_longer_than_one_training_step_for_the_training() -> None:
    found = measure(steps=4)
    assert len(found.beside) >= 3
    assert max(found.beside) < found.step + max(found.alone)
