"""The parts of a prompt set that one run chooses: read, and checked against each other.

Every mistake in the templates is found here: a missing file, an unknown field, a
choice that no message would show, names that answers could not distinguish.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rmft_api.config.schema import PromptConfig
from rmft_api.core.answer_forms import is_own
from rmft_api.core.errors import ConfigError, DataError
from rmft_api.prompts import contexts, examples, histories, own_forms, reasons
from rmft_api.prompts.examples import ExampleTemplates
from rmft_api.prompts.histories import OUTCOME_FIELDS, REWARDS_FIELDS, HistoryTemplates
from rmft_api.prompts.templates import Fields, Folder, Template, Variants

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
PARTS: Fields = frozenset({"task", "framing", "reasoning", "output"})
_COUNTS: Fields = frozenset({"K", "T", "actions"})
_CONTEXT: Fields = frozenset({"context", "round"})
_SYSTEM: Fields = _COUNTS | PARTS
_SHOWS_REWARDS: Fields = frozenset({"history", "outcome", "rewards_json"})
_USER: Fields = _SYSTEM | _SHOWS_REWARDS | {"round", "left", "said", "context"}


@dataclass(frozen=True)
class Frame:
    """The templates that compose messages."""

    system: Template | None
    user: Template
    next: Template | None
    """Later user messages of a chat that grows; None: every round is a chat of its own."""
    silent: Template | None
    said: Template | None
    """None: the model's reason is not repeated."""

    @property
    def round_fields(self) -> Fields:
        """Fields that change from round to round and reach the model in every one."""
        return (self.next or self.user).fields

    @property
    def shown(self) -> Fields:
        """Fields that some message shows."""
        messages = (self.system, self.user, self.next)
        return Fields().union(*(template.fields for template in messages if template))


@dataclass(frozen=True)
class StoryTemplates:
    """One `scenarios/NAME/`, or one context of a library."""

    task: Variants | None
    actions: tuple[str, ...]
    context: Template | None
    words: Mapping[str, str] = field(default_factory=dict[str, str])
    """What fills the task's own fields."""
    drawn: bool = False
    """Whether each scenario draws its names, so that a name says nothing."""


@dataclass(frozen=True)
class Parts:
    """All templates of one run's choices."""

    frame: Frame
    stories: Mapping[str, StoryTemplates]
    pools: Mapping[str, tuple[str, ...]]
    """Names of contexts, by the word that a problem chooses them with."""
    chosen: Mapping[str, Template]
    """Framing, reasoning and output, as far as messages show them."""
    history: HistoryTemplates | None
    outcome: Variants | None
    unread: Variants | None
    reasons: Template | None = None
    """Hand-written reasoning; None: players say their own."""
    examples: ExampleTemplates | None = None
    """Worked rounds to show before the first one; None: none."""

    @property
    def shown_everywhere(self) -> Fields:
        """Fields that are shown whatever the story."""
        return self.frame.shown.union(*(part.fields for part in self.chosen.values()))


def read(folder: Folder, config: PromptConfig, named: Sequence[str] = ()) -> Parts:
    """Read and check; `named` are contexts. Raises ConfigError or DataError naming the file."""
    _check_names(config)
    _check_stakes(folder, config)
    frame = _frame(folder, config)
    _check_rewards_are_shown(folder, frame)
    parts = Parts(
        frame=frame,
        stories={
            **{name: _story(folder, name, frame, config) for name in stories_of(config)},
            **_contexts(folder, config, frame, named),
        },
        pools={word: contexts.found(folder, word) for word in named},
        chosen=dict(_chosen(folder, config, frame)),
        history=_history(folder, config, frame),
        outcome=_outcome(folder, frame),
        unread=_unread(folder, frame),
        reasons=_reasons(folder, config),
        examples=examples.read(folder, config),
    )
    _check_actions_are_shown(folder, config, parts)
    return parts


def _reasons(folder: Folder, config: PromptConfig) -> Template | None:
    if config.reasons == "own":
        return None
    return folder.need("reasons.md", reasons.FIELDS, "prompts.reasons='template'")


def hand_written(folder: Folder) -> Template | None:
    """The set's hand-written reasoning, whether or not the run learns it; None: it has none."""
    return folder.find("reasons.md", reasons.FIELDS)


