"""Prompt sets: found by name, read whole, and written out for each kind of scenario once."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from rmft_api.config.schema import PromptConfig, RunConfig
from rmft_api.core import resources, seeds
from rmft_api.core.answer_forms import is_own
from rmft_api.core.errors import ConfigError
from rmft_api.core.records import Address, Message
from rmft_api.environments import expand
from rmft_api.environments.scenario import Scenario
from rmft_api.prompts import examples, own_forms, reader
from rmft_api.prompts import parts as parts_of_a_set
from rmft_api.prompts.builder import ChatPromptBuilder, PromptPlan
from rmft_api.prompts.histories import REWARDS_FIELDS, SHOWS_NUMBERS
from rmft_api.prompts.parts import NAME, PARTS, Parts, StoryTemplates
from rmft_api.prompts.templates import Folder, Template

LOSSES = "losses"
"""The folder of a set whose files show losses in place of rewards."""


_REMEMBERED_ORDERS = 1000


class _Kind(NamedTuple):
    """What scenarios of the same wording share."""

    wording: str
    names: tuple[str, ...]
    T: int
    full: bool
    contextual: bool
    order: tuple[int, ...] | None = None
    """In which the actions are listed; None: as they are."""

    @property
    def shown_names(self) -> tuple[str, ...]:
        """The names in the order shown."""
        return self.names if self.order is None else tuple(self.names[a] for a in self.order)


@dataclass(frozen=True, eq=False)
class PromptSet:
    """All that one run shows its model, read and checked; nothing is read later."""

    root: Path
    sha256: str
    """Identity: over the names and texts of the files that this run's choices use."""
    config: PromptConfig
    _parts: Parts
    texts: Mapping[str, str] = field(default_factory=dict[str, str])
    """Those files, by name: `restored` makes the set of them."""
    _scripts: dict[_Kind, PromptPlan] = field(default_factory=dict[_Kind, PromptPlan])
    _orders: dict[_Kind, PromptPlan] = field(default_factory=dict[_Kind, PromptPlan])
    """Plans of other orders, as many as are worth remembering."""

    @property
    def wordings(self) -> tuple[str, ...]:
        """The scenario stories of problems without a context."""
        return parts_of_a_set.stories_of(self.config)

    def contexts(self, words: Sequence[str]) -> tuple[str, ...]:
        """The contexts that a problem's words stand for, each once."""
        return tuple(dict.fromkeys(name for word in words for name in self._parts.pools[word]))

    @property
    def stories(self) -> tuple[str, ...]:
        """The names of all stories that were loaded, contexts among them."""
        return tuple(self._parts.stories)

    @property
    def reasons(self) -> Template | None:
        """The hand-written reasoning to learn; None: players say their own."""
        return self._parts.reasons

    def hand_written_reasons(self) -> Template | None:
        """The set's `reasons.md`, whether or not the run learns it; None: it has none."""
        if self._parts.reasons is not None:
            return self._parts.reasons
        overlay = LOSSES if self.config.stakes == "loss" else ""
        return parts_of_a_set.hand_written(Folder(self.root, overlay=overlay))

    def wording(self, seed: int, address: Address, contexts: Sequence[str] = ()) -> str:
        """The story of a scenario, whichever trajectory plays it; `contexts` as a problem has them.

        Each run of as many scenarios as there are stories has every story once, in an order of its
        own, so that stories do not go in step with the problems that scenarios are drawn from.
        """
        stories = self.contexts(contexts) if contexts else self.wordings
        block, place = divmod(address.scenario, len(stories))
        rng = seeds.rng(seed, "wording", address.split, address.iteration, block)
        order: list[int] = rng.permutation(len(stories)).tolist()
        return stories[order[place]]

    def names(
        self,
        wording: str,
        K: int,
        seed: int = 0,
        address: Address | None = None,
        bears: tuple[int, ...] | None = None,
    ) -> tuple[str, ...]:
        """The K action names shown. Raises ConfigError where the story has fewer.

        Those of a context are drawn for each scenario, so that no name goes with a reward; others
        are the story's `bears`, in that order.
        """
        story = self._parts.stories[wording]
        names = story.actions
        needed = K if bears is None or story.drawn else max(bears) + 1
        if len(names) < needed:
            where = (
                f"context {wording!r}"
                if story.drawn
                else str(self.root / "scenarios" / wording / "actions.txt")
            )
            raise ConfigError(
                f"{where} names {len(names)} actions, "
                f"K={K} needs {needed}; add names or choose another story"
            )
        if not story.drawn or address is None:
            return names[:K] if bears is None else tuple(names[i] for i in bears)
        rng = seeds.rng(seed, "names", address.split, address.iteration, address.scenario)
        order: list[int] = rng.permutation(len(names)).tolist()
        return tuple(names[i] for i in order[:K])

    def prompt_builder(
        self,
        wording: str,
        scenario: Scenario,
        names: tuple[str, ...] | None = None,
        contexts: Sequence[str] | None = None,
    ) -> ChatPromptBuilder:
        """A prompt builder for one trajectory. Raises ConfigError where the set cannot word it.

        `contexts` are shown before each round in place of the scenario's; they may grow meanwhile.
        """
        contextual = scenario.contextual
        if names is None:
            names = self.names(wording, scenario.K, bears=scenario.bears)
        kind = _Kind(wording, names, scenario.T, scenario.feedback == "full", contextual)
        if kind not in self._scripts:
            self._scripts[kind] = self._write(kind, self._parts.stories[wording])
        fields = scenario.contexts if contexts is None else contexts
        return ChatPromptBuilder(
            self._scripts[kind], fields, lambda order: self._reordered(kind, order)
        )

    def _reordered(self, kind: _Kind, order: tuple[int, ...]) -> PromptPlan:
        """The plan of the same scenarios with their actions in another order."""
        other = kind._replace(order=order)
        found = self._orders.get(other)
        if found is None:
            if len(self._orders) >= _REMEMBERED_ORDERS:
                self._orders.clear()
            found = self._orders[other] = self._write(other, self._parts.stories[kind.wording])
        return found

    def names_in(self, story: str) -> tuple[str, ...]:
        """Every action name that a story has."""
        return self._parts.stories[story].actions

    def prompt_plan(
        self, story: str, names: Sequence[str], T: int, *, full: bool, contextual: bool
    ) -> PromptPlan:
        """How `T` rounds of the actions `names` are worded, not stored in the set.

        `story` names one of the set's stories, or is a text of the caller's own that is written as
        a `task.md` is. Raises ConfigError, DataError where the set cannot word it.
        """
        kind = _Kind(story, tuple(names), T, full, contextual)
        known = self._parts.stories.get(story)
        return self._write(
            kind, known or parts_of_a_set.own_story(self.root, self._parts, story, names)
        )

    def _write(self, kind: _Kind, story: StoryTemplates) -> PromptPlan:
        self._check(kind, story)
        if is_own(self.config.answer_form):
            own_forms.checked(self.config.answer_form, kind.names)
        parts, frame = self._parts, self._parts.frame
        constant = self._constant(kind, story)
        system = frame.system.fill(constant) if frame.system else ""
        pick = {"full": kind.full, "contextual": kind.contextual}
        bare = PromptPlan(
            names=kind.names,
            T=kind.T,
            full=kind.full,
            loss=self.config.stakes == "loss",
            constant=constant,
            system=(Message("system", system),) if system else (),
            user=frame.user,
            next=frame.next,
            silent=frame.silent.fill({}) if frame.silent else "",
            history=parts.history,
            outcome=parts.outcome and parts.outcome.pick(**pick),
            said=frame.said,
            unread=parts.unread and parts.unread.pick(**pick),
            context=story.context,
            form=self.config.answer_form,
            rows="rewards_json" in frame.round_fields,
        )
        if parts.examples is None:
            return bare
        rounds = examples.worked_rounds(bare, parts.examples, self.config.answer_form)
        return replace(bare, examples=rounds)

    def _constant(self, kind: _Kind, story: StoryTemplates) -> dict[str, str]:
        """The fields that no round changes."""
        names = kind.names
        counts = {"K": str(len(names)), "T": str(kind.T), "actions": ", ".join(kind.shown_names)}
        counts["example"] = _example(kind.shown_names, self.config)
        chosen = {name: part.fill(counts) for name, part in self._parts.chosen.items()}
        if story.task:
            picked = story.task.pick(full=kind.full, contextual=kind.contextual)
            chosen["task"] = picked.fill({**counts, **story.words})
        return {**dict.fromkeys(PARTS, ""), **counts, **chosen}

    def _check(self, kind: _Kind, story: StoryTemplates) -> None:
        """Refuse a kind of scenario whose feedback or context these templates do not show."""
        fields = self._parts.frame.round_fields
        played = self._parts.examples is not None and not self._parts.examples.own
        if kind.contextual and played:
            raise ConfigError(
                "prompts.examples are played on made-up rewards without contexts, and these "
                "scenarios have contexts; write worked rounds of your own, and name their file in "
                "prompts.examples_file"
            )
        if kind.contextual and ("context" not in fields or story.context is None):
            raise ConfigError(
                f"{self.root}: contextual scenarios need a context.md and $context in user.md "
                "(multi_turn: in next.md too)"
            )
        if kind.full and not self._shows_every_reward():
            raise ConfigError(
                f"{self.root}: full feedback is never shown; histories/{self.config.history} or "
                "outcome.md needs a _full.md beside it that uses $rewards"
            )
        if not kind.full and not fields & {"history", "outcome"}:
            raise ConfigError(
                f"{self.root}: $rewards_json shows full feedback only; for bandit feedback "
                "user.md needs $history"
            )

    def _shows_every_reward(self) -> bool:
        fields, history = self._parts.frame.round_fields, self._parts.history
        if "rewards_json" in fields:
            return True
        lines = [self._parts.outcome] if self._parts.outcome else []
        if "history" in fields and history:
            if history.untried is not None:  # a summary's means are over every shown reward
                return True
            lines.append(history.line)
        return any(line.pick(full=True, contextual=False).fields & REWARDS_FIELDS for line in lines)


