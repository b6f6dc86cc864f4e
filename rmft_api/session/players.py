"""Who plays a comparison: what the words of a command line mean."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rmft_api import baselines, environments, suites
from rmft_api.config.changes import Change
from rmft_api.config.schema import RunConfig, checked
from rmft_api.core.errors import UsageError
from rmft_api.core.names import A_NAME, ALL, RUN, RUN_NAME
from rmft_api.core.paths import made_absolute
from rmft_api.environments.options import nearest
from rmft_api.evaluation import outcome, scoring
from rmft_api.evaluation.comparison import ComparisonConfig, ComparisonPlayer
from rmft_api.evaluation.comparison.axes import trained_on
from rmft_api.evaluation.scoring import ScenarioSet
from rmft_api.journal import Journal
from rmft_api.prompts import of_run as prompts_of_run
from rmft_api.providers import profiles
from rmft_api.session.embedded_server import engine_options, is_embedded
from rmft_api.session.recorded_config import recorded_config
from rmft_api.session.run_directories import existing_run


@dataclass(frozen=True)
class ComparisonOptions:
    """A command line, as typed."""

    models: tuple[str, ...]
    suite: str
    profile: str
    baselines: tuple[str, ...] | None
    name: str | None
    like: str | None
    overrides: tuple[str | Change, ...]
    budget_usd: float | None


def described(wanted: ComparisonOptions, runs: Path) -> ComparisonConfig:
    """The comparison. Raises UsageError, ConfigError with one line for the first mistake."""
    suite = suites.load(wanted.suite, wanted.overrides)
    if wanted.like is not None:
        like = _recorded(existing_run(runs, wanted.like))
        words = like.prompts.model_copy(update={"set": _set_of(like)})
        suite = suite.model_copy(update={"prompts": words, "sampling": like.sampling})
    name = wanted.name or f"eval-{suite.name}"
    if not RUN_NAME.match(name):
        raise UsageError(f"--name {name!r} is no name; names have {A_NAME}")
    run = suite.as_run(name, wanted.budget_usd)
    players = [player for word in wanted.models for player in _players(word, wanted, runs)]
    rivals = suite.baselines if wanted.baselines is None else wanted.baselines
    raw = {
        "suite": suite.name,
        "about": suite.about,
        "run": run.model_dump(),
        "players": [player.model_dump() for player in players],
        "baselines": _baselines(run, rivals),
    }
    return checked(ComparisonConfig, raw, "the command line", run.origin)


def _set_of(config: RunConfig) -> str:
    """The run's prompt set, by a name that means the same beside any other file."""
    raw = {"prompts": {"set": config.prompts.set}}
    return str(made_absolute(raw, config.origin.folder)["prompts"]["set"])


def _baselines(run: RunConfig, names: tuple[str, ...] | None) -> tuple[str, ...]:
    """The algorithms named, each able to play one problem at least; None: the usual ones."""
    scenario_set = outcome.scenario_set(run, "test")
    first = scenario_set.first(len(scenario_set.problems))
    named = scoring.named_baselines(first if names else scenario_set, names)
    for name in named if names else ():
        if not baselines.is_own(name) and not first.playable(name).scenarios:
            raise UsageError(f"--baseline {name!r} {_misfit(name, first)}")
        outcome.check_baseline(name, first, run.seed, run.origin.folder)
    return named


def _misfit(name: str, scenario_set: ScenarioSet) -> str:
    """What is wrong with a name that can play none of the problems."""
    able = {one for scenario in scenario_set.scenarios for one in baselines.suitable(scenario)}
    able |= {one for one in baselines.ORACLES if scenario_set.playable(one).scenarios}
    if name in baselines.BASELINES or name in baselines.ORACLES:
        return f"cannot play this suite; these can: {', '.join(sorted(able))}"
    return f"is unknown{nearest(name, able)}"


def _players(word: str, wanted: ComparisonOptions, runs: Path) -> Iterator[ComparisonPlayer]:
    if word.startswith(RUN):
        yield from _of_run(word, runs)
        return
    head, separator, rest = word.partition(":")
    known = profiles.load_all()
    profile, model = (head, rest) if separator and head in known else (wanted.profile, word)
    if not model:
        raise UsageError(f"{word!r} names no model; write PROFILE:MODEL")
    profiles.load(profile)
    yield ComparisonPlayer(label=word, model=model, profile=profile)


def _of_run(word: str, runs: Path) -> Iterator[ComparisonPlayer]:
    name, _, which = word.removeprefix(RUN).partition("@")
    directory = existing_run(runs, name)
    journal = Journal.read(directory)
    try:
        config = _checked_run(journal, directory)
        models = outcome.models(journal)
        indices = chosen(word, which or "champion", config, journal)
    finally:
        journal.close()
    embedded = is_embedded(profiles.load(config.model.profile))
    for index in indices:
        yield ComparisonPlayer(
            label=f"{name}@{index}" if index else f"{name}@base",
            model=models[index],
            profile=config.model.profile,
            server=str((directory / "server").resolve()) if embedded else None,
            engine=tuple(engine_options(config.model)) if config.model.checkpoint else (),
            trained=_trained(config) if index or config.warm_up else None,
        )


def chosen(word: str, which: str, config: RunConfig, journal: Journal) -> list[int]:
    """The iterations that a word names. Raises UsageError for one that has no model."""
    made = sorted(outcome.models(journal))
    if not made:
        raise UsageError(f"{word!r}: run {config.name!r} has no model yet")
    if which == ALL:
        return made
    named = {"base": 0, "last": made[-1]}
    if which == "champion":
        return [outcome.champion(config, journal).index]
    index = named.get(which, int(which) if which.isdigit() else -1)
    if index not in made:
        raise UsageError(
            f"{word!r}: run {config.name!r} has no such model; it has base, champion, last, all "
            f"and {', '.join(str(i) for i in made)}"
        )
    return [index]


def _trained(config: RunConfig) -> dict[str, tuple[str, ...]]:
    problems = environments.expand(config.rollouts.problems, config.origin.folder)
    prompts = prompts_of_run(config)
    stories: list[str] = []
    for problem in problems:
        stories += prompts.contexts(problem.contexts) if problem.contexts else prompts.wordings
    return trained_on(problems, stories)


def _recorded(directory: Path) -> RunConfig:
    journal = Journal.read(directory)
    try:
        return _checked_run(journal, directory)
    finally:
        journal.close()


def _checked_run(journal: Journal, directory: Path) -> RunConfig:
    if journal.run.provenance.get("kind") == "eval":
        raise UsageError(f"{directory.name!r} is an evaluation, not a run: it made no models")
    return recorded_config(journal)
