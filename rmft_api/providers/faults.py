"""Failed requests as faults: what became of each, what that allows, and one line to say so.

A reply that did arrive whole and still cannot be trusted (`malformed`) counts as perhaps billed.
"""

import os
import re
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from rmft_api.core import durations
from rmft_api.core.errors import FaultKind, Mismatch, ProviderFault
from rmft_api.providers import refusals
from rmft_api.providers.error_rules import RULES
from rmft_api.providers.network import Passage, Proxy, causes

_PROXY_WANTS_A_USER = 407
_PROXY_IS_BUSY = (408, 429)
_BROKEN_OFF = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
"""A handshake that was cut off says nothing about certificates."""


@dataclass(frozen=True)
class Request:
    """What was asked of whom, as far as a fault must know it."""

    provider: str
    action: str
    """E.g. `answer a chat`; ends the sentence "openai did not ..."."""
    model: str = ""
    tuned: bool = False
    """What is asked about is of our own making: it may take minutes to appear everywhere."""
    repeatable: bool = False
    """Asking again changes nothing (GET): no doubt is worth keeping."""
    free: bool = False
    """It is not billed: a lost reply is requested again, as often as one that was never sent.
    A reply that came and makes no sense is not: the next one is likely to be the same."""
    key_name: str = "the key"


def refused(
    request: Request,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: float | None = None,
) -> ProviderFault:
    """The fault of an error reply. `headers` have lower-case names."""
    if status == _PROXY_WANTS_A_USER:
        return proxy_refused(request, status)
    at = time.time() if now is None else now
    refusal = refusals.read(status, body, headers, tuned=request.tuned, now=at)
    rule = next((rule for rule in RULES if rule.holds(refusal)), None)
    kind = rule.kind if rule else FaultKind.AMBIGUOUS
    requests = ", and asks to wait {wait}" if refusal.wait_s else ""
    advice = rule.advice if rule else f"the provider failed{requests}"
    stated = refusal.status if refusal.status == status else f"{status} with error {refusal.status}"
    names = [name for name in (refusal.code, refusal.kind) if name != str(refusal.status)]
    said = f": {refusal.message}" if refusal.message else ""
    where = " ".join(filter(None, (f"HTTP {stated}", "/".join(filter(None, names)))))
    return ProviderFault(
        _line(f"{_subject(request)}: {where}{said}; {_fill(advice, request, refusal)}"),
        _once_more(kind, request),
        status=refusal.status,
        code=(rule.code if rule else "") or next(filter(None, names), None),
        retry_after_s=refusal.wait_s,
    )


def unanswered(
    request: Request, error: BaseException, passage: Passage, proxy: Proxy | None = None
) -> ProviderFault:
    """The fault of a request without a whole reply, by how far it got and through which proxy."""
    if passage.refused:
        return proxy_refused(request, passage.refused, proxy)
    if passage.sent:
        return lost(request, error)
    tls = next((one for one in causes(error) if isinstance(one, ssl.SSLError)), None)
    if tls is not None and not isinstance(tls, _BROKEN_OFF):
        return untrusted(request, tls, proxy)
    return not_sent(request, error, proxy)


def not_sent(request: Request, error: BaseException, proxy: Proxy | None = None) -> ProviderFault:
    """The fault of a request that never left this machine, or never passed the proxy."""
    way = f"no connection through proxy {proxy}" if proxy else "no connection"
    check = "that proxy, network" if proxy else "network"
    unknown = proxy is None and any(isinstance(one, socket.gaierror) for one in causes(error))
    hint = ", or set HTTPS_PROXY where only a proxy leads out" if unknown else ""
    return ProviderFault(
        _line(f"{_subject(request)}: {way} ({_what(error)}); check {check} and base_url{hint}"),
        FaultKind.SAFE,
        never_sent=True,
    )


def untrusted(request: Request, error: BaseException, proxy: Proxy | None = None) -> ProviderFault:
    """The fault of a server that could not prove who it is: nothing was sent to it."""
    way = f" through proxy {proxy}" if proxy else ""
    if isinstance(error, ssl.SSLCertVerificationError):
        why = f"its certificate is not trusted ({_what(error)})"
        advice = (
            "check base_url and this machine's clock, or name the file of its authority's "
            f"certificate in SSL_CERT_FILE{_other_bundle()}"
        )
    else:
        why = f"no TLS, so there is no certificate ({_what(error)})"
        advice = "check whether base_url begins with http or https"
    return ProviderFault(
        _line(f"{_subject(request)}{way}: {why}; {advice}"), FaultKind.STOP, never_sent=True
    )


