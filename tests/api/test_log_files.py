"""A pandas frame becomes the log of a run."""

from pathlib import Path

import pytest

import rmft_api
from rmft_api import environments
from rmft_api.core.errors import RmftError

pd = pytest.importorskip("pandas")


@pytest.mark.parametrize("name", ["log.csv", "log.tsv", "log.parquet"])
def test_a_frame_becomes_a_log_that_a_run_can_name(tmp_path: Path, name: str) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"shown": ["a", "b"] * 200, "paid": [True, False, False, True] * 100})
    path = rmft_api.save_log(frame, tmp_path / name)
    options = {"path": str(path), "action": "shown", "reward": "paid"}
    assert environments.make("logs", 2, 5, options)


@pytest.mark.parametrize(
    ("name", "rows", "message"), [("log.xls", 1, "must end in .csv"), ("log.csv", 0, "no rows")]
)
def test_what_cannot_be_a_log_is_refused(
    tmp_path: Path, name: str, rows: int, message: str
) -> None:
    frame = pd.DataFrame({"shown": ["a"] * rows})
    with pytest.raises(RmftError, match=message):
        rmft_api.save_log(frame, tmp_path / name)
