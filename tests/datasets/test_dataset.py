import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmft_api.config.schema import DatasetConfig, PromptConfig
from rmft_api.core.errors import DataError
from rmft_api.core.records import Address, Message, ReplyStatus, Round, Trajectory
from rmft_api.datasets import dataset
from rmft_api.datasets.dataset import Dataset
from rmft_api.datasets.tokens import counter_for
from rmft_api.prompts import reader

NAMES = ("A", "B")
COUNTER = counter_for("unheard-of")


@dataclass(frozen=True)
class Turn:
    """One round as a test tells it; the prompt follows from its place."""

    reply: str = "Good.\n<Answer>B</Answer>"
    action: int | None = 1
    policy: tuple[float, ...] | None = (0.0, 1.0)
    status: ReplyStatus = "read"
    rewards: tuple[float, ...] = (0.25, 0.5)


UNREAD = Turn("Hm.", None, None, "unreadable")
SILENT = Turn("", None, None, "empty")


def trajectory(
    turns: Sequence[Turn], number: int = 0, *, grows: bool = False, iteration: int = 1
) -> Trajectory:
    rounds: list[Round] = []
    silence = False
    for t, turn in enumerate(turns, start=1):
        opening = (Message("system", "Choose."),) if t == 1 or not grows else ()
        stood_in = (Message("assistant", "(silence)"),) if grows and silence else ()
        prompt = (*opening, *stood_in, Message("user", f"Trajectory {number}, round {t}."))
        rounds.append(
            Round(prompt, turn.reply, turn.status, turn.action, turn.policy, turn.rewards)
        )
        silence = not turn.reply
    return Trajectory(Address("train", iteration, 3, number), "m", NAMES, tuple(rounds))


def build(
    trajectories: Sequence[Trajectory],
    limit: int | None = None,
    least: int = 1,
    **choices: Any,
) -> Dataset:
    reserved = choices.pop("reserved", ())
    prompts = {k: choices.pop(k) for k in ("conversation", "output") if k in choices}
    return dataset.build(
        trajectories,
        DatasetConfig.model_validate(choices),
        PromptConfig.model_validate(prompts),
        COUNTER,
        limit,
        least,
        reserved=reserved,
    )


def lines(made: Dataset) -> list[list[dict[str, Any]]]:
    return [json.loads(line)["messages"] for line in made.content.decode("ascii").splitlines()]


def test_a_round_is_its_chat_and_its_reply() -> None:
    made = build([trajectory([Turn(), Turn()])])
    assert lines(made)[1] == [
        {"role": "system", "content": "Choose."},
        {"role": "user", "content": "Trajectory 0, round 2."},
        {"role": "assistant", "content": "Good.\n<Answer>B</Answer>"},
    ]
    assert made.sha256 == hashlib.sha256(made.content).hexdigest()


def test_action_only_examples_keep_the_answer_alone() -> None:
    made = build([trajectory([Turn()])], content="action")
    assert lines(made)[0][-1]["content"] == "<Answer>B</Answer>"


def test_an_unreadable_round_is_never_a_label() -> None:
    made = build([trajectory([Turn(), UNREAD, Turn()])])
    assert [example.rounds for example in made.examples] == [(0,), (2,)]
    assert b"Hm." not in made.content


def test_in_a_chat_that_grew_only_the_round_s_own_reply_has_weight() -> None:
    made = build([trajectory([Turn(), UNREAD, Turn()], grows=True)], conversation="multi_turn")
    roles = [(m["role"], m.get("weight")) for m in lines(made)[1]]
    assert roles == [
        ("system", None),
        ("user", None),
        ("assistant", 0),
        ("user", None),
        ("assistant", 0),
        ("user", None),
        ("assistant", None),
    ]