def _other_bundle() -> str:
    """A certificate file that was named for another program only."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"):
        if os.environ.get(name) and not os.environ.get("SSL_CERT_FILE"):
            return f" ({name} is set, which is not read here: try SSL_CERT_FILE=${name})"
    return ""


def proxy_refused(request: Request, status: int, proxy: Proxy | None = None) -> ProviderFault:
    """The fault of a request that a proxy did not let through.

    `proxy` is the one that refused to connect; None where a reply has the proxies' own status.
    """
    named = f"proxy {proxy}" if proxy else "the proxy"
    variable = proxy.variable if proxy else "HTTP_PROXY"
    if status == _PROXY_WANTS_A_USER:
        known = proxy is not None and proxy.authorization
        requires = (
            "does not take this user and password" if known else "requires a user and a password"
        )
        advice = f"it {requires}: set {variable} to http://USER:PASSWORD@HOST:PORT"
    elif status in _PROXY_IS_BUSY or status >= 500:
        advice = "it cannot reach the host now; check it, or name the host in NO_PROXY"
    else:
        advice = (
            "it does not let this host through: ask its administrator, or name the host in NO_PROXY"
        )
    passing = status in _PROXY_IS_BUSY or status >= 500
    return ProviderFault(
        _line(f"{_subject(request)}: {named} answered HTTP {status}; {advice}"),
        FaultKind.SAFE if passing else FaultKind.STOP,
        code="proxy_refused",
        never_sent=proxy is not None,  # else it may be a server that only says so
    )


def lost(request: Request, error: BaseException) -> ProviderFault:
    """The fault of a request that went out and whose reply did not come in whole."""
    why = f"the reply was lost ({_what(error)}); it may have been done"
    return ProviderFault(
        _line(f"{_subject(request)}: {why}"), _once_more(FaultKind.AMBIGUOUS, request)
    )


def malformed(request: Request, why: str, body: bytes = b"", status: int = 200) -> ProviderFault:
    """The fault of a reply that came in whole and cannot be trusted."""
    seen = f": {body[:120].decode('utf-8', 'replace')!r}" if body else ""
    return ProviderFault(
        _line(f"{_subject(request)}: the reply cannot be trusted, {why}{seen}"),
        _without_doubt(FaultKind.AMBIGUOUS, request),
        status=status,
        code="malformed_reply",
    )


def no_answer(
    request: Request,
    why: str,
    body: bytes = b"",
    *,
    mismatch: Mismatch | None = None,
    billed: tuple[int, int, int] | None = None,
) -> ProviderFault:
    """The fault of a reply to a chat that came in whole and is no answer to it."""
    seen = f": {body[:120].decode('utf-8', 'replace')!r}" if body else ""
    return ProviderFault(
        _line(f"{_subject(request)}: the reply is no answer, {why}{seen}"),
        FaultKind.NO_ANSWER,
        status=200,
        code="no_answer",
        mismatch=mismatch,
        billed=billed,
    )


def error_in_reply(
    request: Request,
    headers: Mapping[str, str],
    body: bytes,
    *,
    billed: tuple[int, int, int] | None,
    started: bool,
) -> ProviderFault:
    """The fault of an error that came in a reply of status 200: by the rules of error replies.

    A chat that was `started` before it failed may have been billed, so that it counts as no answer
    where it would be safe to ask again.
    """
    fault = refused(replace(request, free=False), 200, headers, body)
    doubtful = fault.kind is FaultKind.AMBIGUOUS or (fault.kind is FaultKind.SAFE and started)
    return ProviderFault(
        str(fault),
        FaultKind.NO_ANSWER if doubtful else fault.kind,
        status=fault.status,
        code=fault.code,
        retry_after_s=fault.retry_after_s,
        billed=billed,
    )


def _once_more(kind: FaultKind, request: Request) -> FaultKind:
    free = kind is FaultKind.AMBIGUOUS and request.free
    return FaultKind.SAFE if free else _without_doubt(kind, request)


def _without_doubt(kind: FaultKind, request: Request) -> FaultKind:
    return FaultKind.SAFE if kind is FaultKind.AMBIGUOUS and request.repeatable else kind


def _subject(request: Request) -> str:
    model = f" with {request.model!r}" if request.model else ""
    return f"{request.provider} did not {request.action}{model}"


def _fill(advice: str, request: Request, refusal: refusals.Refusal) -> str:
    wait = durations.words(refusal.wait_s or 0.0)
    return advice.replace("{key}", request.key_name).replace("{wait}", wait)


def _what(error: BaseException) -> str:
    """The deepest cause that says anything, by its kind and words."""
    cause = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    words = str(cause) or str(error)
    return f"{type(cause).__name__}: {words}" if words else type(cause).__name__


_KEYS = re.compile(
    r"\b(sk|sess|gsk|key)-[A-Za-z0-9_*.-]{6,}|Bearer\s+\S+|(?<=://)(?!USER:PASSWORD@)[^/\s@]+(?=@)"
)


def _line(text: str) -> str:
    """One line for a terminal: nothing that steers it, nothing like a key, no novel."""
    known = _KEYS.sub("***", text)
    plain = "".join(letter if letter.isprintable() else " " for letter in known)
    line = " ".join(plain.split())
    return line if len(line) <= 500 else line[:499] + "…"
