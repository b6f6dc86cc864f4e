from collections.abc import Callable
from itertools import cycle
from typing import Any

import pytest

from rmft_api.core.errors import (
    ConfigError,
    FaultKind,
    Mismatch,
    NotEntitledError,
    ProviderDownError,
    ProviderFault,
    ResumableError,
)
from rmft_api.requests.retries import (
    LOST_FOR_GOOD,
    NO_ANSWERS,
    RULES,
    Breaker,
    Retries,
    Rule,
)
from tests.virtual import VirtualTime

SAFE, AMBIGUOUS = FaultKind.SAFE, FaultKind.AMBIGUOUS
WAIT, STOP, REJECTED = FaultKind.WAIT, FaultKind.STOP, FaultKind.REJECTED
NO_ANSWER = FaultKind.NO_ANSWER


class Endpoint:
    """Fails with `faults` in turn, then answers; counts the requests that reach it."""

    def __init__(self, *faults: ProviderFault, endless: bool = False) -> None:
        self.faults = cycle(faults) if endless else iter(faults)
        self.requests = 0

    async def __call__(self) -> str:
        self.requests += 1
        for fault in self.faults:
            raise fault
        return "answer"


def fault(kind: FaultKind, **more: Any) -> ProviderFault:
    return ProviderFault(f"a {kind} fault", kind, **more)


def always(kind: FaultKind, **more: Any) -> Endpoint:
    return Endpoint(fault(kind, **more), endless=True)


@pytest.fixture
def time() -> VirtualTime:
    return VirtualTime()


@pytest.fixture
def retries(time: VirtualTime) -> Retries:
    return Retries(clock=time.clock, sleep=time.sleep, jitter=lambda: 1.0)


async def test_a_request_that_works_is_sent_once_without_a_pause(
    retries: Retries, time: VirtualTime
) -> None:
    endpoint = Endpoint()
    assert await retries.send(endpoint, "call") == "answer"
    assert (endpoint.requests, time.slept) == (1, [])


@pytest.mark.parametrize("failures", [1, 5, 19])
async def test_safe_faults_are_repeated_until_the_request_works(
    retries: Retries, failures: int
) -> None:
    endpoint = Endpoint(*(fault(SAFE, status=429) for _ in range(failures)))
    assert await retries.send(endpoint, "call") == "answer"
    assert endpoint.requests == failures + 1


async def test_safe_faults_end_after_twenty_requests_as_a_provider_that_is_down(
    retries: Retries,
) -> None:
    endpoint = always(SAFE, status=429)
    with pytest.raises(ProviderDownError, match=r"20 attempts .* `rmft-api resume`"):
        await retries.send(endpoint, "call")
    assert endpoint.requests == 20


async def test_safe_faults_end_after_an_hour(retries: Retries, time: VirtualTime) -> None:
    start, endpoint = time.now, always(SAFE, status=429, retry_after_s=1500.0)
    with pytest.raises(ProviderDownError):
        await retries.send(endpoint, "call")
    assert endpoint.requests == 3
    assert time.now - start <= 3600


async def test_an_ambiguous_fault_is_reissued_once_and_then_raised(retries: Retries) -> None:
    assert await retries.send(Endpoint(fault(AMBIGUOUS)), "call") == "answer"
    endpoint = always(AMBIGUOUS)
    with pytest.raises(ProviderFault) as caught:
        await retries.send(endpoint, "call")
    assert caught.value.kind is AMBIGUOUS
    assert endpoint.requests == 2


async def test_what_an_earlier_process_lost_leaves_one_request(retries: Retries) -> None:
    endpoint = always(AMBIGUOUS)
    with pytest.raises(ProviderFault):
        await retries.send(endpoint, "call", lost=3)
    assert endpoint.requests == 1


async def test_safe_faults_do_not_use_up_the_reissue(retries: Retries) -> None:
    endpoint = Endpoint(fault(SAFE), fault(AMBIGUOUS), fault(SAFE), fault(SAFE))
    assert await retries.send(endpoint, "call") == "answer"
    assert endpoint.requests == 5


