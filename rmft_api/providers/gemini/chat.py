"""Chats by generateContent, read as strictly as on the OpenAI wire."""

import codecs
from collections.abc import Mapping
from typing import Any

import msgspec

from rmft_api.core.errors import ConfigError, FaultKind, Mismatch, ProviderFault
from rmft_api.core.records import ChatRequest, ChatResponse, Choice, Usage
from rmft_api.providers import empty_replies, faults
from rmft_api.providers.completion import OddReplyError, parsed
from rmft_api.providers.empty_replies import ending_of
from rmft_api.providers.gemini.convert import of_chat
from rmft_api.providers.gemini.names import GeminiProject, connected
from rmft_api.providers.profiles import Profile
from rmft_api.providers.text_choices import chat_to_answer, text_choice
from rmft_api.providers.usage import believed, count
from rmft_api.requests.pacing import Pacer, RequestEnd

_SEEDS = 2**31
"""Seeds are signed 32-bit numbers there."""


class _Part(msgspec.Struct):
    text: str | None = None
    thought: bool = False


class _Content(msgspec.Struct):
    parts: list[_Part] | None = None


class _Candidate(msgspec.Struct, rename="camel"):
    content: _Content | None = None
    finish_reason: str | None = None
    index: int | None = None
    error: Any = None


class _WireUsage(msgspec.Struct, rename="camel"):
    prompt_token_count: Any = 0
    candidates_token_count: Any = 0
    thoughts_token_count: Any = 0
    cached_content_token_count: Any = 0


class _Feedback(msgspec.Struct, rename="camel"):
    block_reason: str | None = None


class _WireReply(msgspec.Struct, rename="camel"):
    response_id: str | None = None
    candidates: list[_Candidate] = []
    usage_metadata: _WireUsage | None = None
    prompt_feedback: _Feedback | None = None
    model_version: str | None = None
    error: Any = None


