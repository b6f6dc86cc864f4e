"""One way out for every request: which proxy carries it, and which certificates are believed.

Whatever opens a connection takes both from here, so that chats, files, jobs and look-ups cannot
differ. The environment decides, as curl and Python's own library read it: `HTTPS_PROXY`,
`HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY` (the lower-case name first), `SSL_CERT_FILE`, `SSL_CERT_DIR`.
This machine's own addresses are never asked through a proxy.
"""

import base64
import ipaddress
import os
import re
import ssl
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yarl

from rmft_api.core.errors import ConfigError

if TYPE_CHECKING:  # each is slow to import, and many commands need none
    import aiohttp
    import httpx2

KEEP_ALIVE_S = 5.0
"""Idle connections live shorter than any balancer's, so that one is never used as it closes."""
_WANTED = "http://HOST:PORT or http://USER:PASSWORD@HOST:PORT"
_USER_INFO = re.compile(r"//.*@")
_HASHED = re.compile(r"[0-9a-f]{8}\.[0-9]+", re.IGNORECASE)
"""How OpenSSL finds a certificate in a directory."""


@dataclass(frozen=True)
class Proxy:
    """A proxy, and the variable that names it. Shown without its credentials."""

    variable: str
    url: str
    """Its address without credentials."""
    scheme: str
    host: str
    port: int
    authorization: str = field(default="", repr=False)
    """The value of Proxy-Authorization; empty where the address has no user."""

    @property
    def headers(self) -> dict[str, str]:
        """Headers for the proxy itself."""
        return {"Proxy-Authorization": self.authorization} if self.authorization else {}

    def __str__(self) -> str:
        shown = self.url.replace("//", "//***@") if self.authorization else self.url
        return f"{shown} ({self.variable})"


@dataclass
class Passage:
    """How far a request got, reported by its client."""

    sent: bool = False
    """Its head began to leave for the server, not only a CONNECT for the proxy."""
    refused: int = 0
    """The status with which the proxy refused to connect; 0 where it did not."""


_PASSAGE: ContextVar[Passage | None] = ContextVar("passage", default=None)


@contextmanager
def watched() -> Generator[Passage]:
    """Record how far the one request of this block gets. For clients that a `Route` made."""
    passage = Passage()
    token = _PASSAGE.set(passage)
    try:
        yield passage
    finally:
        _PASSAGE.reset(token)


class Route:
    """The way to one address: through `proxy`, or straight, and its TLS."""

    def __init__(self, url: yarl.URL, proxy: Proxy | None, trust: "Trust") -> None:
        self.url = url
        self.proxy = proxy
        self._trust = trust
        if self._needs_tls and trust.is_named:
            trust.check()

    @property
    def tls(self) -> ssl.SSLContext:
        """For every connection of this route. Raises ConfigError for certificates not there."""
        if self._needs_tls:
            return self._trust.context
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # never used; loading a store takes time

    def session(self) -> "aiohttp.ClientSession":
        """An aiohttp session. Its requests take `session_options` besides."""
        import aiohttp

        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S, ssl=self.tls),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            trace_configs=[_aiohttp_trace()],
        )

    def session_options(self) -> dict[str, Any]:
        """What every request of `session` is given: the proxy, and no redirects."""
        options: dict[str, Any] = {"allow_redirects": False}
        if self.proxy:
            options |= {"proxy": self.proxy.url, "proxy_headers": self.proxy.headers}
        return options

    def proxy_headers(self) -> dict[str, str]:
        """Headers that a request for a plain `http` address carries for the proxy."""
        return self.proxy.headers if self.proxy and self.url.scheme == "http" else {}

    def client(self, **options: Any) -> "httpx2.AsyncClient":
        """An httpx2 client; `options` beside those of the network."""
        import httpx2

        hooks: dict[str, list[Any]] = options.pop("event_hooks", {})
        return httpx2.AsyncClient(
            **options,
            **self._httpx_options(),
            event_hooks={**hooks, "request": [*hooks.get("request", ()), _traced]},
        )

    def blocking_client(self, **options: Any) -> "httpx2.Client":
        """The same for a thread."""
        import httpx2

        return httpx2.Client(
            **options, **self._httpx_options(), event_hooks={"request": [_traced_in_a_thread]}
        )

    def _httpx_options(self) -> dict[str, Any]:
        import httpx2

        proxy = self.proxy and httpx2.Proxy(
            self.proxy.url,
            headers=self.proxy.headers,
            ssl_context=self.tls if self.proxy.scheme == "https" else None,
        )
        return {
            "verify": self.tls,
            "proxy": proxy,
            "trust_env": False,
            "follow_redirects": False,
            "limits": httpx2.Limits(keepalive_expiry=KEEP_ALIVE_S),
        }

    @property
    def _needs_tls(self) -> bool:
        return self.url.scheme == "https" or (
            self.proxy is not None and self.proxy.scheme == "https"
        )


