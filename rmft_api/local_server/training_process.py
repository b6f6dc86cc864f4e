"""One trainer as the server sees it: a child process that talks in JSON lines."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Self

from rmft_api.local_server.training_messages import GO, Said, read_said

_LAST_WORDS = 2000
"""Bytes at the end of the log that can show why a trainer died."""


class TrainingProcess:
    """Lives as long as its `async with` block, at most."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = folder / "trainer.log"

    async def __aenter__(self) -> Self:
        with self._log.open("wb") as log:
            self._child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "rmft_api.local_server.trainer", str(self._folder)),
                stdin=asyncio.subprocess.PIPE,  # closes with us, which ends the child
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C is the server's to answer
            )
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._child.returncode is None:
            self._child.kill()
        await self._child.wait()

    async def messages(self) -> AsyncIterator[Said]:
        """What the trainer says, until it ends. A line cut short by its death is dropped."""
        assert self._child.stdout is not None
        async for line in self._child.stdout:
            if line.endswith(b"\n"):
                yield read_said(line)

    def go(self) -> None:
        """Let it train."""
        assert self._child.stdin is not None
        self._child.stdin.write(GO)

    async def last_words(self) -> str:
        """Why it ended, as far as is known."""
        code = await self._child.wait()
        lines = self._log.read_bytes()[-_LAST_WORDS:].decode("utf-8", "replace").splitlines()
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        if -code == signal.SIGKILL:
            how += " (the system kills so where memory has run out)"
        return f"the training process ended with {how}: {lines[-1] if lines else 'no output'}"
