"""Start a fake provider, and read its books."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

ROOT = Path(__file__).resolve().parents[2]
START_S = 15.0


@dataclass(frozen=True)
class Books:
    """What a provider wrote down. Read from its file, so that it tells the same when it is dead."""

    path: Path

    def rows(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """Any question, in SQL."""
        with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=10)) as db:
            return db.execute(query, arguments).fetchall()

    def number(self, query: str, *arguments: Any) -> int:
        """A question that is answered with one number."""
        return int(self.rows(query, *arguments)[0][0] or 0)

    def requests(self, method: str | None = None, endpoint: str | None = None) -> int:
        """How many arrived."""
        return self.number(
            "SELECT count(*) FROM requests WHERE method = coalesce(?, method)"
            " AND endpoint = coalesce(?, endpoint)",
            method,
            endpoint,
        )

    def billed(self, kind: str | None = None) -> int:
        """Micro-dollars."""
        return self.number("SELECT sum(micro_usd) FROM bill WHERE kind = coalesce(?, kind)", kind)

    def calls(self) -> Counter[str]:
        """How often each chat call was billed, by request hash."""
        rows = self.rows("SELECT hash, count(*) FROM bill WHERE kind = 'chat' GROUP BY hash")
        return Counter({str(hash): int(count) for hash, count in rows})

    def jobs(self) -> list[dict[str, Any]]:
        """All as the wire shows them, oldest first."""
        rows = self.rows("SELECT job FROM jobs ORDER BY seq")
        return [json.loads(row[0])["job"] for row in rows]

    def batches(self) -> list[dict[str, Any]]:
        """All as the wire shows them, oldest first."""
        rows = self.rows("SELECT batch FROM batches ORDER BY seq")
        return [json.loads(row[0])["batch"] for row in rows]

    def files(self) -> list[tuple[str, str, bytes]]:
        """(id, name, content) of all that are kept, oldest first."""
        return self.rows("SELECT id, filename, content FROM files WHERE deleted = 0 ORDER BY seq")

    def lineages(self) -> dict[str, str]:
        """What each model was made from."""
        return {str(id): str(made) for id, made in self.rows("SELECT id, lineage FROM models")}

    def faults(self, doubt: str | None = None) -> int:
        """How many requests were struck."""
        return self.number("SELECT count(*) FROM faults WHERE doubt = coalesce(?, doubt)", doubt)


class Child(Protocol):
    """A process that was started; `subprocess.Popen` is one."""

    pid: int

    def poll(self) -> int | None:
        """Its exit code, None while it lives."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code once it has ended."""
        ...

    def send_signal(self, number: int, /) -> None:
        """Send a signal."""
        ...

    def kill(self) -> None:
        """End it at once."""
        ...


Spawn = Callable[[list[str], Path], Child]
"""Starts the server with these arguments; its output goes to a log."""


def spawn(arguments: list[str], log: Path) -> Child:
    """A Python of its own."""
    command = [sys.executable, "-m", "tests.fake_provider", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with log.open("ab") as file:
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=file)


@dataclass
class Provider:
    """A running fake provider."""

    process: Child
    port: int
    books: Books

    @property
    def base_url(self) -> str:
        """As an OpenAI client wants it."""
        return f"http://127.0.0.1:{self.port}/v1"

    def stop(self) -> None:
        """End it; its books stay."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def start(
    folder: Path,
    rules: Sequence[Mapping[str, Any]] = (),
    *,
    port: int = 0,
    spawn: Spawn = spawn,
    **settings: Any,
) -> Provider:
    """Serve from `folder`; what an earlier provider kept there is still there."""
    folder.mkdir(parents=True, exist_ok=True)
    ready, script = folder / "ready", folder / "script.json"
    ready.unlink(missing_ok=True)
    script.write_text(json.dumps({"settings": settings, "rules": list(rules)}))
    arguments = ["--state", str(folder), "--port", str(port)]
    arguments += ["--ready-file", str(ready), "--script", str(script)]
    process = spawn(arguments, folder / "provider.log")
    return Provider(process, _wait(process, ready), Books(folder / "provider.sqlite"))


@contextmanager
def running(
    folder: Path, rules: Sequence[Mapping[str, Any]] = (), **settings: Any
) -> Generator[Provider]:
    """A provider for a while."""
    provider = start(folder, rules, **settings)
    try:
        yield provider
    finally:
        provider.stop()


def _wait(process: Child, ready: Path) -> int:
    deadline = time.monotonic() + START_S
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            log = ready.parent / "provider.log"
            raise RuntimeError(f"the fake provider did not start: {log.read_text()[-2000:]}")
        time.sleep(0.005)
    return int(ready.read_text())