def test_a_trajectory_is_one_chat_whose_unreadable_replies_have_no_weight() -> None:
    turns = [Turn(), UNREAD, SILENT, Turn(), UNREAD]
    played = trajectory(turns, grows=True)
    made = build([played], conversation="multi_turn", example="trajectory")
    (chat,) = lines(made)
    said = [(m["content"], m.get("weight")) for m in chat if m["role"] == "assistant"]
    assert said == [
        ("Good.\n<Answer>B</Answer>", None),
        ("Hm.", 0),
        ("(silence)", 0),
        ("Good.\n<Answer>B</Answer>", None),
    ]
    assert made.examples[0].rounds == (0, 3)
    assert chat[-1]["content"] == "Good.\n<Answer>B</Answer>"  # nothing after the last label


def test_a_trajectory_without_a_readable_round_makes_no_example() -> None:
    made = build([trajectory([UNREAD, SILENT]), trajectory([Turn()], number=1)])
    assert [example.source.trajectory for example in made.examples] == [1]


def test_the_bytes_are_ascii_lines_in_order_of_address_whatever_the_input_order() -> None:
    odd = Turn("naïve 字\u2028\n<Answer>B</Answer>")
    played = [trajectory([odd, Turn()], number=n) for n in range(12)]
    made = build(played)
    assert made.content == build(played[::-1]).content
    assert made.content.isascii()
    assert made.content.count(b"\n") == len(made.examples) == 24
    assert made.content.endswith(b"}]}\n")
    assert [e.source.trajectory for e in made.examples] == sorted([*range(12), *range(12)])
    assert lines(made)[0][-1]["content"] == odd.reply


def test_the_union_of_iterations_keeps_them_in_order() -> None:
    made = build([trajectory([Turn()], iteration=i) for i in (2, 1)])
    assert [e.source.iteration for e in made.examples] == [1, 2]


def test_a_label_that_is_not_the_executed_action_is_refused_with_its_place() -> None:
    wrong = Turn(action=0, policy=(1.0, 0.0))
    says = (
        r"train iteration 1, scenario 3, trajectory 0, round 2: the label says action 1, action 0"
    )
    with pytest.raises(DataError, match=says):
        build([trajectory([Turn(), wrong])])
    with pytest.raises(DataError, match="the label says action 1, action 0"):
        build([trajectory([wrong])], content="action")


def test_a_label_that_is_not_the_policy_acted_from_is_refused() -> None:
    reply = "So.\n<Answer>A:1,B:3</Answer>"
    right = Turn(reply, action=0, policy=(0.25, 0.75))
    made = build([trajectory([right])], output="distribution", content="action")
    assert lines(made)[0][-1]["content"] == "<Answer>A:1,B:3</Answer>"
    wrong = Turn(reply, action=0, policy=(0.2, 0.8))
    with pytest.raises(DataError, match="round 1: the label says policy"):
        build([trajectory([wrong])], output="distribution")


def test_a_bare_json_policy_is_its_own_answer() -> None:
    turn = Turn('{"policy":[0.25,0.75]}', action=1, policy=(0.25, 0.75))
    made = build([trajectory([turn])], output="policy", content="action")
    assert lines(made)[0][-1]["content"] == turn.reply


def test_a_reply_recorded_as_read_that_is_not_readable_is_refused() -> None:
    with pytest.raises(DataError, match="recorded as read, but its reply is not readable"):
        build([trajectory([Turn("B, I think")])])


def test_rewards_that_are_not_finite_are_refused() -> None:
    with pytest.raises(DataError, match=r"round 1: rewards .*nan.* must be finite"):
        build([trajectory([Turn(rewards=(float("nan"), 0.5))])])


def test_too_few_examples_are_refused_with_the_way_out() -> None:
    with pytest.raises(
        DataError, match=r"9 examples, the provider takes 10 or more; start another run"
    ):
        build([trajectory([Turn()] * 9)], least=dataset.LEAST_EXAMPLES)
    with pytest.raises(DataError, match="0 examples"):
        build([])


def test_examples_over_the_token_limit_are_refused_with_their_number_and_place() -> None:
    long = Turn("word " * 200 + "<Answer>B</Answer>")
    played = [trajectory([Turn(), long, long])]
    with pytest.raises(
        DataError, match=r"2 of 3 examples are longer than 100 .*about 2\d\d .*round"
    ):
        build(played, limit=100)
    with pytest.raises(DataError, match="longer than 50 tokens"):
        build(played, limit=10_000, tokens_per_example=50)
    assert build(played, limit=1000).longest > 200


