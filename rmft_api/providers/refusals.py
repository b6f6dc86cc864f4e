"""Error replies of every wire, read leniently into the facts that `rules.RULES` decides by.

OpenAI's shape and those of its relatives: an object, a list, a string under `error`; FastAPI's
`detail`; `errors`; an upstream's reply as a string of JSON inside a gateway's; HTML; plain text.
"""

import html
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from rmft_api.providers import retry_after

Window = Literal["", "minute", "day"]

_STATUS = re.compile("[45][0-9][0-9]")
_DEEPEST = 8
_MOST_OBJECTS = 200
_LONGEST = 300
"""Characters of a reason that a line shows, so that its advice is seen too."""
_ECHOED = frozenset({"input", "ctx", "request", "messages", "body"})
"""What a reply repeats of the request is no fact about it."""
_NAMES = ("code", "type", "status", "reason", "error_code", "error_type", "__type")
_SAID = ("message", "Message", "msg", "error_message", "error_description", "description", "error")
_LAST_SAID = ("title", "reason", "detail")
_INNER = ("error", "errors", "detail")
_MORE = ("detail", "details", "errors", "fieldViolations", "raw", "metadata")
_WHERE = ("loc", "field", "path")
_KNOWN = frozenset((*_SAID, *_LAST_SAID, *_MORE, *_WHERE, *_ECHOED))
_TITLE = re.compile(r"<(title|h1)[^>]*>(.*?)</\1", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^>]*>")


@dataclass(frozen=True)
class Refusal:
    """An error reply, read leniently."""

    status: int
    """Of the reply; of the error inside it where the reply itself claims success."""
    code: str = ""
    kind: str = ""
    message: str = ""
    param: str = ""
    tuned: bool = False
    names: frozenset[str] = field(default_factory=frozenset[str])
    """Every code, type and reason in lower case; which of them carries the meaning differs."""
    wait_s: float | None = None
    """How long the reply asks to wait, above 0."""
    window: Window = ""
    """What the limit that was met is counted by, where that is stated."""


def read(
    status: int,
    body: bytes,
    headers: Mapping[str, str] | None = None,
    *,
    tuned: bool = False,
    now: float = 0.0,
) -> Refusal:
    """An error reply in OpenAI's shape, in one of its variants, or in none."""
    headers = headers or {}
    whole = _opened(body.decode("utf-8", "replace").removeprefix("\ufeff"))
    error, objects = _error_object(whole), list(_objects(whole))
    names = frozenset(
        _text(one.get(name)).lower() for one in objects for name in _NAMES if one.get(name)
    ) - {""}
    status = _inner_status(error, status) if 200 <= status < 300 else status
    message = reason(whole)
    limited = status == 429 or not names.isdisjoint(LIMITS)
    wait = retry_after.stated(headers, objects, message, now)
    if wait is None and limited:
        wait = retry_after.refill(headers, objects, now)
    return Refusal(
        status,
        code=_text(error.get("code")),
        kind=_text(error.get("type") or error.get("status")),
        message=message,
        param=_text(error.get("param")) or _place(error),
        tuned=tuned,
        names=names,
        wait_s=wait,
        window=_window(objects, message) if limited else "",
    )


LIMITS = frozenset(
    {
        "429",
        "rate_limit",
        "rate_limit_error",
        "rate_limit_exceeded",
        "rate_limit_reached_error",
        "ratelimitexceeded",
        "userratelimitexceeded",
        "too_many_requests",
        "toomanyrequests",
        "toomanyrequestsexception",
        "throttled",
        "throttling",
        "throttlingexception",
        "resource_exhausted",
    }
)
"""What a limit on requests is called."""


def is_error(body: bytes) -> bool:
    """Whether a reply with status 200 is an error after all."""
    if b'"error"' not in body:
        return False
    outer = _first(_opened(body.decode("utf-8", "replace").removeprefix("\ufeff")))
    return bool(outer.get("error"))


