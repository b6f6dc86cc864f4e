"""Chats by Converse, read as strictly as on the OpenAI wire."""

from collections.abc import Mapping
from typing import Any

import msgspec

from rmft_api.core.errors import ConfigError, FaultKind, ProviderFault
from rmft_api.core.records import ChatRequest, ChatResponse, Choice, Usage
from rmft_api.providers import empty_replies, faults
from rmft_api.providers.bedrock import access
from rmft_api.providers.bedrock.aws_rest import AwsRest, segment
from rmft_api.providers.bedrock.convert import of_chat
from rmft_api.providers.completion import OddReplyError, parsed
from rmft_api.providers.empty_replies import ending_of
from rmft_api.providers.profiles import Profile
from rmft_api.providers.text_choices import chat_to_answer, text_choice
from rmft_api.providers.usage import believed, count
from rmft_api.requests.pacing import Pacer, RequestEnd

_PROBE = "amazon.nova-micro-v1:0"
"""A chat without messages is refused before it costs anything: so the way is tried."""
_HOTTEST = 1.0


class _Text(msgspec.Struct):
    text: str | None = None


class _Reasoning(msgspec.Struct, rename="camel"):
    reasoning_text: _Text | None = None


class _Block(msgspec.Struct, rename="camel"):
    text: str | None = None
    reasoning_content: _Reasoning | None = None


class _Message(msgspec.Struct):
    content: list[_Block] = []


class _Output(msgspec.Struct):
    message: _Message | None = None


class _WireUsage(msgspec.Struct, rename="camel"):
    input_tokens: Any = None
    output_tokens: Any = None
    cache_read_input_tokens: Any = 0
    cache_write_input_tokens: Any = 0


class _WireReply(msgspec.Struct, rename="camel"):
    output: _Output | None = None
    stop_reason: str | None = None
    usage: _WireUsage | None = None


class BedrockChat:
    """A `ChatModel` by Converse. Raises ProviderFault, classified."""

    def __init__(
        self,
        profile: Profile,
        *,
        environ: Mapping[str, str],
        pacer: Pacer | None = None,
        targets: Mapping[str, str] | None = None,
    ) -> None:
        """`targets`: the deployments of custom models."""
        self._profile = profile
        self._rest = AwsRest(profile, environ, "bedrock", profile.base_url)
        self._pacer = pacer
        self._targets: Mapping[str, str] = {} if targets is None else targets
        self._key_name = access.KEY_NAME

    async def reply(self, request: ChatRequest) -> ChatResponse:
        """Ask once: Converse gives one choice."""
        ending = RequestEnd(0)
        try:
            body = msgspec.json.encode(self._body(request))
            about = self._request(request)
            status, headers, raw = await self._rest.exchange(
                about,
                "POST",
                f"model/{segment(self._target(request))}/converse",
                data=body,
                headers={"Content-Type": "application/json"},
                total_s=self._profile.timeouts.chat_s,
            )
            ending = RequestEnd(status, headers)
            if status != 200:
                raise faults.refused(about, status, headers, raw)
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
        """Ask for a chat without messages, which is refused and costs nothing."""
        request = faults.Request(
            self._profile.name, "answer a chat", repeatable=True, key_name=self._key_name
        )
        status, headers, raw = await self._rest.exchange(
            request,
            "POST",
            f"model/{segment(_PROBE)}/converse",
            data=b'{"messages":[]}',
            headers={"Content-Type": "application/json"},
        )
        if status not in (200, 400):
            raise faults.refused(request, status, headers, raw)

    async def close(self) -> None:
        """Let go of all connections."""
        await self._rest.close()

    def _body(self, request: ChatRequest) -> dict[str, Any]:
        traits, sampling = self._profile.chat, request.sampling
        if request.n > 1:
            raise ConfigError(f"n={request.n} choices in one request, but Converse gives one")
        if sampling.temperature > _HOTTEST:
            raise ConfigError(
                f"sampling.temperature = {sampling.temperature}, but Bedrock takes 1 at most"
            )
        wanted: dict[str, Any] = {
            "temperature": sampling.temperature,
            "topP": sampling.top_p,
            "maxTokens": sampling.max_tokens,
        }
        if sampling.stop:
            wanted["stopSequences"] = sampling.stop
        return {**of_chat(request.messages), "inferenceConfig": wanted, **traits.extra}

    def _target(self, request: ChatRequest) -> str:
        """Whom a request names. Raises ProviderFault for a custom model that is not deployed."""
        target = self._targets.get(request.model, request.model)
        if target == request.model and self._profile.is_tuned(target):
            raise ProviderFault(
                f"{self._profile.name} did not answer a chat with {target!r}: a custom model "
                "answers only where it is deployed; name its deployment",
                FaultKind.STOP,
                code="deployment_not_found",
                never_sent=True,
            )
        return target

    def _read(self, request: ChatRequest, headers: Mapping[str, str], raw: bytes) -> ChatResponse:
        wire = self._decode(self._request(request), raw)
        usage = _usage(wire.usage)
        billed = _billed(usage)
        if wire.output is None or wire.output.message is None:
            raise faults.no_answer(
                self._request(request), "it holds no message", raw, billed=billed
            )
        choice = self._choice(request, wire.output.message, wire.stop_reason, billed)
        reply_id = headers.get("x-amzn-requestid", "")
        return ChatResponse(reply_id, request.model, (choice,), usage)

    def _decode(self, request: faults.Request, raw: bytes) -> _WireReply:
        try:
            return _decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError) as strict:
            try:
                return msgspec.convert(parsed(raw), _WireReply)
            except OddReplyError as odd:
                raise faults.no_answer(request, str(odd), raw, mismatch=odd.mismatch) from strict
            except msgspec.ValidationError as error:
                raise faults.no_answer(request, str(error), raw) from error

    def _choice(
        self,
        request: ChatRequest,
        message: _Message,
        stated: str | None,
        billed: empty_replies.Tokens | None,
    ) -> Choice:
        text = "".join(block.text or "" for block in message.content)
        apart = "".join(_thought(block) for block in message.content)
        return text_choice(self._profile, self._request(request), text, apart, stated, billed)

    def _request(self, request: ChatRequest) -> faults.Request:
        return chat_to_answer(self._profile, request, self._key_name)


_decode = msgspec.json.Decoder(_WireReply).decode


def _thought(block: _Block) -> str:
    inner = block.reasoning_content.reasoning_text if block.reasoning_content else None
    return (inner.text if inner else None) or ""


def _usage(wire: _WireUsage | None) -> Usage | None:
    """Input comes without what a cache read or wrote; None where the counts cannot be true."""
    if wire is None:
        return None
    parts = (
        count(wire.input_tokens),
        count(wire.cache_read_input_tokens or 0),
        count(wire.cache_write_input_tokens or 0),
    )
    whole = sum(parts) if min(parts) >= 0 else -1
    return believed(whole, wire.output_tokens, parts[1])


def _billed(usage: Usage | None) -> empty_replies.Tokens | None:
    """What a reply that is no answer was billed for; None: not known."""
    if usage is None:
        return None
    return usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens
