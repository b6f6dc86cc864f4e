"""Waiting times as HTTP headers and messages write them."""

import math
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

LONGEST_S = 30 * 86_400.0
"""No wait is longer: what asks for more says only "for a long time"."""

_NUMBER = r"[0-9]{1,18}(?:\.[0-9]{1,18})?"
_PLAIN = re.compile(_NUMBER)
_UNITS = re.compile(
    rf"(?:(?P<d>{_NUMBER})d)?(?:(?P<h>{_NUMBER})h)?(?:(?P<m>{_NUMBER})m)?"
    rf"(?:(?P<s>{_NUMBER})s)?(?:(?P<ms>{_NUMBER})ms)?"
)
_IN_SECONDS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_HINT = re.compile(rf"(?:try again|retry) (?:in|after) ((?:{_NUMBER} ?(?:days?|[hm]?s|[hmd]))+)")
_WORDS = re.compile(r" ?days?")


def seconds(text: str) -> float | None:
    """`20`, `1.5`, `120ms`, `6m0s`, `1h2m3.5s` in seconds; None for anything else.

    None too for `-1`, `NaN` and `inf`, by which servers say that they do not know.
    """
    text = text.strip().lower()
    if _PLAIN.fullmatch(text):
        return min(float(text), LONGEST_S)
    units = _UNITS.fullmatch(text)
    if not units or not text:
        return None
    parts = units.groupdict()
    total = sum(_IN_SECONDS[unit] * float(value) for unit, value in parts.items() if value)
    return min(total, LONGEST_S)


def retry_after(headers: Mapping[str, str], message: str, now: float) -> float | None:
    """How long a server asks to stay away: the longest of what it says, None when it says nothing.

    `headers` have lower-case names; `now` is Unix time, used where the reply carries no date.
    `x-ratelimit-reset-*` do not count: they tell when a limit is full again, not when one request
    fits.
    """
    said = [
        _milliseconds(headers.get("retry-after-ms", "")),
        seconds(headers.get("retry-after", "")),
        _until(headers.get("retry-after", ""), headers.get("date", ""), now),
        _hint(message),
    ]
    known = [wait for wait in said if wait is not None]
    return max(known) if known else None


def _milliseconds(text: str) -> float | None:
    value = seconds(text)
    return None if value is None else value / 1000


def _until(text: str, date: str, now: float) -> float | None:
    """Seconds to an HTTP date, by the server's own clock where it told the time."""
    at = _timestamp(text)
    if at is None:
        return None
    start = _timestamp(date)
    return min(max(0.0, at - (now if start is None else start)), LONGEST_S)


def _timestamp(text: str) -> float | None:
    try:
        stamp = parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return stamp if math.isfinite(stamp) else None


def _hint(message: str) -> float | None:
    """What a sentence such as `Please try again in 9.904s.` asks for."""
    found = _HINT.search(message.lower())
    return seconds(_WORDS.sub("d", found[1]).replace(" ", "")) if found else None
