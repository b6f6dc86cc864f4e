"""Which finish reasons end an answer: one closed list for every wire.

Whatever is not on it is a reply that broke off, or that cannot be judged: it is asked for again,
and never taken for what the model said (docs/faults.md 2.3, C11). A profile may add words of its
own endpoint (`chat.finish_reasons`).

The words are those of OpenAI, Azure, Anthropic, Gemini, Mistral, DeepSeek, Zhipu, Cohere, Bedrock,
Together, TGI, vLLM and SGLang, by their published API references.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

UNTOLD = "unknown"
"""Of a reply with words that does not say how it ended."""
_WORDS: Mapping[str, tuple[str, ...]] = {
    "stop": (
        "stop",
        "stopped",
        "eos",
        "eos_token",
        "end_turn",
        "stop_sequence",
        "complete",
        "completed",
        "finished",
    ),
    "length": (
        "length",
        "max_tokens",
        "max_output_tokens",
        "max_completion_tokens",
        "max_length",
        "model_length",
        "model_context_window_exceeded",
    ),
    "content_filter": (
        "content_filter",
        "content_filtered",
        "guardrail_intervened",
        "refusal",
        "sensitive",
        "safety",
        "recitation",
        "language",
        "blocklist",
        "prohibited_content",
        "spii",
        "model_armor",
    ),
    # No tool is offered: a call alone is no answer.
    "tool_calls": (
        "tool_calls",
        "tool_call",
        "tool_use",
        "function_call",
        "malformed_function_call",
        "unexpected_tool_call",
        "too_many_tool_calls",
    ),
}
ENDS: Mapping[str, str] = {word: ours for ours, words in _WORDS.items() for word in words}
"""A provider's word -> ours."""
_FAILURES = frozenset(
    (
        "error",
        "abort",
        "aborted",
        "cancel",
        "cancelled",
        "canceled",
        "failed",
        "failure",
        "timeout",
        "time_limit",
        "overloaded",
        "network_error",
        "server_error",
        "internal_error",
        "insufficient_system_resource",
        "finish_reason_unspecified",
        "other",
        "malformed_response",
        "missing_thought_signature",
        "pause_turn",
        "repetition",
        "null",
        "none",
    )
)
"""Words that are known to report a failure, so that no endpoint can mean an answer by them."""


class Broken(NamedTuple):
    """A reply that is no whole answer."""

    why: str
    word: str = ""
    """The unknown finish reason; empty where it is known to report a failure."""


def read(
    stated: Any, *, native: Any = None, said: bool, own: Mapping[str, str] | None = None
) -> str | Broken:
    """How a choice ended, in our words. `said`: it holds words or a refusal.

    `native` is the word of the provider behind a gateway: it counts where it reports a failure.
    A choice that says nothing of its end is believed where it holds words.
    """
    if isinstance(native, str) and _plain(native) in _FAILURES:
        return Broken(f"its provider ended it with {native!r}")
    if isinstance(stated, dict):  # as SGLang's own endpoint sends it
        stated = cast("dict[str, Any]", stated).get("type")
    if stated is None or stated == "":
        return UNTOLD if said else Broken("it holds no words, and no finish_reason")
    if not isinstance(stated, str):
        return Broken(f"its finish_reason is {stated!r}", f"{stated!r}")
    word = _plain(stated)
    if own and (known := own.get(stated) or own.get(word)):
        return known
    if known := ENDS.get(word):
        return known
    return Broken(f"it ended with {stated!r}", "" if word in _FAILURES else stated)


def _plain(word: str) -> str:
    """`CONTENT-FILTER: SAFETY` as `content_filter`."""
    return word.partition(":")[0].strip().lower().replace("-", "_").replace(" ", "_")