class GeminiChat:
    """A `ChatModel` by generateContent. Raises ProviderFault, classified."""

    def __init__(
        self,
        profile: Profile,
        *,
        environ: Mapping[str, str],
        pacer: Pacer | None = None,
        targets: Mapping[str, str] | None = None,
    ) -> None:
        """`targets`: the endpoints of tuned models."""
        self._profile = profile
        self._place = GeminiProject.of(profile, environ)
        self._rest = connected(profile, environ, self._place)
        self._pacer = pacer
        self._targets: Mapping[str, str] = {} if targets is None else targets

    async def reply(self, request: ChatRequest) -> ChatResponse:
        """Ask once. The reply holds exactly `request.n` choices, in order."""
        ending = RequestEnd(0)
        try:
            body = msgspec.json.encode(self._body(request))
            status, headers, raw = await self._rest.exchange(
                self._request(request),
                "POST",
                self._place.generating(self._targets.get(request.model, request.model)),
                data=body,
                headers={"Content-Type": "application/json"},
                total_s=self._profile.timeouts.chat_s,
            )
            ending = RequestEnd(status, headers)
            if status != 200:
                raise faults.refused(self._request(request), status, headers, raw)
            reply = self._read(request, headers, raw)
            ending = RequestEnd(status, headers, reply.usage)
            return reply
        except ProviderFault as fault:
            ending = ending_of(fault, ending.headers)
            raise
        finally:
            if self._pacer:
                self._pacer.ended(request, ending)

    async def reach(self) -> None:
        """Chats take the way of the tuning jobs' list; ask for its first entry."""
        request = faults.Request(
            self._profile.name,
            "list tuning jobs",
            repeatable=True,
            key_name="the Google credentials",
        )
        query = {"pageSize": "1"}
        await self._rest.send(request, "GET", f"{self._place.parent}/tuningJobs", query=query)

    async def close(self) -> None:
        """Let go of all connections."""
        await self._rest.close()

    def _body(self, request: ChatRequest) -> dict[str, Any]:
        traits, sampling = self._profile.chat, request.sampling
        if request.n > traits.n:
            raise ConfigError(f"n={request.n} choices in one request, but chat.n={traits.n} there")
        wanted: dict[str, Any] = {
            "temperature": sampling.temperature,
            "topP": sampling.top_p,
            "maxOutputTokens": sampling.max_tokens,
            **traits.extra,
        }
        if request.n > 1:
            wanted["candidateCount"] = request.n
        if traits.seed:
            wanted["seed"] = request.seed % _SEEDS
        if sampling.stop:
            wanted["stopSequences"] = sampling.stop
        return {**of_chat(request.messages), "generationConfig": wanted}

    def _read(self, request: ChatRequest, headers: Mapping[str, str], raw: bytes) -> ChatResponse:
        about = self._request(request)
        wire = self._decode(about, raw)
        usage = _usage(wire.usage_metadata)
        billed = _billed(usage)
        for error in (wire.error, *(choice.error for choice in wire.candidates)):
            if empty_replies.is_no_answer(error):
                started = bool(wire.candidates)
                raise empty_replies.failed(about, headers, error, billed=billed, started=started)
        blocked = wire.prompt_feedback and wire.prompt_feedback.block_reason
        if blocked and not wire.candidates:
            raise ProviderFault(
                f"{self._profile.name} did not answer a chat: it blocks this prompt ({blocked})",
                FaultKind.REJECTED,
                status=200,
                code="content_filter",
            )
        choices = self._in_order(request, wire, billed)
        read = tuple(self._choice(request, one, billed) for one in choices)
        return ChatResponse(
            wire.response_id or "", wire.model_version or request.model, read, usage
        )

    def _decode(self, request: faults.Request, raw: bytes) -> _WireReply:
        try:
            return _decode(raw.removeprefix(codecs.BOM_UTF8))
        except (msgspec.MsgspecError, UnicodeDecodeError) as strict:
            try:
                return msgspec.convert(parsed(raw), _WireReply)
            except OddReplyError as odd:
                raise faults.no_answer(request, str(odd), raw, mismatch=odd.mismatch) from strict
            except msgspec.ValidationError as error:
                raise faults.no_answer(request, str(error), raw) from error

    def _in_order(
        self, request: ChatRequest, wire: _WireReply, billed: empty_replies.Tokens | None
    ) -> list[_Candidate]:
        """As many as were asked for; one without a number is the first."""
        numbers = [choice.index or 0 for choice in wire.candidates]
        if len(numbers) >= request.n == 1:
            return wire.candidates[:1]
        if len(numbers) >= request.n and len({*numbers}) == len(numbers):
            return sorted(wire.candidates, key=_index)[: request.n]
        why = f"candidates numbered {numbers} came where {request.n} were asked for"
        if not numbers:
            raise faults.no_answer(self._request(request), why, billed=billed)
        why = f"{why}; set chat.n = 1 in its profile"
        mismatch = Mismatch("candidates that are not as many, or not numbered")
        raise faults.no_answer(self._request(request), why, mismatch=mismatch, billed=billed)

    def _choice(
        self, request: ChatRequest, wire: _Candidate, billed: empty_replies.Tokens | None
    ) -> Choice:
        parts = (wire.content.parts if wire.content else None) or []
        text = "".join(part.text or "" for part in parts if not part.thought)
        apart = "".join(part.text or "" for part in parts if part.thought)
        asked = self._request(request)
        return text_choice(self._profile, asked, text, apart, wire.finish_reason, billed)

    def _request(self, request: ChatRequest) -> faults.Request:
        return chat_to_answer(self._profile, request, "the Google credentials")


_decode = msgspec.json.Decoder(_WireReply).decode


def _index(candidate: _Candidate) -> int:
    return candidate.index or 0


def _usage(wire: _WireUsage | None) -> Usage | None:
    """Thoughts are billed as output; None where the counts cannot be true."""
    if wire is None:
        return None
    output = (count(wire.candidates_token_count), count(wire.thoughts_token_count or 0))
    whole = sum(output) if min(output) >= 0 else -1
    return believed(wire.prompt_token_count, whole, wire.cached_content_token_count)


def _billed(usage: Usage | None) -> empty_replies.Tokens | None:
    """What a reply that is no answer was billed for; None: not known."""
    if usage is None:
        return None
    return usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens
