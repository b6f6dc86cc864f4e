"""The page of a run under way: served on loopback, brought up to date as the run proceeds.

    GET /TOKEN/                    the page, without data
    GET /TOKEN/data                the edition's story and index
    GET /TOKEN/chapter/VERSION/N   texts of some trajectories; 404 once a newer edition is out
    GET /TOKEN/events/VERSION      server-sent events: state, data (once that is old), end

Only this machine can connect, only its own names are answered to (a page of another site cannot
make its name mean this address), and only who was given the token.
"""

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from rmft_api.core.errors import ConfigError, RmftError
from rmft_api.core.names import RUN_NAME
from rmft_api.report import page
from rmft_api.report.data import RunState
from rmft_api.report.trajectory_index import packed

HOST = "127.0.0.1"
PULSE_S = 1.0
SHARE = 0.1
"""The most of one core that looking at the run may take of its time."""
HEARTBEAT_S = 15.0
HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "frame-ancestors 'none'",
}


@dataclass(frozen=True)
class PageVersion:
    """A run as it was at one look."""

    version: str
    data: str
    chapters: tuple[str, ...]


BEFORE = PageVersion("0", packed({"version": "0", "story": None}), ())
"""Until the first look has been taken."""
LOOKING = RunState("running", "the first look is being taken")


@dataclass(frozen=True)
class WatchedRun:
    """A run under way, as the server sees it."""

    look: Callable[[], PageVersion]
    """Reads all of it; takes seconds."""
    pulse: Callable[[], RunState]
    """How far it is; takes no time."""
    mark: Callable[[], object]
    """Changes when a look would find something new."""


@dataclass
class LivePage:
    """What is served, and who watches."""

    run: str
    watched: WatchedRun
    edition: PageVersion = BEFORE
    telling: RunState = LOOKING
    token: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    inner: Callable[[str], "LivePage | None"] | None = None
    """Makes the pages that an index opens, by name; None for a name that has no page."""
    endless: bool = False
    """Whether something new may always come."""
    place: str = ""
    """Of a page within an index: behind the index's own prefix."""
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def prefix(self) -> str:
        """Where everything lies."""
        return f"/{self.token}{self.place}"

    @property
    def over(self) -> bool:
        """Whether nothing new will come."""
        return self.telling.state != "running" and not self.endless

    async def follow(self) -> None:
        """Look again and again until the run has ended, and once after."""
        seen, rest_until = None, 0.0
        while True:
            mark, telling = self.watched.mark(), self.watched.pulse()
            is_over = telling.state != "running" and not self.endless
            if mark != seen and (is_over or time.monotonic() >= rest_until):
                rest_until = time.monotonic() + PULSE_S
                with contextlib.suppress(RmftError):  # of a moment: the next look may succeed
                    self.edition, cpu_s = await asyncio.to_thread(self._look)
                    seen, rest_until = mark, time.monotonic() + cpu_s / SHARE
            if seen is not None:
                self.telling = telling
            async with self.changed:
                self.changed.notify_all()
            if is_over and mark == seen:
                return
            await asyncio.sleep(PULSE_S)

    def _look(self) -> tuple[PageVersion, float]:
        """An edition, and the CPU seconds that it took this thread."""
        begun = time.thread_time()
        return self.watched.look(), time.thread_time() - begun

    async def news(self, version: str) -> AsyncIterator[tuple[str, str]]:
        """(kind, text) of what changes, for a reader who has the edition `version`."""
        state = ""
        while not self.ended.is_set():
            text = json.dumps(self.telling._asdict())
            if text != state:
                state = text
                yield "state", text
            if self.edition.version != version:
                version = self.edition.version
                yield "data", version
            if self.over:
                yield "end", ""
                return
            try:
                async with asyncio.timeout(HEARTBEAT_S), self.changed:
                    await self.changed.wait()
            except TimeoutError:
                yield "", ""

    async def end(self) -> None:
        """Let everybody go who listens."""
        self.ended.set()
        async with self.changed:
            self.changed.notify_all()


