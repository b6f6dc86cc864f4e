"""Billed tokens, as providers report them: lenient in the form, strict in what is believed."""

from typing import Any, cast

from rmft_api.core.records import Usage

_MOST_TOKENS = 100_000_000
"""A usage beyond this is not a count of one request's tokens."""


def believed(prompt: Any, completion: Any, cached: Any = 0) -> Usage | None:
    """The counts, whole numbers in any form; None where one is missing or cannot be true.

    No prompt has 0 tokens. Cached ones of which nothing can be read are not counted as cached; more
    of them than the prompt has make all doubtful: some providers do not count them among it.
    """
    return possible(Usage(count(prompt), count(completion), max(0, count(cached))))


def possible(usage: Usage) -> Usage | None:
    """The counts; None where they cannot be true."""
    prompt, completion = usage.prompt_tokens, usage.completion_tokens
    is_one = 1 <= prompt <= _MOST_TOKENS and 0 <= completion <= _MOST_TOKENS
    return usage if is_one and 0 <= usage.cached_tokens <= prompt else None


def of_openai(value: Any) -> Usage | None:
    """The `usage` of a reply on the OpenAI wire."""
    if not isinstance(value, dict):
        return None
    usage = cast("dict[str, Any]", value)
    details = usage.get("prompt_tokens_details")
    cached = cast("dict[str, Any]", details).get("cached_tokens") if _is_table(details) else 0
    return believed(usage.get("prompt_tokens"), usage.get("completion_tokens"), cached)


def is_reported_zero(value: Any) -> bool:
    """Whether a `usage` states explicitly that nothing was used."""
    if not isinstance(value, dict):
        return False
    usage = cast("dict[str, Any]", value)
    return count(usage.get("prompt_tokens")) == 0 and count(usage.get("completion_tokens")) == 0


def count(value: Any) -> int:
    """A whole number, also as `50.0` or "50"; -1 for anything else."""
    if isinstance(value, bool):
        return -1
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 12:
        return int(value)
    return value if isinstance(value, int) else -1


def _is_table(value: Any) -> bool:
    return isinstance(value, dict)
