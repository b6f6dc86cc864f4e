"""Real-world contexts: the shipped library, its names, both framings, and files of one's own."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from rmft_api.config import schema as configs
from rmft_api.config.schema import PromptConfig, RunConfig
from rmft_api.core import resources
from rmft_api.core.errors import ConfigError, DataError
from rmft_api.core.records import Address
from rmft_api.environments.scenario import Scenario
from rmft_api.prompts import PromptSet, contexts, load
from rmft_api.prompts.templates import Folder
from rmft_api.rollouts import preparation
from rmft_api.rollouts.engine import PreparedScenario

MakeScenario = Callable[..., Scenario]
STANDARD = Folder(resources.prompts_dir() / "standard")
LIBRARY = contexts.read(STANDARD, ["all"])
DOMAINS = ("medicine", "pricing", "advertising", "logistics", "operations", "recommendation")
MINE = """[tea]
options = "teas"
setting = "You pour tea. One round is one guest."
reward = "The smile is a reward between 0 and 1."
loss = "The frown is a loss between 0 and 1."
actions = ["Uno", "Dua", "Tria"]
"""


def loaded(words: Sequence[str] = ("all",), **choices: object) -> PromptSet:
    return load(PromptConfig.model_validate(choices), [resources.prompts_dir()], words)


def run(context: object = "all", scenarios: int = 40, **choices: object) -> RunConfig:
    problem = {"environment": "bandit", "K": 4, "T": 3, "story": context}
    raw = {
        "name": "told",
        "model": {"base": "some-model"},
        "prompts": choices,
        "rollouts": {"scenarios": scenarios, "problems": [problem]},
    }
    return configs.parse(raw, "the test")


def seats(config: RunConfig) -> list[PreparedScenario]:
    prompts = load(config.prompts, [resources.prompts_dir()], config.stories)
    return list(preparation.prepared_scenarios(config, prompts, "train", 1))


def chat_of(prompts: PromptSet, name: str, scenario: Scenario) -> str:
    telling = prompts.prompt_builder(name, scenario)
    telling.observe("<Answer>x</Answer>", 1, tuple(0.25 for _ in range(scenario.K)))
    return "\n".join(message.content for message in telling.messages())


def test_the_library_has_24_stories_in_six_domains() -> None:
    counted = Counter(name.partition("/")[0] for name in LIBRARY)
    assert set(counted) == set(DOMAINS)
    assert min(counted.values()) >= 4
    assert len(LIBRARY) >= 24


@pytest.mark.parametrize("name", LIBRARY)
def test_every_story_can_be_told_in_both_framings_and_with_every_feedback(
    name: str, scenario: MakeScenario
) -> None:
    kinds = [
        scenario(K=5),
        scenario(K=5, feedback="full"),
        scenario(K=5, contexts=("young", "old", "x", "y", "z")),
    ]
    for history in ("raw", "summary"):
        for framing in ("neutral", "suggestive"):
            kept = loaded([name], history=history, framing=framing)
            lost = loaded([name], history=history, framing=framing, stakes="loss")
            for kind in kinds:
                told, untold = chat_of(kept, name, kind), chat_of(lost, name, kind)
                assert re.search(r"\breward", told) and not re.search(r"\bloss", told)
                assert re.search(r"\bloss", untold) and not re.search(r"\breward", untold)
                assert "0.25" in told
                assert "0.75" in untold
                assert "$" not in told + untold


@pytest.mark.parametrize("name", LIBRARY)
def test_no_action_name_stands_in_the_words_of_its_story(name: str) -> None:
    story = LIBRARY[name]
    words = f"{story.options} {story.setting} {story.reward} {story.loss}".casefold()
    assert len(story.actions) >= 12
    assert not [action for action in story.actions if re.search(rf"\b{action.casefold()}\b", words)]


def test_names_are_given_to_rewards_at_random_whatever_the_rewards() -> None:
    story = LIBRARY["medicine/hay-fever"]
    prompts, plays = loaded(["medicine/hay-fever"]), 6000
    counts = np.zeros((len(story.actions), 4))
    for index in range(plays):
        told = prompts.names("medicine/hay-fever", 4, 5, Address("train", 1, index, 0))
        for row, name in enumerate(told):
            counts[story.actions.index(name), row] += 1
    expected = plays / len(story.actions)
    assert np.abs(counts - expected).max() < 5 * np.sqrt(expected)


def test_a_policy_that_goes_by_the_name_earns_what_uniform_play_earns() -> None:
    means: list[float] = []
    ranks: list[int] = []
    for seat in seats(run("medicine/hay-fever", scenarios=3000)):
        chosen = seat.names.index(min(seat.names))  # the first by the alphabet
        row_K = seat.scenario.means[0]
        means.append(float(row_K[chosen] - row_K.mean()))
        ranks.append(int((row_K > row_K[chosen]).sum()))
    assert abs(np.mean(means)) < 4 * np.std(means) / np.sqrt(len(means))
    shares = np.bincount(ranks, minlength=4) / len(ranks)
    assert np.abs(shares - 0.25).max() < 4 * np.sqrt(0.25 * 0.75 / len(ranks))


def test_names_and_stories_are_those_of_the_scenario_whoever_plays_it() -> None:
    first, again = seats(run()), seats(run())
    assert [s.names for s in first] == [s.names for s in again]
    assert [s.prompt_builder().messages() for s in first] == [
        s.prompt_builder().messages() for s in again
    ]


def test_stories_are_dealt_out_evenly() -> None:
    config = run(("medicine", "pricing/ferry-seats"), scenarios=50)
    prompts = load(config.prompts, [resources.prompts_dir()], config.stories)
    problems = preparation.problems_of(config, "train")
    told = Counter(
        preparation.wording_of(config, prompts, problems, "train", 1, index) for index in range(50)
    )
    assert set(told.values()) == {10}
    assert set(told) == {
        *(n for n in LIBRARY if n.startswith("medicine/")),
        "pricing/ferry-seats",
    }


def test_regret_is_the_same_in_both_framings() -> None:
    kept, lost = seats(run()), seats(run(stakes="loss"))
    for one, other in zip(kept, lost, strict=True):
        assert np.array_equal(one.scenario.rewards, other.scenario.rewards)


def test_the_buttons_can_be_told_as_losses_too(scenario: MakeScenario) -> None:
    prompts = loaded((), stakes="loss", story=("buttons", "adverts"))
    for story in ("buttons", "adverts"):
        for kind in (scenario(), scenario(feedback="full")):
            told = chat_of(prompts, story, kind)
            assert "loss" in told
            assert "reward" not in told


def test_the_framing_is_part_of_a_prompt_sets_identity() -> None:
    assert loaded().sha256 != loaded(stakes="loss").sha256
    assert loaded().sha256 != loaded(["medicine"]).sha256


def test_a_file_of_ones_own_is_a_library_too(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(MINE, encoding="utf-8")
    prompts = loaded([str(path)])
    assert prompts.contexts([str(path)]) == (f"{path}/tea",)
    assert loaded([f"{path}/tea"]).contexts([f"{path}/tea"]) == (f"{path}/tea",)
    assert set(prompts.names(f"{path}/tea", 2)) <= {"Uno", "Dua", "Tria"}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (MINE.replace("loss =", "los ="), "los"),
        (MINE.replace('reward = "The smile is a reward between 0 and 1."\n', ""), "reward"),
        (MINE.replace('options = "teas"', "options = 3"), "options"),
        (MINE.replace('options = "teas"', 'options = " "'), "options is empty"),
        (MINE.replace('["Uno", "Dua", "Tria"]', '["Uno"]'), "at least two are needed"),
        (MINE.replace('"Dua"', '"UNO"'), "names that differ only in case"),
        (MINE.replace('"Dua"', '"Du<a"'), "has a character"),
        (MINE.replace("[tea]", "[Tea Time]"), "line 1"),
        (MINE.replace("[tea]", '["Tea Time"]'), "lower-case letters"),
        ("", "holds no context"),
        ("tea = 3", "tea"),
    ],
)
def test_a_library_that_cannot_be_used_is_refused_in_one_line(
    tmp_path: Path, changed: str, message: str
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(changed, encoding="utf-8")
    with pytest.raises(DataError, match=message) as raised:
        loaded([str(path)])
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("words", "choices", "message"),
    [
        (["medicin"], {}, "no contexts 'medicin'.*known: advertising, .*medicine"),
        (["medicine/flu"], {}, "no context 'medicine/flu'; medicine has hay-fever"),
        (["../secret"], {}, "no contexts '..'"),
        (["nowhere.toml"], {}, "no contexts 'nowhere.toml'"),
        (["all"], {"set": "compact", "repeat_reason": True}, "contexts/task.md is missing"),
        ((), {"set": "compact", "stakes": "loss"}, "has no folder 'losses'"),
    ],
)
def test_a_choice_that_cannot_be_told_is_refused_in_one_line(
    words: Sequence[str], choices: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        loaded(words, **choices)
    assert "\n" not in str(raised.value)


def test_more_actions_than_a_story_names_are_refused() -> None:
    with pytest.raises(ConfigError, match="context 'medicine/hay-fever' names 12 actions, K=13"):
        loaded().names("medicine/hay-fever", 13)


def test_a_set_that_would_tell_rewards_as_losses_is_refused(tmp_path: Path) -> None:
    """An overlay that forgets a file must not leave a reward's word beside a loss."""
    mine = tmp_path / "mine"
    for path in (STANDARD.root).rglob("*.*"):
        place = mine / path.relative_to(STANDARD.root)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(path.read_bytes())
    (mine / "losses" / "histories" / "summary" / "line.md").unlink()
    choices = PromptConfig.model_validate({"set": "mine", "stakes": "loss"})
    with pytest.raises(ConfigError, match=r"histories/summary/line.md shows rewards"):
        load(choices, [tmp_path])
