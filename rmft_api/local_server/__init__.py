"""The embedded provider: the OpenAI wire on loopback, over models that really train."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rmft_api.local_server import (
        counting,
        engines,
        hf,
        server,
    )

__all__ = [
    "counting",
    "engines",
    "hf",
    "server",
]
