"""Files, jobs and the books, in one SQLite file that outlives the process.

The books are the oracle of the fault tests: `requests` (all that arrived), `faults` (all that was
done to them) and `bill` (all that costs). Amounts are whole micro-dollars: prices per million
tokens are then whole micro-dollars per token.
"""

import json
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

SCHEMA = """
CREATE TABLE IF NOT EXISTS requests (
  seq INTEGER PRIMARY KEY, wall REAL NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL,
  endpoint TEXT NOT NULL, hash TEXT NOT NULL, key_hash TEXT NOT NULL, status INTEGER
) STRICT;
CREATE TABLE IF NOT EXISTS faults (
  seq INTEGER PRIMARY KEY, wall REAL NOT NULL, request INTEGER NOT NULL, endpoint TEXT NOT NULL,
  script TEXT NOT NULL, doubt TEXT NOT NULL, executions INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS bill (
  seq INTEGER PRIMARY KEY, wall REAL NOT NULL, request INTEGER, kind TEXT NOT NULL,
  subject TEXT NOT NULL, hash TEXT NOT NULL, key_hash TEXT NOT NULL,
  input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, micro_usd INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS files (
  seq INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, filename TEXT NOT NULL, purpose TEXT NOT NULL,
  content BLOB NOT NULL, wall REAL NOT NULL, late_polls INTEGER NOT NULL, deleted INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS jobs (
  seq INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, wall REAL NOT NULL, job TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS batches (
  seq INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, wall REAL NOT NULL, batch TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS models (
  id TEXT PRIMARY KEY, lineage TEXT NOT NULL, generation INTEGER NOT NULL, wall REAL NOT NULL
) STRICT;
"""


