"""Tokens that end after an hour: fetched when needed, and never shown."""

import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from rmft_api.core.errors import ConfigError, FaultKind, ProviderFault
from rmft_api.providers import access_tokens
from rmft_api.providers.profiles import Profile, load

SECRET = "principal-secret-0123456789"
PRINCIPAL = {
    "AZURE_TENANT_ID": "tenant-1",
    "AZURE_CLIENT_ID": "client-1",
    "AZURE_CLIENT_SECRET": SECRET,
}


@dataclass
class Login:
    """Microsoft's token endpoint, as the OAuth 2.0 client credentials page tells it."""

    url: str = ""
    forms: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    expires_in: int = 3599

    async def token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.forms.append(form)
        if form["client_secret"] != SECRET:
            body = {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid secret"}
            return web.json_response(body, status=401)
        number = len(self.forms)
        return web.json_response(
            {
                "token_type": "Bearer",
                "expires_in": self.expires_in,
                "ext_expires_in": self.expires_in,
                "access_token": f"entra-{number}",
            }
        )


@pytest.fixture
async def login() -> AsyncIterator[Login]:
    login = Login()
    app = web.Application()
    app.router.add_post("/tenant-1/oauth2/v2.0/token", login.token)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address: tuple[str, int] = runner.addresses[0]
    login.url = f"http://127.0.0.1:{address[1]}"
    yield login
    await runner.cleanup()


def azure(login: Login) -> Profile:
    profile = load("azure")
    hosting = profile.hosting.model_copy(update={"login_url": login.url})
    return profile.model_copy(update={"hosting": hosting})


async def test_a_principal_fetches_one_token_for_many_requests(login: Login) -> None:
    bearer = access_tokens.entra(azure(login), PRINCIPAL)
    assert login.forms == []
    assert [await bearer() for _ in range(3)] == [{"Authorization": "Bearer entra-1"}] * 3
    (form,) = login.forms
    assert form["grant_type"] == "client_credentials"
    assert form["scope"] == "https://management.azure.com/.default"


async def test_a_token_near_its_end_is_replaced(login: Login) -> None:
    login.expires_in = 200
    bearer = access_tokens.entra(azure(login), PRINCIPAL)
    await bearer()
    assert await bearer() == {"Authorization": "Bearer entra-2"}


async def test_a_refused_secret_is_named_and_never_shown(login: Login) -> None:
    wrong = SECRET + "x"
    bearer = access_tokens.entra(azure(login), {**PRINCIPAL, "AZURE_CLIENT_SECRET": wrong})
    with pytest.raises(ProviderFault, match="AZURE_CLIENT_SECRET") as caught:
        await bearer()
    assert caught.value.kind is FaultKind.STOP
    assert wrong not in str(caught.value)


async def test_a_principal_comes_before_a_token(login: Login) -> None:
    told = {**PRINCIPAL, "AZURE_MANAGEMENT_TOKEN": "given"}
    assert await access_tokens.entra(azure(login), told)() == {"Authorization": "Bearer entra-1"}


async def test_a_given_token_is_used_as_it_stands() -> None:
    given = await access_tokens.google(load("gemini"), {"GOOGLE_OAUTH_ACCESS_TOKEN": "ya29.x"})()
    assert given == {"Authorization": "Bearer ya29.x"}


def test_without_googles_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.auth", None)
    with pytest.raises(ConfigError, match=r"rmft-api\[gemini\].*GOOGLE_OAUTH_ACCESS_TOKEN"):
        access_tokens.google(load("gemini"), {})
