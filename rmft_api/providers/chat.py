"""Chats on the OpenAI wire, close to the socket: this is the hot path of every rollout.

Our own few lines of HTTP (`http_client.py`) and msgspec, because the openai package's `create()`
costs milliseconds of CPU a call and grows with the history; docs/performance.md has the figures.
Nothing retries or follows a redirect: what was sent is what the caller knows of.
"""

import os
from collections.abc import Mapping

from rmft_api.core.errors import ProviderFault
from rmft_api.core.records import ChatRequest, ChatResponse
from rmft_api.providers import faults
from rmft_api.providers.empty_replies import ending_of
from rmft_api.providers.encoding import RequestEncoder
from rmft_api.providers.http_client import HttpClient, LostError, NotConnectedError
from rmft_api.providers.network import Network, Passage
from rmft_api.providers.profiles import Profile
from rmft_api.providers.replies import Replies
from rmft_api.providers.tunnel import ProxyRefusedError
from rmft_api.requests.pacing import Pacer, RequestEnd

_HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": "rmft-api",
}


class WireChat:
    """A `ChatModel` behind an endpoint of the OpenAI wire. Raises ProviderFault, classified."""

    def __init__(
        self,
        profile: Profile,
        *,
        environ: Mapping[str, str] = os.environ,
        pacer: Pacer | None = None,
        targets: Mapping[str, str] | None = None,
    ) -> None:
        """`targets`: what a request names where that is not the model, e.g. its deployment."""
        self._profile = profile
        waits, authorization = profile.timeouts, profile.authorization(profile.key(environ))
        self._route = Network(environ).route(profile.base_url.rstrip("/") + "/chat/completions")
        self._posts = HttpClient(
            self._route,
            {**_HEADERS, **profile.headers(environ), **authorization},
            connect_s=waits.connect_s,
            reply_s=waits.chat_s,
        )
        self._targets: Mapping[str, str] = {} if targets is None else targets
        self._pacer = pacer
        self._bodies = RequestEncoder(profile.chat)
        self._replies = Replies(profile)

    async def reply(self, request: ChatRequest) -> ChatResponse:
        """Ask once. The reply holds exactly `request.n` choices, in order."""
        ending = RequestEnd(0)
        try:
            body = self._bodies.encode(request, self._targets.get(request.model))
            status, headers, raw = await self._posts.post(body)
            ending = RequestEnd(status, headers)
            reply = self._replies.read(request, status, headers, raw)
            ending = RequestEnd(status, headers, reply.usage)
            return reply
        except ProviderFault as fault:
            ending = ending_of(fault, ending.headers)
            raise
        except (NotConnectedError, LostError) as error:
            raise self._unanswered(self._replies.request(request), error) from error
        finally:
            if self._pacer:
                self._pacer.ended(request, ending)

    async def reach(self) -> None:
        """Open a connection as a chat does, and ask nothing. Raises ProviderFault."""
        try:
            await self._posts.reach()
        except NotConnectedError as error:
            request = faults.Request(self._profile.name, "take a connection for chats")
            raise self._unanswered(request, error) from error

    def body(self, request: ChatRequest) -> bytes:
        """The request of an ask, as it is sent."""
        return self._bodies.encode(request)

    def read(self, request: ChatRequest, status: int, raw: bytes) -> ChatResponse:
        """The reply that came some other way. Raises ProviderFault, classified."""
        return self._replies.read(request, status, {}, raw)

    async def close(self) -> None:
        """Let go of all connections."""
        await self._posts.close()

    def _unanswered(
        self, request: faults.Request, error: NotConnectedError | LostError
    ) -> ProviderFault:
        cause = error if isinstance(error, LostError) else error.__cause__ or error
        refused = cause.status if isinstance(cause, ProxyRefusedError) else 0
        passage = Passage(sent=isinstance(error, LostError), refused=refused)
        return faults.unanswered(request, cause, passage, self._route.proxy)