@asynccontextmanager
async def running(show: LivePage, port: int) -> AsyncGenerator[str]:
    """Serve until the block ends; the page's address. Raises ConfigError for a port in use."""
    opened = _OpenedPages(show)
    runner = web.AppRunner(_app(opened), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, HOST, port)
        try:
            await site.start()
        except OSError as error:
            raise ConfigError(
                f"cannot listen on {HOST} port {port}: {error.strerror}; choose another --port "
                "(0 takes a free one)"
            ) from error
        bound = runner.addresses[0][1]
        yield f"http://{HOST}:{bound}{show.prefix}/"
    finally:
        await opened.close()
        await runner.cleanup()


class _OpenedPages:
    """The page, and those of an index that somebody has opened; each follows its own runs."""

    def __init__(self, show: LivePage) -> None:
        self.root = show
        self._pages: dict[str, LivePage] = {"": show}
        self._following = [asyncio.create_task(show.follow())]

    def page(self, request: web.Request) -> LivePage:
        """The page that a request asks for. Raises HTTPNotFound."""
        name = request.match_info.get("name", "")
        if name not in self._pages:
            made = self.root.inner(name) if self.root.inner and RUN_NAME.match(name) else None
            if made is None:
                raise web.HTTPNotFound(text="no such page\n")
            made.token, made.place = self.root.token, f"/of/{name}"
            self._pages[name] = made
            self._following.append(asyncio.create_task(made.follow()))
        return self._pages[name]

    async def close(self) -> None:
        """End all of them."""
        for one in self._pages.values():
            await one.end()
        for task in self._following:
            task.cancel()
        await asyncio.wait(self._following)


def _app(opened: _OpenedPages) -> web.Application:
    app = web.Application(middlewares=[_only_here])
    routes = _Routes(opened)
    for prefix in (opened.root.prefix, f"{opened.root.prefix}/of/{{name}}"):
        app.router.add_get(f"{prefix}/", routes.page)
        app.router.add_get(f"{prefix}/data", routes.data)
        app.router.add_get(f"{prefix}/chapter/{{version}}/{{number}}", routes.chapter)
        app.router.add_get(f"{prefix}/events/{{version}}", routes.events)
    return app


@web.middleware
async def _only_here(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Refuse every other name of this address."""
    name = request.host.rsplit(":", 1)[0]
    if name not in (HOST, "localhost"):
        return web.Response(status=403, text=f"this server answers to {HOST} alone\n")
    return await handler(request)


class _Routes:
    """Answers from the newest edition."""

    def __init__(self, opened: _OpenedPages) -> None:
        self._show = opened.page

    async def page(self, request: web.Request) -> web.Response:
        show = self._show(request)
        text = page.document(show.run, "a run under way", "", show.prefix)
        return web.Response(text=text, content_type="text/html", headers=HEADERS)

    async def data(self, request: web.Request) -> web.Response:
        return web.Response(text=self._show(request).edition.data, headers=HEADERS)

    async def chapter(self, request: web.Request) -> web.Response:
        edition, number = self._show(request).edition, request.match_info["number"]
        known = number.isdecimal() and int(number) < len(edition.chapters)
        if request.match_info["version"] != edition.version or not known:
            raise web.HTTPNotFound(text="a newer edition is out\n")
        return web.Response(text=edition.chapters[int(number)], headers=HEADERS)

    async def events(self, request: web.Request) -> web.StreamResponse:
        show = self._show(request)
        response = web.StreamResponse(headers={**HEADERS, "Content-Type": "text/event-stream"})
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            async for kind, text in show.news(request.match_info["version"]):
                message = f"event: {kind}\ndata: {text}\n\n" if kind else ": still there\n\n"
                await response.write(message.encode())
        return response
