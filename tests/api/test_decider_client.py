"""What a decider sends: retried for a while, and never past its cap."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from rmft_api.api.decider import Decider
from rmft_api.api.decider_spec import DeciderSpec
from rmft_api.core.errors import BudgetError, ConfigError, ProviderDownError
from tests.api.test_decider import NAMES, spec
from tests.fake_provider.client import Provider, running

MODEL = "gpt-4.1-2025-04-14"


def hosted(**fields: object) -> DeciderSpec:
    return msgspec.structs.replace(spec(), profile="openai", model=MODEL, **fields)


@pytest.fixture
def provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    with running(tmp_path / "provider") as provider:
        yield provider


async def test_a_decider_books_what_its_replies_cost(provider: Provider) -> None:
    async with Decider(hosted(), base_url=provider.base_url, on_unreadable="random") as decider:
        await decider.start(actions=NAMES).decide()
    assert 0 < decider.spent_usd < 0.01
    assert provider.books.requests("POST") == 1


async def test_nothing_is_sent_that_could_pass_the_cap(provider: Provider) -> None:
    made = Decider(hosted(), base_url=provider.base_url, on_unreadable="random", max_usd=0.009)
    async with made as decider:
        sent = 0
        with pytest.raises(BudgetError, match="could cost") as stopped:
            while sent < 100:
                await decider.start(actions=NAMES).decide()
                sent += 1
    assert "\n" not in str(stopped.value)
    assert 0 < sent == provider.books.requests("POST")
    assert decider.spent_usd <= 0.009


async def test_a_request_that_fails_is_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    rules = [{"script": "status_503", "endpoint": "chat"}]
    with running(tmp_path / "provider", rules) as provider:
        made = Decider(hosted(), base_url=provider.base_url, on_unreadable="random", max_usd=1.0)
        async with made as decider:
            assert (await decider.start(actions=NAMES).decide()).action in NAMES
        assert provider.books.requests("POST") == 2


async def test_an_endpoint_that_is_down_ends_a_decision_in_time_and_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    async with Decider(hosted(), base_url="http://127.0.0.1:9/v1", retry_for_s=0.2) as decider:
        game = decider.start(actions=NAMES)
        with pytest.raises(ProviderDownError, match=r"`decide\(\)` continues once it is back"):
            await game.decide()
        assert game.round == 1
    assert decider.spent_usd == 0


@pytest.mark.parametrize("wrong", [0, -1, float("nan"), float("inf")])
def test_a_cap_that_is_no_amount_is_refused(wrong: float) -> None:
    with pytest.raises(ConfigError, match="max_usd must be above 0"):
        Decider(hosted(), max_usd=wrong)


def test_a_cap_needs_a_known_price() -> None:
    unknown = msgspec.structs.replace(spec(), profile="openai", model="gpt-unheard-of")
    Decider(unknown)
    with pytest.raises(ConfigError, match="no price is known for 'gpt-unheard-of'"):
        Decider(unknown, max_usd=1.0)


async def test_a_model_that_must_be_deployed_is_asked_for_by_its_deployment(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEBIUS_API_KEY", "sk-test")
    tuned = msgspec.structs.replace(spec(), profile="nebius", model="mine:ft-1")
    at = provider.base_url
    with pytest.raises(ConfigError, match="give deployment='its name'"):
        await Decider(tuned, base_url=at).start().decide()
    async with Decider(tuned, base_url=at, deployment=MODEL, on_unreadable="random") as decider:
        assert (await decider.start(actions=NAMES).decide()).action in NAMES


async def test_an_address_that_was_given_goes_before_the_environment(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    async with Decider(hosted(), base_url=provider.base_url, on_unreadable="random") as decider:
        assert (await decider.start(actions=NAMES).decide()).action in NAMES


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"on_unreadable": "guess"}, "choose raise, random, greedy"),
        ({"concurrency": 0}, "concurrency must be at least 1"),
        ({"retry_for_s": -1.0}, "retry_for_s must be 0 or more"),
        ({"base_url": "ftp://x"}, "must begin with https:// or http://"),
    ],
)
def test_a_wrong_option_is_refused_in_one_line(options: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Decider(spec(), **options)  # pyright: ignore[reportArgumentType]
