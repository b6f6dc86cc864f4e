"""Answers a second of the local server with the tiny model, HTTP included, the server on one core.

    python benchmarks/local_server_speed.py [--clients 64] [--seconds 20]

Clients run on the other cores and send prompts as a bandit run does: some actions tried, one round
each. Prints answers a second by the wall and by the server's own CPU time, and tokens an answer.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

from rmft_api.config.schema import PromptConfig
from rmft_api.core import resources, seeds
from rmft_api.environments import Scenario
from rmft_api.prompts import PromptSet, load

PROMPTS = PromptConfig(set="compact", story=("buttons", "adverts", "doors"), repeat_reason=True)


def prompts(count: int) -> list[list[dict[str, str]]]:
    """Chats in the middle of a trajectory."""
    told = load(PROMPTS, [resources.prompts_dir()])
    return [_prompt(told, number) for number in range(count)]


def _prompt(told: PromptSet, number: int) -> list[dict[str, str]]:
    rng = seeds.rng(0, "speed", number)
    K = int(rng.integers(2, 7))
    table = rng.random((25, K))
    scenario = Scenario(table, table, "bandit", "pseudo")
    wording = told.wordings[number % len(told.wordings)]
    builder, names = told.prompt_builder(wording, scenario), told.names(wording, K)
    for t in range(int(rng.integers(1, 24))):
        action = int(rng.integers(K))
        reply = f"Best A, few B, hope A.\nThe best so far. <Answer>{names[action]}</Answer>"
        builder.observe(reply, action, tuple(table[t].tolist()))
    return [{"role": m.role, "content": m.content} for m in builder.messages()]


async def load_server(url: str, clients: int, seconds: float) -> tuple[int, int]:
    """Keep `clients` requests under way; answers and tokens in the time given."""
    chats = prompts(256)
    done = tokens = 0
    end = time.monotonic() + seconds

    async def client(session: aiohttp.ClientSession, number: int) -> None:
        nonlocal done, tokens
        while time.monotonic() < end:
            number += clients
            body = {
                "model": "rmft-tiny",
                "messages": chats[number % len(chats)],
                "seed": number,
                "max_tokens": 24,
            }
            async with session.post(f"{url}/chat/completions", json=body) as response:
                answer = await response.json()
            done += 1
            tokens += answer["usage"]["completion_tokens"]

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(client(session, number) for number in range(clients)))
    return done, tokens


def main() -> None:
    """Start the server on core 0, load it, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=20.0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder) / "ready.json"
        command = [sys.executable, "-m", "rmft_api", "serve", "--port", "0", "--engine", "tiny"]
        command += ["--state", f"{folder}/state", "--ready-file", str(ready)]
        cores = sorted(os.sched_getaffinity(0))
        with subprocess.Popen([*command, "--until-stdin-closes"], stdin=subprocess.PIPE) as server:
            os.sched_setaffinity(server.pid, {cores[0]})
            os.sched_setaffinity(0, set(cores[1:]) or set(cores))
            while not ready.exists():
                time.sleep(0.05)
            url = json.loads(ready.read_text())["base_url"]
            asyncio.run(load_server(url, asked.clients, 3.0))  # weights loaded, caches warm
            before = _cpu_s(server.pid)
            done, tokens = asyncio.run(load_server(url, asked.clients, asked.seconds))
            cpu = _cpu_s(server.pid) - before
            server.communicate()
    print(f"{done} answers of {tokens / done:.1f} tokens, {asked.clients} clients")
    print(f"{done / asked.seconds:.0f} answers/s by the wall, {done / cpu:.0f} by server CPU")
    print(f"{1e3 * cpu / done:.2f} ms of server CPU an answer")


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