def reason(value: Any) -> str:
    """What an error says for people, whatever its shape; empty where it says nothing."""
    parts: list[str] = []
    for part in _reasons(value, 0):
        said = " ".join(part.split())
        if said and not any(said in other for other in parts):
            parts.append(said)
    line = ": ".join(parts[:4])
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def _reasons(value: Any, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        return
    if isinstance(value, str):
        opened = _opened(value)
        yield from [_plain(value)] if isinstance(opened, str) else _reasons(opened, depth + 1)
    elif isinstance(value, list):
        for one in cast("list[Any]", value)[:3]:
            yield from _reasons(one, depth + 1)
    elif isinstance(value, dict):
        yield from _reasons_of(cast("dict[str, Any]", value), depth)


def _reasons_of(value: dict[str, Any], depth: int) -> Iterator[str]:
    """The first key that says anything, with its place, and what more there is."""
    yield from _by_field(value) if depth else ()
    more = [part for name in _MORE if name in value for part in _reasons(value[name], depth + 1)]
    for name in (*_SAID, *_LAST_SAID):
        said = list(_reasons(value.get(name), depth + 1)) if value.get(name) else []
        if said:
            place = _place(value)
            yield f"{place}: {said[0]}" if place else said[0]
            yield from said[1:]
            break
    yield from more


def _by_field(value: dict[str, Any]) -> Iterator[str]:
    """ASP.NET's `{"n": ["must be 1"]}`."""
    for name, said in value.items():
        lines = cast("list[Any]", said) if isinstance(said, list) and name not in _KNOWN else []
        if lines and all(isinstance(line, str) for line in lines):
            yield f"{name}: {' '.join(lines)}"


def _place(detail: dict[str, Any]) -> str:
    """Which field of the request is meant (pydantic's `loc`)."""
    for name in _WHERE:
        value = detail.get(name)
        if isinstance(value, list):
            return ".".join(str(part) for part in cast("list[Any]", value)[:8])
        if isinstance(value, str) and value:
            return value
    return ""


def _plain(text: str) -> str:
    """Text as it is; of HTML its title and heading."""
    if "<" not in text or not re.search(r"<(!doctype|html|head|body|title|h1)", text, re.I):
        return text[: 4 * _LONGEST]
    said = [html.unescape(_TAG.sub("", found[2])).strip() for found in _TITLE.finditer(text)]
    return ": ".join(dict.fromkeys(said)) or "a page of HTML"


def _opened(text: str) -> Any:
    """What JSON says; other text as it is."""
    if text.lstrip()[:1] not in ("{", "[", '"'):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _objects(whole: Any) -> Iterator[dict[str, Any]]:
    """Every object of the body, the outer ones first; JSON inside a string is read too."""
    level: list[Any] = [whole]
    met = 0
    for _ in range(_DEEPEST):
        below: list[Any] = []
        for one in level:
            value = _opened(one) if isinstance(one, str) else one
            if isinstance(value, list):
                below += cast("list[Any]", value)[:50]
            elif isinstance(value, dict) and met < _MOST_OBJECTS:
                met += 1
                fields = cast("dict[str, Any]", value)
                yield fields
                below += [inner for name, inner in fields.items() if name not in _ECHOED]
        level = below


def _error_object(whole: Any) -> dict[str, Any]:
    """The innermost object that describes the error; the whole one where it holds no other."""
    error = _first(whole)
    for _ in range(_DEEPEST):
        inner = next((error[name] for name in _INNER if error.get(name)), None)
        below = _first(inner)
        if not below:
            break
        error = below
    return error


def _first(value: Any) -> dict[str, Any]:
    """An object, or the first one of a list; none of anything else."""
    if isinstance(value, list) and value:
        value = cast("list[Any]", value)[0]
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _inner_status(error: dict[str, Any], status: int) -> int:
    """The status that an error inside a successful reply gives itself, where it gives one."""
    value = [_text(error.get(name)) for name in ("code", "status", "status_code", "http_status")]
    return next((int(one) for one in value if _STATUS.fullmatch(one)), status)


_BY_DAY = re.compile(r"per[ _-]?day|\bdaily\b|\b(?:rpd|tpd)\b", re.IGNORECASE)
_BY_MINUTE = re.compile(
    r"per[ _-]?(?:minute|min|second|hour)|\b(?:rpm|tpm|rps|tps|rph)\b|/ ?min\b", re.IGNORECASE
)


def _window(objects: list[dict[str, Any]], message: str) -> Window:
    """Google's QuotaFailure names its quota; others only say it."""
    quotas = " ".join(_text(one.get("quotaId")) for one in objects)
    for text in (quotas, message):
        if _BY_DAY.search(text):
            return "day"
        if _BY_MINUTE.search(text):
            return "minute"
    return ""


def _text(value: Any) -> str:
    return str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
