"""Tables of text that fit the terminal: where there is no room, the least important columns go."""

import shutil
import textwrap
from collections.abc import Sequence

WIDEST = 1000
"""Columns of an output that is no terminal: files and pipes have room for everything."""
Row = Sequence[str]


def table(rows: Sequence[Row], *, words: int, optional: Sequence[str] = (), foot: int = 1) -> str:
    """Rows under the first one, which names the columns; the last `foot` rows are ruled off.

    The first `words` columns stand to the left, the others are numbers. `optional` names columns
    that may be left out, the first one first; those that were are named below.
    """
    left_out: list[str] = []
    while _width(rows, left_out) > _room() and len(left_out) < len(optional):
        left_out = [*optional[: len(left_out) + 1]]
    lines = _lines(rows, words, left_out)
    rule = "  ".join("-" * width for width in _widths(rows, left_out))
    body, ends = lines[1 : len(lines) - foot], lines[len(lines) - foot :]
    notes = [f"(no room for: {', '.join(left_out)})"] if left_out else []
    return "\n".join([lines[0], rule, *body, *([rule, *ends] if foot else []), *notes])


def paragraph(text: str) -> str:
    """A line of prose in as many lines as the terminal needs, the later ones set in."""
    return textwrap.fill(text, _room(), subsequent_indent="  ", break_on_hyphens=False)


def _room() -> int:
    return shutil.get_terminal_size((WIDEST, 24)).columns


def _kept(rows: Sequence[Row], left_out: Sequence[str]) -> list[int]:
    return [i for i, name in enumerate(rows[0]) if name not in left_out]


def _widths(rows: Sequence[Row], left_out: Sequence[str]) -> list[int]:
    return [max(len(row[i]) for row in rows) for i in _kept(rows, left_out)]


def _width(rows: Sequence[Row], left_out: Sequence[str]) -> int:
    widths = _widths(rows, left_out)
    return sum(widths) + 2 * (len(widths) - 1)


def _lines(rows: Sequence[Row], words: int, left_out: Sequence[str]) -> list[str]:
    kept, widths = _kept(rows, left_out), _widths(rows, left_out)
    return [
        "  ".join(
            row[i].ljust(width) if i < words else row[i].rjust(width)
            for i, width in zip(kept, widths, strict=True)
        ).rstrip()
        for row in rows
    ]
