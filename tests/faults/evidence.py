"""What a run left behind: its journal, its datasets, its models, its figures."""

import json
import shutil
import sqlite3
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.fake_provider.client import Books

JOURNAL = "journal.sqlite"


@dataclass(frozen=True)
class Money:
    """Micro-dollars, as the journal counts them."""

    spent: int
    reserved: int
    cap: int | None


@dataclass(frozen=True)
class Attempt:
    """One row of the ledger."""

    key: str
    number: int
    kind: str
    state: str
    answer: bytes | None


@dataclass(frozen=True)
class JournalView:
    """A journal as it lies on disk between two processes."""

    healthy: str
    """"ok", or what SQLite finds wrong."""
    money: Money
    sums: Money
    """The same, added up from the rows."""
    attempts: tuple[Attempt, ...]
    text: str
    """Everything in it as text, packed values unpacked."""

    @property
    def answers(self) -> dict[tuple[str, int], bytes | None]:
        """What was acknowledged."""
        return {(one.key, one.number): one.answer for one in self.attempts if one.state == "done"}

    def open_calls(self) -> int:
        """Chat calls of which nobody knows whether they were billed."""
        return sum(one.kind == "chat" and one.state in ("sent", "lost") for one in self.attempts)


def read_journal(run_dir: Path) -> JournalView | None:
    """Look at a copy, so that the log that a crash left is untouched. None where there is none."""
    if not (run_dir / JOURNAL).exists():
        return None
    with tempfile.TemporaryDirectory() as folder:
        for path in run_dir.glob(f"{JOURNAL}*"):
            shutil.copy(path, folder)
        with closing(sqlite3.connect(Path(folder) / JOURNAL)) as db:
            return _view(db)


def _view(db: sqlite3.Connection) -> JournalView | None:
    healthy = str(db.execute("PRAGMA integrity_check").fetchone()[0])
    if db.execute("PRAGMA user_version").fetchone()[0] == 0:
        return None  # killed before the run began to exist
    money: tuple[int, int, int | None] = db.execute(
        "SELECT spent + excess, reserved, cap FROM budget WHERE scope = -1"
    ).fetchone()
    sums: tuple[int, int] = db.execute(
        "SELECT coalesce(sum(spent + excess), 0), coalesce(sum(reserved), 0) FROM attempts"
    ).fetchone()
    rows = db.execute("SELECT key, number, kind, state, answer FROM attempts ORDER BY id")
    attempts = tuple(Attempt(*row) for row in rows)
    told = Money(*money)
    added = Money(*sums, told.cap)
    return JournalView(healthy, told, added, attempts, "\n".join(_texts(db)))


def _texts(db: sqlite3.Connection) -> Iterator[str]:
    tables = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    for (table,) in tables:
        for row in db.execute(f'SELECT * FROM "{table}"'):
            yield from map(readable, row)


def readable(value: Any) -> str:
    """A value as text; what is packed is unpacked first."""
    if isinstance(value, bytes):
        with suppress(zlib.error):  # not packed
            value = zlib.decompress(value)
        return value.decode("utf-8", "replace")
    return str(value)


@dataclass(frozen=True)
class Result:
    """What must be the same however often a run was interrupted."""

    datasets: tuple[tuple[str, str], ...]
    """(path in the run, SHA-256)."""
    trained: tuple[str, ...]
    """SHA-256 of what the provider trained on, in the models' order."""
    chain: tuple[str, ...]
    """What each iteration's model was made from."""
    figures: str
    """The report, models named by what they were made from."""


def read_result(run_dir: Path, report: dict[str, Any], books: Books) -> Result:
    """Put together what a finished run came to."""
    lineages = books.lineages()
    models = [str(step["model"]) for step in report["iterations"]]
    contents = {id: sha256(content).hexdigest() for id, _, content in books.files()}
    made_by = {job["fine_tuned_model"]: job["training_file"] for job in books.jobs()}
    return Result(
        datasets=tuple(
            (str(path.relative_to(run_dir)), sha256(path.read_bytes()).hexdigest())
            for path in sorted(run_dir.rglob("dataset*.jsonl"))
        ),
        trained=tuple(contents.get(made_by.get(model, ""), "") for model in models[1:]),
        chain=tuple(lineages.get(model, model) for model in models),
        figures=_renamed(report, lineages),
    )


def _renamed(report: dict[str, Any], lineages: dict[str, str]) -> str:
    # What a run cost is no result of it: a crash may pay for a request twice.
    figures = {name: value for name, value in report.items() if name != "spending"}
    text = json.dumps(figures, sort_keys=True)
    for model, lineage in lineages.items():
        text = text.replace(json.dumps(model), json.dumps(lineage))
    return text


def secrets_in(folder: Path, journal: JournalView | None, canary: str) -> list[str]:
    """Where the key can be found: any file of the folder but the provider's, and the journal."""
    found = [
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file()
        and folder / "provider" not in path.parents
        and canary.encode() in path.read_bytes()
    ]
    return found + (["the journal's rows"] if journal and canary in journal.text else [])
