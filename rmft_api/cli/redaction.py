"""No key in any log: whatever logs, whoever handles it (docs/faults.md S1).

rmft-api itself logs nothing, but the libraries it uses can be told to (`OPENAI_LOG=debug`).
"""

import logging
import os
import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "***"
_NAMES = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS)$")
_SHAPES = re.compile(r"\b(?:sk|sess|gsk)-[A-Za-z0-9_*.-]{6,}|Bearer\s+[^\s'\"]+")
_LEAST = 8
"""Shorter values are words, not keys."""


def hide_keys(environ: Mapping[str, str] = os.environ) -> None:
    """Make every log record of this process without the environment's secrets."""
    secrets = sorted(
        (value for name, value in environ.items() if _NAMES.search(name) and len(value) >= _LEAST),
        key=len,
        reverse=True,
    )
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