def digest(*parts: Any) -> str:
    """A short name for JSON-able values; equal values, equal names."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True)
    return sha256(text.encode()).hexdigest()[:24]


@dataclass(frozen=True)
class File:
    """An uploaded file."""

    id: str
    filename: str
    purpose: str
    content: bytes
    wall: float
    late_polls: int


@dataclass(frozen=True)
class Model:
    """A model that answers. `lineage` names what it was made from, whatever its id says."""

    id: str
    lineage: str
    generation: int
    wall: float


@dataclass(frozen=True)
class Charge:
    """One line of the bill."""

    kind: str
    """chat, upload, job or training."""
    subject: str
    hash: str
    input_tokens: int = 0
    output_tokens: int = 0
    micro_usd: int = 0


class Store:
    """The only writer. Every method commits before it returns."""

    def __init__(self, path: Path) -> None:
        # Without synchronous writes a kill of this process still loses nothing; only a power
        # failure could, and the oracle does not claim that one.
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    # The books

    def arrived(self, method: str, path: str, endpoint: str, hash: str, key_hash: str) -> int:
        """Write a request down before anything is done about it. Returns its number."""
        row = (time.time(), method, path, endpoint, hash, key_hash)
        return self._insert(
            "INSERT INTO requests (wall, method, path, endpoint, hash, key_hash)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            row,
        )

    def answered(self, request: int, status: int) -> None:
        """Note the status that was decided on, whether it leaves or not."""
        self._db.execute("UPDATE requests SET status = ? WHERE seq = ?", (status, request))

    def faulted(
        self, request: int, endpoint: str, script: str, doubt: str, executions: int
    ) -> None:
        """Note what is done to a request."""
        self._insert(
            "INSERT INTO faults (wall, request, endpoint, script, doubt, executions)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (time.time(), request, endpoint, script, doubt, executions),
        )

    def charge(self, request: int | None, key_hash: str, charge: Charge) -> None:
        """Bill something."""
        self._insert(
            "INSERT INTO bill (wall, request, kind, subject, hash, key_hash,"
            " input_tokens, output_tokens, micro_usd) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                time.time(),
                request,
                charge.kind,
                charge.subject,
                charge.hash,
                key_hash,
                charge.input_tokens,
                charge.output_tokens,
                charge.micro_usd,
            ),
        )

    # Files

    def add_file(self, filename: str, purpose: str, content: bytes) -> File:
        """Keep a file under a new id."""
        count = self._count("files")
        id = f"file-{digest('file', count, filename)}"
        wall = time.time()
        self._insert(
            "INSERT INTO files (id, filename, purpose, content, wall, late_polls, deleted)"
            " VALUES (?, ?, ?, ?, ?, 0, 0)",
            (id, filename, purpose, content, wall),
        )
        return File(id, filename, purpose, content, wall, 0)

    def files(self) -> list[File]:
        """Those not deleted, oldest first."""
        return [File(*row) for row in self._rows(f"{_FILES} WHERE deleted = 0 ORDER BY seq")]

    def file(self, id: str) -> File | None:
        """One file, None where there is none (any more)."""
        rows = list(self._rows(f"{_FILES} WHERE deleted = 0 AND id = ?", (id,)))
        return File(*rows[0]) if rows else None

    def delay_file(self, id: str, polls: int) -> None:
        """Keep the file unready for so many looks at it."""
        self._db.execute("UPDATE files SET late_polls = ? WHERE id = ?", (polls, id))

    def delete_file(self, id: str) -> None:
        """Forget a file."""
        self._db.execute("UPDATE files SET deleted = 1 WHERE id = ?", (id,))

    # Jobs: a JSON object each, as `jobs.py` means it

    def add_job(self, job: dict[str, Any]) -> str:
        """Keep a job under a new id, which is returned and stands in the job too."""
        id = f"ftjob-{digest('job', self._count('jobs'))}"
        job["id"] = id
        self._insert(
            "INSERT INTO jobs (id, wall, job) VALUES (?, ?, ?)", (id, time.time(), json.dumps(job))
        )
        return id

    def save_job(self, job: dict[str, Any]) -> None:
        """Replace a job."""
        self._db.execute("UPDATE jobs SET job = ? WHERE id = ?", (json.dumps(job), job["id"]))

    def job(self, id: str) -> dict[str, Any] | None:
        """One job."""
        rows = list(self._rows("SELECT job FROM jobs WHERE id = ?", (id,)))
        return cast("dict[str, Any]", json.loads(rows[0][0])) if rows else None

    def jobs(self) -> list[tuple[float, dict[str, Any]]]:
        """All with the wall time of their creation, oldest first."""
        return [(wall, json.loads(job)) for wall, job in self._rows("SELECT wall, job FROM jobs")]

    # Batches: as jobs

    def add_batch(self, batch: dict[str, Any]) -> str:
        """Keep a batch under a new id, which is returned and stands in the batch too."""
        id = f"batch_{digest('batch', self._count('batches'))}"
        batch["id"] = id
        row = (id, time.time(), json.dumps(batch))
        self._insert("INSERT INTO batches (id, wall, batch) VALUES (?, ?, ?)", row)
        return id

    def save_batch(self, batch: dict[str, Any]) -> None:
        """Replace a batch."""
        row = (json.dumps(batch), batch["id"])
        self._db.execute("UPDATE batches SET batch = ? WHERE id = ?", row)

    def batch(self, id: str) -> dict[str, Any] | None:
        """One batch."""
        rows = list(self._rows("SELECT batch FROM batches WHERE id = ?", (id,)))
        return cast("dict[str, Any]", json.loads(rows[0][0])) if rows else None

    def batches(self) -> list[tuple[float, dict[str, Any]]]:
        """All with the wall time of their creation, oldest first."""
        rows = self._rows("SELECT wall, batch FROM batches ORDER BY seq")
        return [(wall, json.loads(batch)) for wall, batch in rows]

    # Models

    def add_model(self, model: Model) -> None:
        """Let a model answer from now on."""
        self._insert(
            "INSERT OR IGNORE INTO models (id, lineage, generation, wall) VALUES (?, ?, ?, ?)",
            (model.id, model.lineage, model.generation, model.wall),
        )

    def models(self) -> list[Model]:
        """All, oldest first."""
        return [Model(*row) for row in self._rows(f"{_MODELS} ORDER BY wall, id")]

    def model(self, id: str) -> Model | None:
        """One model."""
        rows = list(self._rows(f"{_MODELS} WHERE id = ?", (id,)))
        return Model(*rows[0]) if rows else None

    def _insert(self, statement: str, row: tuple[Any, ...]) -> int:
        return self._db.execute(statement, row).lastrowid or 0

    def _rows(self, query: str, arguments: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        yield from self._db.execute(query, arguments)

    def _count(self, table: str) -> int:
        return int(next(self._rows(f"SELECT count(*) FROM {table}"))[0])


_FILES = "SELECT id, filename, purpose, content, wall, late_polls FROM files"
_MODELS = "SELECT id, lineage, generation, wall FROM models"
