"""Run files: their schema, how they are read, grids of them, and plain words for mistakes.

Read `schema.py` first: it is every key that a run file may have.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rmft_api.config import (
        changes,
        grid,
        renamed_keys,
        run_files,
        schema,
        starter,
        validation_errors,
    )

__all__ = [
    "changes",
    "grid",
    "renamed_keys",
    "run_files",
    "schema",
    "starter",
    "validation_errors",
]
