"""The command line: one file per command; alone builds the adapters and prints."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rmft_api.cli import (
        console,
        main,
    )

__all__ = [
    "console",
    "main",
]
