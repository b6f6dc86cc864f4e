"""Parquet, and folders that Hugging Face `datasets` loads. Needs the `[parquet]` extra.

FOLDER/README.md                     which file is which split
FOLDER/data/test-00000-of-00001.parquet   a row is a trajectory, its rounds a list of structs
"""

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from importlib import import_module
from importlib.resources import files as files_of
from itertools import islice
from pathlib import Path
from typing import Any, get_args

import msgspec
import pandas as pd

from rmft_api.core.errors import ConfigError
from rmft_api.core.files import make_directory, replace_file
from rmft_api.core.records import Round, Scored, Split, Trajectory
from rmft_api.report.frames.tables import Played, place

ROWS = 256
"""Trajectories written at once: bounds memory."""
CARD = "dataset_card.md"
PURPOSE = {
    "train": "played to learn from; fresh scenarios in every iteration",
    "validation": "chose the champion",
    "test": "held out from every choice; the figures that are reported",
}
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def parquet(frame: pd.DataFrame) -> bytes:
    """The frame as one Parquet file. Raises ConfigError where pyarrow is missing."""
    arrow()
    out = io.BytesIO()
    frame.to_parquet(out, index=False, engine="pyarrow")
    return out.getvalue()


def write_folder(folder: Path, run: str, played: Iterable[Played]) -> int:
    """Write a folder that `datasets.load_dataset` reads; how many trajectories it holds."""
    arrow()
    data = folder / "data"
    make_directory(data)
    counts: dict[str, int] = {}
    with ExitStack() as stack:
        writers: dict[str, Any] = {}
        for split, rows in _batches(played):
            if split not in writers:
                writers[split] = stack.enter_context(_writer(data / _name(split)))
            writers[split].write_table(arrow().Table.from_pylist(rows, schema=_schema()))
            counts[split] = counts.get(split, 0) + len(rows)
    card = _card(run, counts)
    replace_file(folder / "README.md", card.encode())
    return sum(counts.values())


def _card(run: str, counts: Mapping[str, int]) -> str:
    """The dataset's card, with the head that the Hub and `datasets` read."""
    splits = [split for split in get_args(Split) if split in counts]
    files = (f"  - split: {split}\n    path: data/{_name(split)}" for split in splits)
    rows = (f"| {split} | {counts[split]:,} | {PURPOSE[split]} |" for split in splits)
    total = sum(counts.values())
    size = next((name for limit, name in SIZES if total < limit), "n>1M")
    title = json.dumps(f"Trajectories of run {run}")
    made = {"files": "\n".join(files), "counts": "\n".join(rows)}
    text = (files_of("rmft_api.report.frames") / CARD).read_text("utf-8")
    return text.format(run=run, title=title, size=size, **made)


def arrow() -> Any:
    """The pyarrow module. Raises ConfigError where it is missing."""
    try:
        return import_module("pyarrow")
    except ImportError:
        raise ConfigError("Parquet needs pyarrow: pip install 'rmft-api[parquet]'") from None


def _writer(path: Path) -> Any:
    return import_module("pyarrow.parquet").ParquetWriter(path, _schema())


def _name(split: str) -> str:
    return f"{split}-00000-of-00001.parquet"


def _batches(played: Iterable[Played]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Rows of one split together; a journal hands trajectories out split by split."""
    stream = iter(played)
    while some := list(islice(stream, ROWS)):
        splits: dict[str, list[dict[str, Any]]] = {}
        for trajectory, scored in some:
            splits.setdefault(trajectory.address.split, []).append(_row(trajectory, scored))
        yield from splits.items()


def _row(trajectory: Trajectory, scored: Scored) -> dict[str, Any]:
    regrets = {f"regret_{k}": v for k, v in msgspec.structs.asdict(scored.regrets).items()}
    return {
        **place(trajectory.address),
        "model": trajectory.model,
        "names": list(trajectory.names),
        "kind": scored.kind,
        "regret": scored.regret,
        **regrets,
        "reward": scored.reward,
        "valid": scored.valid,
        "rounds": [_round(trajectory, played) for played in trajectory.rounds],
    }


def _round(trajectory: Trajectory, played: Round) -> dict[str, Any]:
    return {
        "prompt": [{"role": m.role, "content": m.content} for m in played.prompt],
        "reply": played.reply,
        "status": played.status,
        "action": None if played.action is None else trajectory.names[played.action],
        "policy": None if played.policy is None else list(played.policy),
        "rewards": list(played.rewards),
    }


def _schema() -> Any:
    pa = arrow()
    numbers = pa.list_(pa.float64())
    played = pa.list_(pa.struct({"role": pa.string(), "content": pa.string()}))
    rounds = pa.struct(
        {
            "prompt": played,
            "reply": pa.string(),
            "status": pa.string(),
            "action": pa.string(),
            "policy": numbers,
            "rewards": numbers,
        }
    )
    forms = ("static_expected", "static_realised", "pseudo", "realised", "hindsight", "dynamic")
    fields: Mapping[str, Any] = {
        "split": pa.string(),
        **{name: pa.int64() for name in ("iteration", "scenario", "trajectory")},
        "model": pa.string(),
        "names": pa.list_(pa.string()),
        "kind": pa.string(),
        "regret": pa.float64(),
        **{f"regret_{form}": pa.float64() for form in forms},
        **{name: pa.float64() for name in ("reward", "valid")},
        "rounds": pa.list_(rounds),
    }
    return pa.schema(list(fields.items()))