async def answered_once(retries: Retries) -> None:
    """From here on the endpoint is known to answer."""
    await retries.send(Endpoint(), "call")


async def test_a_reply_that_is_no_answer_is_asked_for_six_times_and_then_raised(
    retries: Retries, time: VirtualTime
) -> None:
    await answered_once(retries)
    assert await retries.send(Endpoint(*[fault(NO_ANSWER)] * 5), "call") == "answer"
    time.slept.clear()
    endpoint = always(NO_ANSWER, retry_after_s=3.0)
    with pytest.raises(ProviderFault) as caught:
        await retries.send(endpoint, "call", lost=LOST_FOR_GOOD - 1)
    assert (caught.value.kind, endpoint.requests) == (NO_ANSWER, 6)
    assert time.slept[:2] == [3.0 + 2.0, 3.0 + 4.0]


async def test_an_endpoint_that_gives_no_answer_at_all_is_left_after_twenty_replies(
    retries: Retries,
) -> None:
    endpoint = always(NO_ANSWER)
    with pytest.raises(ResumableError, match="none of the first 20 replies"):
        for _ in range(NO_ANSWERS):
            with pytest.raises(ProviderFault):
                await retries.send(endpoint, "call")
    assert endpoint.requests == NO_ANSWERS


async def test_the_same_wrong_form_twice_in_a_row_is_a_mistake_of_configuration(
    retries: Retries,
) -> None:
    await answered_once(retries)
    other = fault(NO_ANSWER, mismatch=Mismatch("another"))
    same = fault(NO_ANSWER, mismatch=Mismatch("fewer choices"))
    assert await retries.send(Endpoint(same, other, same, fault(SAFE), same), "call") == "answer"
    with pytest.raises(ConfigError, match="twice in a row"):
        await retries.send(Endpoint(other, same, same), "call")


async def test_a_page_of_maintenance_is_no_mistake_of_configuration(retries: Retries) -> None:
    page = fault(NO_ANSWER, mismatch=Mismatch("HTML", permanent=False))
    with pytest.raises(ConfigError, match="the reply before it"):
        await retries.send(Endpoint(page, page), "call")
    await answered_once(retries)
    assert await retries.send(Endpoint(*[page] * 5), "call") == "answer"


async def test_a_poisonous_request_is_not_sent_again(retries: Retries) -> None:
    endpoint = Endpoint()
    with pytest.raises(ProviderFault, match="lost 6 times") as caught:
        await retries.send(endpoint, "call", lost=LOST_FOR_GOOD)
    assert caught.value.kind is REJECTED
    assert endpoint.requests == 0


async def test_the_caller_may_forbid_the_reissue(retries: Retries) -> None:
    endpoint = always(AMBIGUOUS)
    with pytest.raises(ProviderFault):
        await retries.send(endpoint, "job", ambiguous=Rule(attempts=1))
    assert endpoint.requests == 1


async def test_waiting_ends_at_its_deadline_by_the_wall_clock(
    retries: Retries, time: VirtualTime
) -> None:
    start, endpoint = time.now, always(WAIT)
    with pytest.raises(ResumableError, match="waits again"):
        await retries.send(endpoint, "call")
    assert 20 * 3600 < time.now - start <= RULES[WAIT].within_s
    assert endpoint.requests > 100


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (401, None, NotEntitledError),
        (403, "training_not_available", NotEntitledError),
        (404, "model_not_found", NotEntitledError),
        (400, "unsupported_parameter", ConfigError),
        (413, None, ConfigError),
        (403, "billing_not_active", ResumableError),
        (402, None, ResumableError),
        (429, "insufficient_quota", ResumableError),
    ],
)
async def test_a_closed_door_stops_the_run_after_one_request(
    retries: Retries, status: int, code: str | None, error: type[Exception]
) -> None:
    endpoint = always(STOP, status=status, code=code)
    with pytest.raises(error, match="a stop fault"):
        await retries.send(endpoint, "call")
    assert endpoint.requests == 1


async def test_a_refused_request_is_sent_once(retries: Retries) -> None:
    endpoint = always(REJECTED, status=400)
    with pytest.raises(ProviderFault):
        await retries.send(endpoint, "call")
    assert endpoint.requests == 1