def of_run(config: RunConfig) -> PromptSet:
    """The words of a run: a set that ships, or one beside the run file. Raises as `load`."""
    roots = [resources.prompts_dir(), config.origin.folder]
    return load(config.prompts, roots, stories_of_run(config), config.origin.folder)


def stories_of_run(config: RunConfig) -> tuple[str, ...]:
    """Every context that a problem names or has by default, once. Raises ConfigError."""
    sections = (config.rollouts, config.validation, config.test)
    problems = (problem for section in sections for problem in section.problems)
    own = (one for problem in problems for one in expand([problem], config.origin.folder))
    return tuple(dict.fromkeys([*config.stories, *(word for one in own for word in one.contexts)]))


def load(
    config: PromptConfig,
    roots: Sequence[Path],
    contexts: Sequence[str] = (),
    folder: Path | None = None,
) -> PromptSet:
    """Read the set `config.set` from the first of `roots` that has it, or from a path.

    Relative paths start at `folder`; absent, at the working folder.

    `contexts` are all that problems name. Raises ConfigError for what is missing or would never be
    shown, DataError for a template that cannot be followed: both name the file, before anything is
    sent.
    """
    overlay = LOSSES if config.stakes == "loss" else ""
    beside = folder or Path.cwd()
    files = Folder(
        _find(config.set, roots, beside),
        overlay=overlay,
        shown_by_overlay=SHOWS_NUMBERS,
        beside=beside,
    )
    parts = parts_of_a_set.read(files, config, contexts)
    return PromptSet(files.root, files.sha256, config, parts, files.texts)


