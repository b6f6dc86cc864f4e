"""The table of endpoints says what decides between them, and prices that are old are reported."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

import rmft_api
from rmft_api.planning.assumptions import old_prices
from rmft_api.planning.plan import PriceUsed
from rmft_api.providers import prices
from rmft_api.providers.profile_choices import ProfileChoice, choices
from rmft_api.report.text.profiles import profiles_json, profiles_table
from rmft_api.session import doctor_checks

TODAY = date(2026, 11, 28)


def named(profile: str) -> ProfileChoice:
    return next(one for one in choices() if one.profile == profile)


def test_every_shipped_profile_says_whose_models_it_has_and_what_it_was_tried_against() -> None:
    for one in choices():
        assert one.models in ("closed", "open", "own", "any")
        assert one.tried, one.profile


def test_an_endpoint_is_described_by_its_own_profile_and_prices() -> None:
    openai, azure, nebius = named("openai"), named("azure"), named("nebius")
    assert (openai.models, openai.prices, openai.rented, openai.batches) == (
        *("closed", "yes"),
        *(False, True),
    )
    assert openai.no_jobs_from == date(2027, 1, 6)
    assert azure.rented
    assert (nebius.prices, nebius.continues, nebius.no_jobs_from) == ("no", False, None)
    assert named("local").prices == "not billed"
    assert named("bedrock").prices == "chats only"


def test_a_price_of_ones_own_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "prices.toml"
    own.write_text(
        '[[price]]\nprovider = "nebius"\nmodel = "m"\ninput = 1\noutput = 1\ntrain = 1\n'
        'as_of = 2026-11-01\nsource = "a contract"\n',
        encoding="utf-8",
    )
    monkeypatch.setenv(prices.OWN_ENV, str(own))
    assert named("nebius").prices == "yes"


def test_a_copy_of_a_profile_was_not_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "profiles.toml"
    own.write_text(
        '[mine]\nlike = "openai-compatible"\nbase_url = "https://api.example/v1"\n',
        encoding="utf-8",
    )
    monkeypatch.setenv("RMFT_PROFILES", str(own))
    assert named("mine").tried == ""
    assert "mine: https://api.example/v1" in profiles_table(choices(), TODAY)


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_fits_the_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    text = profiles_table(choices(), TODAY)
    assert max(len(line) for line in text.splitlines()) <= width
    body = text.replace("\n  ", " ")
    assert "together: https://api.together.ai/v1, key in TOGETHER_API_KEY" in body
    assert "never against Together itself" in body


def test_bases_that_retired_do_not_end_a_profile_whose_other_bases_stay() -> None:
    assert named("tinker").no_jobs_from is None
    assert named("tinker").no_answers_from is None
    assert named("openai").no_jobs_from == date(2027, 1, 6)


def test_a_day_that_has_come_is_marked() -> None:
    assert "2027-01-06, over" in profiles_table(choices(), date(2027, 1, 6))
    assert "over" not in profiles_table([named("openai")], date(2027, 1, 5)).split("\n\n")[0]


def test_programs_and_python_get_the_same() -> None:
    raw = json.loads(profiles_json(choices()))
    assert [one["profile"] for one in raw] == [one.profile for one in rmft_api.compare_profiles()]
    assert raw[1]["no_jobs_from"] == "2027-01-06"


def row(as_of: date) -> PriceUsed:
    return PriceUsed("m", "1", None, "1", "1", None, str(as_of), "a page")


def test_prices_older_than_sixty_days_are_reported() -> None:
    assert not list(old_prices([row(TODAY - timedelta(days=60))], TODAY))
    (line,) = old_prices([row(TODAY), row(TODAY - timedelta(days=61))], TODAY)
    assert line.startswith("prices are 61 days old (as of 2026-09-28)")
    assert prices.OWN_ENV in line


def test_the_doctor_reports_them_too(tmp_path: Path) -> None:
    subject = doctor_checks.subject_of(None, "openai", tmp_path)

    def notes(at: datetime) -> list[str]:
        found = doctor_checks.findings(replace(subject, now=at))
        return [one.said for one in found if one.what == "prices" and one.verdict == "note"]

    assert notes(datetime(2026, 11, 28, tzinfo=UTC)) == []
    (line,) = notes(datetime(2027, 6, 1, tzinfo=UTC))
    assert "older than 60 days" in line
    assert prices.OWN_ENV in line


def test_every_row_has_a_source_and_a_day() -> None:
    for one in prices.rows():
        assert len(one.source) > 10, one.model
        assert one.as_of <= date(2026, 12, 31)
