"""What things cost: the shipped rows, the sums, and what is not known."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmft_api.core.errors import ConfigError
from rmft_api.core.records import (
    ChatRequest,
    ChatResponse,
    Choice,
    Message,
    Sampling,
    Usage,
)
from rmft_api.datasets.tokens import counter_for
from rmft_api.planning.cost import PriceSheet
from rmft_api.providers import profiles
from rmft_api.providers.prices import SHIPPED, Prices, load, most_tokens, price_of, rows

FIREWORKS = "accounts/fireworks/models/llama-v3p1-8b-instruct"
OLDER = 'as_of = 2026-05-08\nsource = "their page"\n'
TUNED = "ft:gpt-4o-mini-2024-07-18:org:rmft:abc"


def ask(
    model: str = TUNED, n: int = 1, text: str = "Which button?", max_tokens: int = 10
) -> ChatRequest:
    return ChatRequest("k", model, (Message("user", text),), n, 1, Sampling(max_tokens=max_tokens))


@pytest.mark.parametrize(
    ("model", "family", "price_in", "price_out", "train"),
    [
        ("gpt-4o-mini", "gpt-4o-mini", "0.15", "0.60", "3"),
        ("gpt-4o-mini-2024-07-18", "gpt-4o-mini", "0.15", "0.60", "3"),
        (TUNED, "ft:gpt-4o-mini", "0.30", "1.20", "3"),
        ("ft:gpt-4o-mini-2024-07-18:o::x:ckpt-step-5", "ft:gpt-4o-mini", "0.30", "1.20", "3"),
        ("ft:gpt-4.1-mini-2025-04-14:o::x", "ft:gpt-4.1-mini", "0.80", "3.20", "5"),
        ("ft:gpt-4.1-2025-04-14:o::x", "ft:gpt-4.1", "3.00", "12.00", "25"),
        ("gpt-4o-2024-08-06", "gpt-4o", "2.50", "10.00", "25"),
    ],
)
def test_a_model_is_priced_by_its_family(
    model: str, family: str, price_in: str, price_out: str, train: str
) -> None:
    price = price_of("openai", model)
    assert price
    assert price.model == family
    assert (price.input, price.output, price.train) == (
        Decimal(price_in),
        Decimal(price_out),
        Decimal(train),
    )


def test_an_azure_fine_tune_is_its_bases_row() -> None:
    price = price_of("azure", "gpt-4.1-2025-04-14.ft-0e88")
    assert price
    assert price.deployment(24) == 40_800_000


@pytest.mark.parametrize("model", ["gpt-5", "gpt-4.1-mini-pro", "gpt-4.10", "ft:gpt-5:o::x", ""])
def test_a_model_without_a_row_has_no_price(model: str) -> None:
    assert price_of("openai", model) is None
    assert Prices(profiles.load("openai")).worst_case(ask(model)) is None
    assert Prices(profiles.load("openai")).training(model, 1000) is None


def test_a_paid_run_on_an_unknown_price_is_refused_in_one_line() -> None:
    prices = Prices(profiles.load("openai"))
    prices.check("gpt-4o-mini", TUNED)
    with pytest.raises(ConfigError, match=r"gpt-5.*RMFT_PRICES"):
        prices.check("gpt-4o-mini", "gpt-5")


def test_what_is_unknown_is_never_nothing() -> None:
    gemini = price_of("gemini", "gemini-3.5-flash")
    assert gemini
    assert gemini.training(1000) is None
    assert gemini.deployment(1) is None


def test_local_costs_nothing_and_says_why() -> None:
    prices = Prices(profiles.load("local"))
    assert prices.worst_case(ask("tiny-2026")) == 0
    assert prices.training("tiny-2026", 10**6, 3) == 0
    price = prices.of("tiny-2026")
    assert price
    assert "own machine" in price.source


def test_usage_is_charged_by_what_was_cached_and_what_was_not() -> None:
    price = price_of("openai", TUNED)
    assert price
    assert price.actual(Usage(1000, 100, cached_tokens=600)) == 400 * 0.3 + 600 * 0.15 + 100 * 1.2


def test_sums_are_rounded_up() -> None:
    price = price_of("openai", "gpt-4o-mini")
    assert price
    assert price.actual(Usage(1, 0)) == 1
    assert price.actual(Usage(0, 0)) == 0


def test_training_counts_epochs_once() -> None:
    prices = Prices(profiles.load("openai"))
    assert prices.training(TUNED, 1000, 3) == prices.training(TUNED, 3000) == 9000


def test_a_reply_that_tells_no_usage_has_no_cost() -> None:
    prices = Prices(profiles.load("openai"))
    told = ChatResponse("id", TUNED, (Choice("a", "stop"),), Usage(10, 2))
    silent = ChatResponse("id", TUNED, (Choice("a", "stop"),), None)
    assert prices.cost(ask(), told) == 6  # 10 x 0.3 + 2 x 1.2 = 5.4 micro-dollars
    assert prices.cost(ask(), silent) is None


@settings(deadline=None)
@given(st.text(max_size=200), st.integers(1, 16), st.integers(1, 4096))
def test_no_reply_costs_more_than_its_worst_case(text: str, n: int, max_tokens: int) -> None:
    prices = Prices(profiles.load("openai"))
    asked = ask(n=n, text=text, max_tokens=max_tokens)
    worst = prices.worst_case(asked)
    told = Usage(counter_for("gpt-4o-mini").chat(asked.messages), n * max_tokens)
    cost = prices.cost(asked, ChatResponse("id", TUNED, (Choice("a", "stop"),), told))
    assert worst is not None
    assert cost is not None
    assert cost <= worst


@settings(deadline=None)
@given(st.lists(st.text(max_size=50), max_size=5))
def test_the_bound_on_tokens_is_one(texts: list[str]) -> None:
    messages = tuple(Message("user", text) for text in texts)
    assert counter_for("gpt-4o-mini").chat(messages) <= most_tokens(messages)


def test_own_prices_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        '[[price]]\nprovider = "openai"\nmodel = "gpt-4o-mini"\ninput = 9\noutput = 1\n'
        'cached = "unknown"\nas_of = 2026-12-01\nsource = "my invoice"\n'
    )
    monkeypatch.setenv("RMFT_PRICES", str(path))
    mine = price_of("openai", "gpt-4o-mini")
    assert mine
    assert mine.input == 9
    assert mine.actual(Usage(10, 0, cached_tokens=10)) == 90
    shipped = price_of("openai", "gpt-4.1-mini")
    assert shipped
    assert shipped.source.startswith("developers.openai.com")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('provider = "a"\nmodel = "b"\ninput = 1\n', "as_of"),
        ('provider = "a"\nmodel = "b"\ninput = -1\nas_of = 2026-01-01\nsource = "s"\n', "input"),
        ('provider = "a"\nmodel = "b"\ninput = nan\nas_of = 2026-01-01\nsource = "s"\n', "input"),
        ('provider = "a"\nmodel = "b"\ninputs = 1\nas_of = 2026-01-01\nsource = "s"\n', "inputs"),
    ],
)
def test_a_mistake_in_a_prices_file_is_one_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text("[[price]]\n" + text)
    with pytest.raises(ConfigError, match=words):
        price_of("a", "b", path)


def test_a_row_stands_in_a_file_once(tmp_path: Path) -> None:
    row = '[[price]]\nprovider = "a"\nmodel = "b"\nas_of = 2026-01-01\nsource = "s"\n'
    path = tmp_path / "twice.toml"
    path.write_text(row + row)
    with pytest.raises(ConfigError, match="twice"):
        price_of("a", "b", path)
    size = '[[training]]\nprovider = "a"\nmost_billions = 16\ntrain = 1\n' + OLDER
    again = tmp_path / "again.toml"
    again.write_text(size + size)
    with pytest.raises(ConfigError, match="a training up to 16 billion parameters is listed twice"):
        price_of("a", "b", again)


def test_every_row_tells_its_day_and_its_source() -> None:
    rows = load(SHIPPED).price
    assert len(rows) >= 15
    assert all(row.source and row.as_of.year == 2026 for row in rows)


def test_a_fine_tune_dies_with_its_base() -> None:
    for row in load(SHIPPED).price:
        if row.provider == "openai" and row.model != "ft:o4-mini":
            base = price_of("openai", row.model.removeprefix("ft:"))
            life = profiles.load("openai").lifecycle_of(row.model)
            assert base
            assert life
            assert row.shutdown == base.shutdown == life.shutdown


def test_a_prices_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_bytes(b"\xef\xbb\xbf" + SHIPPED.read_bytes())
    assert load(path) == load(SHIPPED)


@pytest.mark.parametrize(
    ("model", "train", "train_dpo"),
    [
        ("Qwen/Qwen3.5-9B", "2.00", "3.00"),
        ("ft:Qwen/Qwen3.5-9B:ft-1", "2.00", "3.00"),
        ("lab/Base-70B-Instruct", "5.00", None),
        ("lab/Base-90B", None, None),  # beyond every row
        ("lab/Scout-8B-16E", None, None),  # the size of one expert of sixteen
        ("lab/mixture-8x7b", None, None),
        ("lab/tiny-0p5b", None, None),
        ("lab/nameless", None, None),
        ("lab/own-9B", "7.00", None),
        ("lab/unknown-9B", None, None),
    ],
)
def test_training_is_priced_by_the_size_that_a_name_tells_where_no_row_says_it(
    tmp_path: Path, model: str, train: str | None, train_dpo: str | None
) -> None:
    path = tmp_path / "prices.toml"
    row = '[[price]]\nprovider = "mine"\nmodel = "{}"\ninput = 1\noutput = 1\n{}'
    about = 'as_of = 2026-11-28\nsource = "theirs"\n'
    told = {"lab/own-9B": "train = 7.00\n", "lab/unknown-9B": 'train = "unknown"\n'}
    base = model.removeprefix("ft:").partition(":")[0]
    sizes = (
        '[[training]]\nprovider = "mine"\nmost_billions = 80\ntrain = 5.00\n' + OLDER,
        '[[training]]\nprovider = "mine"\nmost_billions = 16\ntrain = 2.00\n'
        "train_dpo = 3.00\n" + OLDER,
    )
    path.write_text("".join((row.format(base, told.get(base, "")), about, *sizes)))
    price = price_of("mine", base, path)
    assert price is not None
    assert price.train == (None if train is None else Decimal(train))
    assert price.train_dpo == (None if train_dpo is None else Decimal(train_dpo))
    sized = base not in told and train is not None
    assert price.as_of == (date(2026, 5, 8) if sized else date(2026, 11, 28))
    assert price.source == ("theirs; training: their page" if sized else "theirs")
    assert next(row for row in rows(path) if row.provider == "mine") == price


def test_preferences_cost_what_their_own_rate_says_and_else_the_same() -> None:
    sheet = PriceSheet(profiles.load("fireworks"), FIREWORKS, Prices(profiles.load("fireworks")))
    sft = sheet.training(0, (1e6, 2e6, 3_000_000), 2, "supervised")
    dpo = sheet.training(0, (1e6, 2e6, 3_000_000), 2, "dpo")
    assert (sft.low, sft.expected, sft.worst) == (1_000_000, 2_000_000, 3_000_000)
    assert (dpo.low, dpo.expected, dpo.worst) == (2_000_000, 4_000_000, 6_000_000)
    openai = Prices(profiles.load("openai"))
    assert openai.training("gpt-4.1", 1000, 1, "dpo") == openai.training("gpt-4.1", 1000)
