"""The server that answers chats in this one's place, as an HTTP client sees it.

What it can do is tried once; adapters are loaded into it while it runs (vLLM's
`/v1/load_lora_adapter`, offered under VLLM_ALLOW_RUNTIME_LORA_UPDATING=True).
"""

import http.client
import json
import logging
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

from rmft_api.core.errors import ConfigError
from rmft_api.local_server.engine import EngineError
from rmft_api.local_server.hf import adapters
from rmft_api.local_server.hf.checkpoint import CheckpointFolder

WAIT_S = 600.0
"""For one answer."""
AT_ONCE = 64
PEFT_FOLDER = "peft"
"""Beside the weights of a job: its adapters as other servers read them."""
_PROBE = {"messages": [{"role": "user", "content": "Say a number."}], "max_tokens": 8, "seed": 7}

log = logging.getLogger(__name__)


class RefusedRequest(Exception):  # noqa: N818  the other server's answer, not an error of the program
    """A request that the other server did not follow."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class ServerFeatures(NamedTuple):
    """What the other server was seen to do."""

    n: bool
    """It gives as many choices as are asked for. They are asked one by one all the same."""
    logprobs: bool
    seed: bool
    """Equal seeds get equal answers."""


class InferenceServer:
    """The other server. Raises EngineError where it cannot be reached."""

    def __init__(self, checkpoint: CheckpointFolder) -> None:
        settings = checkpoint.settings
        parts = urlsplit(settings.inference_url)
        if parts.scheme != "http" or not parts.hostname:
            raise ConfigError(
                f"inference_url is {settings.inference_url!r}; it must be like http://HOST:PORT/v1"
            )
        self._host, self._path = parts.netloc, parts.path.rstrip("/")
        self._named = settings.inference_model
        self._checkpoint = checkpoint
        self.threads = ThreadPoolExecutor(AT_ONCE, "inference")

    def post(self, route: str, body: Mapping[str, object]) -> Any:
        """Raises Refused, or EngineError if the endpoint does not answer."""
        return self._ask("POST", route, json.dumps(body).encode())

    def stream(self, route: str, body: Mapping[str, object]) -> Generator[Any]:
        """The events of an answer that is streamed. Raises as `post`, and on the way too."""
        with self._answer("POST", route, json.dumps(body).encode()) as response:
            for line in response:
                field, _, content = line.decode("utf-8", "replace").partition(":")
                if field == "data" and content.strip() != "[DONE]":
                    yield _event(content)

    def _ask(self, method: str, route: str, body: bytes | None = None) -> Any:
        with self._answer(method, route, body) as response:
            return _json(response.read().decode("utf-8", "replace"))

    @contextmanager
    def _answer(
        self, method: str, route: str, body: bytes | None
    ) -> Generator[http.client.HTTPResponse]:
        connection = http.client.HTTPConnection(self._host, timeout=WAIT_S)
        try:
            headers = {"Content-Type": "application/json"}
            connection.request(method, f"{self._path}/{route}", body, headers)
            response = connection.getresponse()
            if response.status >= 400:
                content = response.read().decode("utf-8", "replace")
                raise RefusedRequest(response.status, _message(content))
            yield response
        except (OSError, http.client.HTTPException) as error:
            raise EngineError(
                "inference_server_down",
                f"the inference server at {self._host} does not answer ({error}); start it again",
            ) from error
        finally:
            connection.close()

    @cached_property
    def base(self) -> str:
        """The base model's id over there. Raises EngineError."""
        if self._named:
            return self._named
        try:
            return str(self._ask("GET", "models")["data"][0]["id"])
        except (RefusedRequest, LookupError, TypeError) as error:
            message = f"the inference server lists no model ({error}); set inference_model"
            raise EngineError("inference_server_unfit", message) from error

    @cached_property
    def can(self) -> ServerFeatures:
        """Tried once, with three short questions. Raises EngineError."""
        asked = {**_PROBE, "model": self.base, "temperature": 1.0}
        try:
            first = self.post("chat/completions", {**asked, "logprobs": True, "top_logprobs": 1})
            second = self.post("chat/completions", asked)
            several = self._gives_two(asked)
        except RefusedRequest as refused:
            message = f"the inference server refuses a plain chat: {refused}"
            raise EngineError("inference_server_unfit", message) from refused
        one, other = first["choices"][0], second["choices"][0]
        shown = bool(part(part(one, "logprobs"), "content"))
        found = ServerFeatures(
            several, shown, one["message"]["content"] == other["message"]["content"]
        )
        if not found.seed:
            log.warning("the inference server does not repeat an answer of the same seed")
        return found

    def _gives_two(self, asked: Mapping[str, object]) -> bool:
        try:
            answer = self.post("chat/completions", {**asked, "n": 2})
        except RefusedRequest:
            return False
        return len(answer["choices"]) == 2

    def load(self, weights: Path) -> str:
        """Hot-load a fine-tune; its id over there. Raises EngineError."""
        folder = weights.parent.parent / PEFT_FOLDER / weights.stem
        adapters.unpack(weights, self._checkpoint.fingerprint, folder)
        name = f"{weights.parent.parent.name}-{weights.stem}"
        try:
            body = {"lora_name": name, "lora_path": str(folder.resolve())}
            self.post("load_lora_adapter", body)
        except RefusedRequest as refused:
            if "already" not in str(refused):
                raise EngineError("adapter_not_loaded", _hint(refused)) from refused
        return name

    def unload(self, name: str) -> None:
        """Free an adapter over there, some time soon."""
        self.threads.submit(self._unload, name)

    def _unload(self, name: str) -> None:
        try:
            self.post("unload_lora_adapter", {"lora_name": name})
        except (RefusedRequest, EngineError) as error:
            log.warning("adapter %s was not unloaded: %s", name, error)


def _hint(refused: RefusedRequest) -> str:
    if refused.status == 404 and "lora" not in str(refused).lower():  # the route is missing
        return (
            "the inference server cannot load adapters while it runs; start vLLM with "
            "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True and --enable-lora"
        )
    return f"the inference server did not load the adapter (both need the same disk): {refused}"


def part(body: Any, name: str) -> Any:
    """A field that some servers leave out or null."""
    return None if body is None else body.get(name)


def _event(content: str) -> Any:
    """One event. Raises Refused for one that reports a failure."""
    event = json.loads(content)
    if "error" in event:
        raise RefusedRequest(500, _message(content))
    return event


def _json(content: str) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content  # vLLM answers adapters with plain text


def _message(content: str) -> str:
    """The text of an error, wherever in the body it stands."""
    body = _json(content)
    for name in ("error", "message"):
        if isinstance(body, dict):
            body = cast("dict[str, Any]", body).get(name, cast("object", body))
    return str(cast("object", body))[:500]
