from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rmft_api.config.schema import PromptConfig
from rmft_api.core import chat_stats
from rmft_api.core.errors import DataError
from rmft_api.environments.scenario import Scenario
from rmft_api.prompts import ChatPromptBuilder, load

from .conftest import Write

MakeScenario = Callable[..., Scenario]
ROW = (0.1, 0.2, 0.3)


@pytest.fixture
def tell(write: Write, scenario: MakeScenario) -> Callable[..., ChatPromptBuilder]:
    """A fresh teller of the small set."""
    root = write()

    def tell(contexts: tuple[str, ...] | None = None, **choices: Any) -> ChatPromptBuilder:
        kind = {key: choices.pop(key) for key in ("K", "T", "feedback") if key in choices}
        config = PromptConfig(set="mine", story="doors", **choices)
        return load(config, [root]).prompt_builder("doors", scenario(contexts=contexts, **kind))

    return tell


Tell = Callable[..., ChatPromptBuilder]


def user(telling: ChatPromptBuilder) -> list[str]:
    message = telling.messages()[-1]
    assert message.role == "user"
    return message.content.split("\n")


def test_a_summary_has_a_line_for_every_action(tell: Tell) -> None:
    telling = tell()
    assert user(telling) == ["So far:", "A new", "B new", "C new", "", "Round 1 of 5, 5 left"]
    telling.observe("<Answer>B</Answer>", 1, ROW)
    assert user(telling)[1:4] == ["A new", "B 1 0.20 0.20 20 20", "C new"]
    telling.observe("<Answer>B</Answer>", 1, (0.0, 0.505, 0.0))
    assert user(telling)[2] == "B 2 0.35 0.35 35 35"


def test_bandit_feedback_tells_no_reward_but_the_executed_one(tell: Tell) -> None:
    for history in ("summary", "raw"):
        telling = tell(history=history)
        telling.observe("<Answer>B</Answer>", 1, (0.77, 0.2, 0.88))
        assert "77" not in "".join(user(telling))
        assert "88" not in "".join(user(telling))


def test_full_feedback_tells_every_reward(tell: Tell) -> None:
    summary, raw = tell(feedback="full"), tell(feedback="full", history="raw")
    for telling in (summary, raw):
        telling.observe("<Answer>B</Answer>", 1, ROW)
    assert user(summary)[1:4] == [
        "A 0 0.10 0.10 10 10",
        "B 1 0.20 0.20 20 20",
        "C 0 0.30 0.30 30 30",
    ]
    assert user(raw)[1] == "1 B 0.20 | A: 0.10, B: 0.20, C: 0.30 | A 10, B 20, C 30"


def test_recent_is_the_mean_of_the_last_five(tell: Tell) -> None:
    telling = tell(T=9)
    for reward in (1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.5):
        telling.observe("<Answer>A</Answer>", 0, (reward, 0.0, 0.0))
    assert user(telling)[1] == "A 7 0.36 0.10 36 10"


def test_percents_round_half_up_and_zero_has_no_sign(tell: Tell) -> None:
    telling = tell()
    telling.observe("<Answer>A</Answer>", 0, (0.125, 0.0, 0.0))
    telling.observe("<Answer>B</Answer>", 1, (0.0, -0.001, 0.0))
    assert user(telling)[1:3] == ["A 1 0.12 0.12 13 13", "B 1 0.00 0.00 0 0"]


def test_a_raw_history_has_a_line_for_every_round(tell: Tell) -> None:
    telling = tell(history="raw")
    assert user(telling)[0] == "Nothing yet."
    telling.observe("<Answer>B</Answer>", 1, ROW)
    telling.observe("what?", None, ROW)
    telling.observe("<Answer>A</Answer>", 0, ROW)
    assert user(telling)[:4] == ["So far:", "1 B 0.20 20", "2 not read", "3 A 0.10 10"]


def test_a_reply_that_could_not_be_read_is_told_once(tell: Tell) -> None:
    telling = tell()
    telling.observe("what?", None, ROW)
    assert "Round 1 was not read." in user(telling)
    telling.observe("<Answer>A</Answer>", 0, ROW)
    assert "was not read" not in "".join(user(telling))


def test_the_last_reason_is_repeated_from_round_two_on(tell: Tell) -> None:
    telling = tell(repeat_reason=True)
    assert "You said" not in "".join(user(telling))
    telling.observe("First.\nB pays $round.\n<Answer>B</Answer>", 1, ROW)
    assert "You said: B pays $round." in user(telling)
    telling.observe("<Answer>B</Answer>", 1, ROW)
    assert "You said" not in "".join(user(telling))


