"""CPU time of `rmft-api --help`, and of `rmft-api run` until its first requests leave.

    python -m benchmarks.start_up

A run of a free endpoint asks its first chat; a run that is paid (`runs/gpt-4o-mini.toml`) asks for
the list of models, draws up its plan, tells it, and asks its first chat then.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median

from benchmarks.calls import vocabulary

RUN = """
[model]
base = "m"
profile = "here"
[rollouts]
scenarios = 16
[[rollouts.problems]]
environment = "bandit"
K = 3
T = 25
"""
FREE = """
[here]
like = "openai-compatible"
base_url = "{url}"
paid = false
training = {{}}
"""
PAID = """
[here]
like = "openai"
prices = "openai"
base_url = "{url}"
"""
PAID_RUN = Path(__file__).parent.parent / "runs" / "gpt-4o-mini.toml"
COMMAND = (sys.executable, "-m", "rmft_api")
TIMES = 5
WITHIN_S = 60


def help_s() -> float:
    """CPU seconds of `--help`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*COMMAND, "--help"], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def run_s(profile: str, *arguments: str) -> dict[str, float]:
    """CPU seconds of `run` when its first GET and its first POST come in."""
    with tempfile.TemporaryDirectory() as name, _heard() as (url, heard, asked):
        folder = Path(name)
        (folder / "run.toml").write_text(RUN)
        (folder / "profiles.toml").write_text(profile.format(url=url))
        environ = {
            **os.environ,
            "RMFT_PROFILES": str(folder / "profiles.toml"),
            "TIKTOKEN_CACHE_DIR": vocabulary.folder(),
            "OPENAI_API_KEY": "none",
        }
        with subprocess.Popen(
            [*COMMAND, "run", *arguments],
            cwd=folder,
            env=environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as child:
            heard(child.pid)
            came = asked.wait(WITHIN_S)
            child.kill()
            if not came:
                raise RuntimeError((child.stderr or sys.stdin).read())
        return heard.at


class _Clock:
    """Reads a process's CPU time when a request of each method first comes from it."""

    def __init__(self) -> None:
        self.at: dict[str, float] = {}
        self._known = threading.Event()

    def __call__(self, pid: int) -> None:
        self._stat = Path(f"/proc/{pid}/stat")
        self._known.set()

    def read(self, method: str) -> None:
        """Note the time, if it is the first."""
        self._known.wait()
        fields = self._stat.read_text().rsplit(")", 1)[1].split()
        seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        self.at.setdefault(method, seconds)


@contextmanager
def _heard() -> Generator[tuple[str, _Clock, threading.Event]]:
    """An endpoint that lists one model, and answers no chat; its URL, and what it hears."""
    clock, asked = _Clock(), threading.Event()

    class Endpoint(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            clock.read("GET")
            model = {"id": "gpt-4o-mini-2024-07-18", "object": "model"}
            body = json.dumps({"object": "list", "data": [model]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            clock.read("POST")
            asked.set()

        def log_message(self, format: str, *args: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1", clock, asked
        finally:
            server.shutdown()


def middle(readings: Callable[[], float]) -> float:
    """The median of several."""
    return median(readings() for _ in range(TIMES))


def main() -> None:
    """Print medians."""
    free = [run_s(FREE, "run.toml") for _ in range(TIMES)]
    paid = [
        run_s(PAID, str(PAID_RUN), "--set", "model.profile=here", "--accept-shutdown")
        for _ in range(TIMES)
    ]
    print(f"--help {middle(help_s):.2f} s of CPU")
    print(f"run, to its first request {median(one['POST'] for one in free):.2f} s of CPU")
    print(f"paid, to its first request {median(one['GET'] for one in paid):.2f} s of CPU")
    print(f"paid, to its first chat {median(one['POST'] for one in paid):.2f} s of CPU")


if __name__ == "__main__":
    main()
