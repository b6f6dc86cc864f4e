from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from rmft_api.local_server.engine import AnswerToken
from tests.local_server.serving import Served, served

OPTIONS = ("--set", "save_every_s=0", "--set", "lora_rank=4", "--set", "learning_rate=0.005")


class Heard:
    """What a listener was told."""

    def __init__(self) -> None:
        self.told: list[tuple[int, AnswerToken]] = []

    def hear(self, place: int, piece: AnswerToken) -> None:
        self.told.append((place, piece))


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny chat checkpoint of random weights."""
    from rmft_api.local_server.hf import example_checkpoint

    folder = tmp_path_factory.mktemp("checkpoints") / "specimen"
    example_checkpoint.make(folder, 0, 0, lambda line: None)
    return folder


@pytest.fixture(scope="session")
def engine(checkpoint: Path) -> Any:
    from rmft_api.local_server.hf.engine import HfEngine
    from rmft_api.open_models.settings import HfSettings

    return HfEngine(HfSettings(checkpoint=str(checkpoint), lora_rank=4, learning_rate=5e-3))


@pytest.fixture(scope="session")
def open_server(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    state = tmp_path_factory.mktemp("open")
    with served(state, "--engine", "hf", "--checkpoint", str(checkpoint), *OPTIONS) as server:
        yield server


@pytest.fixture(scope="session")
def open_client(open_server: Served) -> Iterator[openai.OpenAI]:
    with open_server.client() as client:
        yield client.with_options(timeout=60)
