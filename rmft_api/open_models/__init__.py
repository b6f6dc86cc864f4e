"""What is known of an open model before its weights are: settings, shape, memory, time.

settings, config.json -> shape (tensors) -> memory (bytes), speed (seconds) -> what fits

Arithmetic alone: no torch, no network. Plans are made of it, and so is what a server says when
memory has run out.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rmft_api.open_models import (
        fitting,
        gguf_files,
        machine,
        memory,
        packaged,
        settings,
        shapes,
        speed,
    )

__all__ = [
    "fitting",
    "gguf_files",
    "machine",
    "memory",
    "packaged",
    "settings",
    "shapes",
    "speed",
]
