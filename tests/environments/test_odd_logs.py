"""Logs as people have them: each is read for what it says, or refused in one line with the fix."""

import csv
import gzip
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rmft_api import environments
from rmft_api.core.errors import RmftError
from rmft_api.environments import ConcreteProblem, Scenario, registry
from rmft_api.environments.logs import LoggedFeedback
from rmft_api.prompts import contexts, reader

pa: Any = pytest.importorskip("pyarrow")
parquet: Any = pytest.importorskip("pyarrow.parquet")
N = 240
RNG = np.random.default_rng(0)
SHOWN: list[int] = RNG.integers(0, 3, N).tolist()
PAID: list[int] = RNG.integers(0, 2, N).tolist()
SEEN: list[int] = RNG.integers(0, 3, N).tolist()
START = datetime(2026, 1, 1, tzinfo=UTC)
TIMES = [START + timedelta(minutes=i) for i in range(N)]


def column(words: Sequence[Any], places: Iterable[int] = SHOWN) -> list[Any]:
    return [words[place] for place in places]


def text(
    act: Sequence[Any] = ("A", "B", "C"),
    paid: Sequence[Any] = (0, 1),
    seen: Sequence[Any] = (0, 1, 2),
    separator: str = ",",
) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, lineterminator="\n")
    writer.writerow(["act", "pay", "seen"])
    writer.writerows(
        zip(column(act), column(paid, PAID), column(seen, SEEN), strict=True),
    )
    return out.getvalue().encode()


def arrow(columns: Any) -> bytes:
    out = io.BytesIO()
    table = columns if not isinstance(columns, dict) else pa.table(columns)
    parquet.write_table(table, out)
    return out.getvalue()


def made(folder: Path, name: str, content: bytes, K: int = 3, **options: Any) -> LoggedFeedback:
    (folder / name).write_bytes(content)
    given = {"path": str(folder / name), "action": "act", "reward": "pay", **options}
    found = environments.make("logs", K, 4, given)
    assert isinstance(found, LoggedFeedback)
    return found


def drawn(environment: LoggedFeedback) -> Scenario:
    return environment.draw_from("train", np.random.default_rng(0))


ABC = column(["A", "B", "C"])
READ: dict[str, tuple[str, Callable[[], bytes], dict[str, Any], set[str]]] = {
    "categories": (
        "a.parquet",
        lambda: arrow({"act": pa.array(ABC).dictionary_encode(), "pay": PAID}),
        {},
        {"A", "B", "C"},
    ),
    "numbers with a point, asked for without": (
        "a.parquet",
        lambda: arrow({"act": column([1.0, 2.0, 3.0]), "pay": PAID}),
        {"K": 2, "actions": "1, 2"},
        {"1", "2"},
    ),
    "numbers without a point, asked for with one": (
        "a.csv",
        lambda: text((1, 2, 3)),
        {"K": 2, "actions": "1.0,3.0"},
        {"1", "3"},
    ),
    "truth": (
        "a.parquet",
        lambda: arrow({"act": column([True, False, False]), "pay": PAID}),
        {"K": 2, "actions": "TRUE, false"},
        {"true", "false"},
    ),
    "bytes": (
        "a.parquet",
        lambda: arrow({"act": column([b"A", b"B", b"C"]), "pay": PAID}),
        {},
        {"A", "B", "C"},
    ),
    "times with a zone": (
        "a.parquet",
        lambda: arrow({"act": ABC, "pay": PAID, "at": pa.array(TIMES, pa.timestamp("us", "CET"))}),
        {"time": "at"},
        {"A", "B", "C"},
    ),
    "times since a start": (
        "a.parquet",
        lambda: arrow({"act": ABC, "pay": PAID, "at": [one - START for one in TIMES]}),
        {"time": "at"},
        {"A", "B", "C"},
    ),
    "a byte-order mark": ("a.csv", lambda: b"\xef\xbb\xbf" + text(), {}, {"A", "B", "C"}),
    "lines ended by CR": ("a.csv", lambda: text().replace(b"\n", b"\r"), {}, {"A", "B", "C"}),
    "compressed": ("a.csv.gz", lambda: gzip.compress(text()), {}, {"A", "B", "C"}),
    "compressed tabs": (
        "a.tsv.gz",
        lambda: gzip.compress(text(separator="\t")),
        {},
        {"A", "B", "C"},
    ),
    "words of any language": (
        "a.csv",
        lambda: text(("grün", "青い", "🚀")),
        {},
        {"grün", "青い", "🚀"},
    ),
    "what answers need": (
        "a.csv",
        lambda: text(("<Answer>x</Answer>", "10 %: mail, letter", "a\nb")),
        {},
        {"Answer x /Answer", "10 % mail letter", "a b"},
    ),
    "alike but for case": (
        "a.csv",
        lambda: text(("Red", "red", "blue")),
        {},
        {"Red", "red (2)", "blue"},
    ),
}


