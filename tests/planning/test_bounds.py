"""No sequence of replies makes a chat longer than the bound that is planned with."""

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rmft_api.config.schema import RunConfig
from rmft_api.datasets import tokens
from rmft_api.planning import worst_case
from rmft_api.providers import profiles
from rmft_api.providers.prices import most_tokens
from rmft_api.rollouts import preparation
from rmft_api.rollouts.engine import PreparedScenario
from tests.planning.world import FAMILIES, prompts_of, small

WAYS: dict[str, dict[str, Any]] = {
    "summary": {"history": "summary"},
    "raw": {"history": "raw"},
    "said again": {"history": "raw", "repeat_reason": True},
    "one growing chat": {"history": "summary", "conversation": "multi_turn"},
    "compact": {"set": "compact", "history": "summary"},
}
Outcome = tuple[int, bool]
"""An action (-1: unreadable), and whether it comes after as many words as there may be."""
COUNTER = tokens.counter_for("gpt-4o-mini")
CHAT = profiles.load("openai").chat


def seat_of(run: RunConfig) -> PreparedScenario:
    return next(preparation.prepared_scenarios(run, prompts_of(run), "train", 1))


def told(run: RunConfig, seat: PreparedScenario, outcomes: list[Outcome]) -> tuple[int, int, int]:
    """What a play weighs: as reserved for, the same of its last chat, and tokens of examples."""
    telling = seat.prompt_builder()
    reserved: list[int] = []
    learnt = 0
    for t, (action, long) in enumerate(outcomes):
        chat = telling.messages()
        reserved.append(most_tokens(chat))
        words = worst_case.LONGEST_WORD * (run.sampling.max_tokens - 10) if long else ""
        answer = f"\n<Answer>{seat.names[action]}</Answer>" if action >= 0 else ""
        learnt += COUNTER.chat(chat) + COUNTER.text(words + answer) + 4
        rewards = tuple(seat.scenario.rewards[t].tolist())
        telling.observe(words + answer, None if action < 0 else action, rewards)
    return sum(reserved), max(reserved), learnt


def assert_bounded(family: str, way: str, outcomes: list[Outcome]) -> None:
    run = small(family, prompts=WAYS[way])
    seat = seat_of(run)
    most = worst_case.longest(run, seat, COUNTER, CHAT)
    reserved, last, learnt = told(
        run, seat, [(min(a, seat.scenario.K - 1), w) for a, w in outcomes]
    )
    assert reserved <= most.prompt_bound
    assert last <= most.last_prompt_bound
    assert learnt <= most.example_tokens


@pytest.fixture(autouse=True, scope="module")
def _without_the_spare() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worst_case, "SPARE", 1.0)
        yield


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("family", ["bandit", "full", "moving"])
@settings(max_examples=10, deadline=None)
@example(outcomes=[(a, True) for a in (0, 1, 2, 0, 1, 2)])
@example(outcomes=[(a, False) for a in (2, 1, 0, 2, 1, 0)])
@example(outcomes=[(-1, True)] * 6)
@given(outcomes=st.lists(st.tuples(st.integers(-1, 2), st.booleans()), min_size=6, max_size=6))
def test_no_play_is_longer_than_its_bound(family: str, way: str, outcomes: list[Outcome]) -> None:
    assert_bounded(family, way, outcomes)


def test_the_bound_is_no_more_than_a_few_times_a_real_play() -> None:
    for family in FAMILIES:
        run = small(family)
        seat = seat_of(run)
        reserved, _, _ = told(run, seat, [(t % 3, True) for t in range(6)])
        assert worst_case.longest(run, seat, COUNTER, CHAT).prompt_bound < 2 * reserved
