"""Another server that answers chats in this one's place: vLLM, or any on the OpenAI wire.

Training stays here. A fine-tune is written out in PEFT's format and loaded into the running server
(vLLM's `/v1/load_lora_adapter`, which it offers under VLLM_ALLOW_RUNTIME_LORA_UPDATING=True), so
both must see the same disk. Every answer is a request of its own: its seed is its own, and servers
that know no `n` do as well.
"""

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, takewhile
from pathlib import Path
from typing import Any, TypeVar

from rmft_api.local_server.engine import (
    ContextLengthError,
    EngineError,
    ExampleError,
    Prompt,
    SampledText,
    TokenLogprob,
)
from rmft_api.local_server.hf.controls import Controls
from rmft_api.local_server.hf.inference import InferenceServer, RefusedRequest, part
from rmft_api.local_server.token_stream import TokenStream

T = TypeVar("T")


class RemoteModel:
    """The base or a fine-tune, answered elsewhere; its adapter leaves with it."""

    def __init__(self, server: InferenceServer, weights: Path | None, controls: Controls) -> None:
        self._server = server
        self._controls = controls
        self._weights = weights
        self._can = server.can
        self._name = server.base if weights is None else server.load(weights)
        if weights is not None:
            weakref.finalize(self, server.unload, self._name)

    def complete(self, prompts: Sequence[Prompt]) -> list[SampledText]:
        """Answer every prompt, in order. Raises ExampleError, EngineError."""
        return list(self._server.threads.map(self._complete, prompts))

    def _complete(self, prompt: Prompt) -> SampledText:
        if prompt.top_logprobs is not None and not self._can.logprobs:
            message = "the inference server behind this model returns no logprobs"
            raise EngineError("unsupported_parameter", message, "model")
        try:
            if prompt.listener is None:
                return _completion(self._ask(prompt, self._server.post), prompt)
            return _streamed(self._ask(prompt, self._first_of_stream), prompt)
        except RefusedRequest as refused:
            raise _fault(refused) from refused

    def _first_of_stream(self, route: str, body: Mapping[str, object]) -> Iterator[Any]:
        """A stream whose first event has come: refusals come before it."""
        asked = {**body, "stream": True, "stream_options": {"include_usage": True}}
        events = self._server.stream(route, asked)
        return chain([next(events)], events)

    def _ask(self, prompt: Prompt, send: Callable[[str, Mapping[str, object]], T]) -> T:
        try:
            return send("chat/completions", self._body(prompt))
        except RefusedRequest as refused:
            if refused.status != 404 or self._weights is None:
                raise
        self._server.load(self._weights)  # it was started again, without our adapters
        return send("chat/completions", self._body(prompt))

    def _body(self, prompt: Prompt) -> dict[str, object]:
        body: dict[str, object] = {
            "model": self._name,
            "messages": [
                {"role": one.role, "content": self._controls.part(one.role, one.content)}
                for one in prompt.messages
            ],
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


def _fault(refused: RefusedRequest) -> Exception:
    text = str(refused)
    if refused.status == 400 and "context length" in text:
        return ContextLengthError(text)
    if refused.status == 400:
        return ExampleError(text)
    return EngineError("inference_server_error", f"the inference server answered: {text}")


def _completion(answer: Any, prompt: Prompt) -> SampledText:
    choice = answer["choices"][0]
    text = str(choice["message"]["content"] or "")
    content: Any = part(part(choice, "logprobs"), "content") or ()
    odds = tuple(_odds(token) for token in content)
    pieces = tuple(token.token for token in odds)
    usage = part(answer, "usage")
    return SampledText(
        pieces=pieces if "".join(pieces) == text else (text,),
        finish_reason="length" if choice.get("finish_reason") == "length" else "stop",
        prompt_tokens=int(part(usage, "prompt_tokens") or 0),
        completion_tokens=int(part(usage, "completion_tokens") or 0),
        logprobs=None if prompt.top_logprobs is None else odds,
    )


def _streamed(events: Iterator[Any], prompt: Prompt) -> SampledText:
    """Hand on a stream's pieces; returns the whole text."""
    stream = TokenStream(prompt)
    pieces: list[str] = []
    odds: list[TokenLogprob] = []
    usage: dict[str, Any] = {}
    reason = ""
    for event in takewhile(lambda _: not prompt.is_gone(), events):
        usage = event.get("usage") or usage
        for choice in event["choices"]:
            reason = choice.get("finish_reason") or reason
            text = str(part(part(choice, "delta"), "content") or "")
            tokens = [_odds(one) for one in part(part(choice, "logprobs"), "content") or ()]
            if not text and not tokens:
                continue
            alike = "".join(one.token for one in tokens) == text
            pieces += [one.token for one in tokens] if alike else [text]
            odds += tokens if alike else tokens[:1]
            stream.ended(pieces, odds if prompt.top_logprobs is not None else ())
    return SampledText(
        pieces=tuple(pieces),
        finish_reason="length" if reason == "length" else "stop",
        prompt_tokens=int(usage.get("prompt_tokens") or 0),
        completion_tokens=int(usage.get("completion_tokens") or 0),
        logprobs=None if prompt.top_logprobs is None else tuple(odds),
    )


def _odds(token: Any) -> TokenLogprob:
    rivals = tuple((str(one["token"]), float(one["logprob"])) for one in token["top_logprobs"])
    return TokenLogprob(str(token["token"]), float(token["logprob"]), rivals)
