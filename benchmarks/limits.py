"""A provider that lets through an eighth of what is asked for, over real HTTP.

    python benchmarks/limits.py [--seconds 30]

Forty workers ask again and again through our pacer and wire; the server counts requests in a
bucket, a window of ten seconds, or the last ten seconds, and says so in its headers. What a bucket
held at the start, or a window that had begun, is used as well: so it may be over 100 %.
"""

import argparse
import asyncio
import json
import time
from collections import deque
from collections.abc import Callable
from itertools import count
from statistics import quantiles

from aiohttp import web

from benchmarks.calls.servers import REPLY
from rmft_api.cli.errors import run_async
from rmft_api.core.errors import ProviderFault
from rmft_api.core.records import ChatRequest, Message, Sampling
from rmft_api.providers import connect, profiles
from rmft_api.requests.pacing import Pacer

PER_S = 20.0
LATENCY_S = 0.25
WORKERS = 40
BODY = json.dumps(REPLY).encode()
Told = tuple[bool, float, float]
"""Whether a request passes, what is left, and until when it is full again (s)."""


def bucket() -> Callable[[float], Told]:
    """Holds what three seconds allow, and fills steadily."""
    most, level, at = 3 * PER_S, 3 * PER_S, time.monotonic()

    def admit(now: float) -> Told:
        nonlocal level, at
        level, at = min(most, level + (now - at) * PER_S), now
        fits = level >= 1
        level -= fits
        return fits, level, (most - level) / PER_S

    return admit


def window(seconds: float = 10.0) -> Callable[[float], Told]:
    """Starts afresh every so often."""
    number, used = -1, 0

    def admit(now: float) -> Told:
        nonlocal number, used
        if int(now / seconds) != number:
            number, used = int(now / seconds), 0
        fits = used < PER_S * seconds
        used += fits
        return fits, PER_S * seconds - used, (number + 1) * seconds - now

    return admit


def sliding(seconds: float = 10.0) -> Callable[[float], Told]:
    """Counts the last so many seconds."""
    log: deque[float] = deque()

    def admit(now: float) -> Told:
        while log and log[0] <= now - seconds:
            log.popleft()
        fits = len(log) < PER_S * seconds
        if fits:
            log.append(now)
        return fits, PER_S * seconds - len(log), seconds - (now - (log[0] if log else now))

    return admit


LIMITS = {"bucket": bucket, "window of 10 s": window, "last 10 s": sliding}


class Server:
    """Answers as many chats as its limit admits."""

    def __init__(self, admit: Callable[[float], Told]) -> None:
        self._admit = admit
        self.served = self.refused = 0

    async def answer(self, _: web.Request) -> web.Response:
        """One chat."""
        fits, left, reset = self._admit(time.monotonic())
        self.served += fits
        self.refused += not fits
        headers = {
            "x-ratelimit-limit-requests": str(int(60 * PER_S)),
            "x-ratelimit-remaining-requests": str(int(left)),
            "x-ratelimit-reset-requests": f"{reset:.3f}s",
        }
        await asyncio.sleep(LATENCY_S if fits else 0)
        body = BODY if fits else b'{"error":{"message":"slow down","code":"rate_limit_exceeded"}}'
        return web.Response(body=body, status=200 if fits else 429, headers=headers)


async def asked(url: str, seconds: float) -> list[float]:
    """Waits for a turn, of forty workers that never rest, the first quarter left out."""
    profile = profiles.load("openai").at(url).model_copy(update={"api_key_env": None})
    pacer, numbers, waits = Pacer(WORKERS), count(), list[float]()
    begun = time.monotonic()

    async def work() -> None:
        while time.monotonic() < begun + seconds:
            text = (Message("user", "Which one?"),)
            request = ChatRequest(
                str(next(numbers)), "gpt-4o-mini", text, 1, 1, Sampling(max_tokens=20)
            )
            since = time.monotonic()
            await pacer(request)
            if since > begun + seconds / 4:
                waits.append(time.monotonic() - since)
            try:
                await connection.chat.reply(request)
            except ProviderFault:
                await asyncio.sleep(0.5)

    async with connect(profile, pacer=pacer) as connection:
        await asyncio.gather(*(work() for _ in range(WORKERS)))
    return waits


async def measured(name: str, seconds: float) -> str:
    """A line of the table."""
    server, app = Server(LIMITS[name]()), web.Application()
    app.router.add_post("/v1/chat/completions", server.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        begun = time.monotonic()
        waits = await asked(f"http://127.0.0.1:{port}/v1", seconds)
        took = time.monotonic() - begun
    finally:
        await runner.cleanup()
    cuts = quantiles(waits, n=100)
    share = server.served / (PER_S * took)
    refused = server.refused / (server.served + server.refused)
    return f"| {name} | {share:.1%} | {refused:.2%} | {cuts[98] / cuts[49]:.2f} |"


async def main() -> None:
    """Print a row for each kind of limit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=30.0)
    seconds = parser.parse_args().seconds
    print("| limit | of the allowed rate | 429s | p99/p50 of waits |\n|---|---|---|---|")
    for name in LIMITS:
        print(await measured(name, seconds), flush=True)


if __name__ == "__main__":
    run_async(main())
