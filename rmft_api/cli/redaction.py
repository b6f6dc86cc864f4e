"""No key in any log, from any logger or handler (docs/faults.md S1).

rmft-api itself logs nothing, but the libraries it uses can be made to (`OPENAI_LOG=debug`).
"""

import base64
import logging
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

HIDDEN = "***"
_NAMES = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS)$")
_SHAPES = re.compile(
    r"\b(?:sk|sess|gsk)-[A-Za-z0-9_*.-]{6,}|(?:Bearer|Basic)\s+[^\s'\"]+|(?<=://)[^/\s@'\"]+(?=@)"
)
_USER_INFO = re.compile(r"^(?:[a-z0-9]+://)?(.*)@", re.IGNORECASE)
_LEAST = 8
"""Shorter values are words, not keys."""


def hide_keys(environ: Mapping[str, str] = os.environ) -> None:
    """Make every log record of this process without the environment's secrets."""
    named = (value for name, value in environ.items() if _NAMES.search(name))
    known = {value for value in (*named, *_of_proxies(environ)) if len(value) >= _LEAST}
    secrets = sorted(known, key=len, reverse=True)
    values = re.compile("|".join(map(re.escape, secrets)) or r"(?!)")
    make, formatter = logging.getLogRecordFactory(), logging.Formatter()

    def hidden(text: str) -> str:
        return _SHAPES.sub(HIDDEN, values.sub(HIDDEN, text))

    def made(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        record.msg, record.args = hidden(record.getMessage()), ()
        if record.exc_info and record.exc_info[0]:
            record.exc_text = hidden(formatter.formatException(record.exc_info))
        return record

    logging.setLogRecordFactory(made)


def _of_proxies(environ: Mapping[str, str]) -> Iterator[str]:
    """Passwords in the addresses of proxies, in every form in which they are sent or shown."""
    for name, value in environ.items():
        user_info = _USER_INFO.search(value) if name.lower().endswith("_proxy") else None
        if user_info:
            user, _, password = user_info[1].partition(":")
            pair = f"{unquote(user)}:{unquote(password)}"
            yield from (password, unquote(password), base64.b64encode(pair.encode()).decode())