class Network:
    """What an environment says about proxies and certificates."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ
        self.trust = Trust(environ.get("SSL_CERT_FILE", ""), environ.get("SSL_CERT_DIR", ""))

    def route(self, url: str) -> Route:
        """How `url` is reached. Raises ConfigError for a proxy or certificates of no use."""
        try:
            target = yarl.URL(url)
        except ValueError as error:
            raise ConfigError(f"base_url {url!r} is no address ({error})") from None
        return Route(target, self._proxy(target), self.trust)

    def _proxy(self, target: yarl.URL) -> Proxy | None:
        variable, value = self._named(f"{target.scheme}_proxy") or self._named("all_proxy") or _NONE
        if not value or is_loopback(target.raw_host or "") or self._is_excepted(target):
            return None
        return _parsed(variable, value, target)

    def _named(self, lower: str) -> tuple[str, str] | None:
        """A variable and what it says; the lower-case one decides where there is one."""
        name = lower if lower in self._environ else lower.upper()
        value = self._environ.get(name, "").strip()
        return (name, value) if value else None

    def _is_excepted(self, target: yarl.URL) -> bool:
        _, listed = self._named("no_proxy") or _NONE
        host = _plain_host(target.raw_host or "")
        return any(_matches(entry, host, target.port) for entry in re.split(r"[,\s]+", listed))


_NONE = ("", "")


def _parsed(variable: str, value: str, target: yarl.URL) -> Proxy:
    shown = _USER_INFO.sub("//***@", value if "://" in value else f"//{value}").removeprefix("//")
    try:
        url = yarl.URL(value if "://" in value else f"http://{value}")
        host, port, user = url.raw_host or "", url.port or 0, url.user
        address = str(yarl.URL.build(scheme=url.scheme, host=host, port=port)) if host else ""
    except ValueError:
        url, host, port, user, address = yarl.URL(), "", 0, None, ""
    if url.scheme and url.scheme not in ("http", "https"):
        raise ConfigError(
            f"{variable} names a {url.scheme} proxy ({shown!r}), and only http:// and https:// "
            f"proxies are supported: set {target.scheme.upper()}_PROXY to one, or name "
            f"{target.host} in NO_PROXY"
        )
    if not address or not port:
        raise ConfigError(f"{variable}={shown!r} is not the address of a proxy; write {_WANTED}")
    authorization = ""
    if user is not None:
        pair = f"{user}:{url.password or ''}".encode()
        authorization = f"Basic {base64.b64encode(pair).decode()}"
    return Proxy(variable, address, url.scheme, host, port, authorization)


def is_loopback(host: str) -> bool:
    """Whether a name or an address is this machine itself."""
    plain = _plain_host(host)
    if plain == "localhost" or plain.endswith(".localhost"):
        return True
    address = _address(plain)
    return address is not None and (address.is_loopback or address.is_unspecified)


def _plain_host(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _matches(entry: str, host: str, port: int | None) -> bool:
    """Whether a word of `NO_PROXY` names the host: `*`, a domain and all below it, or a network."""
    if entry == "*":
        return True
    name, wanted = _split_port(entry.partition("://")[2] or entry)
    if not name or (wanted and wanted != str(port)):
        return False
    address = _address(host)
    if address is not None:
        try:
            return address in ipaddress.ip_network(name, strict=False)
        except ValueError:
            return False
    domain = name.removeprefix("*").removeprefix(".")
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))


def _split_port(entry: str) -> tuple[str, str]:
    """Host and port of `host`, `host:port`, `::1` or `[::1]:port`."""
    if entry.startswith("["):
        name, _, rest = entry[1:].partition("]")
        return name.lower(), rest.removeprefix(":")
    name, colon, port = entry.rpartition(":")
    if not colon or ":" in name:  # an address of version 6 has no port without brackets
        return entry.rstrip(".").lower(), ""
    return name.rstrip(".").lower(), port


@dataclass(frozen=True)
class Trust:
    """Whose certificates are believed: those of the two variables, else the system's."""

    file: str
    directory: str

    @property
    def is_named(self) -> bool:
        """Whether a variable names certificates."""
        return bool(self.file or self.directory)

    @cached_property
    def context(self) -> ssl.SSLContext:
        """The one TLS context. Raises ConfigError."""
        stamp = Path(self.file).stat().st_mtime_ns if self.file and Path(self.file).exists() else 0
        return _context(self.file, self.directory, stamp)

    def check(self) -> None:
        """Raise ConfigError for certificates that are not there."""
        _ = self.context

    def __str__(self) -> str:
        named = {"SSL_CERT_FILE": self.file, "SSL_CERT_DIR": self.directory}
        info = ", ".join(f"{value} ({name})" for name, value in named.items() if value)
        return info or "those of the system"