async def test_an_error_that_is_no_fault_passes_at_once(retries: Retries) -> None:
    async def broken() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await retries.send(broken, "call")


async def test_pauses_double_up_to_a_minute_and_add_to_what_the_provider_asks(
    retries: Retries, time: VirtualTime
) -> None:
    await retries.send(Endpoint(*(fault(SAFE) for _ in range(9))), "call")
    whole = [sum(time.slept[:5]), *time.slept[5:]]
    assert time.slept[:5] == [0.5, 1, 2, 4, 8]
    assert sum(whole[1:]) == 16 + 30 + 2 + 60 + 60  # 32 is slept in slices of 30
    time.slept.clear()
    await retries.send(Endpoint(fault(SAFE, retry_after_s=7.0)), "call")
    assert time.slept == [7.5]


@pytest.mark.parametrize("kind", [SAFE, AMBIGUOUS, NO_ANSWER, WAIT])
async def test_looking_is_free_and_goes_on_for_hours(
    retries: Retries, time: VirtualTime, kind: FaultKind
) -> None:
    start, endpoint = time.now, always(kind)
    with pytest.raises((ProviderDownError, ResumableError)):
        await retries.look(endpoint, "poll")
    assert 5 * 3600 < time.now - start <= 6 * 3600


async def test_looking_stops_where_asking_again_cannot_help(retries: Retries) -> None:
    endpoint = always(STOP, status=401)
    with pytest.raises(NotEntitledError):
        await retries.look(endpoint, "poll")
    assert endpoint.requests == 1


async def test_a_laptop_that_slept_through_a_pause_wakes_up_at_once(time: VirtualTime) -> None:
    async def sleep(seconds: float) -> None:
        await time.sleep(seconds)
        time.now += 8 * 3600  # the lid was closed

    await Retries(clock=time.clock, sleep=sleep).pause(3600)
    assert time.slept == [30.0]


async def test_a_clock_set_back_does_not_stretch_a_pause(time: VirtualTime) -> None:
    async def sleep(seconds: float) -> None:
        time.slept.append(seconds)
        time.now -= 3600

    await Retries(clock=time.clock, sleep=sleep).pause(100)
    assert sum(time.slept) == 100


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        breaker.note(failed=True)


async def test_the_breaker_opens_when_most_of_the_last_fifty_failed(time: VirtualTime) -> None:
    breaker = Breaker(time.clock, time.sleep)
    for _ in range(25):
        breaker.note(failed=False)
    fail(breaker, 25)
    assert not breaker.is_open
    fail(breaker, 1)
    assert breaker.is_open


async def test_an_open_breaker_lets_one_probe_through_each_minute(time: VirtualTime) -> None:
    breaker = Breaker(time.clock, time.sleep)
    fail(breaker, 50)
    start = time.now
    await breaker.admit()
    assert 60 <= time.now - start < 61
    await breaker.admit()
    assert 120 <= time.now - start < 122
    breaker.note(failed=False)
    await breaker.admit()
    assert time.now - start < 122


@pytest.mark.parametrize(
    ("endpoint", "opens"),
    [
        (lambda: always(AMBIGUOUS, status=500), True),
        (lambda: always(NO_ANSWER, status=200), True),
        (lambda: always(SAFE), True),
        (lambda: always(SAFE, status=429), False),
        (lambda: always(REJECTED, status=400), False),
    ],
)
async def test_outages_open_the_breaker_but_limits_and_refusals_do_not(
    retries: Retries, endpoint: Callable[[], Endpoint], opens: bool
) -> None:
    for _ in range(60):
        if not retries.breaker.is_open:
            with pytest.raises((ProviderFault, ProviderDownError, ResumableError)):
                await retries.send(endpoint(), "call")
    assert retries.breaker.is_open is opens


async def test_requests_wait_while_the_breaker_is_open(retries: Retries, time: VirtualTime) -> None:
    fail(retries.breaker, 50)
    start = time.now
    await retries.send(Endpoint(), "call")
    assert time.now - start >= 60
    assert not retries.breaker.is_open
