"""Files of logged rewards: read once, strictly, as columns of numbers and words."""

import csv
import fnmatch
import functools
import gzip
import hashlib
import math
import re
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from rmft_api.core.errors import ConfigError, DataError
from rmft_api.environments.options import nearest
from rmft_api.environments.scenario import Floats

KINDS = (".csv", ".tsv", ".parquet", ".csv.gz", ".tsv.gz")
LONGEST_SHOWN = 40
"""Characters of a cell in a message."""
MOST_WORDS = 64
"""Different words of a text column that become numbers for algorithms that read no text."""
Cells = tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class TableFile:
    """The columns of a file. Rows are cases."""

    path: Path
    columns: Mapping[str, Cells]

    @property
    def rows(self) -> int:
        """How many cases."""
        return len(next(iter(self.columns.values())))

    def named(self, wanted: str) -> tuple[str, ...]:
        """The columns that `a, b, reward_*` stands for, each once. Raises DataError."""
        found: list[str] = []
        for word in split_names(wanted, self.columns):
            matching = [word] if word in self.columns else fnmatch.filter(self.columns, word)
            if not matching:
                raise DataError(f"{self.path}: no column {word!r}{nearest(word, self.columns)}")
            found += [name for name in matching if name not in found]
        return tuple(found)

    def numbers(self, name: str) -> Floats:
        """A column of finite numbers. Raises DataError naming the first cell that is none.

        A column of nothing but true and false is read as 1 and 0.
        """
        cells = self.columns[name]
        if self.is_truth(name):
            return np.array([_word(cell) == "true" for cell in cells], dtype=np.float64)
        values = [_number(cell) for cell in cells]
        for row, value in enumerate(values):
            if value is None or not math.isfinite(value):
                raise DataError(
                    f"{self.path}: column {name!r}, row {row + 1}: {_no_number(cells[row])}"
                )
        return np.array(values, dtype=np.float64)

    def is_truth(self, name: str) -> bool:
        """Whether every cell is true or false."""
        return all(_word(cell) in _TRUTHS for cell in self.columns[name])

    def in_words(self, names: Sequence[str]) -> list[str]:
        """Each row's cells of these columns, in one line: `age=34, region=north`.

        What has a sign that separates cells stands in quotes: `city="Paris, France"`.
        """
        columns = [
            [_quoted(" ".join(cell.split())) for cell in self.words(name)]
            if self.is_text(name)
            else [_digits(x) for x in self.numbers(name).tolist()]
            for name in names
        ]
        quoted = [_quoted(name) for name in names]
        return [
            ", ".join(f"{name}={cell}" for name, cell in zip(quoted, cells, strict=True))
            for cells in zip(*columns, strict=True)
        ]

    def times(self, name: str) -> tuple[float, ...]:
        """A column of times that never run backwards, as numbers. Raises DataError.

        Cells are numbers or dates (ISO 8601); a date without a zone is one of UTC.
        """
        found = [_time(cell) for cell in self.columns[name]]
        for row, value in enumerate(found):
            if value is None:
                raise DataError(
                    f"{self.path}: column {name!r}, row {row + 1}: "
                    f"{_shown(self.columns[name][row])} is neither a number nor a date such as "
                    "2026-01-31 or 2026-01-31T09:30:00"
                )
        times = [value for value in found if value is not None]
        for row in range(1, len(times)):
            if times[row] < times[row - 1]:
                raise DataError(
                    f"{self.path}: column {name!r}, row {row + 1}: "
                    f"{str(self.columns[name][row])!r} is before row {row}'s "
                    f"{str(self.columns[name][row - 1])!r}; sort the file by {name!r}"
                )
        return tuple(times)

    def is_text(self, name: str) -> bool:
        """Whether some cell is no number at all."""
        return any(_number(cell) is None for cell in self.columns[name])

    def words(self, name: str) -> list[str]:
        """A column of words. Raises DataError for an empty cell."""
        cells = self.columns[name]
        for row, cell in enumerate(cells, start=1):
            if isinstance(cell, list | dict | tuple):
                raise DataError(
                    f"{self.path}: column {name!r}, row {row}: {_shown(cell)} holds several "
                    "values; write each into its own column"
                )
        words = [_text_of(cell) for cell in cells]
        if "" in words:
            row = words.index("") + 1
            raise DataError(f"{self.path}: column {name!r}, row {row}: {_EMPTY}")
        return words

    def labels(self, name: str) -> list[str]:
        """A column of names, as `words`; in a column of numbers, 1.0 is called 1."""
        words = self.words(name)
        return words if self.is_text(name) else [label(word) for word in words]

    def coded(self, name: str) -> Floats:
        """A feature as numbers in [0, 1], rows x parts: scaled, or one part for each word."""
        if not self.is_text(name):
            return scaled(self.numbers(name))[:, None]
        self._check_no_decimal_commas(name)
        words = self.words(name)
        known = sorted(set(words))
        if len(known) > MOST_WORDS:
            raise DataError(
                f"{self.path}: column {name!r} has {len(known)} different words, more than "
                f"{MOST_WORDS}; group them, or leave the column out"
            )
        return np.array([[float(word == one) for one in known] for word in words])

    def _check_no_decimal_commas(self, name: str) -> None:
        """Refuse numbers that would be taken for words."""
        commas = [
            isinstance(c, str) and (_has_decimal_comma(c) or _has_thousands(c.strip()))
            for c in self.columns[name]
        ]
        numbers = (_number(c) is not None for c in self.columns[name])
        if any(commas) and all(a or b for a, b in zip(commas, numbers, strict=True)):
            self.numbers(name)


