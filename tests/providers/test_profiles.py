"""Profiles: what is shipped, what users write, and where a key may go."""

import pickle
import traceback
from pathlib import Path

import pytest

from rmft_api.core.errors import ConfigError
from rmft_api.core.records import Hyperparameters
from rmft_api.providers.profiles import Profile, Secret, load, load_all

CANARY = "sk-canary-0123456789abcdef"


def own(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "profiles.toml"
    path.write_text(text)
    return path


def test_the_shipped_profiles_are_complete() -> None:
    assert {"local", "openai", "openai-compatible"} <= load_all().keys()
    assert not load("local").paid
    assert load("openai").paid


def test_an_unknown_profile_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'openai'"):
        load("opnai")
    with pytest.raises(ConfigError, match="known: local, openai"):
        load("xyz")


def test_a_profile_of_ones_own_takes_what_it_leaves_out_from_another(tmp_path: Path) -> None:
    text = '[my-vllm]\nlike = "openai-compatible"\nbase_url = "http://10.0.0.7:8000/v1"\n'
    mine = load("my-vllm", own(tmp_path, text + "chat = { n = 64 }\n"))
    assert (mine.chat.n, mine.chat.max_tokens_field) == (64, "max_tokens")
    assert mine.price_list == "my-vllm"


def test_the_environment_names_a_file_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = own(tmp_path, "[mine]\nlike = 'local'\nbase_url = 'http://127.0.0.1:1/v1'\n")
    monkeypatch.setenv("RMFT_PROFILES", str(path))
    assert not load("mine").paid


def test_a_copy_of_an_endpoint_has_no_prices_or_dates_of_its_model(tmp_path: Path) -> None:
    text = '[gateway]\nlike = "openai"\nbase_url = "https://gateway.example/v1"\n'
    gateway = load("gateway", own(tmp_path, text))
    assert gateway.lifecycle == ()
    assert gateway.price_list == "gateway"


def test_a_shipped_profile_can_be_changed_in_part(tmp_path: Path) -> None:
    changed = load("openai", own(tmp_path, "[openai]\nchat = { n = 8 }\n"))
    assert changed.chat.n == 8
    assert changed.base_url == load("openai").base_url
    assert changed.lifecycle


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[x]\nbase_uri = 'https://a.b'\n", "base_url"),
        ("[x]\nbase_url = 'https://a.b'\nnonsense = 1\n", "nonsense"),
        ("[x]\nbase_url = 'ftp://a.b'\n", "https"),
        ("[x]\nbase_url = 'https://'\n", "host"),
        ('[x]\nbase_url = "https://a.b/v1\\r"\n', "line break"),
        ("[x]\nbase_url = 'https://a.b/v 1'\n", "space"),
        ("[x]\nbase_url = 'https://user:pw@a.b/v1'\n", "no key"),
        ("[x]\nbase_url = 'https://a.b/v1?key=1'\n", "no key"),
        ("[x]\nlike = 'nobody'\n", "nobody"),
        ("x = 1\n", "table"),
        ("[x\n", "profiles.toml"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        load_all(own(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_the_environment_may_move_an_endpoint() -> None:
    moved = load("openai").here({"OPENAI_BASE_URL": "http://127.0.0.1:1234/v1"})
    assert moved.base_url == "http://127.0.0.1:1234/v1"
    assert load("openai").here({}).base_url == "https://api.openai.com/v1"
    spaced = load("openai").here({"OPENAI_BASE_URL": " http://127.0.0.1:1234/v1\r\n"})
    assert spaced.base_url == "http://127.0.0.1:1234/v1"


@pytest.mark.parametrize("host", ["127.0.0.1:80", "localhost", "[::1]:8000"])
def test_a_key_may_go_to_loopback_unencrypted(host: str) -> None:
    profile = load("openai").at(f"http://{host}/v1")
    assert profile.key({"OPENAI_API_KEY": CANARY})


@pytest.mark.parametrize("host", ["10.0.0.7:8000", "api.openai.com", "localhost.evil.example"])
def test_a_key_goes_nowhere_else_unencrypted(host: str) -> None:
    profile = load("openai").at(f"http://{host}/v1")
    with pytest.raises(ConfigError, match="unencrypted") as caught:
        profile.key({"OPENAI_API_KEY": CANARY})
    assert CANARY not in str(caught.value)


def test_a_server_without_a_key_may_be_anywhere() -> None:
    profile = load("openai-compatible").at("http://10.0.0.7:8000/v1")
    assert profile.key({}) is None


@pytest.mark.parametrize("value", ["", "   "])
def test_a_missing_key_is_one_line_that_names_it(value: str) -> None:
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        load("openai").key({"OPENAI_API_KEY": value})


def test_a_key_with_a_line_break_is_refused_unshown() -> None:
    with pytest.raises(ConfigError) as caught:
        load("openai").key({"OPENAI_API_KEY": f"{CANARY}\nX-Header: 1"})
    assert CANARY not in str(caught.value)


def test_a_key_is_never_shown() -> None:
    secret = load("openai").key({"OPENAI_API_KEY": f" {CANARY}\n"})
    assert secret
    assert secret.reveal() == CANARY
    assert CANARY not in f"{secret!r} {secret} {vars(Profile)}"
    with pytest.raises(TypeError):
        pickle.dumps(secret)


def test_a_traceback_with_locals_shows_no_key() -> None:
    def fail(secret: Secret) -> None:
        raise ValueError(secret)

    try:
        fail(Secret(CANARY))
    except ValueError as error:
        shown = traceback.TracebackException.from_exception(error, capture_locals=True)
        # This test's own frame holds the canary by its global name only.
        assert CANARY not in "".join(shown.format())


@pytest.mark.parametrize(
    ("model", "ends"),
    [
        ("gpt-4o-mini", "2027-01-14"),
        ("gpt-4o-mini-2024-07-18", "2027-01-14"),
        ("ft:gpt-4.1-mini-2025-04-14:org::abc", "2027-01-14"),
        ("ft:gpt-4.1-nano-2025-04-14:org:s:abc:ckpt-step-7", "2026-10-23"),
        ("gpt-4", None),
        ("gpt-4.1-mini-preview", None),
    ],
)
def test_a_model_has_its_familys_calendar(model: str, ends: str | None) -> None:
    life = load("openai").lifecycle_of(model)
    assert (str(life.shutdown) if life else None) == ends


@pytest.mark.parametrize(
    ("profile", "model", "trains", "answers"),
    [
        ("azure", "gpt-4.1-mini-2025-04-14.ft-abc", "2027-04-14", "2027-10-14"),
        ("azure", "gpt-4o-2024-08-06", "2027-04-01", "2027-10-01"),
        ("gemini", "gemini-3.5-flash:projects/p/models/7@1", "2027-04-19", "2027-05-19"),
    ],
)
def test_every_provider_has_a_calendar_of_its_own(
    profile: str, model: str, trains: str, answers: str
) -> None:
    life = load(profile).lifecycle_of(model)
    assert life
    assert (str(life.training_end), str(life.shutdown)) == (trains, answers)
    assert life.source


def test_gemini_takes_no_jobs_in_the_last_month_of_a_base() -> None:
    ends = [(life.training_end, life.shutdown) for life in load("gemini").lifecycle]
    assert ends
    assert all(trains and dies and 28 <= (dies - trains).days <= 31 for trains, dies in ends)


def test_fine_tunes_are_known_by_their_name() -> None:
    profile = load("openai")
    assert profile.is_tuned("ft:gpt-4o-mini:org::x")
    assert not profile.is_tuned("gpt-4o-mini")


@pytest.mark.parametrize("profile", ["openai", "azure"])
@pytest.mark.parametrize(
    ("model", "trained"),
    [
        ("gpt-4.1-mini-2025-04-14", True),
        ("gpt-4o-2024-08-06", True),
        ("gpt-4o-mini", False),
        ("gpt-4o-mini-2024-07-18", False),
        ("ft:gpt-4o-mini-2024-07-18:org::x", False),
        ("ft:gpt-4.1-2025-04-14:org::x", True),
        ("gpt-4o-mini-2024-07-18.ft-0123", False),
    ],
)
def test_a_method_is_known_for_each_model(profile: str, model: str, *, trained: bool) -> None:
    wanted = Hyperparameters(n_epochs=1)
    load(profile).check_training(model, "supervised", wanted)
    if trained:
        load(profile).check_training(model, "dpo", wanted)
        return
    with pytest.raises(
        ConfigError, match=r"supervised alone \(.*as of 2026-.*gpt-4.1-mini"
    ) as told:
        load(profile).check_training(model, "dpo", wanted)
    assert "\n" not in str(told.value)


def test_a_profile_of_ones_own_may_know_better(tmp_path: Path) -> None:
    mine = load("openai", own(tmp_path, "[openai.training]\nbases = []\n"))
    mine.check_training("gpt-4o-mini", "dpo", Hyperparameters(n_epochs=1))


@pytest.mark.parametrize("name", [name for name, one in load_all().items() if one.training])
def test_every_profile_takes_rates_of_its_own_kind_alone(name: str) -> None:
    profile = load(name)
    assert profile.training is not None
    rates = {
        "multiplier": Hyperparameters(learning_rate_multiplier=2.0),
        "absolute": Hyperparameters(learning_rate=1e-5),
    }
    absolute = ("nebius", "bedrock", "together", "fireworks", "tinker")
    own_kind = "absolute" if name in absolute else "multiplier"
    assert profile.training.learning_rate == own_kind
    profile.check_training("base", "supervised", Hyperparameters())
    for kind, wanted in rates.items():
        if kind == own_kind:
            profile.check_training("base", "supervised", wanted)
            continue
        with pytest.raises(ConfigError, match=f"takes the {own_kind} kind; set learning_rate"):
            profile.check_training("base", "supervised", wanted)


def test_own_rates_are_those_that_endpoints_tell() -> None:
    told = {name: one.training.own_rate for name, one in load_all().items() if one.training}
    known = {"local": 2e-3, "nebius": 1e-5, "bedrock": 1e-5, "together": 1e-5}
    known["tinker"] = 1e-4
    assert {name: rate for name, rate in told.items() if rate} == known


def test_what_an_endpoint_cannot_train_is_refused_before_it_is_asked() -> None:
    wanted = Hyperparameters(n_epochs=3)
    load("openai").check_training("ft:a", "dpo", wanted)
    with pytest.raises(ConfigError, match="dpo"):
        load("openai-compatible").check_training("tiny", "dpo", wanted)
    with pytest.raises(ConfigError, match="absolute"):
        load("openai").check_training("a", "supervised", Hyperparameters(learning_rate=1e-5))
    closed = load("local").model_copy(update={"training": None})
    with pytest.raises(ConfigError, match="training_profile"):
        closed.check_training("a", "supervised", wanted)


@pytest.mark.parametrize(
    "value",
    [
        "<key>",
        "sk-...",
        "YOUR_KEY_HERE",
        "sk-your-key",
        "${KEY}",
        "$KEY",
        "xxxx",
        "***",
        "changeme",
    ],
)
@pytest.mark.parametrize("name", ["openai", "together", "fireworks", "tinker", "nebius", "azure"])
def test_the_placeholder_of_an_example_is_no_key(name: str, value: str) -> None:
    profile = load(name)
    assert profile.api_key_env
    with pytest.raises(ConfigError) as caught:
        profile.key({profile.api_key_env: value})
    assert str(caught.value).startswith(f"{profile.api_key_env} holds a placeholder")
    assert value not in str(caught.value)


@pytest.mark.parametrize("value", ["sk-proj-Yourself9x", "EMPTY", "x", "tml-xxAbc", "a.b..c"])
def test_odd_keys_are_keys(value: str) -> None:
    assert load("openai").key({"OPENAI_API_KEY": value})
