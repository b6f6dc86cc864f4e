"""Every client of the project, through a real proxy to a TLS server with a private authority."""

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web

from rmft_api.core.errors import FaultKind, ProviderFault
from rmft_api.core.records import (
    BatchOrder,
    ChatRequest,
    DeploymentOrder,
    Hyperparameters,
    JobOrder,
    Message,
    Sampling,
)
from rmft_api.providers import Connection, access_tokens, connect, load
from rmft_api.providers.model_list import list_models, training_limits
from rmft_api.providers.profiles import Profile
from tests.providers.proxy import ConnectProxy, proxying

SECRET = "pass-canary-word"
ASK = ChatRequest("k", "m", (Message("user", "Hi"),), 1, 1, Sampling())
ORDER = DeploymentOrder("rmft-a", "m", "run", "key")
JOB = JobOrder("key", "gpt-4o-mini-2024-07-18", "f-1", "supervised", Hyperparameters(), 1, "s", {})
ENVIRON = {
    "OPENAI_API_KEY": "sk-0123456789abcdef",
    "NEBIUS_API_KEY": "nebius-0123456789",
    "AZURE_OPENAI_API_KEY": "azure-0123456789",
    "AZURE_OPENAI_RESOURCE_ID": "/subscriptions/0/resourceGroups/g/providers/P/accounts/lab",
    "AZURE_MANAGEMENT_TOKEN": "token-0123456789",
    "GOOGLE_CLOUD_PROJECT": "lab",
    "GOOGLE_CLOUD_LOCATION": "us-central1",
    "RMFT_GEMINI_BUCKET": "gs://lab/rmft",
    "GOOGLE_OAUTH_ACCESS_TOKEN": "token-0123456789",
    "AWS_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "AKIA0123456789",
    "AWS_SECRET_ACCESS_KEY": "secret-0123456789",
    "RMFT_BEDROCK_BUCKET": "s3://lab/rmft",
    "RMFT_BEDROCK_ROLE_ARN": "arn:aws:iam::123456789012:role/tuning",
    "TOGETHER_API_KEY": "together-0123456789",
    "FIREWORKS_API_KEY": "fw-0123456789",
    "FIREWORKS_ACCOUNT_ID": "lab",
}
Environ = Mapping[str, str]
Client = Callable[[str, Environ], Awaitable[object]]


def profile(name: str, url: str) -> Profile:
    """With every address of its own at `url`."""
    one = load(name).at(f"{url}/v1")
    hosting = one.hosting.model_copy(
        update={"base_url": url, "login_url": url, "base_url_env": None}
    )
    told = {"hosting": hosting, "base_url_env": None, "base_url_required": False}
    return one.model_copy(update=told)


def connected(name: str, work: Callable[[Connection], Awaitable[object]], **more: str) -> Client:
    async def send(url: str, environ: Environ) -> None:
        async with connect(profile(name, url), environ={**environ, **more}) as connection:
            await work(connection)

    return send


async def google_token(url: str, environ: Environ) -> None:
    transport = access_tokens.GoogleTransport(environ)
    reply = await asyncio.to_thread(transport, f"{url}/token", "POST", b"{}")
    raise ProviderFault("answered", FaultKind.STOP, status=reply.status)


async def bedrock_bucket(url: str, environ: Environ) -> None:
    told = {**environ, "AWS_ENDPOINT_URL_S3": url}
    async with connect(profile("bedrock", url), environ=told) as connection:
        await connection.tuner.find_uploads("a.jsonl")


def deployed(connection: Connection) -> Any:
    host = connection.host
    assert host is not None
    return host