def label(word: str) -> str:
    """What a number is called: 1 for 1.0."""
    return word.partition(".")[0] if re.fullmatch(r"[+-]?[0-9]+\.0*", word) else word


def split_names(text: str, known: Collection[str]) -> list[str]:
    """The names in `a, b, c`. One that is known may hold commas: the longest is taken."""
    parts, found = text.split(","), list[str]()
    while parts:
        ends = range(len(parts), 0, -1)
        joined = (",".join(parts[:end]).strip() for end in ends)
        taken = next((n for n, word in zip(ends, joined, strict=True) if word in known), 1)
        word = ",".join(parts[:taken]).strip()
        found += [word] if word else []
        del parts[:taken]
    return found


def scaled(values: Floats) -> Floats:
    """The same on [0, 1]; all 0 where they are equal."""
    low, high = float(values.min()), float(values.max())
    return np.zeros_like(values) if high == low else (values - low) / (high - low)


def read(name: str) -> TableFile:
    """The file's columns. Raises ConfigError for its name, DataError for what it holds."""
    path = Path(name)
    if not path.name.lower().endswith(KINDS):
        raise ConfigError(
            f"path={name!r} must end in {', '.join(KINDS)}; save it as one of these, or write a "
            "pandas frame with rmft_api.save_log"
        )
    try:
        changed = path.stat().st_mtime_ns
    except OSError as error:
        raise ConfigError(
            f"path={name!r}: {error.strerror}; a relative path starts at the run file's folder"
        ) from None
    return _read(path, changed)


def sha256(path: Path) -> str:
    """The identity of a file. Raises DataError where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


@functools.lru_cache(maxsize=8)
def _read(path: Path, changed: int) -> TableFile:
    """Read once for each state of the file."""
    columns = _parquet(path) if path.suffix.lower() == ".parquet" else _text(path)
    if not columns or not len(next(iter(columns.values()))):
        raise DataError(f"{path}: holds no rows; a row is a case, a column a feature or a reward")
    return TableFile(path, columns)


def _text(path: Path) -> dict[str, Cells]:
    name = path.name.lower()
    separator = "\t" if name.endswith((".tsv", ".tsv.gz")) else ","
    opened = gzip.open if name.endswith(".gz") else open
    rows = list[list[str]]()
    try:
        with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
            for row in csv.reader(file, delimiter=separator, strict=True):
                rows.append(row)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: {_other_format(path) or _not_utf8(error)}") from None
    except csv.Error as error:
        where = f"row {len(rows)}" if rows else "the header"
        raise DataError(f"{path}: {where} cannot be read as CSV: {error}") from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None
    if not rows:
        return {}
    rows = _without_index(rows)
    header, body = [name.strip() for name in rows[0]], [row for row in rows[1:] if row]
    _check_header(path, header)
    for number, row in enumerate(body, start=1):
        if len(row) != len(header):
            raise DataError(
                f"{path}: row {number} has {len(row)} cells, the header {len(header)}; put cells "
                "that hold the separator in double quotes"
            )
    return dict(zip(header, _transposed(body, len(header)), strict=True))


_MAGIC = {
    b"\x1f\x8b": "is compressed by gzip; let its name end in .csv.gz",
    b"PK": "is a spreadsheet or a zip file; save it as CSV",
    b"PAR1": "is a Parquet file; let its name end in .parquet",
    b"\xff\xfe": "is UTF-16; save it as UTF-8",
    b"\xfe\xff": "is UTF-16; save it as UTF-8",
}


def _other_format(path: Path) -> str:
    """What a file that is no text is; empty where nobody knows."""
    with path.open("rb") as file:
        start = file.read(4)
    return next((said for magic, said in _MAGIC.items() if start.startswith(magic)), "")


def _not_utf8(error: UnicodeDecodeError) -> str:
    return f"is not UTF-8 (byte {error.start + 1:,}: {error.reason}); save it as UTF-8"


def _transposed(body: Sequence[Sequence[str]], width: int) -> Iterator[Cells]:
    return (tuple(row[i] for row in body) for i in range(width))


def _without_index(rows: list[list[str]]) -> list[list[str]]:
    """Without the numbers of rows that pandas writes in a first column without a name."""
    header = rows[0]
    if len(header) < 2 or header[0].strip():
        return rows
    return [row[1:] if len(row) == len(header) else row for row in rows]


def _check_header(path: Path, header: Sequence[str]) -> None:
    mark = next((mark for mark in ";\t|" if mark in header[0]), None)
    if mark is not None and len(header) == 1:
        raise DataError(f"{path}: separated by {mark!r}; save it with commas, or as .tsv with tabs")
    _check_names_differ(path, header)
    if "" in header:
        raise DataError(f"{path}: column {header.index('') + 1} has no name")


def _check_names_differ(path: Path, header: Sequence[str]) -> None:
    twice = next((name for i, name in enumerate(header) if name in header[:i]), None)
    if twice is not None:
        raise DataError(f"{path}: two columns are called {twice!r}; rename one")


def _parquet(path: Path) -> dict[str, Cells]:
    try:
        arrow: Any = import_module("pyarrow")
        parquet: Any = import_module("pyarrow.parquet")
    except ImportError:
        raise ConfigError(
            f"{path}: reading Parquet needs pyarrow: pip install 'rmft-api[parquet]'"
        ) from None
    try:
        _check_names_differ(path, parquet.read_schema(path).names)
        table: Any = parquet.read_table(path)
    except (OSError, arrow.ArrowException) as error:
        first = str(error).splitlines()[0]
        raise DataError(f"{path}: cannot be read as Parquet: {first}") from None
    return {str(name): tuple(table[name].to_pylist()) for name in table.column_names}


_TRUTHS = frozenset({"true", "false"})
_YES_OR_NO = frozenset({"yes", "no", "y", "n", "t", "f", "on", "off"})


_EMPTY = "the cell is empty; fill it, or leave the row out"
_SEPARATORS = frozenset(',="')
_EXACT = 2.0**53
"""Whole numbers below it have all their digits."""


def _shown(cell: Any) -> str:
    """A cell in a message: short, and as the file has it."""
    word = cell if isinstance(cell, str) else str(cell)
    return repr(word if len(word) <= LONGEST_SHOWN else word[:LONGEST_SHOWN] + "...")


def _text_of(cell: Any) -> str:
    """A cell's text: true for True, the text of bytes, empty for no value."""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, bytes):
        return cell.decode("utf-8", "replace").strip()
    return "" if cell is None else str(cell).strip()


