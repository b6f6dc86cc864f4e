"""A story by `module:name`: told as any other, part of the prompts' identity, refused in a line."""

from pathlib import Path

import numpy as np
import pytest

from rmft_api.config.schema import PromptConfig
from rmft_api.core import resources
from rmft_api.core.errors import RmftError
from rmft_api.environments import Scenario
from rmft_api.prompts import PromptSet, load
from rmft_api.prompts.sets import restored
from rmft_api.testing import StoryContract

HERE = Path(__file__).parent
BAKERY = (HERE / "bakery_stories.py").read_text(encoding="utf-8")
CONFIG = PromptConfig(set="standard")


def story(folder: Path, text: str = BAKERY, module: str = "bakery") -> str:
    (folder / f"{module}.py").write_text(text, encoding="utf-8")
    return f"{module}:STORIES"


def read(folder: Path, spec: str) -> PromptSet:
    return load(CONFIG, [resources.prompts_dir()], (spec,), folder)


class TestBakery(StoryContract):
    story = "bakery_stories:STORIES"
    folder = HERE


def text_of(prompts: PromptSet, name: str) -> str:
    nothing = np.zeros((2, 2))
    names = prompts.names(name, 2)
    builder = prompts.prompt_builder(name, Scenario(nothing, nothing, "bandit", "pseudo"), names)
    return "\n".join(message.content for message in builder.messages())


def test_it_is_told_hashed_and_kept(tmp_path: Path) -> None:
    spec = story(tmp_path)
    prompts = read(tmp_path, spec)
    (name,) = prompts.contexts([spec])
    assert name == "bakery:STORIES/window"
    assert "A baker chooses one display" in text_of(prompts, name)
    again = restored(CONFIG, prompts.texts, (spec,), tmp_path / "elsewhere")
    assert again.sha256 == prompts.sha256
    assert text_of(again, name) == text_of(prompts, name)
    other = story(tmp_path, BAKERY.replace("baker", "grocer"), "bakery_changed")
    changed = read(tmp_path, other)
    assert changed.sha256 != prompts.sha256


BROKEN = {
    "no dict": ("STORIES = 3", r"story 'broken:STORIES' is 3; a dict of stories expected"),
    "empty": ("STORIES = {}", r"is \{\}; a dict of stories expected"),
    "no texts": ("STORIES = {'a': object()}", r"write texts and lists of texts"),
    "a key missing": ("STORIES = {'a': {'options': 'x'}}", r"broken:STORIES: a: .*setting"),
    "not there": ("OTHER = 1", r"STORIES"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_no_story_is_refused_in_one_line(tmp_path: Path, case: str) -> None:
    code, says = BROKEN[case]
    with pytest.raises(RmftError, match=says) as error:
        read(tmp_path, story(tmp_path, code, "broken"))
    assert "\n" not in str(error.value)
