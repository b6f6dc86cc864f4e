"""A table as LaTeX (booktabs), Markdown or CSV: one form for all tables of a report."""

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rmft_api.core.records import Interval

TableFormat = Literal["latex", "markdown", "csv"]
TABLE_FORMATS: tuple[TableFormat, ...] = ("latex", "markdown", "csv")
SUFFIXES: dict[TableFormat, str] = {"latex": ".tex", "markdown": ".md", "csv": ".csv"}
_MINUS = "\N{MINUS SIGN}"
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", _MINUS: "$-$",
}  # fmt: skip


@dataclass(frozen=True)
class Starred:
    """A figure with its marks of significance, which a note of the table explains."""

    value: Interval
    stars: int


Cell = str | int | float | Interval | Starred | None


@dataclass(frozen=True)
class Column:
    """A column: its heading, and how many digits its numbers have."""

    title: str
    digits: int = 2
    is_text: bool = False


@dataclass(frozen=True)
class PaperTable:
    """A table, before it has a format."""

    name: str
    """Of its file, without the suffix."""
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    strong: frozenset[int] = frozenset()
    """Rows set in bold: the champion's."""


def formatted(table: PaperTable, form: TableFormat) -> str:
    """The table as text."""
    return {"latex": latex, "markdown": markdown, "csv": comma_separated}[form](table)


def latex(table: PaperTable) -> str:
    """A floating table with the rules of the package booktabs, which it needs."""
    align = "".join("l" if column.is_text else "r" for column in table.columns)
    heads = " & ".join(_escaped(column.title) for column in table.columns)
    lines = (
        r"% \usepackage{booktabs}; written by rmft-api figures --table latex",
        r"\begin{table}[t]",
        r"\centering",
        rf"\caption{{{_escaped(table.title)}}}",
        rf"\label{{tab:{table.name.replace('_', '-')}}}",
        r"\small",
        rf"\begin{{tabular}}{{@{{}}{align}@{{}}}}",
        r"\toprule",
        rf"{heads} \\",
        r"\midrule",
        *(_latex_row(table, number) for number in range(len(table.rows))),
        r"\bottomrule",
        r"\end{tabular}",
        *(rf"\par\smallskip{{\footnotesize {_escaped(note)}\par}}" for note in table.notes),
        r"\end{table}",
    )
    return "\n".join(lines) + "\n"


def _latex_row(table: PaperTable, number: int) -> str:
    cells = [
        _latex_cell(cell, column)
        for cell, column in zip(table.rows[number], table.columns, strict=True)
    ]
    if number in table.strong:
        cells = [rf"\textbf{{{cell}}}" if cell else "" for cell in cells]
    return " & ".join(cells) + r" \\"


def _latex_cell(cell: Cell, column: Column) -> str:
    if isinstance(cell, Starred):
        stars = rf"\textsuperscript{{{'*' * cell.stars}}}" if cell.stars else ""
        return _escaped(_text(cell.value, column.digits)) + stars
    return _escaped(_text(cell, column.digits))


def _escaped(text: str) -> str:
    text = text.replace("K x MinFrac", "K \0 MinFrac")
    return "".join(_LATEX.get(c, c) for c in text).replace("\0", r"$\times$")


def markdown(table: PaperTable) -> str:
    """A table of GitHub's Markdown, its title above and its notes below."""
    rule = ["---" if column.is_text else "---:" for column in table.columns]
    rows = [[column.title for column in table.columns], rule, *_markdown_rows(table)]
    body = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    notes = "".join(f"\n{_starless(note)}\n" for note in table.notes)
    return f"**{table.title}**\n\n{body}\n{notes}"


def _markdown_rows(table: PaperTable) -> Iterator[list[str]]:
    for number, row in enumerate(table.rows):
        cells = [_plain(cell, c.digits) for cell, c in zip(row, table.columns, strict=True)]
        cells = [_starless(cell).replace("|", r"\|") for cell in cells]
        yield [f"**{cell}**" if cell and number in table.strong else cell for cell in cells]


def _starless(text: str) -> str:
    """Stars that are stars, and no marks of Markdown."""
    return text.replace("*", r"\*")


def comma_separated(table: PaperTable) -> str:
    """CSV with all digits; an interval is three columns, and one of too few scenarios has no ends.

    Marks are left out: the ends and the p-values say the same.
    """
    wide = [_is_interval(table, place) for place in range(len(table.columns))]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_csv_heads(table.columns, wide))
    for row in table.rows:
        cells: list[object] = []
        for cell, is_wide in zip(row, wide, strict=True):
            cells += _csv_cells(cell) if is_wide else ["" if cell is None else cell]
        writer.writerow(cells)
    return out.getvalue()


def _is_interval(table: PaperTable, place: int) -> bool:
    return any(isinstance(row[place], Interval | Starred) for row in table.rows)


def _csv_heads(columns: Sequence[Column], wide: Sequence[bool]) -> Iterator[str]:
    for column, is_wide in zip(columns, wide, strict=True):
        yield column.title
        if is_wide:
            yield from (f"{column.title} low", f"{column.title} high")


def _csv_cells(cell: Cell) -> list[object]:
    value = cell.value if isinstance(cell, Starred) else cell
    if not isinstance(value, Interval):
        return ["" if value is None else value, "", ""]
    return [value.mean, *((value.low, value.high) if value.known else ("", ""))]


def _plain(cell: Cell, digits: int) -> str:
    """With its stars."""
    if isinstance(cell, Starred):
        return _text(cell.value, digits) + "*" * cell.stars
    return _text(cell, digits)


def _text(cell: Cell, digits: int) -> str:
    """Without stars."""
    if cell is None or isinstance(cell, str):
        return cell or ""
    if isinstance(cell, Starred):
        return _text(cell.value, digits)
    if isinstance(cell, Interval):
        if not cell.known:
            return f"{_number(cell.mean, digits)} (too few)"
        low, high = _number(cell.low, digits), _number(cell.high, digits)
        return f"{_number(cell.mean, digits)} [{low}, {high}]"
    if isinstance(cell, int):
        return f"{cell:,}"
    least = 10.0**-digits
    return f"<{least:.{digits}f}" if 0.0 < cell < least / 2 else _number(cell, digits)


def _number(value: float, digits: int) -> str:
    if not math.isfinite(value):
        return ""
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", _MINUS)
