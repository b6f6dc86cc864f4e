"""Another server that answers chats in this one's place: vLLM, or any on the OpenAI wire.

Training stays here. A fine-tune is written out in PEFT's format and loaded into the running server
(vLLM's `/v1/load_lora_adapter`, which it offers under VLLM_ALLOW_RUNTIME_LORA_UPDATING=True), so
both must see the same disk. Every answer is a request of its own: its seed is its own, and servers
that know no `n` do as well.
"""

import http.client
import json
import logging
import weakref
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast
from urllib.parse import urlsplit

from rmft_api.errors import ConfigError
from rmft_api.local_server.engine import (
    Completion,
    ContextLengthError,
    EngineError,
    ExampleError,
    Prompt,
    TokenLogprob,
)
from rmft_api.local_server.hf import adapters
from rmft_api.local_server.hf.checkpoint import Checkpoint
from rmft_api.local_server.telling import Telling

T = TypeVar("T")

WAIT_S = 600.0
"""For one answer."""
AT_ONCE = 64
PEFT_FOLDER = "peft"
"""Beside the weights of a job: its adapters as other servers read them."""
_PROBE = {"messages": [{"role": "user", "content": "Say a number."}], "max_tokens": 8, "seed": 7}

log = logging.getLogger(__name__)


class Refused(Exception):  # noqa: N818  the other server's answer, not an error of the program
    """A request that the other server did not follow."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Can(NamedTuple):
    """What the other server was seen to do."""

    logprobs: bool
    seed: bool


class Inference:
    """The other server. Raises EngineError where it cannot be reached."""

    def __init__(self, checkpoint: Checkpoint) -> None:
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
        """Raises Refused, or EngineError where nobody answers."""
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
                raise Refused(response.status, _message(content))
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
        except (Refused, LookupError, TypeError) as error:
            message = f"the inference server lists no model ({error}); set inference_model"
            raise EngineError("inference_server_unfit", message) from error

    @cached_property
    def can(self) -> Can:
        """Tried once, with two short questions. Raises EngineError."""
        asked = {**_PROBE, "model": self.base, "temperature": 1.0}
        try:
            first = self.post("chat/completions", {**asked, "logprobs": True, "top_logprobs": 1})
            second = self.post("chat/completions", asked)
        except Refused as refused:
            message = f"the inference server refuses a plain chat: {refused}"
            raise EngineError("inference_server_unfit", message) from refused
        one, other = first["choices"][0], second["choices"][0]
        told = bool(_part(_part(one, "logprobs"), "content"))
        found = Can(told, one["message"]["content"] == other["message"]["content"])
        if not found.seed:
            log.warning("the inference server does not repeat an answer of the same seed")
        return found

    def load(self, weights: Path) -> str:
        """Hot-load a fine-tune; its id over there. Raises EngineError."""
        folder = weights.parent.parent / PEFT_FOLDER / weights.stem
        adapters.unpack(weights, self._checkpoint.fingerprint, folder)
        name = f"{weights.parent.parent.name}-{weights.stem}"
        try:
            body = {"lora_name": name, "lora_path": str(folder.resolve())}
            self.post("load_lora_adapter", body)
        except Refused as refused:
            if "already" not in str(refused):
                raise EngineError("adapter_not_loaded", _hint(refused)) from refused
        return name

    def unload(self, name: str) -> None:
        """Free an adapter over there, some time soon."""
        self.threads.submit(self._unload, name)

    def _unload(self, name: str) -> None:
        try:
            self.post("unload_lora_adapter", {"lora_name": name})
        except (Refused, EngineError) as error:
            log.warning("adapter %s was not unloaded: %s", name, error)


def _hint(refused: Refused) -> str:
    if refused.status == 404:
        return (
            "the inference server cannot load adapters while it runs; start vLLM with "
            "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True and --enable-lora"
        )
    return f"the inference server did not load the adapter: {refused}"


class RemoteModel:
    """The base or a fine-tune, answered elsewhere; its adapter leaves with it."""

    def __init__(self, server: Inference, weights: Path | None) -> None:
        self._server = server
        self._weights = weights
        self._can = server.can
        self._name = server.base if weights is None else server.load(weights)
        if weights is not None:
            weakref.finalize(self, server.unload, self._name)

    def complete(self, prompts: Sequence[Prompt]) -> list[Completion]:
        """Answer every prompt, in order. Raises ExampleError, EngineError."""
        return list(self._server.threads.map(self._complete, prompts))

    def _complete(self, prompt: Prompt) -> Completion:
        if prompt.top_logprobs is not None and not self._can.logprobs:
            message = "the inference server behind this model tells no logprobs"
            raise EngineError("unsupported_parameter", message, "model")
        try:
            if prompt.listener is None:
                return _completion(self._ask(prompt, self._server.post), prompt)
            return _streamed(self._ask(prompt, self._first_of_stream), prompt)
        except Refused as refused:
            raise _fault(refused) from refused

    def _first_of_stream(self, route: str, body: Mapping[str, object]) -> Iterator[Any]:
        """A stream whose first event has come: refusals come before it."""
        asked = {**body, "stream": True, "stream_options": {"include_usage": True}}
        events = self._server.stream(route, asked)
        return chain([next(events)], events)

    def _ask(self, prompt: Prompt, send: Callable[[str, Mapping[str, object]], T]) -> T:
        try:
            return send("chat/completions", self._body(prompt))
        except Refused as refused:
            if refused.status != 404 or self._weights is None:
                raise
        self._server.load(self._weights)  # it was started anew, without our adapters
        return send("chat/completions", self._body(prompt))

    def _body(self, prompt: Prompt) -> dict[str, object]:
        body: dict[str, object] = {
            "model": self._name,
            "messages": [{"role": one.role, "content": one.content} for one in prompt.messages],
            "max_tokens": prompt.max_tokens,
            "temperature": prompt.temperature,
            "top_p": prompt.top_p,
            "seed": prompt.seed,
        }
        if prompt.stop:
            body["stop"] = list(prompt.stop)
        if prompt.top_logprobs is not None:
            body |= {"logprobs": True, "top_logprobs": prompt.top_logprobs}
        return body


def _fault(refused: Refused) -> Exception:
    text = str(refused)
    if refused.status == 400 and "context length" in text:
        return ContextLengthError(text)
    if refused.status == 400:
        return ExampleError(text)
    return EngineError("inference_server_error", f"the inference server answered: {text}")


def _completion(answer: Any, prompt: Prompt) -> Completion:
    choice = answer["choices"][0]
    text = str(choice["message"]["content"] or "")
    content: Any = _part(_part(choice, "logprobs"), "content") or ()
    odds = tuple(_odds(token) for token in content)
    pieces = tuple(token.token for token in odds)
    usage = _part(answer, "usage")
    return Completion(
        pieces=pieces if "".join(pieces) == text else (text,),
        finish_reason="length" if choice.get("finish_reason") == "length" else "stop",
        prompt_tokens=int(_part(usage, "prompt_tokens") or 0),
        completion_tokens=int(_part(usage, "completion_tokens") or 0),
        logprobs=None if prompt.top_logprobs is None else odds,
    )


def _streamed(events: Iterator[Any], prompt: Prompt) -> Completion:
    """Hand on what a stream tells; the whole of it."""
    telling, pieces, odds, reason, usage = (
        Telling(prompt),
        list[str](),
        list[TokenLogprob](),
        "",
        {},
    )
    for event in events:
        usage = event.get("usage") or usage
        for choice in event["choices"]:
            reason = choice.get("finish_reason") or reason
            text = str(_part(_part(choice, "delta"), "content") or "")
            tokens = [_odds(one) for one in _part(_part(choice, "logprobs"), "content") or ()]
            if not text and not tokens:
                continue
            alike = "".join(one.token for one in tokens) == text
            pieces += [one.token for one in tokens] if alike else [text]
            odds += tokens if alike else tokens[:1]
            telling.ended(pieces, odds if prompt.top_logprobs is not None else ())
    return Completion(
        pieces=tuple(pieces),
        finish_reason="length" if reason == "length" else "stop",
        prompt_tokens=int(usage.get("prompt_tokens") or 0),
        completion_tokens=int(usage.get("completion_tokens") or 0),
        logprobs=None if prompt.top_logprobs is None else tuple(odds),
    )


def _event(content: str) -> Any:
    """One event. Raises Refused for one that tells of a failure."""
    event = json.loads(content)
    if "error" in event:
        raise Refused(500, _message(content))
    return event


def _part(body: Any, name: str) -> Any:
    """A field that some servers leave out or null."""
    return None if body is None else body.get(name)


def _odds(token: Any) -> TokenLogprob:
    rivals = tuple((str(one["token"]), float(one["logprob"])) for one in token["top_logprobs"])
    return TokenLogprob(str(token["token"]), float(token["logprob"]), rivals)


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
