import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmft_api.config.schema import DatasetConfig, PromptConfig
from rmft_api.core import resources
from rmft_api.core.errors import ConfigError, DataError
from rmft_api.core.records import Address, Message, Round, Trajectory
from rmft_api.datasets import dataset
from rmft_api.environments.scenario import Scenario
from rmft_api.prompts import PromptSet, load, reader, restored

from .conftest import Write

MakeScenario = Callable[..., Scenario]
SHIPPED = [("compact", "buttons"), ("standard", "buttons"), ("plain", "doors")]
ROUND = {
    "messages": [
        {"role": "user", "content": "What now?"},
        {"role": "assistant", "content": "<Answer>A</Answer>"},
    ]
}


def loaded(root: Path, **choices: Any) -> PromptSet:
    config = {"set": "mine", "story": "doors", "reasoning": "none", **choices}
    return load(PromptConfig.model_validate(config), [root], folder=root)


def first_chat(prompts: PromptSet, scenario: Scenario, story: str = "doors") -> list[Message]:
    return list(prompts.prompt_builder(story, scenario).messages())


def roles(messages: Sequence[Message]) -> list[str]:
    return [message.role for message in messages]


def test_examples_are_turns_between_the_system_message_and_the_first_round(
    write: Write, scenario: MakeScenario
) -> None:
    told = first_chat(loaded(write(), examples=2), scenario())
    assert roles(told) == ["system", "user", "assistant", "user", "assistant", "user"]
    assert told[-1] == first_chat(loaded(write()), scenario())[-1]


def test_every_round_of_its_own_chat_begins_with_the_same_examples(
    write: Write, scenario: MakeScenario
) -> None:
    prompts = loaded(write(), examples=3)
    builders = [prompts.prompt_builder("doors", scenario()) for _ in range(2)]
    starts = {builders[0].messages()[:7]}
    for builder, action in zip(builders, (0, 2), strict=True):
        builder.observe("<Answer>A</Answer>", action, (1.0, 0.0, 0.5))
        starts.add(builder.messages()[:7])
    assert len(starts) == 1


def test_a_growing_chat_is_told_its_examples_once(write: Write, scenario: MakeScenario) -> None:
    prompts = loaded(write(), examples=2, conversation="multi_turn")
    builder = prompts.prompt_builder("doors", scenario())
    first = builder.messages()
    assert "Round 2" in first[3].content  # the second example goes on with the first one's play
    builder.observe("<Answer>A</Answer>", 0, (1.0, 0.0, 0.5))
    assert builder.messages()[: len(first)] == first
    assert roles(builder.new_messages()) == ["user"]


@pytest.mark.parametrize("conversation", ["single_turn", "multi_turn"])
@pytest.mark.parametrize("output", ["action", "distribution", "policy"])
@pytest.mark.parametrize(("name", "story"), SHIPPED)
def test_every_example_of_a_shipped_set_can_be_read(
    name: str, story: str, output: str, conversation: str, scenario: MakeScenario
) -> None:
    choices = {"set": name, "story": story, "output": output, "examples": 7}
    if name == "compact" and (output == "policy" or conversation == "multi_turn"):
        pytest.skip("the set has no such templates")
    prompts = load(
        PromptConfig.model_validate({**choices, "conversation": conversation}),
        [resources.prompts_dir()],
    )
    for feedback in ("bandit", "full"):
        if name == "compact" and feedback == "full":
            continue
        told = first_chat(prompts, scenario(K=3, T=4, feedback=feedback), story)
        said = [message.content for message in told if message.role == "assistant"]
        names = prompts.names(story, 3)
        read = [reader.read(text, "stop", None, names, prompts.config.output) for text in said]
        assert len(read) == 7
        assert all(isinstance(one, reader.ParsedReply) for one in read)


@pytest.mark.parametrize("player", ["greedy", "random"])
def test_examples_favour_no_name(write: Write, scenario: MakeScenario, player: str) -> None:
    told = first_chat(loaded(write(), examples=6, examples_player=player), scenario(T=8))
    assert set(Counter(m.content for m in told if m.role == "assistant").values()) == {2}


def test_a_greedy_player_tries_every_action_and_then_repeats_the_best(
    write: Write, scenario: MakeScenario
) -> None:
    prompts = loaded(write(), examples=8, history="raw", conversation="multi_turn")
    told = first_chat(prompts, scenario(T=8))
    said = [m.content for m in told if m.role == "assistant"]
    assert len(set(said[:3])) == 3
    prompts = loaded(write(), examples=8, conversation="multi_turn", examples_player="random")
    assert [m.content for m in first_chat(prompts, scenario(T=8)) if m.role == "assistant"] != said


