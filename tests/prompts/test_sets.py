from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rmft_api.config.schema import PromptConfig
from rmft_api.core.errors import ConfigError, DataError
from rmft_api.core.records import Address
from rmft_api.environments.scenario import Scenario
from rmft_api.prompts import PromptSet, load

from .conftest import SET, Write

MakeScenario = Callable[..., Scenario]


def config(**choices: Any) -> PromptConfig:
    return PromptConfig.model_validate({"set": "mine", "story": "doors", **choices})


def loaded(root: Path, **choices: Any) -> PromptSet:
    return load(config(**choices), [root])


def system(prompts: PromptSet, scenario: Scenario, wording: str = "doors") -> str:
    message = prompts.prompt_builder(wording, scenario).messages()[0]
    assert message.role == "system"
    return message.content


def test_the_system_message_holds_task_framing_reasoning_and_output(
    write: Write, scenario: MakeScenario
) -> None:
    prompts = loaded(write(), framing="suggestive")
    assert system(prompts, scenario()) == "3 doors: A, B, C\nExplore.\n\nThink.\nName one."


def test_an_empty_choice_leaves_no_gap(write: Write, scenario: MakeScenario) -> None:
    prompts = loaded(write(), reasoning="none")
    assert system(prompts, scenario()) == "3 doors: A, B, C\n\nName one."


def test_full_feedback_has_its_own_task(write: Write, scenario: MakeScenario) -> None:
    assert system(loaded(write()), scenario(feedback="full")).startswith("3 open doors: A, B, C")


def test_the_example_of_an_answer_shows_its_form_without_numbers(
    write: Write, scenario: MakeScenario
) -> None:
    root = write()
    distribution = loaded(root, output="distribution")
    assert "<Answer>A:n1,B:n2,C:n3</Answer>" in system(distribution, scenario())
    policy = loaded(root, output="policy")
    assert '<Answer>{"policy":[p1,p2,p3]}</Answer>' in system(policy, scenario())


def test_a_set_without_a_system_template_sends_no_system_message(
    write: Write, scenario: MakeScenario
) -> None:
    user = "$task $framing $reasoning $output $history"
    for changes in ({"system.md": None}, {"system.md": ""}):
        prompts = loaded(write({**changes, "user.md": user}))
        assert [m.role for m in prompts.prompt_builder("doors", scenario()).messages()] == ["user"]


def test_a_set_may_tell_numbers_alone(write: Write, scenario: MakeScenario) -> None:
    changes = {"system.md": "", "user.md": '{"K":$K,"rewards":$rewards_json}'}
    dropped = ("histories/", "scenarios/doors/task.md", "reasonings/", "outputs/")
    root = write({**changes, **{n: None for n in SET if n.startswith(dropped)}})
    prompts = loaded(root, output="policy")
    telling = prompts.prompt_builder("doors", scenario(feedback="full"))
    assert telling.messages()[0].content == '{"K":3,"rewards":[]}'
    telling.observe("{}", None, (0.123456, 1.0, 0.0))
    telling.observe("{}", 1, (0.5, 0.25, 0.1))
    assert telling.messages()[0].content == '{"K":3,"rewards":[[0.1235,1.0,0.0],[0.5,0.25,0.1]]}'
    with pytest.raises(ConfigError, match="full feedback only"):
        prompts.prompt_builder("doors", scenario(feedback="bandit"))


def test_names_are_the_first_K_of_the_list(write: Write) -> None:
    prompts = loaded(write())
    assert prompts.names("doors", 2) == ("A", "B")
    with pytest.raises(ConfigError, match=r"actions\.txt names 4 actions, K=5 needs 5"):
        prompts.names("doors", 5)


@pytest.mark.parametrize("name", ["a,b", "a:b", "<b>", '"b"', "b\tc"])
def test_names_that_answers_could_not_hold_are_refused(write: Write, name: str) -> None:
    with pytest.raises(DataError, match=r"actions\.txt: the action name"):
        loaded(write({"scenarios/doors/actions.txt": f"A\n{name}"}))


def test_names_that_differ_by_case_alone_are_refused(write: Write) -> None:
    with pytest.raises(DataError, match="names that differ only in case"):
        loaded(write({"scenarios/doors/actions.txt": "go\nGo"}))


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("user.md", "$history $wrong", r"user\.md: unknown field \$wrong"),
        ("outputs/action.md", "$example", r"action\.md: unknown field \$example"),
        ("scenarios/doors/full.md", "$reward", r"full\.md: unknown field \$reward"),
        ("histories/summary/line.md", "$round", r"line\.md: unknown field \$round"),
        ("histories/summary/all.md", "$line", r"all\.md: unknown field \$line"),
        ("histories/summary/untried.md", "$count", r"untried\.md: unknown field \$count"),
    ],
)
def test_an_unknown_field_is_refused_before_anything_is_sent(
    write: Write, name: str, text: str, says: str
) -> None:
    with pytest.raises(DataError, match=says):
        loaded(write({name: text}))


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        ("user.md", {}),
        ("framings/neutral.md", {}),
        ("reasonings/free.md", {}),
        ("outputs/action.md", {}),
        ("scenarios/doors/task.md", {}),
        ("scenarios/doors/actions.txt", {}),
        ("histories/summary/all.md", {}),
        ("histories/summary/line.md", {}),
        ("said.md", {"repeat_reason": True}),
        ("next.md", {"conversation": "multi_turn"}),
        ("silent.md", {"conversation": "multi_turn"}),
        ("outcome.md", {"conversation": "multi_turn"}),
    ],
)
def test_a_missing_file_is_named_with_what_needs_it(
    write: Write, name: str, choices: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError, match=rf"{name}.* missing, needed by"):
        loaded(write({name: None}), **choices)