def _quoted(word: str) -> str:
    """The word, in quotes where it would look like several cells."""
    if not _SEPARATORS & set(word):
        return word
    return '"' + word.replace('"', "'") + '"'


def _digits(value: float) -> str:
    """Six digits, and all of a whole number's."""
    if value.is_integer() and abs(value) < _EXACT:
        return str(int(value))
    return f"{value:g}"


def _no_number(cell: Any) -> str:
    """What is wrong with a cell that is no number, and what to do."""
    if cell is None or not _word(cell):
        return _EMPTY
    return f"{_shown(cell)} is not a finite number{_advice(cell)}"


def _word(cell: Any) -> str:
    return str(cell).strip().lower()


def _advice(cell: Any) -> str:
    """What to do about a cell that is no number."""
    word = _word(cell)
    if word in _TRUTHS:
        return "; write 1 for true and 0 for false in the whole column"
    if word in _YES_OR_NO:
        return "; write 1 and 0, or true and false, in the whole column"
    if _has_decimal_comma(word):
        return f"; write the decimal comma as a point, {word.replace(',', '.')}"
    if _has_thousands(word):
        return f"; write it without separators, {word.replace(',', '')}"
    bare = word.strip("%$\u20ac\u00a3 ")
    if bare and bare != word and _number(bare) is not None:
        return "; write the number alone, without % or a currency, 0.05 for 5%"
    return "; write a number, or leave the row out"


def _has_thousands(word: str) -> bool:
    """Whether it is a number such as 1,234.5: with one comma and no point, nobody knows."""
    return re.fullmatch(r"[+-]?[0-9]{1,3}((,[0-9]{3})+\.[0-9]+|(,[0-9]{3}){2,})", word) is not None


def _has_decimal_comma(word: str) -> bool:
    return re.fullmatch(r"[+-]?[0-9]+,[0-9]+", word.strip()) is not None


def _time(cell: Any) -> float | None:
    """Seconds since 1970 for a date, the number for a number; None for anything else."""
    if isinstance(cell, str):
        number = _number(cell)
        if number is None:
            try:
                cell = datetime.fromisoformat(cell.strip())
            except ValueError:
                return None
    if isinstance(cell, datetime):
        return (cell if cell.tzinfo else cell.replace(tzinfo=UTC)).timestamp()
    if isinstance(cell, date):
        return datetime(cell.year, cell.month, cell.day, tzinfo=UTC).timestamp()
    if isinstance(cell, timedelta):
        return cell.total_seconds()
    number = _number(cell)
    return number if number is not None and math.isfinite(number) else None


def _number(cell: Any) -> float | None:
    """The cell's number, NaN for an empty one, None where it is a word."""
    if cell is None or (isinstance(cell, str) and not cell.strip()):
        return math.nan
    try:
        return float(cell)
    except OverflowError:
        return math.inf
    except (TypeError, ValueError):
        return None
