"""How long an error reply asks to wait: its headers, its body and its words, all read.

Gateways move what their upstream said: a header turns up under `metadata.headers`, a `Retry-After`
becomes `retry_after` in the body, an upstream's reply a string of JSON. So headers and every object
of the body are read by the same names.

What states a wait counts first: `retry-after`, `retry-after-ms`, `RetryInfo.retryDelay`, "try again
in 5m26.592s"; the longest of them. Only where nothing does, the moment at which a limit is full
again counts (`x-ratelimit-reset-*`), for a limit that is used up: a request may fit earlier.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from rmft_api.core import durations

Scope = Mapping[str, Any]
"""Names and values that stand together: the headers, or one object of the body."""

_MILLISECONDS = re.compile(r"(?:xms)?retryafterm(?:s|illis|illiseconds)|retrydelayms|retryinms")
_LENGTHS = re.compile(
    r"retryafter(?:s|secs?|seconds)?|retrydelay(?:s|secs?|seconds)?|retryin(?:s|secs?|seconds)?"
    r"|(?:x?ratelimit)?resets?(?:after|in)(?:s|secs?|seconds)?|waits?(?:secs?|seconds)"
)
_RESETS = re.compile(r".*ratelimit.*reset.*|resets?(?:at|time)?")
_IETF = re.compile(r"\b(r|t|remaining|reset)=([0-9]{1,12})")


def stated(headers: Scope, body: Iterable[Scope], message: str, now: float) -> float | None:
    """The wait in seconds that a reply asks for, None where it names none above 0.

    `headers` have lower-case names. `now` is Unix time; moments count by the server's own clock
    where the reply carries its date.
    """
    here = durations.moment(str(headers.get("date", "")))
    now = now if here is None else here
    scopes = [_plain(scope) for scope in (headers, *body)]
    asked = [wait for scope in scopes for wait in _asked(scope, now)]
    hint = durations.hinted(message, now)
    return max([*asked, hint or 0.0]) or None


def refill(headers: Scope, body: Iterable[Scope], now: float) -> float | None:
    """Seconds until every limit that is used up is full again, None where none is stated."""
    here = durations.moment(str(headers.get("date", "")))
    now = now if here is None else here
    scopes = [_plain(scope) for scope in (headers, *body)]
    return max([wait for scope in scopes for wait in _resets(scope, now)], default=0.0) or None


def _plain(scope: Scope) -> dict[str, Any]:
    """`Retry-After`, `retry_after` and `retryAfter` are one name."""
    return {re.sub("[-_]", "", name).lower(): value for name, value in scope.items()}


def _asked(scope: Scope, now: float) -> Iterator[float]:
    for name, value in scope.items():
        if _MILLISECONDS.fullmatch(name):
            yield durations.seconds(f"{value}ms") or 0.0
        elif _LENGTHS.fullmatch(name):
            yield _length(value, now) or 0.0


def _resets(scope: Scope, now: float) -> Iterator[float]:
    for name, value in scope.items():
        left = _length(scope.get(name.replace("reset", "remaining")), now)
        if _RESETS.fullmatch(name) and not left:
            yield _length(value, now) or 0.0
    stated = dict(_IETF.findall(str(scope.get("ratelimit", ""))))
    if stated.get("r", stated.get("remaining")) in (None, "0"):
        yield float(stated.get("t", stated.get("reset", 0)))


def _length(value: Any, now: float) -> float | None:
    """Of `2.5`, `"2s"`, a moment, or a protobuf duration `{"seconds": 2, "nanos": 500000000}`."""
    if isinstance(value, dict):
        parts = cast("dict[str, Any]", value)
        whole = durations.seconds(str(parts.get("seconds", 0)))
        nanos = parts.get("nanos")
        rest = nanos / 1e9 if isinstance(nanos, int) and 0 <= nanos < 10**9 else 0.0
        return None if whole is None else whole + rest
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    return durations.until(f"{value:.9f}" if isinstance(value, float) else str(value), now)
