import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rmft_api.prompts import reader
from rmft_api.prompts.reader import Output, ParsedReply, UnreadableReply

NAMES = ("A", "B", "C")
OUTPUTS: tuple[Output, ...] = ("action", "distribution", "policy")


def read(text: str | None, output: Output = "action", finish: str = "stop", **more: Any) -> Any:
    names = more.get("names", NAMES)
    return reader.read(text, finish, more.get("refusal"), names, output)


def status(*args: Any, **more: Any) -> str:
    result = read(*args, **more)
    assert isinstance(result, UnreadableReply), result
    assert result.status != "read"
    return result.status


def action(*args: Any, **more: Any) -> int | None:
    result = read(*args, **more)
    assert isinstance(result, ParsedReply), result
    return result.action


def policy(*args: Any, **more: Any) -> tuple[float, ...]:
    result = read(*args, **more)
    assert isinstance(result, ParsedReply), result
    assert result.action is None
    return result.policy


def test_the_action_stands_in_the_answer_tag_after_any_reasoning() -> None:
    text = "A paid little.\nB is better.\n<Answer>B</Answer>"
    result = read(text)
    assert result == ParsedReply(1, (0.0, 1.0, 0.0), text.index("<"), len(text))


@pytest.mark.parametrize(
    "said",
    ["B", " B\n", '"B"', "`B`", "“B”", "'B' ", "b", "**B**", "«B»", "\u200bB\u00a0", "\ufeffB"],
)
def test_white_space_quotes_and_case_do_not_hide_a_name(said: str) -> None:
    assert action(f"<Answer>{said}</Answer>") == 1


@pytest.mark.parametrize(
    "said", ["", "D", "A, B", "A or B", "action B", "B.C", "A B", "1", "\u0410B"]
)
def test_anything_but_one_name_is_unreadable(said: str) -> None:
    assert status(f"<Answer>{said}</Answer>") == "unreadable"


@pytest.mark.parametrize("said", ["green lamp", "Green  lamp", "green\nlamp", "green\u00a0lamp"])
def test_any_white_space_may_part_the_words_of_a_name(said: str) -> None:
    assert action(f"<Answer>{said}</Answer>", names=("red", "green lamp")) == 1
    assert status("<Answer>greenlamp</Answer>", names=("red", "green lamp")) == "unreadable"


def test_case_is_not_ignored_where_two_names_differ_by_it_alone() -> None:
    names = ("go", "Go", "stop")
    assert action("<Answer>Go</Answer>", names=names) == 1
    assert action("<Answer>STOP</Answer>", names=names) == 2
    assert status("<Answer>GO</Answer>", names=names) == "unreadable"


@pytest.mark.parametrize(
    "text",
    [
        "<Answer>A</Answer> <Answer>B</Answer>",
        "<Answer>A</Answer><Answer>A</Answer>",
        "I end with <Answer>: <Answer>A</Answer>",
        "<Answer>A</Answer></Answer>",
        "</Answer>A<Answer>",
        "<Answer>A",
        "A</Answer>",
        "A",
        "<answer >A</answer>",
        "<Answer >A</Answer>",
    ],
)
def test_exactly_one_answer_tag_is_asked_for(text: str) -> None:
    assert status(text) == "unreadable"


def test_words_after_the_answer_make_it_unreadable_but_marks_do_not() -> None:
    assert status("<Answer>A</Answer> or rather B") == "unreadable"
    assert action("**<Answer>A</Answer>**.\n") == 0
    assert action("\ufeff<Answer>A</Answer>\u200b\u00a0") == 0


def test_an_empty_reply_is_told_apart_from_one_without_an_answer() -> None:
    assert status(None) == "empty"
    assert status(" \n") == "empty"
    assert status(" \n", "policy") == "empty"
    assert status("Let me think.") == "unreadable"


def test_a_reply_cut_at_the_limit_is_cut_unless_its_answer_is_complete() -> None:
    assert status("I think", finish="length") == "cut"
    assert status("<Answer>A", finish="length") == "cut"
    assert status(None, finish="length") == "cut"
    assert action("<Answer>A</Answer>", finish="length") == 0