@lru_cache(maxsize=8)
def _context(file: str, directory: str, stamp: int) -> ssl.SSLContext:
    """`stamp`: when the file was written."""
    if not (file or directory):
        return _of_the_system()
    context = _bare()
    if file:
        _load(context, file)
    if directory:
        folders = [Path(one) for one in directory.split(os.pathsep)]
        if not file and not any(_holds_certificates(folder) for folder in folders):
            raise ConfigError(
                f"SSL_CERT_DIR={directory!r} holds no certificate under its hash; run "
                "`openssl rehash` there, name a file in SSL_CERT_FILE, or unset it"
            )
        for folder in folders:
            context.load_verify_locations(capath=str(folder))
    context.set_alpn_protocols(["http/1.1"])
    return context


def _of_the_system() -> ssl.SSLContext:
    """OpenSSL's own store; where it has none (macOS, a slim image), what the system offers."""
    paths = ssl.get_default_verify_paths()
    if paths.cafile or (paths.capath and _holds_certificates(Path(paths.capath))):
        context = ssl.create_default_context()
    else:
        import truststore

        context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _bare() -> ssl.SSLContext:
    """As `create_default_context`, without trusted certificates yet."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if hasattr(ssl, "VERIFY_X509_PARTIAL_CHAIN"):
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _load(context: ssl.SSLContext, file: str) -> None:
    try:
        context.load_verify_locations(cafile=file)
    except ssl.SSLError:
        why = "holds no certificate (PEM)"
    except OSError as error:
        why = f"cannot be read ({error.strerror})"
    else:
        if context.cert_store_stats()["x509"]:
            return
        why = "holds no certificate (PEM)"
    raise ConfigError(f"SSL_CERT_FILE={file!r} {why}; name the certificates to trust, or unset it")


def _holds_certificates(folder: Path) -> bool:
    try:
        return any(_HASHED.fullmatch(one.name) for one in folder.iterdir())
    except OSError:
        return False


class _Trace:
    """Notes what httpx2 does: which request goes out, and what a CONNECT is answered."""

    def __init__(self, passage: Passage) -> None:
        self._passage = passage
        self._method = b""

    def note(self, event: str, info: dict[str, Any]) -> None:
        if event == "http11.send_request_headers.started":
            self._method = info["request"].method
            self._passage.sent = self._method != b"CONNECT"
        elif event == "http11.receive_response_headers.complete" and self._method == b"CONNECT":
            status: int = info["return_value"][1]
            self._passage.refused = 0 if 200 <= status < 300 else status

    async def note_async(self, event: str, info: dict[str, Any]) -> None:
        self.note(event, info)


async def _traced(request: "httpx2.Request") -> None:
    passage = _PASSAGE.get()
    if passage is not None:
        request.extensions = {**request.extensions, "trace": _Trace(passage).note_async}


def _traced_in_a_thread(request: "httpx2.Request") -> None:
    passage = _PASSAGE.get()
    if passage is not None:
        request.extensions = {**request.extensions, "trace": _Trace(passage).note}


def _aiohttp_trace() -> "aiohttp.TraceConfig":
    """Let aiohttp report when a connection is made, the proxy's tunnel included."""
    import aiohttp

    async def stands(*_: object) -> None:
        passage = _PASSAGE.get()
        if passage is not None:
            passage.sent = True

    config = aiohttp.TraceConfig()
    config.on_connection_create_end.append(stands)
    config.on_connection_reuseconn.append(stands)
    return config


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what caused it, outermost first. httpcore hands it on as an argument."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        handed_on = [one for one in cause.args if isinstance(one, BaseException)]
        cause = cause.__cause__ or next(iter(handed_on), None)
