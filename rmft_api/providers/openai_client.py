"""The openai package's client, fully configured; requests, their replies' bytes, and lists.

Only here is the package imported. It never retries: `retries.py` does.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping
from typing import Any, Protocol

import httpx2
import openai

from rmft_api.providers import faults
from rmft_api.providers.network import Network, Route, watched
from rmft_api.providers.profiles import Profile
from rmft_api.providers.validation import Entry, WirePage, decoded

PAGE = 100
"""Entries asked for at once."""
MOST_PAGES = 50
"""A list is read no further: 5,000 jobs or files."""
OMIT = openai.omit
"""What an argument is that is not sent."""
Cursor = str | openai.Omit


class RawReply(Protocol):
    """What the package's raw responses have."""

    @property
    def http_response(self) -> httpx2.Response:
        """As it came in."""
        ...


class PageFetcher(Protocol):
    """Asks for the page after an entry."""

    def __call__(self, after: Cursor, /) -> Awaitable[RawReply]:
        """The page's reply."""
        ...


class OpenAIExchange:
    """One endpoint's files, jobs and models, by requests of the package. Raises ProviderFault."""

    def __init__(self, profile: Profile, environ: Mapping[str, str]) -> None:
        self._waits = profile.timeouts
        self._route = Network(environ).route(profile.base_url)
        self.openai = _client(profile, environ, self._route)

    async def close(self) -> None:
        """Let go of all connections."""
        await self.openai.close()

    async def entries(
        self, request: faults.Request, page: PageFetcher, pages: int = MOST_PAGES
    ) -> AsyncIterator[Entry]:
        """Every entry of a list, newest first, page by page."""
        after: Cursor = OMIT
        for _ in range(pages):
            raw = await self.send(request, page(after))
            wire = decoded(request, raw, WirePage)
            for entry in wire.data:
                yield entry
            last = str(wire.data[-1].get("id", "")) if wire.data else ""
            if not wire.has_more or not last or last == after:
                return
            after = last

    async def send(
        self, request: faults.Request, sent: Awaitable[RawReply], limit_s: float | None = None
    ) -> bytes:
        """The reply's bytes. The whole exchange must end in time, however slowly it drips."""
        with watched() as passage:
            try:
                async with asyncio.timeout(limit_s or self._waits.list_s):
                    return (await sent).http_response.content
            except openai.APIStatusError as error:
                headers = {name.lower(): value for name, value in error.response.headers.items()}
                raise faults.refused(
                    request, error.status_code, headers, error.response.content
                ) from error
            except (openai.OpenAIError, httpx2.HTTPError, TimeoutError) as error:
                raise faults.unanswered(request, error, passage, self._route.proxy) from error


def _client(profile: Profile, environ: Mapping[str, str], route: Route) -> openai.AsyncOpenAI:
    """The package's client, fully configured, so that it takes nothing from the environment."""
    key = profile.key(environ)
    by_bearer = key is not None and profile.key_header == "Authorization"
    all_headers = profile.headers(environ) | ({} if by_bearer else profile.authorization(key))
    own = ("OpenAI-Organization", "OpenAI-Project")
    headers: dict[str, Any] = {
        name: all_headers.get(name, openai.omit) for name in own
    } | all_headers
    waits = profile.timeouts
    return openai.AsyncOpenAI(
        api_key=key.reveal() if key and by_bearer else "none",  # the package insists on one
        base_url=profile.base_url,
        max_retries=0,
        default_headers=headers,
        http_client=route.client(event_hooks={} if by_bearer else {"request": [_without_bearer]}),
        timeout=httpx2.Timeout(waits.upload_s, connect=waits.connect_s, pool=None),
    )


async def _without_bearer(request: httpx2.Request) -> None:
    """The package always sends a bearer; an endpoint that takes none gets none."""
    request.headers.pop("authorization", None)