def test_a_lone_surrogate_never_comes_back_to_the_model(tell: Tell) -> None:
    telling = tell(repeat_reason=True)
    telling.observe("odd \ud800\0\n<Answer>B</Answer>", 1, ROW)
    assert "You said: odd \ufffd\ufffd" in user(telling)


def test_contexts_are_told_before_the_round_and_remembered_after_it(tell: Tell) -> None:
    telling = tell(contexts=("rain", "sun", "fog", "hail", "dew"), history="raw")
    assert "You see rain." in user(telling)
    telling.observe("<Answer>B</Answer>", 1, ROW)
    assert user(telling)[1] == "1 rain B 0.20"
    assert "You see sun." in user(telling)


def test_a_single_turn_chat_never_grows(tell: Tell) -> None:
    telling = tell()
    for _ in range(3):
        assert [m.role for m in telling.messages()] == ["system", "user"]
        assert telling.new_messages() == telling.messages()
        telling.observe("<Answer>B</Answer>", 1, ROW)


def test_the_sums_of_a_chat_that_grows_are_those_of_all_it_says(tell: Tell) -> None:
    telling = tell(conversation="multi_turn")
    for reply in ("Door 1.", "", "\u2028 naïve", "Door 2."):
        assert telling.stats() == chat_stats.extended(chat_stats.NOTHING, telling.messages())
        telling.observe(reply, 0, ROW)


def test_chats_of_one_round_have_no_sums_kept(tell: Tell) -> None:
    assert tell(conversation="single_turn").stats() is None


def test_a_multi_turn_chat_adds_the_reply_and_what_is_new(tell: Tell) -> None:
    telling = tell(conversation="multi_turn")
    opening = telling.messages()
    assert telling.new_messages() == opening
    telling.observe("I try B.\n<Answer>B</Answer>", 1, ROW)
    assert telling.messages()[:2] == opening
    assert [(m.role, m.content) for m in telling.messages()[2:]] == [
        ("assistant", "I try B.\n<Answer>B</Answer>"),
        ("user", "B: 0.20\nRound 2"),
    ]
    assert telling.new_messages() == telling.messages()[3:]


def test_an_empty_reply_leaves_a_well_formed_chat(tell: Tell) -> None:
    telling = tell(conversation="multi_turn")
    telling.observe(" ", None, ROW)
    assert [(m.role, m.content) for m in telling.new_messages()] == [
        ("assistant", "(silence)"),
        ("user", "Round 1 was not read.\nRound 2"),
    ]
    before = telling.messages()
    telling.observe("<Answer>B</Answer>", 1, ROW)
    assert telling.messages()[: len(before)] == before
    assert [m.role for m in telling.messages()[len(before) :]] == ["assistant", "user"]


def test_a_reward_that_is_not_finite_is_refused_with_its_round(tell: Tell) -> None:
    with pytest.raises(DataError, match=r"round 1: the reward of 'B' is nan"):
        tell().observe("<Answer>B</Answer>", 1, (0.1, float("nan"), 0.3))
    tell().observe("<Answer>A</Answer>", 0, (0.1, float("nan"), 0.3))  # never told


def test_nothing_is_heard_after_the_last_round(tell: Tell) -> None:
    telling = tell(T=1)
    telling.observe("<Answer>B</Answer>", 1, ROW)
    with pytest.raises(ValueError, match="T=1"):
        telling.observe("<Answer>B</Answer>", 1, ROW)


ROUNDS = st.lists(st.none() | st.integers(0, 2), max_size=5)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    actions=ROUNDS,
    history=st.sampled_from(["summary", "raw"]),
    conversation=st.sampled_from(["single_turn", "multi_turn"]),
    feedback=st.sampled_from(["bandit", "full"]),
)
def test_equal_visible_histories_make_equal_chats(
    tell: Tell, actions: list[int | None], history: str, conversation: str, feedback: str
) -> None:
    """Also where one teller was asked in every round and the other only at the end."""
    choices = {"history": history, "conversation": conversation, "feedback": feedback}
    asked, replayed = tell(**choices), tell(**choices)
    for action in actions:
        reply = "" if action is None else f"<Answer>{'ABC'[action]}</Answer>"
        asked.messages()
        for telling in (asked, replayed):
            telling.observe(reply, action, ROW)
    assert asked.messages() == replayed.messages()
    assert hash(asked.messages()) == hash(replayed.messages())


def test_a_summary_forgets_the_order_that_it_does_not_show(tell: Tell) -> None:
    first, second = tell(), tell()
    for telling, order in ((first, (0, 1)), (second, (1, 0))):
        for action in order:
            telling.observe("<Answer></Answer>", action, (1.0, 0.0, 0.0))
    assert first.messages() == second.messages()