def restored(
    config: PromptConfig,
    texts: Mapping[str, str],
    contexts: Sequence[str] = (),
    folder: Path | None = None,
) -> PromptSet:
    """The set whose `texts` were kept, without its files; the other parameters are `load`'s."""
    overlay = LOSSES if config.stakes == "loss" else ""
    beside = folder or Path.cwd()
    files = Folder(
        Path(config.set),
        overlay=overlay,
        shown_by_overlay=SHOWS_NUMBERS,
        beside=beside,
        kept=texts,
    )
    parts = parts_of_a_set.read(files, config, contexts)
    return PromptSet(files.root, files.sha256, config, parts, files.texts)


def _find(name: str, roots: Sequence[Path], folder: Path) -> Path:
    places = [root / name for root in roots] if NAME.fullmatch(name) else [folder / name]
    for place in places:
        if place.is_dir():
            return place
    known = sorted({path.parent.name for root in roots for path in root.glob("*/user.md")})
    raise ConfigError(
        f"prompts.set={name!r} is not a prompt set; known: {', '.join(known) or 'none'}; "
        "or give the path of a folder"
    )


def _example(names: tuple[str, ...], config: PromptConfig) -> str:
    """The form of an answer, with letters in the place of its numbers; "" for a tagged action."""
    if is_own(config.answer_form):
        return ""
    if config.answer != "tag":
        return _example_object(names, config)
    if config.output == "action":
        return ""
    if config.output == "distribution":
        inside = ",".join(f"{name}:n{index}" for index, name in enumerate(names, start=1))
    else:
        inside = '{"policy":[' + ",".join(f"p{i}" for i in range(1, len(names) + 1)) + "]}"
    return f"{reader.OPENING}{inside}{reader.CLOSING}"


def _example_object(names: tuple[str, ...], config: PromptConfig) -> str:
    """The object of a JSON answer."""
    said = '"reasoning": "WHY", ' if config.reasoning != "none" else ""
    if config.output == "action":
        return f'{{{said}"answer": "NAME"}}'
    if config.output == "distribution":
        pairs = ", ".join(f"{json.dumps(name)}: n{i}" for i, name in enumerate(names, start=1))
        return f'{{{said}"answer": {{{pairs}}}}}'
    return f'{{{said}"policy": [' + ", ".join(f"p{i}" for i in range(1, len(names) + 1)) + "]}"
