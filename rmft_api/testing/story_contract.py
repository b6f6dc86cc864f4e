"""What every story of one's own keeps, as tests that a user's own inherits.

    class TestMine(StoryContract):
        story = "mine:STORIES"

Run it with pytest; this module itself needs nothing but the package.
"""

from pathlib import Path

import numpy as np

from rmft_api.config.schema import PromptConfig
from rmft_api.core import resources
from rmft_api.environments import Scenario
from rmft_api.prompts import PromptSet, load

NOT_SHOWN = "{story}: no message shows its {what}, {text!r}"


class StoryContract:
    """Inherit, name the `story`, and run pytest."""

    story: str = ""
    """`module:name`, or a .toml file."""
    folder: Path | None = None
    """Where its module or file lies; absent: the working folder."""
    prompt_set: str = "standard"
    """The prompt set that is used."""

    def test_every_story_is_shown_with_its_actions(self) -> None:
        """The model reads who decides, among what, and the name of every action."""
        prompt_set = self._set("reward")
        for story in prompt_set.contexts([self.story]):
            names = prompt_set.names(story, 2)
            text = self._text(prompt_set, story, names)
            for what, words in (("actions", names[0]), ("actions", names[1])):
                assert words in text, NOT_SHOWN.format(story=story, what=what, text=words)

    def test_it_can_be_worded_as_a_loss(self) -> None:
        """`prompts.stakes = "loss"` presents the same story otherwise."""
        gain, loss = self._set("reward"), self._set("loss")
        for story in gain.contexts([self.story]):
            names = gain.names(story, 2)
            assert self._text(gain, story, names) != self._text(loss, story, names), (
                f"{story}: reward and loss say the same"
            )

    def _set(self, stakes: str) -> PromptSet:
        config = PromptConfig.model_validate({"set": self.prompt_set, "stakes": stakes})
        return load(config, [resources.prompts_dir()], (self.story,), self.folder)

    def _text(self, prompt_set: PromptSet, story: str, names: tuple[str, ...]) -> str:
        nothing = np.zeros((3, len(names)))
        builder = prompt_set.prompt_builder(
            story, Scenario(nothing, nothing, "bandit", "pseudo"), names
        )
        return "\n".join(message.content for message in builder.messages())
