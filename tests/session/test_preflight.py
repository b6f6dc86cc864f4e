"""What an endpoint itself says against a run is heard before anything is spent."""

from collections.abc import AsyncIterator

import pytest

from rmft_api.core.errors import ConfigError, NotEntitledError
from rmft_api.providers.profiles import Profile, load
from rmft_api.session.preflight import preflight
from tests.providers.conftest import CANARY, ENVIRON
from tests.providers.stub import Meets, Serving, StubProvider, error
from tests.session.test_prepare import config

BASE = "gpt-4.1-mini"


@pytest.fixture
async def stub() -> AsyncIterator[StubProvider]:
    async with Serving() as stub:
        yield stub


@pytest.fixture
def profile(stub: StubProvider) -> Profile:
    return load("openai").at(stub.url)


async def ask(profile: Profile, base: str = BASE, *, accept_shutdown: bool = False) -> None:
    settings = config("openai", base)
    await preflight(settings, profile, profile, accept_shutdown=accept_shutdown, environ=ENVIRON)


def spent(stub: StubProvider) -> list[str]:
    """What was asked that could have cost or made anything."""
    return [seen.route for seen in stub.seen if seen.route not in ("models", "limits")]


async def test_an_open_endpoint_lets_a_run_begin(stub: StubProvider, profile: Profile) -> None:
    stub.limits = {"object": "list", "data": []}
    await ask(profile)
    assert [seen.route for seen in stub.seen] == ["models", "limits"]


async def test_a_closed_organisation_is_told_so_before_it_plays(
    stub: StubProvider, profile: Profile
) -> None:
    closed = error(403, "Training is not available", code="training_not_available")
    stub.plan("limits", closed)
    with pytest.raises(NotEntitledError, match="name another model"):
        await ask(profile)
    assert spent(stub) == []


@pytest.mark.parametrize(("status", "code"), [(401, "invalid_api_key"), (403, "not_allowed")])
async def test_a_key_that_is_not_let_in_ends_it_at_once(
    stub: StubProvider, profile: Profile, status: int, code: str
) -> None:
    stub.plan("models", error(status, f"No entry for {CANARY}", code=code))
    with pytest.raises(NotEntitledError, match="OPENAI_API_KEY") as caught:
        await ask(profile)
    assert CANARY not in str(caught.value)
    assert spent(stub) == []


async def test_a_key_of_another_project_does_not_list_the_model(
    stub: StubProvider, profile: Profile
) -> None:
    with pytest.raises(ConfigError, match="project that the key belongs to"):
        await ask(profile, "gpt-4.1")
    assert spent(stub) == []


async def test_an_end_that_the_endpoint_tells_is_believed(
    stub: StubProvider, profile: Profile
) -> None:
    stub.ends = {BASE: "2026-01-01"}
    with pytest.raises(ConfigError, match=r"ends on 2026-01-01.*--accept-shutdown.*Azure"):
        await ask(profile)
    await ask(profile, accept_shutdown=True)


@pytest.mark.parametrize("meets", [Meets(503, b"busy"), Meets(manner="reset")])
async def test_an_endpoint_that_does_not_answer_now_is_no_reason_to_stop(
    stub: StubProvider, profile: Profile, meets: Meets
) -> None:
    stub.plan("models", meets)
    await ask(profile)


async def test_limits_of_an_unknown_form_are_no_reason_to_stop(
    stub: StubProvider, profile: Profile
) -> None:
    stub.plan("limits", Meets(body=b"[1]"))
    await ask(profile)