def test_refusals_and_filtered_replies_are_never_answers() -> None:
    assert status("<Answer>A</Answer>", refusal="I cannot help") == "refused"
    assert status(None, refusal="I cannot help") == "refused"
    assert status("<Answer>A</Answer>", finish="content_filter") == "filtered"
    assert action("<Answer>A</Answer>", refusal="") == 0


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (None, "empty"),
        ("I take A.", "no_answer"),
        ("<Answer>A", "no_answer"),
        ("</Answer>A<Answer>", "no_answer"),
        ("<Answer>A</Answer><Answer>B</Answer>", "several_answers"),
        ("<Answer>A</Answer> or B", "text_after"),
        ("<Answer>D</Answer>", "wrong_form"),
    ],
)
def test_why_a_reply_cannot_be_read_is_told_in_a_word(text: str | None, cause: str) -> None:
    assert read(text).cause == cause


def test_a_reply_of_thoughts_alone_is_told_from_an_empty_one() -> None:
    def of(text: str | None, finish: str) -> Any:
        return reader.read(text, finish, None, NAMES, "action", "A? <Answer>A</Answer>")

    assert (of(None, "stop").status, of(None, "stop").cause) == ("empty", "only_thoughts")
    assert (of(None, "length").status, of(None, "length").cause) == ("cut", "cut")
    assert of("No idea.", "stop").cause == "no_answer"
    assert of("<Answer>B</Answer>", "stop").action == 1


def test_a_distribution_is_normalised_and_missing_names_weigh_nothing() -> None:
    assert policy("<Answer>A:3, C:1</Answer>", "distribution") == (0.75, 0.0, 0.25)
    assert policy("<Answer>b: 40%,A:60%</Answer>", "distribution") == (0.6, 0.4, 0.0)
    assert policy("<Answer>A: 70 %, B: 30 %</Answer>", "distribution") == (0.7, 0.3, 0.0)
    assert policy("<Answer>A:100%,B:0</Answer>", "distribution") == (1.0, 0.0, 0.0)
    assert policy('<Answer>"A":.5,B:1.5</Answer>', "distribution") == (0.25, 0.75, 0.0)


@pytest.mark.parametrize(
    "said",
    [
        "A:0,B:0",
        "A:-1,B:2",
        "A:1,A:1",
        "A:1,a:1",
        "A:nan",
        "A:inf",
        "A:1e3",
        "A:1_0",
        "A:",
        "A",
        "A:1,",
        "A:1,D:1",
        "A:1;B:1",
        "A:0.5,B:50%",
        "A:٣",
        "A:" + "9" * 400,
        "",
    ],
)
def test_a_broken_distribution_is_unreadable(said: str) -> None:
    assert status(f"<Answer>{said}</Answer>", "distribution") == "unreadable"


def test_a_policy_is_json_in_the_tag_or_as_the_whole_reply() -> None:
    bare = ' {"policy":[0.5,0.25,0.25]}\n'
    result = read(bare, "policy")
    assert isinstance(result, ParsedReply)
    assert result.policy == (0.5, 0.25, 0.25)
    assert bare[result.start : result.end] == bare.strip()
    assert policy(f"So.\n<Answer>{bare}</Answer>", "policy") == (0.5, 0.25, 0.25)


@pytest.mark.parametrize("fence", ["```json\n{}\n```", "```\n{}\n```\n", "`{}`", "\ufeff{}"])
def test_a_policy_may_stand_in_a_block_of_code(fence: str) -> None:
    block = fence.replace("{}", '{"policy":[0.5,0.25,0.25]}')
    assert policy(block, "policy") == (0.5, 0.25, 0.25)
    assert policy(f"<Answer>{block}</Answer>", "policy") == (0.5, 0.25, 0.25)
    assert status(f"So: {block}", "policy") == "unreadable"


def test_a_policy_off_by_rounding_is_made_exact() -> None:
    got = policy('{"policy":[0.3333,0.3333,0.3333]}', "policy")
    assert sum(got) == pytest.approx(1, abs=1e-12)
    assert policy('{"policy":[1.0,-1e-10,0]}', "policy") == (1.0, 0.0, 0.0)


