"""Whatever an endpoint refuses, and wherever: one line with its reason and the way out.

Adapters x actions x refusals: what an adapter of tomorrow must say too.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rmft_api.core.errors import ConfigError, FaultKind, ProviderFault
from rmft_api.core.records import ChatRequest, DeploymentOrder, Message, Sampling
from rmft_api.providers import Connection, connect
from rmft_api.providers.profiles import load, load_all
from tests.contracts.fine_tuner import Bench, examples
from tests.fakes import azure, bedrock, fireworks, gemini, nebius, tinker, together
from tests.providers.stub import ROUTES, Meets, Routes, Serving, StubProvider

OPENAI_KEY = "sk-0123456789abcdefghij"


@dataclass(frozen=True)
class Endpoint:
    """One adapter and the fake of its wire."""

    base: str
    make: Callable[[], Any]
    routes: Routes
    environ: Callable[[Any], dict[str, str]]
    secret: str
    prefix: str = "/v1"
    deploy: str = ""
    """The route that makes a model answer; empty: none does."""


def of_openai(stub: StubProvider) -> dict[str, str]:
    return {"OPENAI_API_KEY": OPENAI_KEY, "OPENAI_BASE_URL": stub.url}


ENDPOINTS = {
    "openai": Endpoint("gpt-4.1-mini", StubProvider, ROUTES, of_openai, OPENAI_KEY),
    "azure": Endpoint(
        "gpt-4.1-mini-2025-04-14",
        lambda: azure.FakeAzure(file_status="processed"),
        azure.AZURE,
        azure.environ,
        azure.KEY,
        azure.PREFIX,
        "deploy",
    ),
    "nebius": Endpoint(
        nebius.BASE, nebius.FakeNebius, nebius.NEBIUS, nebius.environ, nebius.KEY, deploy="make"
    ),
    "gemini": Endpoint(
        "gemini-3.5-flash-lite", gemini.FakeGemini, gemini.GEMINI, gemini.environ, gemini.TOKEN
    ),
    "bedrock": Endpoint(
        "amazon.nova-micro-v1:0",
        bedrock.FakeBedrock,
        bedrock.BEDROCK,
        bedrock.environ,
        bedrock.SECRET,
        bedrock.PREFIX,
        "deploy",
    ),
    "together": Endpoint(
        together.BASE,
        together.FakeTogether,
        together.TOGETHER,
        together.environ,
        together.KEY,
        deploy="endpoint",
    ),
    "fireworks": Endpoint(
        fireworks.BASE,
        fireworks.FakeFireworks,
        fireworks.FIREWORKS,
        fireworks.environ,
        fireworks.KEY,
        fireworks.PREFIX,
        "deploy",
    ),
    "tinker": Endpoint(
        tinker.BASE,
        tinker.FakeTinker,
        tinker.TINKER,
        lambda fake: tinker.environ(fake, fake.folder),
        tinker.KEY,
        tinker.PREFIX,
    ),
}
REFUSALS: dict[str, tuple[int, str, str]] = {
    "no credentials": (401, "unauthorized", "The credentials are not valid"),
    "access not granted": (403, "access_denied", "You do not have access to this model"),
    "no credit": (402, "payment_required", "The balance is used up"),
    "a quota of none": (429, "insufficient_quota", "You exceeded your current quota, which is 0"),
    "a file of another format": (400, "invalid_file", "line 3: role 'oracle' is not allowed"),
}


def refusal(name: str) -> Meets:
    status, code, why = REFUSALS[name]
    return Meets(status, {"error": {"message": why, "type": code, "code": code, "param": None}})


async def chat(connection: Connection, base: str) -> None:
    messages = (Message("user", "Which?"),)
    asked = ChatRequest("test/0/0/0/0", base, messages, 1, 7, Sampling(max_tokens=8))
    await connection.chat.reply(asked)


async def upload(connection: Connection, base: str) -> None:
    await connection.tuner.upload("rmft-1.jsonl", examples())


async def create(connection: Connection, base: str) -> None:
    bench = Bench(connection.tuner, base)
    file = await bench.tuner.upload("rmft-2.jsonl", bench.content)
    for _ in range(3):
        file = await bench.tuner.file(file.id)
    await bench.tuner.create_job(bench.order(file.id))


async def deploy(connection: Connection, base: str) -> None:
    host, bench = connection.host, Bench(connection.tuner, base)
    assert host is not None
    file = await bench.tuner.upload("rmft-3.jsonl", bench.content)
    for _ in range(3):
        file = await bench.tuner.file(file.id)
    job = await bench.finish(await bench.tuner.create_job(bench.order(file.id)))
    model = job.fine_tuned_model or (await bench.tuner.checkpoints(job.id))[-1].model
    await host.deploy(DeploymentOrder("rmft-case-1", model, "case", "0123456789abcdef"), "a")


ACTIONS: dict[str, Callable[[Connection, str], Awaitable[None]]] = {
    "chat": chat,
    "upload": upload,
    "create": create,
    "deploy": deploy,
}
CASES = [
    (name, action, refused)
    for name, endpoint in ENDPOINTS.items()
    for action in ACTIONS
    for refused in REFUSALS
    if (action != "deploy" or endpoint.deploy)
    and not (name == "tinker" and action == "upload")  # its files stay on this machine
    and not (action == "chat" and refused == "a file of another format")
]


@pytest.mark.parametrize("name", ENDPOINTS)
async def test_every_refusal_is_one_line_with_the_reason_and_the_way_out(name: str) -> None:
    endpoint, said = ENDPOINTS[name], dict[str, str]()
    for action, refused in [(a, r) for of, a, r in CASES if of == name]:
        fake = endpoint.make()
        async with (
            Serving(fake, endpoint.routes, endpoint.prefix),
            connect(load(name), environ=endpoint.environ(fake)) as connection,
        ):
            route = {"deploy": endpoint.deploy}.get(action, action)
            fake.plan(route, *[refusal(refused)] * 3)
            with pytest.raises((ProviderFault, ConfigError)) as caught:
                await ACTIONS[action](connection, endpoint.base)
            said[f"{action}, {refused}"] = check(endpoint, caught.value, refused)
    assert {what: wrong for what, wrong in said.items() if wrong} == {}


def check(endpoint: Endpoint, fault: Exception, refused: str) -> str:
    """What is wrong with what was said; empty where nothing is."""
    line = str(fault)
    if "\n" in line or endpoint.secret in line:
        return f"not one line, or a secret: {line}"
    if REFUSALS[refused][2] not in line:
        return f"the reason is missing: {line}"
    if not line.partition(REFUSALS[refused][2])[2].strip("; "):
        return f"no way out: {line}"
    kind = getattr(fault, "kind", FaultKind.STOP)
    if kind not in (FaultKind.STOP, FaultKind.REJECTED):
        return f"it would be sent again ({kind.name}): {line}"
    return ""


@pytest.mark.parametrize("name", load_all())
def test_without_credentials_every_endpoint_names_what_to_set(name: str) -> None:
    profile = load(name)
    needed = [
        *profile.setting_envs.values(),
        *([profile.api_key_env] if profile.api_key_env else []),
    ]
    if not needed or (profile.api_key_optional and not profile.setting_envs):
        return

    def opened() -> Connection:
        connection = connect(profile, environ={"PATH": "", "HOME": "/nowhere"})
        connection.check()
        return connection

    with pytest.raises(ConfigError) as caught:
        asyncio.run(opened().close())
    named = [*needed, *([profile.base_url_env] if profile.base_url_env else [])]
    assert "\n" not in str(caught.value)
    assert any(one in str(caught.value) for one in named), str(caught.value)


def test_a_region_that_cannot_train_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    fake = bedrock.FakeBedrock(url="http://127.0.0.1:9")
    elsewhere = bedrock.environ(fake) | {"AWS_REGION": "eu-central-1"}
    with pytest.raises(ConfigError, match=r"us-east-1") as caught:
        connect(load("bedrock"), environ=elsewhere).check()
    assert "\n" not in str(caught.value)