def own_story(root: Path, parts: Parts, text: str, names: Sequence[str]) -> StoryTemplates:
    """A story of the caller's own words, written as a `task.md` is.

    Contexts use the templates of the set's first story. Raises ConfigError where no message shows a
    story, or none shows the names that answers need, and DataError for an unknown field.
    """
    if "task" not in parts.frame.shown:
        raise ConfigError(f"{root} shows no $task, so it cannot show a story of your own")
    if not text.strip():
        raise DataError("the story is empty; describe the decision, or name one of the set's")
    task = Template(Path("story"), text, _COUNTS)
    if "actions" not in parts.shown_everywhere | task.fields:
        missing = [name for name in names if name not in text]
        if missing:
            raise ConfigError(
                f"the story never names {', '.join(missing)}, nor does another part of {root}, so "
                "the model cannot know what to answer; write $actions where the names go"
            )
    first = next(iter(parts.stories.values()))
    return StoryTemplates(Variants(task, None, None), (), first.context)


def stories_of(config: PromptConfig) -> tuple[str, ...]:
    """The names of the stories of the scenarios."""
    return (config.story,) if isinstance(config.story, str) else config.story


def _check_names(config: PromptConfig) -> None:
    """Names choose files, so they must not lead out of the set."""
    stories = stories_of(config)
    chosen = [("history", config.history), ("framing", config.framing)]
    for key, name in (*chosen, *(("story", story) for story in stories)):
        if not NAME.fullmatch(name):
            raise ConfigError(f"prompts.{key}={name!r} must be a name of letters, digits, _ and -")
    if not stories:
        raise ConfigError("prompts.story is empty; name at least one")


def _frame(folder: Folder, config: PromptConfig) -> Frame:
    later = silent = said = None
    user = folder.need("user.md", _USER, "every prompt set")
    if config.conversation == "multi_turn":
        why = "prompts.conversation='multi_turn'"
        later = folder.need("next.md", _USER, why)
        silent = folder.need("silent.md", Fields(), why)
    if config.repeat_reason:
        fields = OUTCOME_FIELDS | {"reason"}
        said = folder.need("said.md", fields, "prompts.repeat_reason=true")
    frame = Frame(folder.find("system.md", _SYSTEM), user, later, silent, said)
    if said and "said" not in frame.round_fields:
        raise ConfigError(f"{folder.root}: prompts.repeat_reason=true, but no template shows $said")
    return frame


def _chosen(folder: Folder, config: PromptConfig, frame: Frame) -> Iterator[tuple[str, Template]]:
    # An action needs no example: its form holds a name, and any name would be a hint.
    form = config.answer_form
    example = Fields() if form == "action" else frozenset({"example"})
    for part, name, fields in (
        ("framing", f"framings/{config.framing}.md", _COUNTS),
        ("reasoning", f"reasonings/{config.reasoning}.md", _COUNTS),
        ("output", f"outputs/{form}.md", _COUNTS | example),
    ):
        if part in frame.shown:
            own = part == "output" and is_own(form)
            yield part, _own(folder, config) if own else folder.need(name, fields, f"${part}")
        elif part == "output" and is_own(form):
            raise ConfigError(
                f"{folder.root}: neither system.md nor user.md uses $output, so the words of "
                f"prompts.answer={config.answer!r} would never be shown"
            )
        else:
            _refuse_unshown(folder, name, part)


def _own(folder: Folder, config: PromptConfig) -> Template:
    """How to answer, in the words of a form of one's own."""
    words = own_forms.load(config.answer, folder.beside).words
    return Template(Path(f"{config.answer}: words"), words, _COUNTS)


def _check_stakes(folder: Folder, config: PromptConfig) -> None:
    if folder.overlay and not folder.has_folder(folder.overlay):
        raise ConfigError(
            f"prompts.stakes={config.stakes!r}: {folder.root} has no folder {folder.overlay!r} "
            "with the words for it; choose another prompts.set, or write one"
        )