def test_an_example_with_a_special_token_is_left_out_and_said_so() -> None:
    played = [trajectory([Turn(), Turn("<|fim_suffix|>\n<Answer>B</Answer>"), Turn()])]
    made = build(played)
    assert [example.rounds for example in made.examples] == [(0,), (2,)]
    assert made.refused == (
        "train iteration 1, scenario 3, trajectory 0, round 2: "
        "the assistant message holds the special token '<|fim_suffix|>'",
    )
    with pytest.raises(DataError, match=r"2 examples \(1 more left out, first train"):
        build(played, least=3)


def test_an_example_with_a_text_that_the_endpoint_reserves_is_left_out_and_said_so() -> None:
    played = [trajectory([Turn(), Turn("Bot: well.\n<Answer>B</Answer>"), Turn()])]
    assert len(build(played).examples) == 3
    made = build(played, reserved=("[EOS]", "Bot:"))
    assert [example.rounds for example in made.examples] == [(0,), (2,)]
    assert made.refused[0].endswith("the assistant message holds 'Bot:', which is reserved there")


def test_an_empty_message_and_a_wrong_order_of_roles_are_refused() -> None:
    played = trajectory([Turn()])
    for prompt, says in (
        ((Message("user", " "),), "the user message is empty"),
        ((Message("system", "Choose."),), "roles are system, assistant"),
        ((Message("user", "Go."), Message("system", "Choose.")), "roles are user, system"),
    ):
        round = played.rounds[0]
        broken = Round(prompt, round.reply, "read", round.action, round.policy, round.rewards)
        with pytest.raises(DataError, match=says):
            build([Trajectory(played.address, "m", NAMES, (broken,))])


def test_the_same_trajectory_twice_is_refused() -> None:
    with pytest.raises(DataError, match="trajectory 0 is given twice"):
        build([trajectory([Turn()]), trajectory([Turn()])])


def test_duplicate_lines_are_counted_and_tokens_summed() -> None:
    first = trajectory([Turn()], number=0)
    same = Trajectory(Address("train", 1, 4, 0), "m", NAMES, first.rounds)
    made = build([first, same])
    assert made.duplicates == 1
    assert made.tokens == 2 * made.longest
    assert not made.exact


def test_a_provider_s_line_number_leads_back_to_trajectory_and_rounds() -> None:
    made = build([trajectory([Turn(), Turn()])])
    assert made.source_of_line(2) == "train iteration 1, scenario 3, trajectory 0, round 2"
    assert made.source_of_line(3) == "line 3 (the file has 2 lines)"
    grown = trajectory([Turn(), UNREAD, Turn()], grows=True)
    whole = build([grown], conversation="multi_turn", example="trajectory")
    assert whole.source_of_line(1).endswith("trajectory 0, rounds 1 to 3")


TURNS = st.lists(
    st.sampled_from([Turn(), Turn("<Answer>A</Answer>", 0, (1.0, 0.0)), UNREAD, SILENT]),
    min_size=1,
    max_size=8,
)


@given(
    turns=TURNS,
    grows=st.booleans(),
    example=st.sampled_from(["round", "trajectory"]),
    content=st.sampled_from(["full", "action"]),
)
def test_labels_are_the_executed_actions_and_every_readable_round_is_one(
    turns: list[Turn], grows: bool, example: str, content: str
) -> None:
    if not any(turn.status == "read" for turn in turns):
        return
    conversation = "multi_turn" if grows else "single_turn"
    made = build(
        [trajectory(turns, grows=grows)],
        conversation=conversation,
        example=example,
        content=content,
    )
    said: list[int | None] = []
    for chat in lines(made):
        for message in chat:
            if message["role"] == "assistant" and message.get("weight") != 0:
                answer = reader.read(message["content"], "stop", None, NAMES, "action")
                assert isinstance(answer, reader.ParsedReply)
                said.append(answer.action)
    assert said == [turn.action for turn in turns if turn.status == "read"]
