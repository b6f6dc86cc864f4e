"""What a decider is made of: everything that a tuned model must be asked with, as one JSON record.

It is taken from a run once (`spec_of_run`), and holds the prompt templates themselves, so that a
service needs neither the run's folder nor its prompt files.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from rmft_api.config.schema import PromptConfig, RunConfig, checked
from rmft_api.core import resources
from rmft_api.core.errors import ConfigError, DataError, UsageError
from rmft_api.core.records import Address, Feedback, Record, Sampling
from rmft_api.evaluation import outcome
from rmft_api.journal import Journal
from rmft_api.prompts import PromptSet, load, of_run, restored, stories_of_run
from rmft_api.providers import profiles
from rmft_api.rollouts import preparation
from rmft_api.session.embedded_server import engine_options, is_embedded
from rmft_api.session.recorded_config import recorded_config

VERSION = 1


class TrainedScenario(Record, frozen=True):
    """One kind of scenario that the run learnt from."""

    story: str
    feedback: Feedback
    contextual: bool
    K: int
    T: int
    names: tuple[str, ...] = ()
    """What its actions were called, where the problem names them; empty: the story does."""


class DeciderSpec(Record, frozen=True):
    """Everything that a run's model must be asked with."""

    run: str
    model: str
    profile: str
    sampling: Sampling
    prompts: dict[str, Any]
    """The run file's [prompts], with every story that the set has."""
    prompts_sha256: str
    """Of the prompt files that the run used."""
    texts: dict[str, str]
    """The prompt files, by name."""
    texts_sha256: str
    contexts: tuple[str, ...]
    folder: str
    """Where relative paths of the run file started."""
    trained: tuple[TrainedScenario, ...]
    least: float
    """The smallest reward that the first iteration's training scenarios could pay."""
    most: float
    """The largest one."""
    seed_block: int = 1
    """Rounds in a row that share one sampling seed."""
    engine: tuple[str, ...] = ()
    """How the run's own server is started for an open model."""
    server: str | None = None
    """Folder of the run's own server; None: the model answers elsewhere."""
    version: Literal[1] = VERSION


def spec_of_run(directory: Path, model: str | int = "champion") -> DeciderSpec:
    """What the model of a run must be asked with.

    `model`: "champion", "base", or the number of an iteration. Raises UsageError where `directory`
    has no such run or model, ConfigError where the run's prompt files have changed, DataError for a
    data file that cannot be read.
    """
    journal = Journal.read(directory)
    try:
        if journal.run.provenance.get("kind") == "eval":
            raise UsageError(f"{directory.name!r} is an evaluation, not a run: it made no models")
        config = recorded_config(journal)
        chosen = _model(config, journal, model)
        then = journal.run.provenance["prompts"]
    finally:
        journal.close()
    prompts = of_run(config)
    if prompts.sha256 != then:
        raise ConfigError(
            f"the prompt files in {prompts.root} have changed since run {config.name!r} began, so "
            "its models would be asked in other words; restore them"
        )
    return _spec(config, prompts, chosen, directory)


def prompt_set_of(spec: DeciderSpec) -> PromptSet:
    """The run's prompts. Raises DataError where the texts are not those of the run."""
    config = checked(PromptConfig, spec.prompts, "decider state")
    prompts = restored(config, spec.texts, spec.contexts, Path(spec.folder))
    if prompts.sha256 != spec.texts_sha256:
        raise DataError("decider state: the prompt texts have changed; make it again from the run")
    return prompts


def spec_from(state: object) -> DeciderSpec:
    """Read what `Decider.dump` wrote. Raises DataError."""
    try:
        return msgspec.convert(state, DeciderSpec)
    except msgspec.ValidationError as error:
        raise DataError(f"decider state: {error}; make it again from the run") from None


def _model(config: RunConfig, journal: Journal, model: str | int) -> str:
    made = outcome.models(journal)
    if model == "base":
        return made.get(0, config.model.base)  # with a warm-up: the base after it
    if model == "champion":
        if not outcome.performances(config, journal, "validation"):
            raise UsageError(
                f"run {config.name!r} has evaluated no model yet, so it has no champion; let it "
                "continue, or ask for model='base'"
            )
        return outcome.champion(config, journal).model
    if isinstance(model, bool) or not isinstance(model, int) or model not in made:
        known = ", ".join(map(str, sorted(made))) or "none yet"
        raise UsageError(
            f"run {config.name!r} has no model {model!r}; it has 'champion', 'base' and the "
            f"iterations {known}"
        )
    return made[model]


def _spec(config: RunConfig, run: PromptSet, model: str, directory: Path) -> DeciderSpec:
    prompts = _with_every_story(config, run)
    profile = profiles.load(config.model.profile)
    rewards = [scenario.rewards for scenario in preparation.scenarios(config, "train", 1)]
    return DeciderSpec(
        run=config.name,
        model=model,
        profile=config.model.profile,
        sampling=Sampling(
            temperature=config.temperature("test", 0),
            top_p=config.sampling.top_p,
            max_tokens=config.sampling.max_tokens,
        ),
        prompts=prompts.config.model_dump(mode="json"),
        prompts_sha256=run.sha256,
        texts=dict(prompts.texts),
        texts_sha256=prompts.sha256,
        contexts=stories_of_run(config),
        folder=str(config.origin.folder.resolve()),
        trained=tuple(dict.fromkeys(_trained(config, run))),
        least=float(min(table.min() for table in rewards)),
        most=float(max(table.max() for table in rewards)),
        seed_block=config.rollouts.seed_block,
        engine=tuple(engine_options(config.model)),
        server=str((directory / "server").resolve()) if is_embedded(profile) else None,
    )


def _trained(config: RunConfig, prompts: PromptSet) -> Iterator[TrainedScenario]:
    """The kinds of scenario of the first iteration: those of later ones are drawn alike."""
    problems = preparation.problems_of(config, "train")
    for index, scenario in enumerate(preparation.scenarios(config, "train", 1)):
        yield TrainedScenario(
            preparation.wording_of(config, prompts, problems, "train", 1, index),
            scenario.feedback,
            scenario.contextual,
            scenario.K,
            scenario.T,
            tuple(sorted(scenario.names or ())),
        )


def _with_every_story(config: RunConfig, run: PromptSet) -> PromptSet:
    """The run's prompts, with the set's other stories that can be shown in the same way."""
    folder = config.origin.folder
    roots = [resources.prompts_dir(), folder]

    def prompts_in(stories: tuple[str, ...]) -> PromptSet:
        words = config.prompts.model_copy(update={"story": stories})
        return load(words, roots, stories_of_run(config), folder)

    able = list(run.wordings)
    for path in sorted((run.root / "scenarios").glob("*")):
        if path.name in able or not path.is_dir():
            continue
        try:
            prompts_in((path.name,))
        except (ConfigError, DataError):  # a story without the words for this run's choices
            continue
        able.append(path.name)
    return prompts_in(tuple(able))


def trained_names(prompts: PromptSet, story: str, K: int, seed: int) -> tuple[str, ...]:
    """The names of `K` actions of one of the set's stories, drawn as in training."""
    return prompts.names(story, K, seed, Address("train", 1, 0, 0))
