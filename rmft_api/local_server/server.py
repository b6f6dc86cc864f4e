"""Runs the server: from the state on disk to a bound socket, until it is stopped."""

import asyncio
import contextlib
import ipaddress
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from aiohttp import web

from rmft_api.core.errors import ConfigError
from rmft_api.core.files import replace_file
from rmft_api.local_server import engines, storage
from rmft_api.local_server.app import application
from rmft_api.local_server.batch_records import BatchStore
from rmft_api.local_server.batch_routes import BatchRoutes
from rmft_api.local_server.batch_runner import BatchRunner
from rmft_api.local_server.batching import Batcher
from rmft_api.local_server.chat_routes import ChatRoutes
from rmft_api.local_server.engines import Owner
from rmft_api.local_server.file_routes import FileRoutes
from rmft_api.local_server.files import FileStore
from rmft_api.local_server.http_server import Runner
from rmft_api.local_server.job_routes import JobRoutes
from rmft_api.local_server.jobs import JobStore
from rmft_api.local_server.model_routes import ModelRoutes
from rmft_api.local_server.models import Catalogue, ModelPool
from rmft_api.local_server.supervisor import Supervisor
from rmft_api.local_server.weight_store import WeightStore

BACKLOG = 1024
DRAIN_S = 2.0
"""How long answers under way may take once the server is stopped."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to serve."""

    state: Path
    """Folder of all files, jobs and models."""
    host: str = "127.0.0.1"
    port: int = 8009
    """0 takes a free one."""
    engine_names: Sequence[str] = engines.DEFAULT
    api_key: str | None = None
    """Asked of every client when set; without one only loopback is served."""


@asynccontextmanager
async def running(settings: Settings) -> AsyncGenerator[str]:
    """A server that answers while the block lasts; yields its base_url.

    Raises ConfigError (engine, host, port), LockedError (state in use) or StorageError.
    """
    _check_host(settings)
    async with AsyncExitStack() as held:
        held.enter_context(storage.owned(settings.state))
        listening = held.enter_context(_bound(settings.host, settings.port))
        owners = engines.make_all(settings.engine_names)
        app = await held.enter_async_context(_serving(settings, owners))
        runner = Runner(app, shutdown_timeout=DRAIN_S)
        await runner.setup()
        held.push_async_callback(runner.cleanup)
        await web.SockSite(runner, listening, backlog=BACKLOG).start()
        yield _base_url(listening)


@asynccontextmanager
async def _serving(
    settings: Settings, owners: Mapping[str, Owner]
) -> AsyncGenerator[web.Application]:
    """The application with everything behind it at work."""
    files = FileStore(settings.state / "files")
    jobs = JobStore(settings.state / "jobs")
    catalogue = Catalogue(owners, jobs, int(time.time()))
    supervisor = Supervisor(jobs, catalogue, owners)
    batcher = Batcher()
    sampling = asyncio.create_task(batcher.run())
    chats = ChatRoutes(catalogue, ModelPool(owners), batcher)
    batches = BatchStore(settings.state / "batches")
    runner = BatchRunner(batches, files, chats.answer)
    supervisor.resume_all()
    runner.resume_all()
    try:
        yield application(
            chats,
            FileRoutes(files),
            BatchRoutes(files, batches, runner),
            JobRoutes(files, jobs, catalogue, supervisor, WeightStore(jobs, catalogue, owners)),
            ModelRoutes(catalogue),
            settings.api_key,
        )
    finally:
        await runner.stop()
        await supervisor.stop()
        sampling.cancel()
        await asyncio.wait([sampling])


def _check_host(settings: Settings) -> None:
    if settings.api_key is None and not _is_loopback(settings.host):
        raise ConfigError(
            f"host {settings.host!r} can be reached from outside; name a variable that holds an "
            "API key with --api-key-env, or serve on 127.0.0.1"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise ConfigError(
            f"cannot listen on {host} port {port}: {error.strerror}; choose another --port or "
            "--host (port 0 takes a free one)"
        ) from error
    return listening


def _base_url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}/v1" if ":" in host else f"http://{host}:{port}/v1"


def serve(
    settings: Settings, *, ready_file: Path | None = None, until_stdin_closes: bool = False
) -> None:
    """Serve until SIGINT or SIGTERM, or until standard input ends where that is asked for.

    Prints the base_url on standard output once it answers, and puts it into `ready_file` as
    `{"base_url": ...}`. Raises as `running` does.
    """
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(settings, ready_file, until_stdin_closes))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # Windows has none
        return None
    return uvloop.new_event_loop


async def _serve(settings: Settings, ready_file: Path | None, until_stdin_closes: bool) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    if until_stdin_closes:
        threading.Thread(target=_await_end_of_input, args=(loop, ended), daemon=True).start()
    async with running(settings) as base_url:
        print(base_url, flush=True)  # noqa: T201
        if ready_file is not None:
            content = msgspec.json.encode({"base_url": base_url})
            await asyncio.to_thread(replace_file, ready_file, content)
        await ended.wait()


def _await_end_of_input(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    with contextlib.suppress(OSError):  # it was never open
        while os.read(0, 4096):
            pass
    loop.call_soon_threadsafe(ended.set)