PRINCIPAL = {"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c", "AZURE_CLIENT_SECRET": "s-0123456789"}
CLIENTS: dict[str, Client] = {
    "chats": connected("openai", lambda one: one.chat.reply(ASK)),
    "uploads": connected("openai", lambda one: one.tuner.upload("a.jsonl", b"{}\n")),
    "jobs": connected("openai", lambda one: one.tuner.create_job(JOB)),
    "batches": connected(
        "openai", lambda one: one.batches.create(BatchOrder("key", "f-1", "24h", {}))
    ),
    "models": lambda url, environ: list_models(profile("openai", url), environ),
    "limits": lambda url, environ: training_limits(profile("openai", url), environ),
    "Azure ARM": connected("azure", lambda one: deployed(one).deploy(ORDER, "a")),
    "Entra tokens": connected("azure", lambda one: deployed(one).deploy(ORDER, "a"), **PRINCIPAL),
    "Nebius models": connected(
        "nebius",
        lambda one: deployed(one).deploy(
            DeploymentOrder("a", "base:ftjob-1:c-1", "run", "key"), "a"
        ),
    ),
    "Gemini chats": connected("gemini", lambda one: one.chat.reply(ASK)),
    "Gemini jobs": connected("gemini", lambda one: one.tuner.job("projects/1/tuningJobs/1")),
    "Gemini bucket": connected("gemini", lambda one: one.tuner.upload("a.jsonl", b"")),
    "Google tokens": google_token,
    "Bedrock chats": connected("bedrock", lambda one: one.chat.reply(ASK)),
    "Bedrock bucket": bedrock_bucket,
    "Together files": connected("together", lambda one: one.tuner.upload("a.jsonl", b"")),
    "Together jobs": connected("together", lambda one: one.tuner.job("ft-1")),
    "Fireworks datasets": connected("fireworks", lambda one: one.tuner.upload("a.jsonl", b"")),
    "Fireworks jobs": connected("fireworks", lambda one: one.tuner.job("job-1")),
    "Fireworks deployments": connected("fireworks", lambda one: deployed(one).remove("rmft-a")),
    "Together endpoints": connected("together", lambda one: deployed(one).remove("rmft-a")),
}
KEYLESS: dict[str, Client] = {
    "chats": connected("openai-compatible", lambda one: one.chat.reply(ASK)),
    "uploads": connected("openai-compatible", lambda one: one.tuner.upload("a.jsonl", b"{}\n")),
    "models": lambda url, environ: list_models(profile("openai-compatible", url), environ),
    "Gemini chats": CLIENTS["Gemini chats"],
    "Gemini bucket": CLIENTS["Gemini bucket"],
}
BILLED = (
    "chats",
    "uploads",
    "jobs",
    "batches",
    "Nebius models",
    "Gemini chats",
    "Bedrock chats",
)
"""Whether such a request was done is a matter of money."""


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA(key_type=trustme.KeyType.ECDSA)


@dataclass
class Server:
    """Refuses everything with 400, or breaks off once it has seen a request."""

    port: int = 0
    breaks: bool = False
    seen: list[str] = field(default_factory=list[str])

    async def answer(self, request: web.Request) -> web.Response:
        self.seen.append(f"{request.method} {request.path}")
        await request.read()
        if self.breaks:
            assert request.transport
            request.transport.abort()
        said = {"error": {"message": "seen", "code": "seen", "type": "invalid_request_error"}}
        return web.json_response(said, status=400)

    def url(self, host: str = "api.test", scheme: str = "https") -> str:
        return f"{scheme}://{host}:{self.port}"


@dataclass
class Bench:
    """A server and a way to start a proxy before it."""

    server: Server
    environ: dict[str, str]
    tls: ssl.SSLContext
    held: AsyncExitStack

    async def behind(self, proxy: ConnectProxy, scheme: str = "http") -> ConnectProxy:
        """Start the proxy; the environment names it for everything."""
        await self.held.enter_async_context(
            proxying(proxy, self.tls if scheme == "https" else None)
        )
        self.environ["ALL_PROXY"] = proxy.address(scheme)
        return proxy

    async def fault(self, name: str, url: str = "") -> ProviderFault:
        """What the client's one request meets."""
        with pytest.raises(ProviderFault) as caught:
            await CLIENTS[name](url or self.server.url(), self.environ)
        assert SECRET not in str(caught.value)
        return caught.value


@asynccontextmanager
async def serving(server: Server, tls: ssl.SSLContext | None) -> AsyncGenerator[None]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    server.port = runner.addresses[0][1]
    try:
        yield
    finally:
        await runner.cleanup()


@pytest.fixture
async def bench(authority: trustme.CA, tmp_path: Path) -> AsyncIterator[Bench]:
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate: Any = authority.issue_cert("api.test", "localhost", "127.0.0.1")
    certificate.configure_cert(tls)
    server = Server()
    async with AsyncExitStack() as held:
        await held.enter_async_context(serving(server, tls))
        yield Bench(server, {**ENVIRON, "SSL_CERT_FILE": str(file)}, tls, held)


