"""Requests that are retried, paced, and paid for once.

`retries.py` is the one owner of every retry; `journaled_chat.py` asks the journal before the
wire; `outbox.py` does once what must not be done twice; `pacing.py` and `limits.py` keep to
what the provider allows.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rmft_api.requests import (
        journaled_chat,
        outbox,
        pacing,
        retries,
    )

__all__ = [
    "journaled_chat",
    "outbox",
    "pacing",
    "retries",
]
