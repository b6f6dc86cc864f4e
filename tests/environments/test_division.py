"""Rows of a file of one's own: divided once, so that no row serves two splits."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rmft_api import environments
from rmft_api.config.schema import Problem
from rmft_api.core import paths
from rmft_api.core import seeds as seeds_
from rmft_api.core.errors import ConfigError, DataError
from rmft_api.core.records import Split
from rmft_api.environments import ConcreteProblem

SPLITS: tuple[Split, ...] = get_args(Split)


def write(path: Path, rows: int, words: list[str] | None = None) -> None:
    """A file whose rewards name their row: (row + column / 10) / rows."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["part", "age", "reward_a", "reward_b", "reward_c"])
        for row in range(rows):
            rewards = [(row + column / 10) / rows for column in range(3)]
            writer.writerow([words[row] if words else "train", row % 7, *rewards])


def problem(path: Path, T: int = 6, **options: Any) -> ConcreteProblem:
    return environments.expand(
        [Problem(environment="table", K=2, T=T, options={"path": path.name, **options})],
        path.parent,
    )[0]


def used(one: ConcreteProblem, rows: int, split: Split, seed: int = 0, count: int = 8) -> set[int]:
    """The rows that the first scenarios of a split are made of."""
    found: set[int] = set()
    for index in range(count):
        scenario = environments.draw([one], seed, split, 1 if split == "train" else 0, index)
        found |= {int(value) for value in np.floor(scenario.rewards * rows + 1e-6).ravel()}
    return found


def disjoint(parts: Mapping[Any, set[int]]) -> bool:
    every = [row for rows in parts.values() for row in rows]
    return len(every) == len(set(every))


WAYS = st.fixed_dictionaries(
    {
        "split": st.sampled_from(["", "random", "order", "part"]),
        "order": st.sampled_from(["shuffled", "file"]),
        "feedback": st.sampled_from(["bandit", "full"]),
        "features": st.sampled_from(["", "age"]),
        "shares": st.sampled_from(["60/20/20", "1/1/1", "90/5/5", "2/30/1.5"]),
        "split_seed": st.integers(0, 5),
        "shuffle": st.booleans(),
    }
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.integers(18, 120),
    T=st.integers(1, 6),
    seeds=st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True),
    options=WAYS,
    data=st.data(),
)
def test_no_row_serves_two_splits(
    tmp_path: Path,
    rows: int,
    T: int,
    seeds: list[int],
    options: dict[str, Any],
    data: st.DataObject,
) -> None:
    drawn = st.lists(
        st.sampled_from(["train", "Val", "TEST"]), min_size=rows - 18, max_size=rows - 18
    )
    words = [*["train", "validation", "test"] * 6, *data.draw(drawn)]
    path = tmp_path / "cases.csv"
    write(path, rows, words)
    one = problem(path, T, **options)
    parts = {split: set[int]() for split in SPLITS}
    for seed in seeds:  # another seed of the run divides no row anew
        for split in SPLITS:
            parts[split] |= used(one, rows, split, seed)
    assert all(parts.values())
    assert disjoint(parts)


def test_every_row_serves_and_shares_are_as_asked_for(tmp_path: Path) -> None:
    write(tmp_path / "cases.csv", 100)
    parts = {s: used(problem(tmp_path / "cases.csv", 25), 100, s, count=60) for s in SPLITS}
    assert {split: len(rows) for split, rows in parts.items()} == {
        "train": 60,
        "validation": 20,
        "test": 20,
    }


def test_means_are_those_of_the_splits_own_rows(tmp_path: Path) -> None:
    path = tmp_path / "cases.csv"
    write(path, 30)
    one = problem(path, T=4, split="order")
    own = (range(18), range(18, 24), range(24, 30))
    for split, rows in zip(SPLITS, own, strict=True):
        scenario = environments.draw([one], 0, split, 0, 0)
        assert scenario.means.min() >= np.mean(list(rows)) / 30 - 1e-9
        assert scenario.means.max() <= (np.mean(list(rows)) + 0.2) / 30 + 1e-9


