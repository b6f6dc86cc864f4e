"""A run's trajectories as frames."""

import csv
import io
import json
import math
from pathlib import Path

import msgspec
import pandas as pd
import pytest

from rmft_api.core.records import Address, Message, Regrets, Round, Scored, Trajectory
from rmft_api.report.frames import as_text, rounds_df, trajectories_df

ADDRESS = Address("test", 2, 7, 1)
READ = Round((Message("user", "go"),), "<Answer>B</Answer>", "read", 1, (0.0, 1.0), (0.25, 0.75))
UNREAD = Round((Message("user", "on"),), "?", "unreadable", None, None, (0.5, 0.5))
PLAYED = (
    Trajectory(ADDRESS, "m", ("A", "B"), (READ, UNREAD)),
    Scored(ADDRESS, "pseudo", Regrets(1, 2, 3, 4, 5, 6), 0.5, (0, 1), 0.5),
)


def test_a_trajectory_is_a_row_with_every_form_of_regret() -> None:
    row = trajectories_df([PLAYED]).iloc[0]
    assert (row["split"], row["iteration"], row["scenario"], row["trajectory"]) == ("test", 2, 7, 1)
    assert (row["regret"], row["regret_static_expected"], row["regret_dynamic"]) == (3, 1, 6)
    assert (row["K"], row["T"], row["valid"]) == (2, 2, 0.5)


def test_a_round_is_a_row_that_names_what_was_done_and_nothing_where_nothing_was() -> None:
    frame = rounds_df([PLAYED])
    assert frame["round"].tolist() == [1, 2]
    assert frame["action"].iloc[0] == "B"
    assert frame["reward"].iloc[0] == 0.75
    assert frame[["action", "reward"]].iloc[1].isna().all()


def test_lines_of_json_hold_a_row_each() -> None:
    lines = as_text(rounds_df([PLAYED]), ".jsonl").splitlines()
    assert [json.loads(line)["status"] for line in lines] == ["read", "unreadable"]
    assert as_text(trajectories_df([PLAYED]), ".csv").splitlines()[0].startswith("split,iteration")


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_every_digit_of_a_figure_is_exported(suffix: str, tmp_path: Path) -> None:
    third = Regrets(1 / 3, 2 / 3, 1e-17 / 3, 1e300 / 3, math.inf, -math.inf)
    frame = trajectories_df([(PLAYED[0], msgspec.structs.replace(PLAYED[1], regrets=third))])
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
        frame.to_parquet(tmp_path / "t.parquet")
        back = pd.read_parquet(tmp_path / "t.parquet").iloc[0]
    elif suffix == ".csv":
        row = next(csv.DictReader(io.StringIO(as_text(frame, suffix))))
        back = {form: float(row[form]) for form in row if form.startswith("regret_")}
    else:
        back = json.loads(as_text(frame, suffix), parse_constant=pytest.fail)
    for form, value in msgspec.structs.asdict(third).items():
        finite = math.isfinite(value) or suffix != ".jsonl"
        assert back[f"regret_{form}"] == (value if finite else None)
