"""Tables fit where they are shown."""

import pytest

from rmft_api.report.text.columns import paragraph, table

ROWS = [
    ("phase", "calls", "cached", "usd"),
    ("rollouts", "1,200", "7", "0.50"),
    ("total", "1,200", "7", "12.50"),
]


def test_words_stand_to_the_left_numbers_to_the_right_and_the_total_is_ruled_off() -> None:
    assert table(ROWS, words=1).splitlines() == [
        "phase     calls  cached    usd",
        "--------  -----  ------  -----",
        "rollouts  1,200       7   0.50",
        "--------  -----  ------  -----",
        "total     1,200       7  12.50",
    ]


@pytest.mark.parametrize(("width", "left_out"), [(30, []), (29, ["cached"]), (16, ["cached"])])
def test_where_there_is_no_room_optional_columns_go_and_are_named(
    width: int, left_out: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    told = table(ROWS, words=1, optional=("cached",)).splitlines()
    assert [name for name in ROWS[0] if name not in told[0]] == left_out
    assert told[5:] == ([f"(no room for: {', '.join(left_out)})"] if left_out else [])


def test_prose_is_broken_at_the_width_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    assert paragraph("one two three four five six") == "one two three four\n  five six"


def test_a_pipe_has_room_for_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert "\n" not in paragraph("word " * 100)
