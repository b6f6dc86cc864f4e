"""A finished run's models decide: in a program, a notebook and a service."""

import asyncio
import importlib.util
import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType

import pytest
from aiohttp.test_utils import TestClient, TestServer

from rmft_api.api.decider import Decider
from rmft_api.config import schema
from rmft_api.core.errors import ConfigError
from rmft_api.session import runs
from tests.local_server.serving import served
from tests.notebooks import EXAMPLES, run_notebook

pytest.importorskip("torch")

RUN = {
    "name": "quickstart",
    "seed": 3,
    "iterations": 1,
    "model": {"base": "rmft-tiny"},
    "prompts": {"set": "compact", "story": ["buttons", "adverts"], "repeat_reason": True},
    "sampling": {"max_tokens": 24},
    "rollouts": {
        "scenarios": 2,
        "trajectories": 4,
        "problems": [{"environment": "bandit", "K": [2, 3], "T": 6}],
    },
    "selection": {"k": 2},
    "finetuning": {"n_epochs": 1},
    "validation": {"scenarios": 2},
    "test": {"scenarios": 2},
}
NAMES = ["mail", "call", "visit"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one small finished run."""
    folder = tmp_path_factory.mktemp("using")
    asyncio.run(runs.begin(schema.parse(RUN, "test"), folder / "runs", None))
    return folder


@pytest.fixture
def run(folder: Path) -> Path:
    return folder / "runs" / "quickstart"


def service() -> ModuleType:
    spec = importlib.util.spec_from_file_location("service", EXAMPLES / "service.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
async def client(run: Path) -> AsyncIterator[TestClient]:  # pyright: ignore[reportMissingTypeArgument,reportUnknownParameterType]
    decider = Decider.of_run(run, 1, on_unreadable="greedy")
    async with TestClient(TestServer(service().app(decider))) as client:
        yield client


async def test_a_service_plays_a_game_with_the_tuned_model(client: TestClient) -> None:  # pyright: ignore[reportMissingTypeArgument,reportUnknownParameterType]
    begun = await (await client.post("/games", json={"actions": NAMES, "rounds": 3})).json()
    at = f"/games/{begun['id']}"
    for t in range(1, 4):
        choice = await (await client.post(f"{at}/decide", json={})).json()
        assert choice["action"] in NAMES
        told = await (await client.post(f"{at}/observe", json={"reward": 1.0})).json()
        assert told["round"] == t + 1
    over = await client.post(f"{at}/decide", json={})
    assert (over.status, "the game is over" in (await over.json())["error"]) == (400, True)
    assert len((await (await client.get(at)).json())["played"]) == 3


async def test_a_service_answers_a_wrong_request_in_one_line(client: TestClient) -> None:  # pyright: ignore[reportMissingTypeArgument,reportUnknownParameterType]
    for body in ({"actions": ["a"]}, {"colour": "red"}, {"story": "dors"}):
        answer = await client.post("/games", json=body)
        assert answer.status in (400, 503)
        assert "\n" not in (await answer.json())["error"]
    assert (await client.post("/games/none/decide", json={})).status == 404


def test_the_notebook_about_using_a_model_runs(folder: Path) -> None:
    shown = run_notebook("use_the_model.ipynb", folder)
    assert any("bytes, round 2" in text for text in shown)


def test_the_champion_decides_without_an_event_loop_and_the_same_again(run: Path) -> None:
    decider = Decider.of_run(run, on_unreadable="random")
    try:
        first, again = (decider.start(seed=2).decide_sync() for _ in range(2))
    finally:
        decider.close_sync()
    assert first == again


async def test_a_kept_decider_asks_a_server_that_somebody_else_started(run: Path) -> None:
    state = json.loads(json.dumps(Decider.of_run(run, 1).dump()))
    with served(run / "server", "--engine", "tiny") as server:
        async with Decider.load(state, base_url=server.base_url, on_unreadable="random") as decider:
            assert decider.model.startswith("ft:")
            assert (await decider.start(actions=NAMES).decide()).action in NAMES


async def test_a_server_whose_folder_is_gone_is_asked_for_by_its_address(run: Path) -> None:
    state = {**Decider.of_run(run).dump(), "server": "/nowhere"}
    with pytest.raises(ConfigError, match=r"start `rmft-api serve --state THAT_FOLDER`.*base_url="):
        await Decider.load(state).start().decide()