@pytest.mark.parametrize("case", READ)
def test_a_log_is_read_for_what_it_says(tmp_path: Path, case: str) -> None:
    name, content, options, names = READ[case]
    scenario = drawn(made(tmp_path, name, content(), **options))
    assert scenario.names is not None
    assert set(scenario.names) == names
    contexts.check_actions("a log", scenario.names)  # names that answers can hold
    for place, one in enumerate(scenario.names):
        read = reader.read(f"<Answer>{one}</Answer>", "stop", None, scenario.names, "action")
        assert isinstance(read, reader.ParsedReply)
        assert read.action == place


def empty_at(row: int, cells: Sequence[Any]) -> list[Any]:
    return [None if i == row else cell for i, cell in enumerate(cells)]


TWICE = pa.Table.from_arrays([pa.array(ABC), pa.array(PAID), pa.array(PAID)], ["act", "pay", "pay"])
REFUSED: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "an empty number": (
        "a.parquet",
        lambda: arrow({"act": ABC, "pay": empty_at(7, PAID), "seen": SEEN}),
        r"column 'pay', row 8: the cell is empty; fill it, or leave the row out$",
    ),
    "NaN": ("a.csv", lambda: text(paid=(0, "nan")), r"'nan' is not a finite number; write a num"),
    "infinity": ("a.csv", lambda: text(paid=(0, "inf")), r"'inf' is not a finite number; write a"),
    "more than a float holds": (
        "a.csv",
        lambda: text(seen=(0, 1, 10**400)),
        r"column 'seen', row \d+: '1000000000000000000000000000000000000000\.\.\.' is not a finite",
    ),
    "thousands": (
        "a.csv",
        lambda: text(seen=("1,234.5", "2,234.5", "17")),
        r"write it without separators, \d234\.5$",
    ),
    "per cent": ("a.csv", lambda: text(paid=("0%", "1%")), r"the number alone, without % or a cur"),
    "columns of one name": ("a.parquet", lambda: arrow(TWICE), r"two columns are called 'pay'"),
    "parts in a cell": (
        "a.parquet",
        lambda: arrow({"act": [{"x": one} for one in ABC], "pay": PAID, "seen": SEEN}),
        r"column 'act', row 1: .* holds several values; write each into its own column$",
    ),
    "one row": ("a.csv", lambda: b"act,pay,seen\nA,1,0\n", r"holds one row; a log has rows of sev"),
    "no rows": ("a.csv", lambda: b"act,pay,seen\n", r"holds no rows"),
    "nothing": ("a.csv", lambda: b"", r"holds no rows"),
    "nothing in Parquet": ("a.parquet", lambda: b"", r"cannot be read as Parquet"),
    "a compressed file's name": ("a.csv", lambda: gzip.compress(text()), r"end in \.csv\.gz$"),
    "no compressed file": ("a.csv.gz", text, r"cannot be read: Not a gzipped file"),
    "half a compressed file": ("a.csv.gz", lambda: gzip.compress(text())[:200], r"cannot be read"),
    "a spreadsheet": (
        "a.csv",
        lambda: b"PK\x03\x04\xff\xfe",
        r"is a spreadsheet .*save it as CSV$",
    ),
    "UTF-16": ("a.csv", lambda: text().decode().encode("utf-16"), r"is UTF-16; save it as UTF-8$"),
    "Latin": ("a.csv", lambda: "act\ngrün\n".encode("latin-1"), r"not UTF-8 .*save it as UTF-8$"),
    "a quote left open": (
        "a.csv",
        lambda: b'act,pay,seen\n"A,1,0\n',
        r"row 1 cannot be read as CSV",
    ),
    "a cell too many": (
        "a.csv",
        lambda: text() + b"A,1,0,9\n",
        r"row 241 has 4 cells.*in double qu",
    ),
    "another format": ("a.xlsx", text, r"must end in .*save it as one of these"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_log_that_cannot_be_read_is_refused_in_one_line(tmp_path: Path, case: str) -> None:
    name, content, says = REFUSED[case]
    with pytest.raises(RmftError, match=says) as error:
        made(tmp_path, name, content(), features="seen")
    assert "\n" not in str(error.value)


def test_names_that_are_changed_are_told(tmp_path: Path) -> None:
    told = made(tmp_path, "a.csv", text(("Red", "red", "x: y"))).description()
    assert any("'red' as 'red (2)', 'x: y' as 'x y'" in line for line in told)


def test_cells_with_commas_stand_in_quotes_and_whole_numbers_keep_their_digits(
    tmp_path: Path,
) -> None:
    named = made(tmp_path, "a.csv", text(seen=("Paris, France", "a=b", "Rome")), features="seen")
    assert set(named.shown().contexts or ()) == {'seen="Paris, France"', 'seen="a=b"', "seen=Rome"}
    counted = made(tmp_path, "b.csv", text(seen=(10000000001, 2, 0.5)), features="seen")
    assert set(counted.shown().contexts or ()) == {"seen=10000000001", "seen=2", "seen=0.5"}


def test_a_log_of_sixty_actions_is_played_by_its_own_names(tmp_path: Path) -> None:
    rows = [f"sku-{i % 60},{i % 2 if i % 7 else 1}" for i in range(6000)]
    scenario = drawn(made(tmp_path, "a.csv", "\n".join(["act,pay", *rows]).encode(), K=60))
    assert scenario.names is not None
    assert sorted(scenario.names) == sorted(f"sku-{i}" for i in range(60))


def test_a_name_stays_with_its_action_wherever_it_is_told(tmp_path: Path) -> None:
    pays = {"A": 0.2, "B": 0.5, "C": 0.9}
    rows = [f"{act},{share}" for act, share in pays.items() for _ in range(40)]
    rows += [f"{act},{0.1 + share / 2}" for act, share in pays.items() for _ in range(40)]
    content = "\n".join(["act,pay", *rows]).encode()
    for options in ({}, {"shuffle": False}):
        environment = made(tmp_path, "a.csv", content, split="random", **options)
        means = dict(
            zip(environment.shown().actions, environment.shown().means("train"), strict=True)
        )
        problem = problem_of(tmp_path, options)
        for index in range(8):
            scenario = registry.draw([problem], 1, "train", 1, index)
            assert scenario.names is not None
            told = dict(zip(scenario.names, scenario.means[0].tolist(), strict=True))
            assert told == pytest.approx(means)


def problem_of(folder: Path, options: Mapping[str, Any]) -> ConcreteProblem:
    given = {"path": "a.csv", "action": "act", "reward": "pay", "split": "random", **options}
    return ConcreteProblem("logs", 3, 4, given, (), folder)


def test_a_story_names_the_actions_where_that_is_asked_for_or_a_run_began_so(
    tmp_path: Path,
) -> None:
    assert drawn(made(tmp_path, "a.csv", text(), names="story")).names is None
    problem = problem_of(tmp_path, {})
    assert registry.draw([problem], 1, "train", 1, 0, rules=2).names is None
    assert registry.draw([problem], 1, "train", 1, 0).names is not None
