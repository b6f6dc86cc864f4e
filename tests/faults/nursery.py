"""Processes that are born grown up: forked from one that has already imported everything.

Starting Python and importing the tool takes a second of CPU, a fork ten milliseconds, and the
matrix needs thousands of processes. A child is a process like any other: its own pid, working
directory, environment, standard streams and signals; it runs the same `main`.

The server is `python -m tests.faults.nursery SOCKET MODULE`; a request is one line of JSON, the
answers are two lines: the child's pid, and, once it has ended, its wait status.
"""

import contextlib
import ctypes
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from tests.fake_provider.client import ROOT

START_S = 60.0
PR_SET_PTRACER = 0x59616D61


class Born:
    """A child, told from its parent's side as `subprocess.Popen` tells one."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lines = connection.makefile("r")
        self.pid = int(self._lines.readline())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit code, None while it lives."""
        return self._await(0)

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code once it has ended. Raises subprocess.TimeoutExpired."""
        code = self._await(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, if it still lives."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def _await(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._connection], [], [], timeout)[0]:
            self.returncode = os.waitstatus_to_exitcode(int(self._lines.readline()))
            self._lines.close()
            self._connection.close()
        return self.returncode


class Nursery:
    """Serves children of one module, whose `main()` each of them runs."""

    def __init__(self, folder: Path, module: str, environ: Mapping[str, str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "nursery.sock"
        with (folder / "nursery.log").open("ab") as log:
            self._process = subprocess.Popen(
                (sys.executable, "-m", "tests.faults.nursery", str(self._path), module),
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
                stdin=subprocess.PIPE,  # closes with this process, and the nursery with it
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_S
        while not self._path.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((folder / "nursery.log").read_text()[-2000:])
            time.sleep(0.01)

    def bear(
        self,
        arguments: Sequence[str],
        *,
        cwd: Path,
        environ: Mapping[str, str],
        stdout: Path,
        stderr: Path,
        tracer: Sequence[str] = (),
    ) -> Born:
        """A new child. `environ` is all that it gets; an strace with these options watches it."""
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(self._path))
        order = {
            "arguments": list(arguments),
            "cwd": str(cwd),
            "environ": dict(environ),
            "stdout": str(stdout),
            "stderr": str(stderr),
            "held": bool(tracer),
        }
        connection.sendall(json.dumps(order).encode() + b"\n")
        born = Born(connection)
        if tracer:
            _watch(born.pid, tracer)
        return born

    def close(self) -> None:
        """Let it end."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()


def _watch(pid: int, options: Sequence[str]) -> None:
    """Let strace follow a child that holds itself back, from its first step on."""
    while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        time.sleep(0.001)  # let go before it holds, it would hold for ever
    tracer = subprocess.Popen(
        ("strace", "-f", "-p", str(pid), *options),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert tracer.stderr is not None
    said = tracer.stderr.readline()
    if "attached" not in said:
        raise RuntimeError(f"strace cannot follow process {pid}: {said}")
    threading.Thread(target=tracer.communicate, daemon=True).start()  # it ends with the child
    os.kill(pid, signal.SIGCONT)


def main() -> None:
    """Import, then fork on demand until standard input closes."""
    path, module = sys.argv[1:]
    born = importlib.import_module(module)
    born.warm()
    wake, waker = socket.socketpair()
    for end in (wake, waker):
        end.setblocking(False)
    signal.signal(signal.SIGCHLD, _wake)  # a handler, or the wake-up is not written
    signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
    with socket.socket(socket.AF_UNIX) as server:
        draft = Path(path).with_name("new")  # a socket's path must be short
        server.bind(str(draft))
        server.listen(64)
        draft.rename(path)  # who sees the path can connect
        _serve(server, wake, born)


def _wake(number: int, frame: FrameType | None) -> None:
    """What wakes the loop is the byte that Python writes beside this."""


def _serve(server: socket.socket, wake: socket.socket, module: Any) -> None:
    waiting: dict[int, socket.socket] = {}
    while True:
        ready = select.select([server, wake, sys.stdin], [], [])[0]
        if sys.stdin in ready:
            return
        if wake in ready:
            wake.recv(4096)
        if server in ready:
            connection = server.accept()[0]
            pid = _fork(connection, module)
            connection.sendall(f"{pid}\n".encode())
            waiting[pid] = connection
        _reap(waiting)


def _reap(waiting: dict[int, socket.socket]) -> None:
    for pid in list(waiting):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            with waiting.pop(pid) as connection, contextlib.suppress(OSError):
                connection.sendall(f"{status}\n".encode())


def _fork(connection: socket.socket, module: Any) -> int:
    with connection.makefile("r") as lines:
        order = json.loads(lines.readline())
    pid = os.fork()
    if pid == 0:
        _live(order, module)
    return pid


def _live(order: dict[str, Any], module: Any) -> None:
    """Be the process that was ordered, and end as an interpreter ends."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    code = 1
    try:
        os.closerange(3, 256)
        os.chdir(order["cwd"])
        for number, name in ((1, "stdout"), (2, "stderr")):
            opened = os.open(order[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(opened, number)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.environ.clear()
        os.environ.update(order["environ"])
        sys.argv = [sys.argv[0], *order["arguments"]]
        if order["held"]:
            _hold()
        code = _call(module)
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _hold() -> None:
    """Wait for whoever wants to watch: anyone may, where only ancestors are let otherwise."""
    ctypes.CDLL(None).prctl(PR_SET_PTRACER, ctypes.c_ulong(-1 % 2**64), 0, 0, 0)
    os.kill(os.getpid(), signal.SIGSTOP)


def _call(module: Any) -> int:
    try:
        module.main()
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # noqa: BLE001  as an interpreter does: tell, and end with 1
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        return 1
    return 0


if __name__ == "__main__":
    main()