@pytest.mark.parametrize(
    "said",
    [
        '{"policy":[0.5,0.5]}',
        '{"policy":[0.5,0.5,0.1]}',
        '{"policy":[1.5,-0.5,0]}',
        '{"policy":[NaN,0.5,0.5]}',
        '{"policy":[1e999,0,0]}',
        '{"policy":["1","0","0"]}',
        '{"policy":[true,false,false]}',
        '{"policy":[1,0,0],"policy":[0,1,0]}',
        '{"policy":[1,0,0],"why":1}',
        '{"policy":[1,0,0]} then',
        "[1,0,0]",
        "{" * 5000,
    ],
)
def test_a_broken_policy_is_unreadable(said: str) -> None:
    assert status(said, "policy") == "unreadable"


def test_what_no_wire_carries_is_replaced() -> None:
    assert reader.clean("a\0b\ud83dc\udfffd") == "a\ufffdb\ufffdc\ufffdd"
    assert reader.clean("naïve 😀\u2028") == "naïve 😀\u2028"


def test_the_reason_is_the_last_line_of_words_before_the_answer() -> None:
    assert reader.reason("One.\n Two. \n\n<Answer>A</Answer>") == "Two."
    assert reader.reason("Two. <Answer>A</Answer>") == "Two."
    assert reader.reason("<Answer>A</Answer>") == ""
    assert reader.reason('{"policy":[1,0]}') == ""


PIECES = ["<Answer>", "</Answer>", '{"policy":', *"AaB:,[]}%- \n\0\ud800", "1", "0.5"]
TEXTS = st.text(alphabet=st.characters(), max_size=60) | st.lists(
    st.sampled_from(PIECES), max_size=14
).map("".join)


@given(
    text=TEXTS | st.none(),
    finish=st.sampled_from(["stop", "length", "content_filter", "unheard_of"]),
    refusal=st.none() | st.just("no"),
    output=st.sampled_from(OUTPUTS),
)
@example(text="<Answer>A</Answer>", finish="stop", refusal=None, output="action")
def test_no_reply_crashes_the_reader_and_no_action_is_invented(
    text: str | None, finish: str, refusal: str | None, output: Output
) -> None:
    result = reader.read(text, finish, refusal, NAMES, output)
    if isinstance(result, UnreadableReply):
        assert result.status != "read"
        return
    span = reader.clean(text or "")[result.start : result.end]
    if output != "policy":
        chosen = [name for name, p in zip(NAMES, result.policy, strict=True) if p > 0]
        assert all(name.casefold() in span.casefold() for name in chosen)
    if output == "action":
        assert result.action is not None
        assert result.policy[result.action] == 1
    assert len(result.policy) == len(NAMES)
    assert math.isclose(sum(result.policy), 1)
    assert min(result.policy) >= 0


NAME_LISTS = st.lists(
    st.text(alphabet="abcXYZ é字-.1_ ", min_size=1, max_size=8).filter(
        lambda name: name == name.strip()
    ),
    min_size=2,
    max_size=6,
    unique_by=str.casefold,
)
REASONS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40).filter(
    lambda text: "Answer>" not in text
)


@given(names=NAME_LISTS, reason=REASONS, data=st.data())
def test_every_rendered_action_is_read_back(
    names: list[str], reason: str, data: st.DataObject
) -> None:
    chosen = data.draw(st.integers(0, len(names) - 1))
    result = read(reason + reader.render_action(chosen, names), names=names)
    assert isinstance(result, ParsedReply)
    assert result.action == chosen


@given(weights=st.lists(st.floats(0, 1e6), min_size=3, max_size=3).filter(lambda w: sum(w) > 1e-9))
def test_every_rendered_distribution_and_policy_is_read_back(weights: list[float]) -> None:
    wanted = [weight / sum(weights) for weight in weights]
    told = reader.render_distribution(wanted, NAMES)
    assert policy(told, "distribution") == pytest.approx(wanted)
    assert policy(reader.render_policy(wanted), "policy") == pytest.approx(wanted)


@given(weights=st.lists(st.floats(0, 1), min_size=3, max_size=3).filter(lambda w: sum(w) > 1e-9))
def test_reading_an_answer_cut_out_of_its_reply_gives_the_same_policy(weights: list[float]) -> None:
    text = "Because.\n" + reader.render_distribution(weights, NAMES)
    first = read(text, "distribution")
    assert isinstance(first, ParsedReply)
    assert policy(text[first.start : first.end], "distribution") == first.policy
