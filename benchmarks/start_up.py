"""CPU time of `rmft-api --help`, and of `rmft-api run` until its first request leaves.

python benchmarks/start_up.py
"""

import os
import resource
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

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
PROFILE = """
[here]
like = "openai-compatible"
base_url = "http://127.0.0.1:{port}/v1"
paid = false
training = {{}}
"""
COMMAND = (sys.executable, "-m", "rmft_api")
TIMES = 5


def help_s() -> float:
    """CPU seconds of `--help`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*COMMAND, "--help"], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def run_s(folder: Path) -> float:
    """CPU seconds of `run` when its first connection comes in."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(60)
        (folder / "run.toml").write_text(RUN)
        (folder / "profiles.toml").write_text(PROFILE.format(port=listening.getsockname()[1]))
        environ = {**os.environ, "RMFT_PROFILES": str(folder / "profiles.toml")}
        with subprocess.Popen(
            [*COMMAND, "run", "run.toml"], cwd=folder, env=environ, stderr=subprocess.PIPE
        ) as child:
            try:
                listening.accept()[0].close()
            except TimeoutError:
                child.kill()
                raise RuntimeError((child.stderr or sys.stdin).read()) from None
            fields = Path(f"/proc/{child.pid}/stat").read_text().rsplit(")", 1)[1].split()
            child.kill()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Print medians."""
    asked = []
    for _ in range(TIMES):
        with tempfile.TemporaryDirectory() as folder:
            asked.append(run_s(Path(folder)))
    print(f"--help {median(help_s() for _ in range(TIMES)):.2f} s of CPU")
    print(f"run, to its first request {median(asked):.2f} s of CPU")


if __name__ == "__main__":
    main()
