"""Training here, answers from a running vLLM: its documented routes, faked on loopback."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from rmft_api.core.errors import ConfigError
from rmft_api.local_server.engine import (
    AnswerToken,
    ChatMessage,
    ContextLengthError,
    EngineError,
    Model,
    Prompt,
)
from rmft_api.local_server.hf import adapters
from rmft_api.local_server.hf.adapters import Adapter
from rmft_api.local_server.hf.engine import HfEngine
from rmft_api.local_server.hf.inference import ServerFeatures
from rmft_api.open_models.settings import HfSettings
from tests.local_server.hf.conftest import Heard

torch = pytest.importorskip("torch", reason="pip install 'rmft-api[open]'")
pytest.importorskip("trl", reason="pip install 'rmft-api[open]'")

ASK = (ChatMessage("user", "Which button?"),)


class Vllm:
    """What the fake knows and was asked."""

    def __init__(self) -> None:
        self.loaded: dict[str, str] = {}
        self.asked: list[dict[str, Any]] = []
        self.logprobs = self.updating = self.seeds = True
        self.blind = False
        """It sees another disk."""
        self.choices = 99
        """Of one request at most."""
        self.gone: list[str] = []

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        match path:
            case "/v1/chat/completions":
                return self._chat(body)
            case "/v1/load_lora_adapter" if self.updating and self.blind:
                said = f"Loading lora {body['lora_name']} failed: No adapter found for <path>"
                return 404, {"error": {"message": said, "type": "NotFoundError", "code": 404}}
            case "/v1/load_lora_adapter" if self.updating:
                if body["lora_name"] in self.loaded:
                    return 400, {"message": "The lora adapter has already been loaded."}
                self.loaded[body["lora_name"]] = body["lora_path"]
                return 200, f"Success: LoRA adapter '{body['lora_name']}' added successfully."
            case "/v1/unload_lora_adapter" if self.updating:
                self.gone.append(body["lora_name"])
                return 200, "Success"
            case _:
                return 404, {"detail": "Not Found"}

    def _chat(self, body: dict[str, Any]) -> tuple[int, Any]:
        self.asked.append(body)
        if body["model"] not in ("llama", *self.loaded):
            return 404, {"error": {"message": f"The model {body['model']} does not exist."}}
        if body["messages"][0]["content"] == "long":
            message = "This model's maximum context length is 16 tokens."
            return 400, {"error": {"message": message}}
        drawn = body["seed"] % 10 if self.seeds else len(self.asked) % 10
        token = {"token": f"{drawn}", "logprob": -0.5, "bytes": None}
        odds = {"content": [{**token, "top_logprobs": [{"token": "7", "logprob": -0.5}]}]}
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": token["token"]},
            "logprobs": odds if self.logprobs and body.get("logprobs") else None,
            "finish_reason": "length",
        }
        usage = {"prompt_tokens": 5, "completion_tokens": 1}
        if body.get("stream"):
            return 200, _events(choice, usage if body["stream_options"]["include_usage"] else None)
        return 200, {"choices": [choice] * min(body.get("n", 1), self.choices), "usage": usage}


def _events(choice: dict[str, Any], usage: Any) -> str:
    """As vLLM streams: the role, a chunk for each token, the reason, the usage, the end."""
    said, rest = {"index": 0, "finish_reason": None}, {"logprobs": None}
    chunks: list[dict[str, Any]] = [
        {"choices": [{**said, **rest, "delta": {"role": "assistant", "content": ""}}]},
        {"choices": [{**said, "logprobs": choice["logprobs"], "delta": choice["message"]}]},
        {"choices": [{"index": 0, **rest, "delta": {}, "finish_reason": choice["finish_reason"]}]},
        {"choices": [], "usage": usage},
    ]
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"


class Handler(BaseHTTPRequestHandler):
    fake: Vllm

    def do_GET(self) -> None:
        self._send(200, {"data": [{"id": "llama"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._send(*self.fake.answer(self.path, body))

    def _send(self, status: int, body: Any) -> None:
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def vllm() -> Vllm:
    return Vllm()


@pytest.fixture
def engine(vllm: Vllm, checkpoint: Path) -> Iterator[HfEngine]:
    handler = type("Fake", (Handler,), {"fake": vllm})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/v1"
        yield HfEngine(HfSettings(checkpoint=str(checkpoint), inference_url=url))
        server.shutdown()


@pytest.fixture
def weights(engine: HfEngine, tmp_path: Path) -> Path:
    """A fine-tune as a job leaves it."""
    fingerprint = engine._checkpoint.fingerprint  # pyright: ignore[reportPrivateUsage]
    path = tmp_path / "ftjob-1" / "weights" / "step-3.safetensors"
    path.parent.mkdir(parents=True)
    adapters.save(Adapter({"a": torch.ones(2)}, {"peft_type": "LORA", "r": 4}, fingerprint), path)
    return path


def said(model: Model, **fields: Any) -> list[str]:
    prompts = [Prompt(ASK, seed=seed, max_tokens=1, **fields) for seed in (3, 4)]
    return [one.text for one in model.complete(prompts)]


def test_the_base_is_answered_over_there_each_answer_by_its_own_seed(
    engine: HfEngine, vllm: Vllm
) -> None:
    assert said(engine.load("specimen", None), stop=("!",)) == ["3", "4"]
    assert vllm.asked[-1]["model"] == "llama"
    assert vllm.asked[-1]["stop"] == ["!"]
    assert "n" not in vllm.asked[-1]


def test_a_fine_tune_is_hot_loaded_and_answers_under_its_name(
    engine: HfEngine, vllm: Vllm, weights: Path
) -> None:
    model = engine.load("specimen", weights)
    assert said(model) == ["3", "4"]
    assert vllm.asked[-1]["model"] == "ftjob-1-step-3"
    config = json.loads((Path(vllm.loaded["ftjob-1-step-3"]) / "adapter_config.json").read_text())
    assert config["r"] == 4


def test_adapters_are_loaded_again_into_a_server_that_was_started_anew(
    engine: HfEngine, vllm: Vllm, weights: Path
) -> None:
    model = engine.load("specimen", weights)
    vllm.loaded.clear()
    assert said(model) == ["3", "4"]
    assert list(vllm.loaded) == ["ftjob-1-step-3"]


def test_logprobs_are_passed_on_or_refused_where_the_server_tells_none(
    engine: HfEngine, vllm: Vllm
) -> None:
    (answer,) = engine.load("specimen", None).complete([Prompt(ASK, seed=7, top_logprobs=1)])
    assert answer.logprobs is not None
    assert answer.logprobs[0].top == (("7", -0.5),)
    vllm.logprobs = False
    other = HfEngine(engine._settings)  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(EngineError, match="returns no logprobs"):
        said(other.load("specimen", None), top_logprobs=0)
    assert said(other.load("specimen", None)) == ["3", "4"]


def test_a_stream_is_handed_on_piece_by_piece(engine: HfEngine, vllm: Vllm, weights: Path) -> None:
    heard = Heard()
    model = engine.load("specimen", weights)
    prompt = Prompt(ASK, seed=7, max_tokens=1, top_logprobs=1)
    (whole,) = model.complete([prompt])
    vllm.loaded.clear()  # it was started anew: what is streamed finds its adapter again, too
    told = replace(prompt, listener=heard.hear)
    assert model.complete([told]) == [whole]
    assert whole.logprobs is not None
    assert heard.told == [(0, AnswerToken("7", whole.logprobs[0]))]
    assert vllm.asked[-1]["stream"]
    asked = iter((False, False, True))  # before each event
    left = replace(prompt, listener=heard.hear, is_gone=lambda: next(asked))
    (answer,) = model.complete([left])
    assert (answer.text, answer.completion_tokens) == ("7", 0)  # the usage was not waited for


@pytest.mark.parametrize(
    ("choices", "logprobs", "seeds"),
    [
        pytest.param(99, True, True, id="vLLM"),
        pytest.param(1, True, True, id="llama.cpp"),
        pytest.param(1, False, True, id="transformers serve"),
        pytest.param(1, False, False, id="a plain one"),
    ],
)
def test_what_a_server_can_do_is_tried_once_and_n_is_answered_everywhere(
    engine: HfEngine, vllm: Vllm, choices: int, logprobs: bool, seeds: bool
) -> None:
    vllm.choices, vllm.logprobs, vllm.seeds = choices, logprobs, seeds
    inference = engine._inference  # pyright: ignore[reportPrivateUsage]
    assert inference is not None
    assert len(said(engine.load("specimen", None))) == 2
    assert inference.can == ServerFeatures(choices > 1, logprobs, seeds)
    tried = len(vllm.asked)
    engine.load("specimen", None)
    assert len(vllm.asked) == tried


def test_an_adapter_that_the_server_does_not_find_is_told_in_its_words(
    engine: HfEngine, vllm: Vllm, weights: Path
) -> None:
    vllm.blind = True
    with pytest.raises(EngineError, match=r"the same disk.*No adapter found"):
        engine.load("specimen", weights)


def test_a_server_that_cannot_load_adapters_says_how_it_could(
    engine: HfEngine, vllm: Vllm, weights: Path
) -> None:
    vllm.updating = False
    with pytest.raises(EngineError, match="VLLM_ALLOW_RUNTIME_LORA_UPDATING"):
        engine.load("specimen", weights)


def test_its_refusals_are_told_as_ours(engine: HfEngine) -> None:
    long = Prompt((ChatMessage("user", "long"),), seed=0)
    with pytest.raises(ContextLengthError, match="16 tokens"):
        engine.load("specimen", None).complete([long])


def test_a_server_that_is_down_is_told_in_one_line(checkpoint: Path) -> None:
    dead = HfEngine(HfSettings(checkpoint=str(checkpoint), inference_url="http://127.0.0.1:9/v1"))
    with pytest.raises(EngineError, match="does not answer"):
        dead.load("specimen", None)
    with pytest.raises(ConfigError, match="must be like http://HOST:PORT/v1"):
        HfEngine(HfSettings(checkpoint=str(checkpoint), inference_url="localhost:8000"))
