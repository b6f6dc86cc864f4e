"""What a paid endpoint would refuse ends in one line, before anything is played, sent or paid."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from rmft_api.cli.main import main
from tests.fake_provider.client import Provider, running

OPENAI = {"OPENAI_API_KEY": "sk-0123456789abcdef"}
NEBIUS = {"NEBIUS_API_KEY": "key-0123456789abcdef"}
RUN = """
iterations = 2
budget_usd = 3
[model]
base = "gpt-4.1-mini-2025-04-14"
profile = "openai"
[rollouts]
scenarios = 4
trajectories = 4
[[rollouts.problems]]
environment = "bandit"
T = 6
[selection]
k = 2
[validation]
scenarios = 2
[test]
scenarios = 2
"""
PRICES = """
[[price]]
provider = "{}"
model = "{}"
input = 1
output = 1
train = 1
as_of = 2026-11-22
source = "me"
"""


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    """It knows one model and one key, and keeps books."""
    folder = tmp_path_factory.mktemp("provider")
    key, base = OPENAI["OPENAI_API_KEY"], "gpt-4.1-mini-2025-04-14"
    with running(folder, base_models=[base], api_key=key) as one:
        yield one


Refused = Any


@pytest.fixture
def refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Refused:
    """Asks for a run; gives its one line."""

    def ask(
        environ: Mapping[str, str],
        *changes: str,
        code: int = 78,
        command: str = "run",
        prices: tuple[str, str] | None = None,
    ) -> str:
        file = tmp_path / "bad.toml"
        file.write_text(RUN)
        for name in (*OPENAI, *NEBIUS, "OPENAI_BASE_URL", "RMFT_PRICES"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        if prices:
            (tmp_path / "prices.toml").write_text(PRICES.format(*prices))
            monkeypatch.setenv("RMFT_PRICES", str(tmp_path / "prices.toml"))
        sets = [word for change in changes for word in ("--set", change)]
        words = ["rmft-api", command, str(file), "--runs", str(tmp_path / "runs"), *sets]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert ended.value.code == code, said.err
        assert said.out == "" or command == "plan"
        assert said.err.startswith("rmft-api: ")
        assert said.err.count("\n") == 1
        assert not (tmp_path / "runs").exists()
        return said.err

    return ask


ADAPTIVE = "{environment='online_learning', K=3, T=6, options={process='adaptive'}}"


@pytest.mark.parametrize("split", ["rollouts", "validation", "test"])
@pytest.mark.usefixtures("shut")
def test_an_adversary_needs_a_model_that_tells_its_distribution(
    refused: Refused, split: str
) -> None:
    said = refused(OPENAI, f"{split}.problems=[{ADAPTIVE}]")
    assert "its adversary answers the distribution" in said
    assert "prompts.output = 'distribution'" in said


@pytest.fixture
def shut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks anybody fails."""

    def connect(*_: object, **__: object) -> None:
        raise AssertionError("nobody is asked")

    monkeypatch.setattr("socket.socket.connect", connect)


LONG = "rollouts.problems=[{environment='bandit', K=3, T=300}]"
CHAT = (
    "sampling.max_tokens=512",
    "prompts.conversation=multi_turn",
    "prompts.history=raw",
    "rollouts.scenarios=1",
)
LLAMA = ("model.profile=nebius", "model.base=meta-llama/Llama-3.3-70B-Instruct")
STATIC: dict[str, tuple[Mapping[str, str], tuple[str, ...], str]] = {
    "an unknown price": (OPENAI, ("model.base=gpt-99",), "no price is known for 'gpt-99'"),
    "a missing key": ({}, (), "OPENAI_API_KEY"),
    "no chain": (NEBIUS, LLAMA, "cannot continue from a fine-tune"),
    "a long example": (OPENAI, (LONG, *CHAT), "65536 are allowed"),
    "few examples": (
        OPENAI,
        ("rollouts.scenarios=1", "selection.k=1"),
        "makes 6 examples at most",
    ),
    "an absolute rate": (
        OPENAI,
        ("finetuning.learning_rate=1e-5",),
        "learning_rate_multiplier",
    ),
    "an absolute rate of preferences": (
        OPENAI,
        ("finetuning.method=supervised-then-dpo", "finetuning.dpo.learning_rate=1e-5"),
        "takes the multiplier kind",
    ),
    "a multiplier": (
        NEBIUS,
        (*LLAMA, "iterations=1", "finetuning.learning_rate_multiplier=2"),
        "takes the absolute kind",
    ),
    "a method of other models": (
        OPENAI,
        ("model.base=gpt-4o-mini-2024-07-18", "finetuning.method=supervised-then-dpo"),
        "does not train 'gpt-4o-mini-2024-07-18' by 'dpo'",
    ),
}


@pytest.mark.usefixtures("shut")
@pytest.mark.parametrize("case", STATIC)
def test_what_the_run_file_alone_shows_is_refused_without_asking_anybody(
    refused: Refused, case: str
) -> None:
    environ, changes, says = STATIC[case]
    prices = ("nebius", "meta-llama/Llama-3.3-70B-Instruct") if environ is NEBIUS else None
    assert says in refused(environ, *changes, prices=prices)


@pytest.mark.usefixtures("shut")
@pytest.mark.parametrize(
    "case", [one for one in STATIC if one not in ("an unknown price", "a missing key")]
)
def test_a_plan_of_such_a_run_needs_no_key_and_ends_with_the_same_line(
    refused: Refused, case: str
) -> None:
    environ, changes, says = STATIC[case]
    prices = ("nebius", "meta-llama/Llama-3.3-70B-Instruct") if environ is NEBIUS else None
    assert says in refused({}, *changes, command="plan", prices=prices)


@pytest.mark.parametrize(
    ("key", "base", "code", "says"),
    [
        ("sk-0123456789abcdef", "gpt-4.1-2025-04-14", 78, "the project that the key belongs to"),
        ("sk-of-another-project", "gpt-4.1-mini-2025-04-14", 77, "OPENAI_API_KEY"),
    ],
    ids=["a model that the project does not have", "a key that is not let in"],
)
def test_what_the_endpoint_says_to_the_key_is_heard_before_anything_is_paid(
    provider: Provider, refused: Refused, key: str, base: str, code: int, says: str
) -> None:
    environ = {"OPENAI_API_KEY": key, "OPENAI_BASE_URL": provider.base_url}
    told = refused(environ, f"model.base={base}", code=code)
    assert says in told
    assert key not in told
    assert provider.books.billed() == 0
    assert provider.books.requests("POST") == 0
