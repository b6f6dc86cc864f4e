import math
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmft_api.durations import LONGEST_S, retry_after, seconds

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [
        ("20", 20.0),
        ("1.5", 1.5),
        ("0", 0.0),
        ("1s", 1.0),
        ("120ms", 0.12),
        ("6m0s", 360.0),
        ("1h2m3.5s", 3723.5),
        ("2d", 172_800.0),
        (" 8.64S ", 8.64),
    ],
)
def test_durations_are_read_in_every_format(text: str, wait_s: float) -> None:
    assert seconds(text) == pytest.approx(wait_s)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-1",
        "NaN",
        "NaNs",
        "inf",
        "soon",
        "1e9",
        "6m 0s",
        "s",
        "1s2m",
        "\u0661s",
        "0x10",
        "--",
        "1.s",
    ],
)
def test_what_is_no_duration_is_not_known(text: str) -> None:
    assert seconds(text) is None


@settings(deadline=None)
@given(st.text(max_size=40))
def test_no_text_breaks_the_reader(text: str) -> None:
    read = seconds(text)
    assert read is None or (math.isfinite(read) and 0 <= read <= LONGEST_S)


@settings(deadline=None)
@given(st.integers(0, 20), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_written_durations_are_read_back(hours: int, minutes: int, s: int, ms: int) -> None:
    text = f"{hours}h{minutes}m{s}s{ms}ms"
    assert seconds(text) == pytest.approx(3600 * hours + 60 * minutes + s + ms / 1000)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms", "date"]), st.text()))
def test_no_header_breaks_the_wait(headers: dict[str, str]) -> None:
    wait = retry_after(headers, "", NOW.timestamp())
    assert wait is None or (math.isfinite(wait) and 0 <= wait <= LONGEST_S)


@settings(deadline=None)
@given(st.text())
def test_no_message_breaks_the_wait(message: str) -> None:
    wait = retry_after({}, "Please try again in " + message, NOW.timestamp())
    assert wait is None or 0 <= wait <= LONGEST_S


def _after(**headers: str) -> float | None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return retry_after(named, "", NOW.timestamp())


def test_the_longest_wait_that_is_asked_for_counts() -> None:
    assert _after(retry_after="1") == 1.0
    assert _after(retry_after_ms="120") == pytest.approx(0.12)
    assert _after(retry_after="2", retry_after_ms="1500") == 2.0
    assert _after(retry_after="36000") == 36_000.0
    assert _after(retry_after="99999999999") == LONGEST_S


def test_a_date_counts_from_the_servers_own_clock() -> None:
    at = format_datetime(NOW + timedelta(seconds=30), usegmt=True)
    assert _after(retry_after=at) == pytest.approx(30)
    skewed = format_datetime(NOW - timedelta(seconds=60), usegmt=True)
    assert _after(retry_after=at, date=skewed) == pytest.approx(90)
    assert _after(retry_after=skewed) == 0.0


def test_a_full_refill_is_no_reason_to_wait() -> None:
    assert _after(x_ratelimit_reset_requests="6m0s") is None


@pytest.mark.parametrize(
    ("message", "wait_s"),
    [
        ("Rate limit reached. Please try again in 9.904s. Visit ...", 9.904),
        ("Please try again in 6m0s.", 360.0),
        ("Please try again in 20ms.", 0.02),
        ("Please retry after 12 seconds.", 12.0),
        ("Please retry after 12s", 12.0),
        ("Try again later.", None),
    ],
)
def test_a_message_may_say_how_long(message: str, wait_s: float | None) -> None:
    assert retry_after({}, message, 0.0) == wait_s
