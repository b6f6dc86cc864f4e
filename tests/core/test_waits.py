"""No wait is silent, and no wait is told twice."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmft_api.core.errors import FaultKind, ProviderFault
from rmft_api.core.waits import TELL_S, Wait, Waits
from rmft_api.requests.retries import Retries
from tests.virtual import VirtualTime

NOW = 1_800_000_000.0


class Heard:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.news: list[Wait] = []
        self.now: Wait | None = None

    def __call__(self, wait: Wait | None, is_news: bool) -> None:
        self.now = wait
        if wait is not None and is_news:
            self.news.append(wait)


def test_a_short_wait_is_nobodys_news() -> None:
    heard = Heard()
    waits = Waits(lambda: NOW, heard)
    with waits.waiting("a blink", NOW + TELL_S - 0.1):
        assert heard.now is None
    assert not heard.news


def test_the_wait_that_ends_last_is_shown_until_it_ends() -> None:
    heard = Heard()
    waits = Waits(lambda: NOW, heard)
    with waits.waiting("a limit", NOW + 300):
        with waits.waiting("a shorter one", NOW + 10):
            assert heard.now == Wait("a limit", NOW + 300)
        assert heard.now == Wait("a limit", NOW + 300)
    assert heard.now is None
    assert heard.news == [Wait("a limit", NOW + 300)]


@given(st.lists(st.floats(300, 325), min_size=1, max_size=200))
def test_hundreds_that_meet_one_limit_are_one_line(lengths: list[float]) -> None:
    heard = Heard()
    waits = Waits(lambda: NOW, heard)
    for number, seconds in enumerate(lengths):
        waits.begin(number, f"request {number} was limited", NOW + seconds)
    for number in range(len(lengths)):
        waits.end(number)
    assert len(heard.news) == 1
    assert heard.now is None


def test_what_is_waited_for_next_is_told_though_the_last_wait_ended_early() -> None:
    heard = Heard()
    waits = Waits(lambda: NOW, heard)
    with waits.waiting("a job", NOW + 86_400):
        pass
    with waits.waiting("its model", NOW + 900):
        pass
    assert [wait.what for wait in heard.news] == ["a job", "its model"]


def test_a_later_limit_is_told_again() -> None:
    heard, now = Heard(), [NOW]
    waits = Waits(lambda: now[0], heard)
    with waits.waiting("a limit", NOW + 60):
        now[0] += 60
    with waits.waiting("a limit", now[0] + 60):
        pass
    assert len(heard.news) == 2


def test_a_wait_is_told_with_its_end_and_its_length() -> None:
    at = datetime.fromtimestamp(NOW).astimezone()
    told = Wait("openai did not answer", NOW + 1).in_words(NOW)
    assert told == f"waits until {at:%H:%M}:{at.second + 1:02} (1 s): openai did not answer"
    assert "(24.0 h)" in Wait("a job", NOW + 86_400).in_words(NOW)
    assert "(60 min)" in Wait("a job", NOW + 3600).in_words(NOW)


async def test_a_limited_request_says_why_and_until_when() -> None:
    time, heard = VirtualTime(), Heard()
    retries = Retries(
        clock=time.clock, sleep=time.sleep, jitter=lambda: 0.0, waits=Waits(time.clock, heard)
    )
    left = [ProviderFault("limited", FaultKind.SAFE, status=429, retry_after_s=327.0)]

    async def attempt() -> str:
        if left:
            raise left.pop()
        return "answered"

    began = time.clock()
    assert await retries.send(attempt, "a chat") == "answered"
    assert [(one.what, one.until) for one in heard.news] == [("limited", began + 327.0)]
    assert heard.now is None


async def test_a_wait_that_is_cut_off_is_over() -> None:
    time, heard = VirtualTime(), Heard()

    async def cut(seconds: float) -> None:
        raise KeyboardInterrupt

    retries = Retries(clock=time.clock, sleep=cut, waits=Waits(time.clock, heard))
    with pytest.raises(KeyboardInterrupt):
        await retries.pause(100, "a limit")
    assert heard.news
    assert heard.now is None
