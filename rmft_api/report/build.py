"""From a run's journal to the data of its report: what there is, however early the run stopped."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from rmft_api.config.schema import RunConfig
from rmft_api.core.records import Interval, Split
from rmft_api.evaluation import outcome
from rmft_api.evaluation.scoring import Figures, Results
from rmft_api.journal import Journal
from rmft_api.planning import spending
from rmft_api.report import figures, headlines, lineage, players, selections
from rmft_api.report.data import (
    Difference,
    LoggedValues,
    PlayerFigures,
    ReportData,
    RunState,
    SelectionFigures,
)
from rmft_api.report.differences import Field, against_others, step_by_step
from rmft_api.report.figures import Regrets
from rmft_api.report.play_groups import PlayGroup, groups
from rmft_api.report.text import off_policy
from rmft_api.rollouts import preparation
from rmft_api.selection.ranking import Selected

Visit = Callable[[PlayGroup, tuple[Selected, ...]], None]
"""Is shown a group and, in training, the verdicts of selection."""


@dataclass
class _Found:
    """What was seen while the groups went by."""

    players: list[PlayerFigures] = field(default_factory=list[PlayerFigures])
    makeups: list[SelectionFigures] = field(default_factory=list[SelectionFigures])
    regrets: dict[Split, dict[int, Regrets]] = field(
        default_factory=dict[Split, dict[int, Regrets]]
    )


@dataclass(frozen=True)
class _Baselines:
    """The known algorithms: their figures, and their regret by scenario."""

    players: list[PlayerFigures]
    regrets: dict[str, Regrets]


def gather(
    config: RunConfig,
    journal: Journal,
    results: Results | None,
    run_state: RunState,
    visit: Visit | None = None,
) -> ReportData:
    """The data of a run's report. `results` is None before the base has been evaluated.

    `visit` is called with every group, so that each is read once; None: prompts and replies are not
    wanted.
    """
    found = _look(config, journal, results, visit)
    champion = results.champion.index if results else None
    baselines = _baselines(config, results, tested=bool(found.regrets.get("test")))
    everybody = (*found.players, *baselines.players, *_limit(config, results, found))
    money, logs = spending(journal), _logs(results)
    return ReportData(
        run=config.name,
        state=run_state.state,
        stage=run_state.stage,
        made_at=int(time.time() * 1000),
        began_at=journal.run.created,
        headline=headlines.headline(everybody, champion),
        facts=headlines.facts(everybody, champion, config.iterations, money, results),
        champion=champion,
        warnings=(*headlines.stopped(outcome.stopped(journal)), *headlines.warnings(results)),
        players=everybody,
        differences=_differences(config, found, baselines, champion),
        makeups=tuple(found.makeups),
        money=money,
        phases=money.by_phase(),
        steps=tuple(lineage.steps(journal)),
        origin=lineage.origin(config, journal),
        settings=lineage.settings(journal),
        off_policy=logs[0].values if logs else None,
        off_policy_notes=logs[0].notes if logs else (),
        other_logs=logs[1:],
        shares=_shares(results),
    )


def _shares(results: Results | None) -> dict[int, Interval]:
    """What each tested model has gained of what is possible."""
    every = results.iterations if results else ()
    return {one.index: one.share_of_possible for one in every if one.share_of_possible}


def _logs(results: Results | None) -> tuple[LoggedValues, ...]:
    """Values on held-out rows, log by log."""
    if results is None:
        return ()
    every = off_policy.of_results(results)
    return tuple(LoggedValues(one, off_policy.notes(results, one)) for one in every)


def _look(
    config: RunConfig, journal: Journal, results: Results | None, visit: Visit | None
) -> _Found:
    found = _Found()
    for group in groups(config, journal, words=visit is not None):
        selected = selections.verdicts(group, journal)
        measured = _figures_of(results, group.split, group.iteration)
        if visit is not None:
            visit(group, selected)
        if group.iteration < 0:
            continue  # a base before its warm-up: to read, and in no comparison
        found.players.append(players.of_group(group, measured))
        if made := selections.selection_figures(group, selected):
            found.makeups.append(made)
        if measured is not None:
            regrets = figures.regret_by_scenario(players.judged_sittings(group, measured))
            found.regrets.setdefault(group.split, {})[group.iteration] = regrets
    return found


def _baselines(config: RunConfig, results: Results | None, *, tested: bool) -> _Baselines:
    """The known algorithms on the test scenarios; none before a model has played those."""
    scores = results.baselines if results and tested else {}
    plays = dict(players.baseline_plays(config, scores))
    return _Baselines(
        players=[players.of_baseline(name, plays[name], scores[name]) for name in plays],
        regrets={name: figures.regret_by_scenario(one) for name, one in plays.items()},
    )


def _limit(config: RunConfig, results: Results | None, found: _Found) -> list[PlayerFigures]:
    """The limit on the test scenarios, where one is known and a model has played those."""
    if results is None or results.limit is None or not found.regrets.get("test"):
        return []
    sittings = players.limit_plays(config)
    return [
        msgspec.structs.replace(
            players.of_baseline("limit", sittings, results.limit), reference=True
        )
    ]


def _differences(
    config: RunConfig, found: _Found, baselines: _Baselines, champion: int | None
) -> tuple[Difference, ...]:
    """The champion against the others, and each model against the one before it.

    On the test scenarios where they were played, else on those of validation.
    """
    tested, validated = _field(config, found, "test"), _field(config, found, "validation")
    every_model_tested = tested.models.keys() == validated.models.keys()
    return (
        *against_others(tested if tested.models else validated, baselines.regrets, champion),
        *step_by_step(tested if every_model_tested else validated),
    )


def _field(config: RunConfig, found: _Found, split: Split) -> Field:
    looks = len(preparation.held_out(config, split).looks)
    return Field(split, found.regrets.get(split, {}), looks)


def _figures_of(results: Results | None, split: Split, index: int) -> Figures | None:
    """A model's figures on a split, where its evaluation has ended."""
    if results is None or split == "train":
        return None
    one = next((one for one in results.iterations if one.index == index), None)
    if one is None:
        return None
    return one.test if split == "test" else one.validation
