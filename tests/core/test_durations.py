import math
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmft_api.core.durations import LONGEST_S, hinted, seconds, until, words

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()


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
@given(st.text())
def test_no_message_breaks_the_wait(message: str) -> None:
    for text in (message, "Please try again in " + message, "retry-after: " + message):
        wait = hinted(text, NOW)
        assert wait is None or 0 <= wait <= LONGEST_S
    at = until(message, NOW)
    assert at is None or 0 <= at <= LONGEST_S


@pytest.mark.parametrize(
    ("message", "wait_s"),
    [
        ("Rate limit reached. Please try again in 9.904s. Visit ...", 9.904),
        ("Please try again in 6m0s.", 360.0),
        ("Please try again in 5m26.592s. Need more tokens?", 326.592),
        ("Please try again in 20ms.", 0.02),
        ("Please retry after 12 seconds.", 12.0),
        ("Please retry after 12s", 12.0),
        ("Please retry in 2.5s.", 2.5),
        ("Limit 3 / min. Please try again in 20s.", 20.0),
        ("Wait for at least 1 minute and 5 seconds", 65.0),
        ("Available again in 2 hours, 3 minutes.", 7380.0),
        ("Try again in an hour", 3600.0),
        ("Your limit resets in 3 hours.", 10_800.0),
        ("Retry-After: 20", 20.0),
        ("Try again at 2026-11-22T12:10:00Z.", 600.0),
        ("Try again later.", None),
        ("Retry after 2 attempts", None),
        ("It has a limit of 3 per minute", None),
    ],
)
def test_a_message_may_say_how_long(message: str, wait_s: float | None) -> None:
    assert hinted(message, NOW) == (wait_s if wait_s is None else pytest.approx(wait_s))


@pytest.mark.parametrize("unix", ["{:.0f}", "{:.3f}", "{:.0f}000"])
def test_a_moment_may_be_unix_time_in_seconds_or_milliseconds(unix: str) -> None:
    assert until(unix.format(NOW + 90), NOW) == pytest.approx(90)
    assert until(unix.format(NOW - 90), NOW) == 0.0


def test_a_moment_may_be_a_date_of_http_or_of_iso() -> None:
    assert until("Sun, 22 Nov 2026 12:01:30 GMT", NOW) == 90.0
    assert until("2026-11-22T12:01:30Z", NOW) == 90.0
    assert until("soon", NOW) is None


@pytest.mark.parametrize(
    ("wait_s", "text"),
    [
        (0.02, "0.02 s"),
        (2.5, "2.5 s"),
        (60, "1 min"),
        (326.592, "5 min 27 s"),
        (40_000, "11 h 6 min"),
    ],
)
def test_a_wait_is_told_in_units_that_people_use(wait_s: float, text: str) -> None:
    assert words(wait_s) == text
