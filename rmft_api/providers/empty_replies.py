"""Replies of status 200 that are no answers: one rule for the OpenAI wire, batches and Gemini.

An answer is a choice that ended as `finish_reasons.py` lists, in a reply that reports no error
beside it. Whatever else comes is the provider's fault, never the model's play.
"""

import json
from collections.abc import Mapping
from typing import Any, cast

from rmft_api.core.errors import FaultKind, Mismatch, ProviderFault
from rmft_api.providers import decompression, faults
from rmft_api.providers.finish_reasons import Broken
from rmft_api.requests.pacing import RequestEnd

Tokens = tuple[int, int, int]


def is_no_answer(error: Any) -> bool:
    """Whether an `error` says anything; some gateways send an empty one with every answer."""
    if isinstance(error, dict):
        return any(is_no_answer(value) for value in cast("dict[str, Any]", error).values())
    if isinstance(error, list):
        return any(is_no_answer(value) for value in cast("list[Any]", error))
    return bool(error)


def failed(
    request: faults.Request,
    headers: Mapping[str, str],
    error: Any,
    *,
    billed: Tokens | None = None,
    started: bool = False,
) -> ProviderFault:
    """The fault of an error in a reply; `started`: words of an answer came with it."""
    body = json.dumps({"error": error}).encode()  # half surrogate pairs and all
    doubtful = started and billed is None
    return faults.error_in_reply(request, headers, body, billed=billed, started=doubtful)


def broken(request: faults.Request, choice: Broken, billed: Tokens | None) -> ProviderFault:
    """The fault of a choice that did not end as an answer does."""
    if not choice.word:
        return faults.no_answer(request, choice.why, billed=billed)
    quoted = json.dumps(choice.word)
    why = (
        f"{choice.why}, an unknown finish reason; if it ends an answer there, set "
        f'chat.finish_reasons = {{ {quoted} = "stop" }} in its profile'
    )
    mismatch = Mismatch(f"finish_reason {choice.word}")
    return faults.no_answer(request, why, mismatch=mismatch, billed=billed)


def undone(request: faults.Request, headers: Mapping[str, str], body: bytes) -> bytes:
    """A body without the compression that was not asked for. Raises ProviderFault."""
    try:
        return decompression.plain(headers, body)
    except decompression.EncodedError as error:
        mismatch = Mismatch(f"encoded as {headers.get('content-encoding', 'zstd')}")
        raise faults.no_answer(request, str(error), mismatch=mismatch) from error


def ending_of(fault: ProviderFault, headers: Mapping[str, str]) -> RequestEnd:
    """For the pace: what is no answer is no success, whatever status it came with."""
    no_success = fault.status is None or fault.kind is FaultKind.NO_ANSWER
    status = 0 if no_success else fault.status or 0
    return RequestEnd(status, headers, retry_after_s=fault.retry_after_s)


def legible(headers: Mapping[str, str], body: bytes) -> bytes:
    """As `undone`, of a refusal: its status says enough where its body cannot be read."""
    try:
        return decompression.plain(headers, body)
    except decompression.EncodedError:
        return body