def test_a_misspelt_choice_lists_what_there_is(write: Write) -> None:
    with pytest.raises(ConfigError, match=r"framings has neutral, suggestive"):
        loaded(write(), framing="neutrl")
    with pytest.raises(ConfigError, match=r"scenarios has doors, gates"):
        loaded(write(), story="windows")
    with pytest.raises(ConfigError, match=r"histories has raw, summary"):
        loaded(write(), history="sumary")
    with pytest.raises(ConfigError, match=r"set='other' is not a prompt set; known: mine"):
        loaded(write(), set="other")


@pytest.mark.parametrize("choice", [{"framing": "../x"}, {"story": "a/b"}, {"history": ""}])
def test_a_choice_cannot_lead_out_of_the_set(write: Write, choice: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="must be a name of letters"):
        loaded(write(), **choice)


@pytest.mark.parametrize(
    ("changes", "choices", "says"),
    [
        ({"system.md": "$task $output"}, {"framing": "suggestive"}, "never shown.*framing"),
        ({"system.md": "$task $framing"}, {}, r"never shown.*\$(reasoning|output)"),
        ({"user.md": "Go."}, {}, "never shows a reward"),
        ({"user.md": "$outcome"}, {}, r"histories is never shown"),
        ({"user.md": "$history"}, {"repeat_reason": True}, r"no template shows \$said"),
        ({"next.md": "Go on."}, {"conversation": "multi_turn"}, "never shows a reward"),
        ({"scenarios/doors/task.md": "Doors."}, {"history": "raw"}, r"never uses \$actions"),
        (
            {"scenarios/doors/task.md": "Doors.", "histories/summary/empty.md": "Nothing."},
            {},
            r"never uses \$actions",
        ),
    ],
)
def test_a_set_that_would_not_tell_what_is_chosen_is_refused(
    write: Write, changes: dict[str, str], choices: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        loaded(write(changes), **choices)


def test_a_summary_that_lists_every_action_in_every_round_tells_them(write: Write) -> None:
    changes = {"scenarios/doors/task.md": "Doors.", "histories/summary/empty.md": None}
    assert loaded(write(changes)).names("doors", 2)


def test_full_feedback_that_would_never_be_told_is_refused(
    write: Write, scenario: MakeScenario
) -> None:
    prompts = loaded(write({"histories/raw/line_full.md": None}), history="raw")
    prompts.prompt_builder("doors", scenario())
    with pytest.raises(ConfigError, match="full feedback is never shown"):
        prompts.prompt_builder("doors", scenario(feedback="full"))


def test_contexts_need_a_template(write: Write, scenario: MakeScenario) -> None:
    prompts = loaded(write({"context.md": None}))
    with pytest.raises(ConfigError, match=r"need a context\.md"):
        prompts.prompt_builder("doors", scenario(T=1, contexts=("rain",)))


def test_the_identity_follows_the_used_files_alone(write: Write) -> None:
    before = loaded(write()).sha256
    assert loaded(write()).sha256 == before
    assert loaded(write({"histories/raw/line.md": "$action"})).sha256 == before
    assert loaded(write({"framings/neutral.md": "Be calm."})).sha256 != before
    assert loaded(write(), history="raw").sha256 != before


def test_a_set_is_found_by_name_or_by_path(write: Write) -> None:
    root = write()
    by_path = load(config(set=str(root / "mine")), [])
    assert by_path.sha256 == loaded(root).sha256


def test_several_stories_are_given_out_evenly_and_by_address_alone(write: Write) -> None:
    prompts = loaded(write(), story=("doors", "gates"))
    told = [prompts.wording(7, Address("train", 1, index, 0)) for index in range(40)]
    assert Counter(told) == {"doors": 20, "gates": 20}
    assert [prompts.wording(7, Address("train", 1, i, 9)) for i in range(40)] == told
    assert len({told[index] for index in range(0, 40, 2)}) == 2  # not in step with the parity


@pytest.mark.parametrize("history", ["summary", "raw"])
@pytest.mark.parametrize("conversation", ["single_turn", "multi_turn"])
@pytest.mark.parametrize("output", ["action", "distribution", "policy"])
@pytest.mark.parametrize("reasoning", ["none", "free", "reinforced"])
def test_every_shipped_choice_of_the_standard_set_can_be_told(
    scenario: MakeScenario, history: str, conversation: str, output: str, reasoning: str
) -> None:
    shipped = config(
        set="standard",
        story=("buttons", "adverts"),
        framing="suggestive",
        history=history,
        conversation=conversation,
        output=output,
        reasoning=reasoning,
        repeat_reason=True,
    )
    prompts = load(shipped, [Path(__file__).parents[2] / "prompts"])
    for kind in (scenario(), scenario(feedback="full"), scenario(T=1, contexts=("rain",))):
        for wording in prompts.wordings:
            chat = prompts.prompt_builder(wording, kind).messages()
            assert [m.role for m in chat] == ["system", "user"]
            assert "$" not in chat[0].content + chat[1].content
