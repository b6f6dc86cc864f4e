"""Chats on the OpenAI wire, close to the socket: this is the hot path of every rollout.

Our own few lines of HTTP (`posts.py`) and msgspec, because the openai package's `create()` costs
milliseconds of CPU a call and grows with the history; docs/performance.md has the figures. Nothing
retries or follows a redirect: what was sent is what the caller knows of.
"""

import json
import os
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from rmft_api.errors import ProviderFault
from rmft_api.pacing import Ending, Pacer
from rmft_api.providers import faults, refusals
from rmft_api.providers.bodies import Bodies
from rmft_api.providers.network import Network, Passage
from rmft_api.providers.posts import LostError, NotConnectedError, Posts
from rmft_api.providers.profiles import Profile
from rmft_api.providers.tunnel import ProxyRefusedError
from rmft_api.records import Ask, Choice, Reply, Usage

_HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": "rmft-api",
}
_MOST_TOKENS = 100_000_000
"""A usage beyond this is not a count of one request's tokens."""


class _WireMessage(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None


class _WireChoice(msgspec.Struct):
    message: _WireMessage
    index: int = 0
    finish_reason: str | None = None


class _WireReply(msgspec.Struct):
    id: str
    model: str
    choices: list[_WireChoice]
    usage: Any = None


class _WireDetails(msgspec.Struct):
    cached_tokens: int | None = None


class _WireUsage(msgspec.Struct):
    prompt_tokens: int
    completion_tokens: int
    prompt_tokens_details: _WireDetails | None = None


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
        self._posts = Posts(
            self._route,
            {**_HEADERS, **profile.headers(environ), **authorization},
            connect_s=waits.connect_s,
            reply_s=waits.chat_s,
        )
        self._targets: Mapping[str, str] = {} if targets is None else targets
        self._pacer = pacer
        self._bodies = Bodies(profile.chat)
        self._decoder = msgspec.json.Decoder(_WireReply)

    async def reply(self, ask: Ask) -> Reply:
        """Ask once. The reply holds exactly `ask.n` choices, in order."""
        ending = Ending(0)
        try:
            body = self._bodies.encode(ask, self._targets.get(ask.model))
            status, headers, raw = await self._posts.post(body)
            ending = Ending(status, headers)
            if status != 200:
                fault = faults.refused(self._request(ask), status, headers, raw)
                ending = Ending(status, headers, retry_after_s=fault.retry_after_s)
                raise fault
            reply = self._read(ask, raw)
            ending = Ending(status, headers, reply.usage)
            return reply
        except (NotConnectedError, LostError) as error:
            raise self._unanswered(self._request(ask), error) from error
        finally:
            if self._pacer:
                self._pacer.ended(ask, ending)

    async def reach(self) -> None:
        """Open a connection as a chat does, and ask nothing. Raises ProviderFault."""
        try:
            await self._posts.reach()
        except NotConnectedError as error:
            request = faults.Request(self._profile.name, "take a connection for chats")
            raise self._unanswered(request, error) from error

    def body(self, ask: Ask) -> bytes:
        """The request of an ask, as it is sent."""
        return self._bodies.encode(ask)

    def read(self, ask: Ask, status: int, raw: bytes) -> Reply:
        """The reply that came some other way. Raises ProviderFault, classified."""
        if status != 200:
            raise faults.refused(self._request(ask), status, {}, raw)
        return self._read(ask, raw)

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

    def _read(self, ask: Ask, raw: bytes) -> Reply:
        wire = self._decode(ask, raw)
        choices = sorted(wire.choices, key=_index) if ask.n > 1 else wire.choices
        why = self._mistrust(ask, wire, choices)
        if why:
            raise faults.malformed(self._request(ask), why)
        return Reply(
            wire.id, wire.model, tuple([_choice(choice) for choice in choices]), _usage(wire.usage)
        )

    def _decode(self, ask: Ask, raw: bytes) -> _WireReply:
        try:
            return self._decoder.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            try:
                return _mended(raw)
            except (msgspec.ValidationError, ValueError, RecursionError) as error:
                raise self._not_a_reply(ask, raw, error) from error

    def _not_a_reply(self, ask: Ask, raw: bytes, error: Exception) -> ProviderFault:
        if refusals.is_error(raw):
            return faults.refused(self._request(ask), 200, {}, raw)
        return faults.malformed(self._request(ask), str(error), raw)

    def _mistrust(self, ask: Ask, wire: _WireReply, choices: list[_WireChoice]) -> str:
        """What is wrong with a reply of the right shape; empty when nothing is."""
        if not wire.id:
            return "its id is empty"
        if len(choices) != ask.n:
            more = ""
            if len(choices) == 1:
                more = "; the endpoint ignores n: set chat.n = 1 in its profile"
            return f"{len(choices)} choices came where n={ask.n} were asked for{more}"
        numbers = [choice.index for choice in choices]
        if numbers != list(range(ask.n)):
            return f"its choices are numbered {numbers}"
        if self._profile.chat.check_model and not _is_model(ask.model, wire.model):
            return (
                f"{wire.model!r} answered where {ask.model!r} was asked; name that model, "
                "or set chat.check_model = false in the profile"
            )
        return ""

    def _request(self, ask: Ask) -> faults.Request:
        return faults.Request(
            self._profile.name,
            "answer a chat",
            model=ask.model,
            tuned=self._profile.is_tuned(ask.model),
            free=not self._profile.paid,
            key_name=self._profile.api_key_env or "the key",
        )


def _index(choice: _WireChoice) -> int:
    return choice.index


def _choice(wire: _WireChoice) -> Choice:
    message = wire.message
    return Choice(message.content, wire.finish_reason or "unknown", message.refusal)


def _usage(told: Any) -> Usage | None:
    """The tokens as billed; None where they are missing or cannot be true."""
    try:
        wire = msgspec.convert(told, _WireUsage)
    except msgspec.ValidationError:
        return None
    details = wire.prompt_tokens_details
    cached = (details.cached_tokens if details else None) or 0
    usage = Usage(wire.prompt_tokens, wire.completion_tokens, cached)
    return usage if _is_possible(usage) else None


def _is_possible(usage: Usage) -> bool:
    most = max(usage.prompt_tokens, usage.completion_tokens)
    least = min(usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens)
    return least >= 0 and most <= _MOST_TOKENS and usage.cached_tokens <= usage.prompt_tokens


def _mended(raw: bytes) -> _WireReply:
    """Decode what msgspec refuses and servers send: half surrogate pairs, bad UTF-8, NaN."""
    wire = msgspec.convert(json.loads(raw.decode("utf-8", "replace")), _WireReply)
    for choice in wire.choices:
        message = choice.message
        message.content = message.content and _SURROGATES.sub("\ufffd", message.content)
        message.refusal = message.refusal and _SURROGATES.sub("\ufffd", message.refusal)
    wire.id = _SURROGATES.sub("\ufffd", wire.id)
    return wire


_SURROGATES = re.compile("[\ud800-\udfff]")
_DATED = re.compile(r"-[0-9]{4}-?[0-9]{2}-?[0-9]{2}")


def _is_model(asked: str, told: str) -> bool:
    """The same model, or the dated snapshot that its name stands for."""
    if told == asked:
        return True
    return told.startswith(asked) and _DATED.fullmatch(told[len(asked) :]) is not None