def _contexts(
    folder: Folder, config: PromptConfig, frame: Frame, named: Sequence[str]
) -> Mapping[str, StoryTemplates]:
    """The stories of the contexts that problems name."""
    if not named:
        return {}
    if "task" not in frame.shown:
        raise ConfigError(f"{folder.root} shows no $task, so it cannot show a context")
    fields = _COUNTS | contexts.WORDS
    seen = folder.find("context.md", _CONTEXT)

    stories = contexts.read(folder, named)
    usual = None
    if not stories or any(not story.task for story in stories.values()):
        usual = Variants(
            folder.need("contexts/task.md", fields, "every context"),
            folder.find("contexts/full.md", fields),
            folder.find("contexts/task_context.md", fields),
        )

    def variants(name: str, text: str) -> Variants | None:
        return (
            Variants(Template(Path(f"{name}: task"), text, fields), None, None) if text else usual
        )

    return {
        name: StoryTemplates(
            variants(name, story.task), story.actions, seen, story.words(config.stakes), drawn=True
        )
        for name, story in stories.items()
    }


def _story(folder: Folder, name: str, frame: Frame, config: PromptConfig) -> StoryTemplates:
    at, why = f"scenarios/{name}", f"prompts.story={name!r}"
    if folder.overlay and folder.place(f"{at}/task.md") == f"{at}/task.md":
        raise ConfigError(
            f"{folder.root / folder.overlay / at}/task.md is missing, needed by {why} with "
            f"prompts.stakes={config.stakes!r}"
        )
    task = None
    if "task" in frame.shown:
        plain = folder.need(f"{at}/task.md", _COUNTS, why)
        full = folder.find(f"{at}/full.md", _COUNTS)
        task = Variants(plain, full, folder.find(f"{at}/task_context.md", _COUNTS))
    else:
        _refuse_unshown(folder, f"{at}/task.md", "task")
    context = folder.find(f"{at}/context.md", _CONTEXT) or folder.find("context.md", _CONTEXT)
    return StoryTemplates(task, _actions(folder, f"{at}/actions.txt", why), context)


def _refuse_unshown(folder: Folder, name: str, part: str) -> None:
    """A part that no message shows would make a choice of the run file mean nothing."""
    if (folder.text(name) or "").strip():
        raise ConfigError(
            f"{folder.root / name} is never shown: neither system.md nor user.md uses ${part}"
        )


def _actions(folder: Folder, name: str, why: str) -> tuple[str, ...]:
    """The names that answers must distinguish."""
    text = folder.text(name)
    if text is None:
        raise ConfigError(f"{folder.root / name} is missing, needed by {why}")
    names = tuple(line.strip() for line in text.split("\n") if line.strip())
    contexts.check_actions(str(folder.root / name), names)
    return names


def _history(folder: Folder, config: PromptConfig, frame: Frame) -> HistoryTemplates | None:
    if "history" in frame.shown:
        return histories.read(folder, config.history)
    if folder.has_folder("histories"):
        raise ConfigError(f"{folder.root / 'histories'} is never shown: user.md lacks $history")
    return None


def _outcome(folder: Folder, frame: Frame) -> Variants | None:
    if "outcome" not in frame.round_fields:
        return None
    return folder.variants("outcome.md", OUTCOME_FIELDS, "$outcome", REWARDS_FIELDS)


def _unread(folder: Folder, frame: Frame) -> Variants | None:
    if "said" not in frame.round_fields or folder.text("unread.md") is None:
        return None
    return folder.variants("unread.md", frozenset({"round"}), "$said", REWARDS_FIELDS)


def _check_rewards_are_shown(folder: Folder, frame: Frame) -> None:
    if not frame.round_fields & _SHOWS_REWARDS:
        raise ConfigError(
            f"{(frame.next or frame.user).path} never shows a reward: "
            "it needs $history, $outcome or $rewards_json"
        )


def _check_actions_are_shown(folder: Folder, config: PromptConfig, parts: Parts) -> None:
    """An answer by name needs the names shown; a summary without an `empty.md` shows them all."""
    history, shown = parts.history, parts.frame.user.fields
    if history and history.untried and not history.empty and "history" in shown:
        return
    if config.output == "policy":
        return
    common = parts.shown_everywhere
    for wording, story in parts.stories.items():
        if "actions" not in common | (story.task.plain.fields if story.task else Fields()):
            raise ConfigError(
                f"{folder.root / 'scenarios' / wording / 'task.md'} never uses $actions, nor does "
                f"outputs/{config.answer_form}.md, so the model cannot know what to answer"
            )
