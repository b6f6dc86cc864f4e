"""Chats by generateContent, read as strictly as on the OpenAI wire."""

from collections.abc import Mapping
from typing import Any

import msgspec

from rmft_api.errors import ConfigError, FaultKind, ProviderFault
from rmft_api.pacing import Ending, Pacer
from rmft_api.providers import faults
from rmft_api.providers.gemini.convert import of_chat
from rmft_api.providers.gemini.names import Place, connected
from rmft_api.providers.profiles import Profile
from rmft_api.providers.rest import read
from rmft_api.records import Ask, Choice, Reply, Usage

_ENDINGS = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    **dict.fromkeys(
        ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR"),
        "content_filter",
    ),
}
_SEEDS = 2**31
"""Seeds are signed 32-bit numbers there."""


class _Part(msgspec.Struct):
    text: str | None = None
    thought: bool = False


class _Content(msgspec.Struct):
    parts: list[_Part] = []


class _Candidate(msgspec.Struct, rename="camel"):
    content: _Content | None = None
    finish_reason: str | None = None
    index: int = 0


class _WireUsage(msgspec.Struct, rename="camel"):
    prompt_token_count: int = 0
    candidates_token_count: int = 0
    thoughts_token_count: int = 0
    cached_content_token_count: int = 0


class _Feedback(msgspec.Struct, rename="camel"):
    block_reason: str | None = None


class _WireReply(msgspec.Struct, rename="camel"):
    response_id: str
    candidates: list[_Candidate] = []
    usage_metadata: _WireUsage | None = None
    prompt_feedback: _Feedback | None = None
    model_version: str = ""


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
        self._place = Place.of(profile, environ)
        self._rest = connected(profile, environ, self._place)
        self._pacer = pacer
        self._targets: Mapping[str, str] = {} if targets is None else targets

    async def reply(self, ask: Ask) -> Reply:
        """Ask once. The reply holds exactly `ask.n` choices, in order."""
        ending = Ending(0)
        try:
            body = msgspec.json.encode(self._body(ask))
            status, headers, raw = await self._rest.exchange(
                self._request(ask),
                "POST",
                self._place.generating(self._targets.get(ask.model, ask.model)),
                data=body,
                headers={"Content-Type": "application/json"},
                total_s=self._profile.timeouts.chat_s,
            )
            ending = Ending(status, headers)
            if status != 200:
                fault = faults.refused(self._request(ask), status, headers, raw)
                ending = Ending(status, headers, retry_after_s=fault.retry_after_s)
                raise fault
            reply = self._read(ask, raw)
            ending = Ending(status, headers, reply.usage)
            return reply
        finally:
            if self._pacer:
                self._pacer.ended(ask, ending)

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

    def _body(self, ask: Ask) -> dict[str, Any]:
        traits, sampling = self._profile.chat, ask.sampling
        if ask.n > traits.n:
            raise ConfigError(f"n={ask.n} choices in one request, but chat.n={traits.n} there")
        wanted: dict[str, Any] = {
            "temperature": sampling.temperature,
            "topP": sampling.top_p,
            "maxOutputTokens": sampling.max_tokens,
            **traits.extra,
        }
        if ask.n > 1:
            wanted["candidateCount"] = ask.n
        if traits.seed:
            wanted["seed"] = ask.seed % _SEEDS
        if sampling.stop:
            wanted["stopSequences"] = sampling.stop
        return {**of_chat(ask.messages), "generationConfig": wanted}

    def _read(self, ask: Ask, raw: bytes) -> Reply:
        request = self._request(ask)
        wire = read(request, raw, _WireReply)
        blocked = wire.prompt_feedback and wire.prompt_feedback.block_reason
        if blocked and not wire.candidates:
            raise ProviderFault(
                f"{self._profile.name} did not answer a chat: it blocks this prompt ({blocked})",
                FaultKind.REJECTED,
                status=200,
                code="content_filter",
            )
        choices = sorted(wire.candidates, key=_index)
        if len(choices) != ask.n:
            why = f"{len(choices)} candidates came where {ask.n} were asked for"
            raise faults.malformed(request, why, raw)
        if any(choice.index != place for place, choice in enumerate(choices)):
            told = [choice.index for choice in choices]
            raise faults.malformed(request, f"its candidates are numbered {told}", raw)
        return Reply(
            wire.response_id,
            wire.model_version or ask.model,
            tuple(_choice(one) for one in choices),
            _usage(wire.usage_metadata),
        )

    def _request(self, ask: Ask) -> faults.Request:
        return faults.Request(
            self._profile.name,
            "answer a chat",
            model=ask.model,
            tuned=self._profile.is_tuned(ask.model),
            free=not self._profile.paid,
            key_name="the Google credentials",
        )


def _index(candidate: _Candidate) -> int:
    return candidate.index


def _choice(wire: _Candidate) -> Choice:
    parts = wire.content.parts if wire.content else []
    text = "".join(part.text or "" for part in parts if not part.thought)
    reason = wire.finish_reason or "unknown"
    return Choice(text or None, _ENDINGS.get(reason, reason.lower()))


def _usage(wire: _WireUsage | None) -> Usage | None:
    """Thoughts are billed as output; None where the counts cannot be true."""
    if wire is None:
        return None
    usage = Usage(
        wire.prompt_token_count,
        wire.candidates_token_count + wire.thoughts_token_count,
        wire.cached_content_token_count,
    )
    least = min(usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens)
    return usage if least >= 0 and usage.cached_tokens <= usage.prompt_tokens else None
