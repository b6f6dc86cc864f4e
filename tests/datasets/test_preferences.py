"""Opposed trajectories become pairs in OpenAI's preference format."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from rmft_api.config.schema import DatasetConfig, PromptConfig, SelectionConfig
from rmft_api.core.errors import DataError
from rmft_api.core.records import Address, Message, Regrets, Round, Scored, Trajectory
from rmft_api.datasets import preferences
from rmft_api.datasets.preferences import Preferences
from rmft_api.datasets.tokens import counter_for
from rmft_api.selection.ranking import opposed, rank

NAMES = ("A", "B")
COUNTER = counter_for("gpt-4.1-mini")
Told = tuple[str, int | None]
"""What a round is told, and the action taken."""


def played(number: int, rounds: Sequence[Told]) -> Trajectory:
    return Trajectory(
        Address("train", 1, 0, number),
        "m",
        NAMES,
        tuple(_round(told, action) for told, action in rounds),
    )


def _round(told: str, action: int | None) -> Round:
    prompt = (Message("system", "Choose."), Message("user", told))
    if action is None:
        return Round(prompt, "Hm.", "unreadable", None, None, (0.0, 1.0))
    policy = (1.0, 0.0) if action == 0 else (0.0, 1.0)
    reply = f"It says {told}.\n<Answer>{NAMES[action]}</Answer>"
    return Round(prompt, reply, "read", action, policy, (0.0, 1.0))


def build(
    pairs: Sequence[tuple[Trajectory, Trajectory]], least: int = 1, **choices: Any
) -> Preferences:
    prompts = {k: choices.pop(k) for k in ("conversation",) if k in choices}
    return preferences.build(
        pairs,
        DatasetConfig.model_validate(choices),
        PromptConfig.model_validate(prompts),
        COUNTER,
        least=least,
    )


GOOD = played(0, [("start", 1), ("after B", 1), ("same again", 1)])
BAD = played(1, [("start", 0), ("after A", 0), ("same again", 0)])


def test_a_pair_is_one_chat_that_both_were_told_and_two_decisions() -> None:
    made = build([(GOOD, BAD)])
    assert [one.round for one in made.pairs] == [0, 2]
    assert json.loads(made.content.splitlines()[0]) == {
        "input": {
            "messages": [
                {"role": "system", "content": "Choose."},
                {"role": "user", "content": "start"},
            ],
            "tools": [],
            "parallel_tool_calls": True,
        },
        "preferred_output": [
            {"role": "assistant", "content": "It says start.\n<Answer>B</Answer>"}
        ],
        "non_preferred_output": [
            {"role": "assistant", "content": "It says start.\n<Answer>A</Answer>"}
        ],
    }


def test_equal_decisions_and_unreadable_replies_make_no_pair() -> None:
    same = played(2, [("start", 1), ("after B", None), ("same again", 0)])
    assert [one.round for one in build([(GOOD, same)]).pairs] == [2]


def test_a_chat_that_grew_is_compared_as_a_whole() -> None:
    made = build([(GOOD, BAD)], conversation="multi_turn")
    assert [one.round for one in made.pairs] == [0]  # round 3 is told after different rounds


def test_a_line_that_comes_again_stands_there_once() -> None:
    twin = played(3, [("start", 0), ("else", 0), ("other", 0)])
    made = build([(GOOD, BAD), (GOOD, twin)])
    assert len(made.pairs) == 2
    assert len(set(made.content.splitlines())) == 2


def test_answers_alone_are_learnt_where_reasoning_is_dropped() -> None:
    made = build([(GOOD, BAD)], content="action")
    assert made.pairs[0].preferred == "<Answer>B</Answer>"


def test_both_chats_of_a_pair_are_counted() -> None:
    made = build([(GOOD, BAD)])
    assert made.exact
    assert made.tokens == sum(COUNTER.chat(chat) for one in made.pairs for chat in one.chats())
    assert made.tokens > 2 * made.longest


def test_too_few_pairs_are_refused_with_a_way_out() -> None:
    with pytest.raises(DataError, match=r"1 opposed trajectories make 2 pairs.*takes 10"):
        build([(GOOD, BAD)], least=10)


def test_a_label_that_says_what_was_not_done_is_refused() -> None:
    first = GOOD.rounds[0]
    lie = Round(first.prompt, first.reply, "read", 0, (1.0, 0.0), first.rewards)
    liar = Trajectory(Address("train", 1, 0, 5), "m", NAMES, (lie,))
    with pytest.raises(DataError, match="the label says action 1, action 0 was executed"):
        build([(liar, GOOD), (liar, BAD), (GOOD, liar)])


def test_a_special_token_leaves_the_pair_out() -> None:
    odd = played(6, [("start <|im_end|>", 1), ("same again", 1)])
    other = played(7, [("start <|im_end|>", 0), ("same again", 0)])
    made = build([(odd, other)])
    assert len(made.pairs) == 1
    assert "special token" in made.refused[0]


def test_a_line_of_the_file_is_named_by_its_trajectories() -> None:
    named = build([(GOOD, BAD)]).source_of_line(2)
    assert named == "train iteration 1, scenario 0, trajectories 0 and 1, round 3"


def scored(number: int, regret: float, scenario: int = 0, pulls: int = 1) -> Scored:
    forms = Regrets(0.0, 0.0, regret, 0.0, 0.0, 0.0)
    return Scored(Address("train", 1, scenario, number), "pseudo", forms, 0.5, (pulls, pulls), 1.0)


def numbers(regrets: Sequence[float], rivals: int, **config: Any) -> list[tuple[int, int]]:
    plays = [scored(i, regret) for i, regret in enumerate(regrets)]
    verdicts = rank(plays, SelectionConfig.model_validate(config), 0, 1)
    return [(a.trajectory, b.trajectory) for a, b in opposed(verdicts, rivals)]


def test_the_kept_stand_against_the_highest_regrets_of_their_scenario() -> None:
    assert numbers([1, 9, 2, 8, 5], 2, k=2) == [(0, 1), (0, 3), (2, 1), (2, 3)]
    assert numbers([1, 9, 2, 8, 5], 9, k=1) == [(0, 1), (0, 3), (0, 4), (0, 2)]


def test_equal_regrets_oppose_nobody() -> None:
    assert numbers([3, 3, 3], 2, k=1) == []


def test_scenarios_are_never_opposed_to_each_other() -> None:
    plays = [scored(i, float(i), scenario=i // 2) for i in range(4)]
    verdicts = rank(plays, SelectionConfig(k=1), 0, 1)
    found = opposed(verdicts, 4)
    assert [(a.scenario, b.scenario) for a, b in found] == [(0, 0), (1, 1)]
    assert all(a.trajectory < b.trajectory for a, b in found)


def test_trajectories_that_were_not_ranked_oppose_nobody() -> None:
    plays = [scored(0, 1.0), scored(1, 5.0), scored(2, 9.0, pulls=0)]
    verdicts = rank(plays, SelectionConfig(k=1, min_pulls=1), 0, 1)
    assert [(a.trajectory, b.trajectory) for a, b in opposed(verdicts, 3)] == [(0, 1)]