def test_reasons_stand_before_the_answers_where_reasoning_is_asked_for(
    write: Write, scenario: MakeScenario
) -> None:
    root = write({"reasons.md": "Best $best. I take $action."})
    told = first_chat(loaded(root, examples=1, reasoning="free"), scenario())
    assert told[2].content.startswith("Best ")
    (root / "mine/reasons.md").unlink()
    with pytest.raises(ConfigError, match=r"reasons\.md is missing, needed by prompts\.examples"):
        loaded(root, examples=1, reasoning="free")


def test_contextual_scenarios_want_examples_of_the_users_own(
    write: Write, scenario: MakeScenario, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"name their file in prompts\.examples_file"):
        loaded(write(), examples=1).prompt_builder("doors", scenario(contexts=("rain",) * 5))
    (tmp_path / "own.jsonl").write_text(json.dumps(ROUND) + "\n")
    prompts = loaded(write(), examples_file="own.jsonl")
    builder = prompts.prompt_builder("doors", scenario(contexts=("rain",) * 5))
    assert builder.messages()[1].content == "What now?"


def test_a_file_of_ones_own_is_told_as_it_stands_and_is_part_of_the_sets_identity(
    write: Write, scenario: MakeScenario, tmp_path: Path
) -> None:
    file = tmp_path / "own.jsonl"
    file.write_text("\n".join([json.dumps(ROUND), "", json.dumps(ROUND)]) + "\n")
    prompts = loaded(write(), examples_file="own.jsonl")
    told = first_chat(prompts, scenario())
    assert [m.content for m in told[1:5]] == ["What now?", "<Answer>A</Answer>"] * 2
    assert len(first_chat(loaded(write(), examples_file="own.jsonl", examples=1), scenario())) == 4
    again = restored(prompts.config, prompts.texts, folder=tmp_path)
    assert first_chat(again, scenario()) == told
    file.write_text(json.dumps(ROUND))
    assert loaded(write(), examples_file="own.jsonl").sha256 != prompts.sha256


def turns(*messages: tuple[str, str]) -> str:
    return json.dumps({"messages": [{"role": r, "content": c} for r, c in messages]})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "holds 0 worked rounds"),
        ("{", "own.jsonl, line 1: Input data was truncated"),
        ('{"messages": []}', "line 1: .*length >= 2"),
        (turns(("user", "a"), ("system", "b")), "line 1: .*'system'"),
        (turns(("assistant", "a"), ("user", "b")), "turn 1 is the assistant's"),
        (turns(("user", "a"), ("assistant", "A")), "line 1: no reply of this form .*no <Answer>"),
        (turns(("user", "a"), ("assistant", "<Answer></Answer>")), "is not NAME"),
        (turns(("user", " "), ("assistant", "<Answer>A</Answer>")), "line 1: "),
    ],
)
def test_a_file_of_another_form_is_refused_in_one_line(
    write: Write, tmp_path: Path, text: str, says: str
) -> None:
    (tmp_path / "own.jsonl").write_text(text)
    with pytest.raises(DataError, match=says) as error:
        loaded(write(), examples_file="own.jsonl")
    assert "\n" not in str(error.value)


def test_a_file_that_is_missing_or_too_short_is_refused(write: Write, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file"):
        loaded(write(), examples_file="none.jsonl")
    (tmp_path / "own.jsonl").write_text(json.dumps(ROUND))
    with pytest.raises(DataError, match=r"holds 1 worked rounds, and prompts\.examples needs 2"):
        loaded(write(), examples_file="own.jsonl", examples=2)


@given(
    st.binary(max_size=80) | st.text(max_size=80).map(lambda text: text.encode("utf-8", "replace"))
)
def test_no_file_of_examples_ends_in_a_traceback(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        (Path(folder) / "own.jsonl").write_bytes(content)
        config = PromptConfig(set="compact", examples_file="own.jsonl")
        with pytest.raises((DataError, ConfigError)):
            load(config, [resources.prompts_dir()], folder=Path(folder))


def test_examples_stand_in_the_training_file_as_they_were_told_and_are_not_learnt_from(
    write: Write, scenario: MakeScenario
) -> None:
    prompts = loaded(write(), examples=2)
    builder = prompts.prompt_builder("doors", scenario())
    reply = "<Answer>B</Answer>"
    told = builder.messages()
    one = Round(told, reply, "read", 1, (0.0, 1.0, 0.0), (0.0, 1.0, 0.0))
    played = Trajectory(Address("train", 1, 0, 0), "m", ("A", "B", "C"), (one,))
    (example,) = dataset.examples_of(played, DatasetConfig(), prompts.config)
    assert [(m.role, m.content) for m in example.messages[:-1]] == [
        (m.role, m.content) for m in told
    ]
    assert [m.weight for m in example.messages if m.role == "assistant"] == [0, 0, None]
    line = dataset.encode(example)
    assert len(msgspec.json.decode(line)["messages"]) == 7
    dataset.check(example, line, played, "action")
