import json
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import openai
import pytest

from rmft_api.cli.serve import serve
from rmft_api.core.errors import ConfigError
from tests.local_server.serving import HELLO, Served, dataset, refused, served, until

KEY = "local-key"


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    state = tmp_path_factory.mktemp("keyed")
    options = ("--engine", "scripted", "--api-key-env", "MY_KEY")
    with served(state, *options, MY_KEY=KEY) as server:
        yield server


def test_a_key_is_asked_of_everybody_but_health_checks(keyed: Served) -> None:
    assert keyed.request("GET", "/health") == (200, {"status": "ok"})
    for given in ("", "Bearer wrong", f"Basic {KEY}"):
        status, body = keyed.request("GET", "/v1/models", Authorization=given)
        assert (status, body["error"]["code"]) == (401, "invalid_api_key")
        assert KEY not in json.dumps(body)
    with keyed.client(KEY) as client:
        assert client.models.list().data
    with keyed.client("sk-wrong") as client, pytest.raises(openai.AuthenticationError):
        client.chat.completions.create(model="scripted-1", messages=HELLO)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_goes_through_the_whole_life_cycle(server: Served, tmp_path: Path) -> None:
    def curl(path: str, *options: str) -> dict[str, object]:
        command = ["curl", "-sS", "--fail-with-body", f"{server.base_url}{path}", *options]
        done = subprocess.run(command, capture_output=True, check=True, timeout=20)
        return json.loads(done.stdout)

    (tmp_path / "train.jsonl").write_bytes(dataset())
    file = curl("/files", "-F", "purpose=fine-tune", "-F", f"file=@{tmp_path}/train.jsonl")
    order = {"model": "scripted-1", "training_file": file["id"], "seed": 11}
    as_json = ("-H", "Content-Type: application/json", "-d")
    job = curl("/fine_tuning/jobs", *as_json, json.dumps(order))
    path = f"/fine_tuning/jobs/{job['id']}"
    until(lambda: curl(path)["status"] == "succeeded")
    asked = {"model": curl(path)["fine_tuned_model"], "messages": HELLO}
    answer = curl("/chat/completions", *as_json, json.dumps(asked))
    assert '"content": "blue"' in json.dumps(answer)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"engine": ["enormous"]}, "tiny, numeric, players, scripted"),
        ({"engine": ["nowhere:Engine"]}, "nowhere"),
        ({"engine": ["json:Engine"]}, "json:Engine"),
        ({"engine": ["scripted", "scripted"]}, "scripted-1"),
        ({"host": "0.0.0.0"}, "--api-key-env"),
        ({"host": "203.0.113.1", "api_key_env": "PATH"}, "--host"),
        ({"api_key_env": "NOT_SET"}, "NOT_SET"),
    ],
)
def test_a_server_that_cannot_start_says_why(
    tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    defaults: dict[str, Any] = {"state": tmp_path, "port": 0, "engine": ["scripted"]}
    with pytest.raises(ConfigError, match=re.escape(words)) as caught:
        serve(**(defaults | options))
    assert "\n" not in str(caught.value)


def test_a_taken_port_and_an_owned_state_are_told_in_one_line(
    server: Served, tmp_path: Path
) -> None:
    port = str(urlsplit(server.base_url).port)
    code, line = refused("--state", str(tmp_path), "--engine", "scripted", "--port", port)
    assert (code, port in line, "\n" in line) == (78, True, False)
    code, line = refused("--state", str(server.state), "--engine", "scripted")
    assert (code, str(server.state) in line, "\n" in line) == (75, True, False)


def test_without_the_extra_the_command_names_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # as if it were not installed
    (tmp_path / "needs_torch.py").write_text("import torch\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(ConfigError, match=re.escape("pip install 'rmft-api[local]'")):
        serve(state=tmp_path, engine=["needs_torch:Engine"])


def test_the_ready_file_tells_the_address_and_the_end_of_input_ends_the_server(
    tmp_path: Path,
) -> None:
    ready = tmp_path / "ready.json"
    options = ("--engine", "scripted", "--ready-file", str(ready), "--until-stdin-closes")
    with served(tmp_path / "state", *options) as server:
        until(ready.exists)
        assert json.loads(ready.read_text()) == {"base_url": server.base_url}
        assert server.process.stdin is not None
        server.process.stdin.close()
        assert server.process.wait(5) == 0


def test_a_client_that_stalls_does_not_hold_up_others(server: Served) -> None:
    address = urlsplit(server.base_url)
    stalled = [socket.create_connection((address.hostname, address.port)) for _ in range(20)]
    for place, connection in enumerate(stalled):
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 90\r\n"
        connection.sendall(head if place % 2 else head + b"\r\n{")
    start = time.monotonic()
    assert server.chat()[0] == 200
    assert time.monotonic() - start < 1
    for connection in stalled:
        connection.close()


def test_many_clients_at_once_get_the_answers_they_would_get_alone(server: Served) -> None:
    def ask(seed: int) -> str:
        return str(server.chat(seed=seed)[1]["choices"][0]["message"]["content"])

    alone = [ask(seed) for seed in range(40)]
    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(ask, range(40))) == alone
