"""POST /v1/chat/completions and the models that answer there."""

import math
import time
from dataclasses import dataclass
from typing import Any

from tests.fake_provider.answers import answer
from tests.fake_provider.counting import Counting
from tests.fake_provider.scripts import error_body, model_missing
from tests.fake_provider.settings import Settings
from tests.fake_provider.store import Charge, Model, Store, digest
from tests.fake_provider.wire import Request, Response, json_response

KNOWN = {
    "model",
    "messages",
    "n",
    "seed",
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "logprobs",
    "top_logprobs",
    "store",
    "metadata",
    "user",
    "frequency_penalty",
    "presence_penalty",
    "response_format",
    "prompt_cache_key",
    "service_tier",
}


def bad(message: str, param: str | None = None) -> Response:
    """A 400 in the wire's shape."""
    return json_response(error_body(message, "invalid_request_error", None, param), 400)


@dataclass(frozen=True)
class Chat:
    """Answers chats and bills them."""

    store: Store
    settings: Settings
    counting: Counting

    def call_hash(self, body: dict[str, Any]) -> str:
        """The same for the same question to the same model, whatever the model's id says."""
        model = self.store.model(str(body.get("model")))
        rest = {key: value for key, value in body.items() if key != "model"}
        return digest(model.lineage if model else body.get("model"), rest)

    def complete(self, request: Request, number: int, key_hash: str) -> Response:
        """One chat completion, billed before the reply exists."""
        try:
            body = request.json()
        except ValueError:
            return bad("We could not parse the JSON body of your request.")
        return self.respond(body, number, key_hash)

    def respond(
        self, body: dict[str, Any], number: int, key_hash: str, share: float = 1.0
    ) -> Response:
        """The same for a body, at a share of the price."""
        if mistake := _mistake(body, self.settings.max_choices):
            return mistake
        model = self.store.model(body["model"])
        if model is None:
            return model_missing(body["model"])
        reply = self._completion(model, body, number)
        self.store.charge(number, key_hash, self._charge(model, body, reply, share))
        return json_response(reply)

    def _charge(
        self, model: Model, body: dict[str, Any], reply: dict[str, Any], share: float
    ) -> Charge:
        prices, usage = self.settings.prices, reply["usage"]
        tuned = model.generation > 0
        per_input = prices.tuned_input if tuned else prices.input
        per_output = prices.tuned_output if tuned else prices.output
        per_cached = prices.tuned_cached if tuned else prices.cached
        read, written = usage["prompt_tokens"], usage["completion_tokens"]
        cached = usage["prompt_tokens_details"]["cached_tokens"]
        less = 0 if per_cached is None else cached * (per_input - per_cached)
        cost = up(share * (read * per_input - less + written * per_output))
        return Charge("chat", model.id, self.call_hash(body), read, written, cost)

    def _completion(self, model: Model, body: dict[str, Any], number: int) -> dict[str, Any]:
        choices = [self._choice(model, body, i) for i in range(int(body.get("n") or 1))]
        read = self.counting.chat(body["messages"])
        cached = self.counting.cached(model.id, body["messages"])
        written = sum(self.counting.text(choice["message"]["content"]) for choice in choices)
        return {
            "id": f"chatcmpl-{number:08d}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": model.id,
            "choices": choices,
            "usage": {
                "prompt_tokens": read,
                "completion_tokens": written,
                "total_tokens": read + written,
                "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
            },
            "service_tier": "default",
            "system_fingerprint": "fp_fake",
        }

    def _choice(self, model: Model, body: dict[str, Any], index: int) -> dict[str, Any]:
        text, finish = self._limited(answer(self.settings, model, body, index), body)
        return {
            "index": index,
            "message": {"role": "assistant", "content": text, "refusal": None, "annotations": []},
            "logprobs": {"content": []} if body.get("logprobs") else None,
            "finish_reason": finish,
        }

    def _limited(self, text: str, body: dict[str, Any]) -> tuple[str, str]:
        """Apply `stop`, then the token limit."""
        stop: Any = body.get("stop") or []
        for word in [stop] if isinstance(stop, str) else stop:
            text = text.split(word)[0]
        most = body.get("max_completion_tokens") or body.get("max_tokens")
        if most is not None and self.counting.text(text) > int(most):
            return self.counting.cut(text, int(most)), "length"
        return text, "stop"

    def models(self) -> Response:
        """GET /v1/models."""
        return json_response(
            {"object": "list", "data": [_model_object(model) for model in self.store.models()]}
        )

    def model(self, id: str) -> Response:
        """GET /v1/models/{id}."""
        model = self.store.model(id)
        return model_missing(id) if model is None else json_response(_model_object(model))


def _mistake(body: dict[str, Any], max_choices: int) -> Response | None:
    if unknown := sorted(body.keys() - KNOWN):
        return bad(f"Unrecognized request argument supplied: {unknown[0]}")
    if not isinstance(body.get("model"), str):
        return bad("you must provide a model parameter", "model")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        return bad("[] is too short - 'messages'", "messages")
    if not 1 <= int(body.get("n") or 1) <= max_choices:
        return bad(f"'n' must lie between 1 and {max_choices}.", "n")
    return None


def up(amount: float) -> int:
    """Whole micro-dollars."""
    return math.ceil(amount - 1e-6)


def _model_object(model: Model) -> dict[str, Any]:
    owner = "fake-org" if model.generation else "system"
    created = int(model.wall)
    return {"id": model.id, "object": "model", "created": created, "owned_by": owner}
