"""Error replies of the OpenAI wire and of its relatives, read leniently."""

import json
from dataclasses import dataclass
from typing import Any, cast


@dataclass(frozen=True)
class Refusal:
    """An error reply, read leniently."""

    status: int
    code: str = ""
    kind: str = ""
    message: str = ""
    param: str = ""
    tuned: bool = False

    @property
    def names(self) -> frozenset[str]:
        """Code and type in lower case; which of the two carries the meaning differs."""
        return frozenset((self.code.lower(), self.kind.lower())) - {""}


def read(status: int, body: bytes, *, tuned: bool = False) -> Refusal:
    """An error reply in OpenAI's shape, in one of its variants, or in none."""
    error = _error_object(body)
    return Refusal(
        status,
        code=_text(error.get("code")),
        kind=_text(error.get("type") or error.get("status")),
        message=_text(error.get("message") or error.get("detail")),
        param=_text(error.get("param")),
        tuned=tuned,
    )


def is_error(body: bytes) -> bool:
    """Whether a reply with status 200 is an error after all."""
    return b'"error"' in body and bool(_error_object(body))


def _error_object(body: bytes) -> dict[str, Any]:
    try:
        parsed: Any = json.loads(body.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return {}
    if isinstance(parsed, list) and parsed:
        parsed = cast("list[Any]", parsed)[0]
    if not isinstance(parsed, dict):
        return {}
    outer = cast("dict[str, Any]", parsed)
    inner = outer.get("error", outer)
    if isinstance(inner, dict):
        return cast("dict[str, Any]", inner)
    return {**outer, "message": inner} if isinstance(inner, str) else {}


def _text(value: Any) -> str:
    return str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
