"""Waiting times as headers, JSON and sentences write them."""

import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime
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

_UNIT = (
    r"(?:milliseconds?|millis|msecs?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d)"
    r"(?![a-z])"
)
_PART = rf"(?:{_NUMBER}\s?|\ban?\s){_UNIT}"
_SPAN = rf"{_NUMBER}(?:[dhms]|ms)[0-9][0-9dhms.]*[dhms]|{_PART}(?:(?:,|,? and)?\s?{_PART})*"
_ASKS = (
    r"(?:try again|retry(?:ing)?|wait(?:ing)?|available(?: again)?|resets?|refills?|back off)"
    r"[ _-]?(?:(?:in|after|for|at least|about|approximately|around|another|within|up to)[\s:=]*)*"
)
_HINT = re.compile(rf"\b{_ASKS}[\s:=]*({_SPAN})")
_BARE = re.compile(rf"\bretry[ _-]?after[\s:=\"']*({_NUMBER})(?![0-9.]*\s?[a-z0-9])")
_AT = re.compile(
    r"\b(?:again|retry|wait|resets?|available|until)\W+(?:at|after|until|on)?\W*"
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}[t ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?"
    r"(?: ?(?:z|utc|[+-][0-9]{2}:?[0-9]{2}))?)"
)
_PIECE = re.compile(rf"({_NUMBER}|\ban?\b)\s?({_UNIT})")

_EPOCH_S = 1e9
"""A plain number from here on is a moment (Unix time), not a length."""
_EPOCH_MS = 1e11


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


def until(text: str, now: float) -> float | None:
    """Seconds from `now` (Unix time) to what a server names: a length, or a moment.

    A moment is an HTTP date, an ISO date, or Unix time in seconds or milliseconds; one that is
    past is 0.0.
    """
    at = moment(text)
    return seconds(text) if at is None else min(max(0.0, at - now), LONGEST_S)


def moment(text: str) -> float | None:
    """The Unix time that an HTTP date, an ISO date or a large number means; None for others."""
    text = text.strip()
    if _PLAIN.fullmatch(text):
        number = float(text)
        if number < _EPOCH_S:
            return None
        while number >= _EPOCH_MS:
            number /= 1000
        return number
    for read in (parsedate_to_datetime, _iso):
        try:
            stamp = read(text).timestamp()
        except (ValueError, TypeError, OverflowError, IndexError):
            continue
        return stamp if math.isfinite(stamp) else None
    return None


def hinted(message: str, now: float) -> float | None:
    """What a sentence such as `Please try again in 5m26.592s.` asks for, in seconds."""
    said = " ".join(message[:4000].lower().split())
    waits = [*_spans(said)]
    waits += [min(float(found[1]), LONGEST_S) for found in _BARE.finditer(said)]
    waits += [wait for found in _AT.finditer(said) if (wait := until(found[1], now)) is not None]
    return max(waits, default=None)


def words(wait_s: float) -> str:
    """A wait for people: `2.5 s`, `5 min 27 s`, `11 h 7 min`."""
    if wait_s < 60:
        return f"{wait_s:.3g} s"
    whole = round(wait_s)
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    hours, minutes = whole // 3600, whole % 3600 // 60
    return f"{hours} h" + (f" {minutes} min" if minutes else "")


def _spans(said: str) -> Iterator[float]:
    for found in _HINT.finditer(said):
        whole = seconds(found[1].replace(" ", ""))
        yield whole if whole is not None else _added(found[1])


def _added(span: str) -> float:
    """`1 hour and 5 minutes`."""
    total = 0.0
    for number, unit in _PIECE.findall(span):
        name = "ms" if unit.startswith(("mil", "ms")) else unit[0]
        total += _IN_SECONDS[name] * (1.0 if number.startswith("a") else float(number))
    return min(total, LONGEST_S)


def _iso(text: str) -> datetime:
    at = datetime.fromisoformat(text.upper().replace(" UTC", "Z").replace("UTC", "Z"))
    return at if at.tzinfo else at.replace(tzinfo=UTC)
