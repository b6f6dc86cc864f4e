"""A run's trajectories as other tools take them, through `rmft-api export`."""

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from rmft_api.cli.main import app
from rmft_api.core.errors import RmftError
from rmft_api.loop import iterate
from tests.loop_world import World, config


@pytest.fixture
async def runs(tmp_path: Path) -> Path:
    """A folder with one finished run: 3 iterations of 3 x 4 plays, 4 x 12 + 4 x 6 held out."""
    settings = config(prompts={"history": "raw"}, dataset={"content": "full"})
    world = World(tmp_path / "loop", settings, ["skill-0.4", "skill-0.6", "skill-0.8"])
    journal = world.journal()
    try:
        await iterate(world.run(journal))
    finally:
        journal.close()
    return tmp_path


def export(runs: Path, to: Path, table: str) -> str:
    words = ["export", "loop", str(to), "--table", table, "--runs", str(runs)]
    result = CliRunner().invoke(app, words, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.stdout


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_parquet_holds_what_the_csv_holds(runs: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    for table in ("trajectories", "rounds"):
        export(runs, tmp_path / "t.csv", table)
        export(runs, tmp_path / "t.parquet", table)
        ours = pd.read_parquet(tmp_path / "t.parquet")
        theirs = pd.read_csv(tmp_path / "t.csv")
        assert list(ours.columns) == list(theirs.columns)
        assert len(ours) == len(theirs) > 100
        numbers = ours.select_dtypes("number").columns
        assert ours[numbers].to_numpy() == pytest.approx(theirs[numbers].to_numpy(), nan_ok=True)


def test_the_card_of_a_dataset_is_what_the_hub_reads(runs: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    cards = pytest.importorskip("huggingface_hub")
    export(runs, tmp_path / "hf", "datasets")
    card = cards.DatasetCard.load(tmp_path / "hf" / "README.md")
    assert card.data.pretty_name == "Trajectories of run loop"
    assert card.data.size_categories == ["n<1K"]
    assert [one["split"] for one in card.data.configs[0]["data_files"]] == [
        *("train", "validation", "test")
    ]
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "hf/data/test-00000-of-00001.parquet"
    for column in parquet.read_schema(path).names:
        assert f"`{column}`" in card.text or column.startswith("regret_")


def test_a_folder_for_datasets_has_a_file_for_each_split(runs: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    folder = tmp_path / "hf"
    assert "108 trajectories" in export(runs, folder, "datasets")
    counts = {"train": 36, "validation": 48, "test": 24}
    card = (folder / "README.md").read_text()
    for split, count in counts.items():
        path = f"data/{split}-00000-of-00001.parquet"
        assert f"- split: {split}\n    path: {path}" in card
        rows: list[dict[str, Any]] = parquet.read_table(folder / path).to_pylist()
        assert len(rows) == count
        first = rows[0]["rounds"][0]
        assert first["prompt"][0]["role"] == "system"
        assert first["action"] in rows[0]["names"]
        assert len(first["rewards"]) == len(first["policy"]) == 3


def test_datasets_loads_the_folder(runs: Path, tmp_path: Path) -> None:
    datasets: Any = pytest.importorskip("datasets")
    export(runs, tmp_path / "hf", "datasets")
    found = datasets.load_dataset(str(tmp_path / "hf"), cache_dir=str(tmp_path / "cache"))
    assert {split: len(rows) for split, rows in found.items()} == {
        "train": 36,
        "validation": 48,
        "test": 24,
    }
    row = found["train"][0]
    assert row["rounds"][0]["prompt"][0]["role"] == "system"
    assert math.isfinite(row["regret"])


def test_messages_are_the_very_examples_of_the_runs_datasets(runs: Path, tmp_path: Path) -> None:
    export(runs, tmp_path / "m.jsonl", "messages")
    ours = lines(tmp_path / "m.jsonl")
    theirs = [
        row for i in (1, 2, 3) for row in lines(runs / f"loop/iteration_{i:02}/dataset.jsonl")
    ]
    assert ours == theirs
    assert set(ours[0]) == {"messages"}
    assert set(ours[0]["messages"][0]) == {"role", "content"}


def test_prompt_and_completion_are_a_chat_cut_before_its_answer(runs: Path, tmp_path: Path) -> None:
    export(runs, tmp_path / "m.jsonl", "messages")
    export(runs, tmp_path / "p.jsonl", "prompt-completion")
    cut = [
        {"prompt": row["messages"][:-1], "completion": row["messages"][-1:]}
        for row in lines(tmp_path / "m.jsonl")
    ]
    assert lines(tmp_path / "p.jsonl") == cut
    assert {row["completion"][0]["role"] for row in cut} == {"assistant"}


def test_preferences_oppose_two_answers_to_one_prompt(runs: Path, tmp_path: Path) -> None:
    export(runs, tmp_path / "d.jsonl", "preference")
    rows = lines(tmp_path / "d.jsonl")
    assert rows
    for row in rows:
        assert set(row) == {"prompt", "chosen", "rejected"}
        assert row["prompt"][-1]["role"] == "user"
        assert row["chosen"][0]["role"] == row["rejected"][0]["role"] == "assistant"
        assert row["chosen"] != row["rejected"]


@pytest.mark.parametrize(
    ("to", "table", "message"),
    [
        ("t.txt", "trajectories", "must end in .csv, .jsonl, .parquet"),
        ("t.csv", "messages", "must end in .jsonl: TRL"),
        ("loop", "datasets", "is no empty folder"),
    ],
)
def test_a_wrong_name_is_told_in_one_line(runs: Path, to: str, table: str, message: str) -> None:
    with pytest.raises(RmftError, match=message):
        export(runs, runs / to, table)
