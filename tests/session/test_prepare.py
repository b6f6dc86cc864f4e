"""What cannot go well is refused before anything is written, started or paid: one line each."""

from pathlib import Path
from typing import Any

import pytest

from rmft_api.config.schema import RunConfig
from rmft_api.core.errors import ConfigError
from rmft_api.session.prepare import prepare

AZURE = {
    "AZURE_OPENAI_BASE_URL": "https://lab.openai.azure.com/openai/v1",
    "AZURE_OPENAI_API_KEY": "azure-key-0123456789",
    "AZURE_OPENAI_RESOURCE_ID": "/subscriptions/0/resourceGroups/g/providers/P/accounts/lab",
    "AZURE_MANAGEMENT_TOKEN": "token-0123456789",
}
OPENAI = {"OPENAI_API_KEY": "sk-0123456789abcdef"}


def config(profile: str, base: str, **more: Any) -> RunConfig:
    raw: dict[str, Any] = {
        "name": "case",
        "budget_usd": 50,
        "model": {"base": base, "profile": profile},
        "rollouts": {"problems": [{"environment": "bandit"}]},
        **more,
    }
    return RunConfig.model_validate(raw)


@pytest.fixture(autouse=True)
def nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    def shut(*_: object, **__: object) -> None:
        raise AssertionError("nothing is asked before a run begins")

    for name in (*OPENAI, *AZURE, "AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("socket.socket.connect", shut)


def told(monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)


def refusal(settings: RunConfig) -> str:
    with pytest.raises(ConfigError) as caught:
        prepare(settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_whole_environment_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    told(monkeypatch, AZURE)
    assert prepare(config("azure", "gpt-4.1-mini-2025-04-14")).chats.name == "azure"


@pytest.mark.parametrize("name", AZURE)
def test_whatever_azure_lacks_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    told(monkeypatch, {key: value for key, value in AZURE.items() if key != name})
    assert name in refusal(config("azure", "gpt-4.1-mini-2025-04-14"))


def test_a_missing_key_is_named() -> None:
    assert "OPENAI_API_KEY" in refusal(config("openai", "gpt-4.1-mini"))


def test_a_model_without_a_price_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    told(monkeypatch, OPENAI)
    assert "no price is known for 'gpt-9'" in refusal(config("openai", "gpt-9"))


def test_a_rented_model_without_a_rent_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = tmp_path / "prices.toml"
    own.write_text(
        '[[price]]\nprovider = "azure"\nmodel = "mine"\ninput = 1\noutput = 1\ntrain = 1\n'
        'as_of = 2026-11-22\nsource = "me"\n'
    )
    told(monkeypatch, {**AZURE, "RMFT_PRICES": str(own)})
    assert "hosting_per_hour" in refusal(config("azure", "mine"))


@pytest.mark.parametrize("profile", ["openai", "azure"])
def test_a_rate_of_the_wrong_kind_is_refused(monkeypatch: pytest.MonkeyPatch, profile: str) -> None:
    told(monkeypatch, {**OPENAI, **AZURE})
    settings = config(profile, "gpt-4.1-mini", finetuning={"learning_rate": 1e-5})
    assert "takes the multiplier kind" in refusal(settings)


def test_a_chain_that_cannot_be_made_names_the_way_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = tmp_path / "profiles.toml"
    own.write_text("[openai.training]\ncontinue_from_tuned = false\n")
    told(monkeypatch, {**OPENAI, "RMFT_PROFILES": str(own)})
    said = refusal(config("openai", "gpt-4.1-mini"))
    assert "finetuning.chain = 'from_base'" in said
    prepare(config("openai", "gpt-4.1-mini", finetuning={"chain": "from_base"}))
    prepare(config("openai", "gpt-4.1-mini", iterations=1))


def test_too_few_examples_to_train_on_are_refused_before_they_are_played(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told(monkeypatch, OPENAI)
    few = {
        "scenarios": 1,
        "trajectories": 4,
        "problems": [{"environment": "bandit", "T": 3}],
    }
    settings = config("openai", "gpt-4.1-mini", rollouts=few, selection={"k": 2})
    assert "makes 6 examples at most" in refusal(settings)


def test_prompts_whose_words_would_fail_a_job_are_refused_before_they_are_played(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = tmp_path / "profiles.toml"
    own.write_text("[openai.training]\nreserved = ['round']\n")
    told(monkeypatch, OPENAI | {"RMFT_PROFILES": str(own)})
    assert "the prompts hold 'round', which fails a job" in refusal(
        config("openai", "gpt-4.1-mini")
    )


OWN_BATCH = """\
[azure.batch]
window = "24h"
[nebius.batch]
window = "24h"
[gemini.batch]
window = "24h"
"""


@pytest.mark.parametrize(
    ("profile", "base"),
    [
        ("azure", "gpt-4.1-mini-2025-04-14"),
        ("nebius", "meta-llama/Llama-3.3-70B-Instruct"),
        ("gemini", "gemini-3.5-flash"),
    ],
)
@pytest.mark.parametrize("own", ["", OWN_BATCH])
def test_batches_of_models_that_must_be_deployed_are_refused_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, profile: str, base: str, own: str
) -> None:
    told(monkeypatch, AZURE)
    path = tmp_path / "profiles.toml"
    path.write_text(own)
    monkeypatch.setenv("RMFT_PROFILES", str(path))
    problems = [{"environment": "bandit"}]
    batched = config(
        profile,
        base,
        rollouts={"problems": problems},
        requests={"transport": "batch"},
        finetuning={"chain": "from_base"},
    )
    said = refusal(batched)
    assert "only where it is deployed" in said
    assert "requests.transport = 'direct'" in said