@pytest.fixture(params=CLIENTS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("user", ["", f"me:{SECRET}"])
async def test_each_client_passes_the_proxy_and_believes_the_authority(
    bench: Bench, name: str, user: str, scheme: str
) -> None:
    proxy = await bench.behind(ConnectProxy(user=user), scheme)
    assert (await bench.fault(name)).status == 400
    assert len(bench.server.seen) == 1
    assert proxy.asked == [f"CONNECT api.test:{bench.server.port} HTTP/1.1"]


async def test_each_client_asks_this_machine_without_the_proxy(bench: Bench, name: str) -> None:
    bench.environ["ALL_PROXY"] = "http://127.0.0.1:1"
    assert (await bench.fault(name, bench.server.url("localhost"))).status == 400


async def test_each_client_follows_no_proxy(bench: Bench, name: str) -> None:
    proxy = await bench.behind(ConnectProxy())
    bench.environ["NO_PROXY"] = ".test"
    fault = await bench.fault(name)  # nobody else knows that name
    assert fault.kind is FaultKind.SAFE
    assert "no connection (" in str(fault)
    assert "set HTTPS_PROXY where only a proxy leads out" in str(fault)
    assert proxy.asked == []


@pytest.mark.parametrize("name", [*KEYLESS, "Google tokens"])
async def test_each_client_asks_a_plain_address_through_the_proxy(name: str) -> None:
    """Without a key: a key is never sent unencrypted."""
    plain = Server()
    async with serving(plain, None), proxying(ConnectProxy(user=f"me:{SECRET}")) as proxy:
        environ = {**ENVIRON, "http_proxy": proxy.address()}
        with pytest.raises(ProviderFault) as caught:
            await {**CLIENTS, **KEYLESS}[name](plain.url(scheme="http"), environ)
    assert caught.value.status == 400
    (line,) = proxy.asked
    assert line.split()[1].startswith(f"http://api.test:{plain.port}/")


async def test_a_proxy_that_is_down_is_named_and_nothing_was_sent(bench: Bench, name: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        bench.environ["ALL_PROXY"] = f"http://me:{SECRET}@localhost:{port}"
        fault = await bench.fault(name)
    assert (fault.kind, fault.never_sent) == (FaultKind.SAFE, True)
    assert f"through proxy http://***@localhost:{port} (ALL_PROXY)" in str(fault)


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (407, FaultKind.STOP, "set ALL_PROXY to http://USER:PASSWORD@HOST:PORT"),
        (403, FaultKind.STOP, "does not let this host through"),
        (502, FaultKind.SAFE, "cannot reach the host now"),
    ],
)
async def test_a_proxy_that_refuses_is_named_with_what_to_do(
    bench: Bench, name: str, status: int, kind: FaultKind, said: str
) -> None:
    proxy = await bench.behind(ConnectProxy(manner="refuse", status=status))
    fault = await bench.fault(name)
    assert (fault.kind, fault.status, fault.never_sent) == (kind, None, True)
    assert f"proxy http://localhost:{proxy.port} (ALL_PROXY) answered HTTP {status}" in str(fault)
    assert said in str(fault)
    assert bench.server.seen == []


async def test_a_proxy_that_breaks_off_has_sent_nothing(bench: Bench, name: str) -> None:
    proxy = await bench.behind(ConnectProxy(manner="break"))
    fault = await bench.fault(name)
    assert (fault.kind, fault.never_sent) == (FaultKind.SAFE, True)
    assert f"no connection through proxy http://localhost:{proxy.port}" in str(fault)


async def test_behind_the_proxy_a_lost_reply_may_have_been_done(bench: Bench, name: str) -> None:
    await bench.behind(ConnectProxy())
    bench.server.breaks = True
    fault = await bench.fault(name)
    assert fault.kind is (FaultKind.AMBIGUOUS if name in BILLED else FaultKind.SAFE)
    # Where the token's reply was lost, the request that needed it never went out.
    assert fault.never_sent is (name == "Entra tokens")
    assert "may have been done" in str(fault)


@pytest.mark.parametrize("through_a_proxy", [False, True])
async def test_a_strange_authority_stops_every_client_and_tells_of_certificates(
    bench: Bench, name: str, through_a_proxy: bool
) -> None:
    del bench.environ["SSL_CERT_FILE"]
    if through_a_proxy:
        await bench.behind(ConnectProxy())
    fault = await bench.fault(name, "" if through_a_proxy else bench.server.url("localhost"))
    assert fault.kind is FaultKind.STOP
    assert "certificate is not trusted" in str(fault)
    assert "SSL_CERT_FILE" in str(fault)
    assert ("through proxy" in str(fault)) is through_a_proxy
    assert bench.server.seen == []


async def test_a_user_that_the_proxy_does_not_take_is_told_apart(bench: Bench) -> None:
    proxy = await bench.behind(ConnectProxy(user="me:right"))
    bench.environ["ALL_PROXY"] = f"http://me:{SECRET}@localhost:{proxy.port}"
    assert "does not take this user and password" in str(await bench.fault("chats"))