def test_in_the_files_order_earlier_rows_train_and_later_ones_test(tmp_path: Path) -> None:
    write(tmp_path / "cases.csv", 60)
    one = problem(tmp_path / "cases.csv", order="file")
    parts = {split: used(one, 60, split) for split in SPLITS}
    assert max(parts["train"]) < min(parts["validation"])
    assert max(parts["validation"]) < min(parts["test"])


def test_the_division_is_told_with_its_numbers(tmp_path: Path) -> None:
    write(tmp_path / "cases.csv", 50)
    one = problem(tmp_path / "cases.csv")
    assert environments.divisions({split: [one] for split in SPLITS}) == (
        "cases.csv: 50 rows divided at random (split_seed = 0): 30 train, 10 validation, 10 test; "
        "no row serves two splits",
    )


@pytest.mark.parametrize(
    ("rows", "T", "options", "message"),
    [
        (5, 3, {}, "1 rows for test, 2 are needed: the file has 5 rows and must have at least 6"),
        (20, 7, {"order": "file"}, "7 are needed: the file has 20 rows and must have at least 21"),
        (40, 3, {"split": "part"}, "0 rows for validation, 2 are needed: mark more rows"),
    ],
)
def test_too_few_rows_say_how_many_are_needed(
    tmp_path: Path, rows: int, T: int, options: dict[str, Any], message: str
) -> None:
    path = tmp_path / "cases.csv"
    write(path, rows)
    one = problem(path, T, **options)
    with pytest.raises(DataError, match=message) as raised:
        environments.divisions({split: [one] for split in SPLITS})
    assert "\n" not in str(raised.value)
    if "must have at least" in message:  # and so many are enough
        write(path, int(message.rpartition(" ")[2]))
        again = problem(path, T, **options)
        environments.divisions({split: [again] for split in SPLITS})
        assert disjoint({s: used(again, int(message.rpartition(" ")[2]), s) for s in SPLITS})


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"split": "prat"}, DataError, "is neither random, order, none nor a column; did you mean"),
        (
            {"split": "age"},
            DataError,
            "column 'age', row 1: '0' is none of train, validation, test",
        ),
        ({"shares": "60/40"}, ConfigError, "must be three numbers above 0"),
        ({"shares": "60/40/0"}, ConfigError, "must be three numbers above 0"),
        ({"split_seed": -1}, ConfigError, "split_seed >= 0"),
        ({"folder": "."}, ConfigError, "no option folder"),
    ],
)
def test_a_division_that_cannot_be_made_is_refused_in_one_line(
    tmp_path: Path, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    write(tmp_path / "cases.csv", 30)
    with pytest.raises(error, match=message) as raised:
        environments.divisions({"test": [problem(tmp_path / "cases.csv", **options)]})
    assert "\n" not in str(raised.value)


def test_one_file_is_divided_in_one_way_only(tmp_path: Path) -> None:
    write(tmp_path / "cases.csv", 60)
    one, other = problem(tmp_path / "cases.csv"), problem(tmp_path / "cases.csv", split_seed=1)
    with pytest.raises(ConfigError, match="divided in two ways"):
        environments.divisions({"train": [one], "test": [other]})


def test_a_file_for_each_split_is_used_whole_and_for_no_other(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        write(tmp_path / name, 30)
    a, b = (problem(tmp_path / name, split="none") for name in ("a.csv", "b.csv"))
    assert len(environments.divisions({"train": [a], "test": [b]})) == 2
    assert used(a, 30, "train", count=60) == set(range(30))
    with pytest.raises(ConfigError, match="would let rows serve test and train"):
        environments.divisions({"train": [a], "test": [a]})


def test_a_run_of_an_earlier_version_draws_what_it_drew(tmp_path: Path) -> None:
    path = tmp_path / "cases.csv"
    write(path, 30)
    one = problem(path, T=40)
    scenario = environments.draw([one], 3, "test", 0, 0, rules=1)
    whole = one.make().draw(seeds_.rng(3, "scenario", "test", 0, 0))
    assert paths.RULES > 1
    assert np.array_equal(scenario.rewards, whole.rewards)
