"""The outcome of a run, finished or not, from its journal alone."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from rmft_api import baselines, statistics
from rmft_api.config.schema import RunConfig
from rmft_api.core import seeds
from rmft_api.core.errors import UsageError
from rmft_api.core.records import Address, Interval, Split
from rmft_api.evaluation import limit, measures, off_policy, scoring
from rmft_api.evaluation.scoring import (
    Champion,
    Evaluated,
    Extension,
    Figures,
    GateDecision,
    Performance,
    Results,
    ScenarioSet,
    WarmUp,
)
from rmft_api.evaluation.selection_summary import SelectionSummary
from rmft_api.finetuning import FineTuned
from rmft_api.journal import Journal
from rmft_api.rollouts import log_policy, preparation, splits
from rmft_api.rollouts.preparation import held_out
from rmft_api.rollouts.validity import STOPPED, Stopped
from rmft_api.rollouts.warm_up import BEFORE, KIND, WarmUpData
from rmft_api.selection import own_measures, ranking, regret
from rmft_api.selection.regret import UNREAD, PlayArrays

FILES = "files"
"""Where a journal's provenance keeps the SHA-256 of every file that scenarios are rows of."""
EXTENDED = "extended"
"""The kind of the record of a run's extensions."""
HELD_OUT: tuple[Split, Split] = ("validation", "test")
ROUNDING = 1e-9
"""Regrets that differ by less are the same."""


def results(config: RunConfig, journal: Journal) -> Results:
    """Every model evaluated so far, the baselines beside them, and the champion.

    Raises UsageError before the base has been evaluated: there is nothing to show yet.
    """
    played: dict[Split, dict[int, Performance]] = {
        split: performances(config, journal, split) for split in HELD_OUT
    }
    if not played["validation"]:
        raise UsageError(
            f"run {config.name!r} has evaluated no model yet; "
            f"`rmft-api resume {config.name}` continues"
        )
    held = scenario_set(config, "test")
    least = limit.performance(held)
    best = scoring.lowest_regret(played["validation"])
    logs = off_policy.results(config, journal)
    return Results(
        run=config.name,
        iterations=tuple(_evaluated(config, journal, played, least)),
        baselines=_baselines(config),
        champion=Champion(best, models(journal)[best]),
        data=_data(config, journal),
        off_policy=logs[0] if logs else None,
        other_logs=logs[1:],
        stopped=stopped(journal),
        warm_up=warm_up_of(config, journal),
        extended=extensions(journal),
        references=preparation.references(config),
        limit=None if least is None else scoring.figures(held, least, None),
        limit_notes=limit.notes(held),
    )


def _evaluated(
    config: RunConfig,
    journal: Journal,
    played: Mapping[Split, dict[int, Performance]],
    least: Performance | None,
) -> Iterator[Evaluated]:
    """The models that have played the validation scenarios, with what is known of each."""
    validation, test = (_figures_of(config, split, played[split]) for split in HELD_OUT)
    shares = _shares(config, played["test"], least)
    ids = models(journal)
    makeups = dict(journal.all("makeup", SelectionSummary))
    gates = dict(journal.all("gate", GateDecision))
    for index, figures in validation.items():
        yield Evaluated(
            index=index,
            model=ids[index],
            validation=figures,
            test=test.get(index),
            made_from=makeups.get(f"{index:02}"),
            warnings=(*_unread(validation, test, index), *_warnings(validation, index)),
            gate=gates.get(f"{index:02}"),
            share_of_possible=shares.get(index),
        )


def _shares(
    config: RunConfig, tested: Mapping[int, Performance], least: Performance | None
) -> dict[int, Interval]:
    """What each tested model has gained of what is possible, where a limit is known."""
    level = held_out(config, "test").level
    found = {
        index: limit.share_of_possible(tested[0], one, least, level)
        for index, one in tested.items()
        if index
    }
    return {index: share for index, share in found.items() if share is not None}


def extensions(journal: Journal) -> tuple[Extension, ...]:
    """When the run was given another number of iterations, the first time first."""
    return journal.get(EXTENDED, "", tuple[Extension, ...]) or ()


def stopped(journal: Journal) -> str:
    """Why a split was stopped because its replies cannot be read; empty where none is.

    A base that cannot be read before its warm-up stops nothing.
    """
    found = journal.all(STOPPED, Stopped)
    return next((one.says for key, one in found if key != _BEFORE), "")


def warm_up_of(config: RunConfig, journal: Journal) -> WarmUp | None:
    """What the warm-up was, and how the base did before it; None where none was made yet."""
    made, used = journal.get("trained", "00", FineTuned), journal.get(KIND, "", WarmUpData)
    if config.warm_up is None or made is None:
        return None
    figures, valid, replies = _before_warm_up(config, journal)
    return WarmUp(
        base=made.start,
        model=made.model,
        trajectories=used.trajectories if used else None,
        examples=used.examples if used else _replayed_examples(config),
        reasons=used.reasons if used else None,
        valid_before=valid,
        replies_before=replies,
        before=figures,
    )


def before_warm_up_in_words(config: RunConfig, journal: Journal) -> str:
    """How much of the base's replies could be read before its warm-up."""
    _, valid, replies = _before_warm_up(config, journal)
    return f"before the warm-up: {valid:.1%} of {replies} replies of {config.model.base} valid"


_BEFORE = splits.key_of("validation", BEFORE)


class _Before(NamedTuple):
    figures: Figures | None
    valid: float
    replies: int


def _before_warm_up(config: RunConfig, journal: Journal) -> _Before:
    """The base on the validation scenarios; without figures where too little could be read."""
    stop = journal.get(STOPPED, _BEFORE, Stopped)
    if stop is not None:
        return _Before(None, stop.valid / max(1, stop.replies), stop.replies)
    played = _standing(config, journal, "validation", BEFORE, None).performance
    if played is None:
        return _Before(None, 0.0, 0)
    held = scenario_set(config, "validation")
    figures = scoring.figures(held, played, None)
    return _Before(figures, figures.valid, preparation.rounds_of(config, "validation"))


def _replayed_examples(config: RunConfig) -> int | None:
    return None if config.replay is None else sum(one.examples for one in config.replay.warm_up)


def changed_files(config: RunConfig, journal: Journal) -> list[str]:
    """The files of rows that hold something else than when the run began."""
    kept = msgspec.json.decode(journal.run.provenance.get(FILES, "{}"), type=dict[str, str])
    now = preparation.files(config) if kept else {}
    return [path for path, sha256 in kept.items() if now.get(path) != sha256]


def _data(config: RunConfig, journal: Journal) -> tuple[str, ...]:
    """How rows are divided, and which file is not what it was."""
    changed = changed_files(config, journal)
    return (
        *preparation.divisions(config),
        *log_policy.not_evaluated(config),
        *(
            f"{path} has changed since the run began: algorithms play its new rows"
            for path in changed
        ),
    )


def champion(config: RunConfig, journal: Journal) -> Champion:
    """The model whose validation regret fell most below the base's so far."""
    index = scoring.lowest_regret(performances(config, journal, "validation"))
    return Champion(index, models(journal)[index])


def gate(config: RunConfig, journal: Journal, iteration: int) -> GateDecision:
    """What is decided after an iteration, from validation alone (docs/method.md 5)."""
    wanted, level = config.gate, held_out(config, "validation").level
    played = performances(config, journal, "validation")
    drops: list[Interval] = []
    best = 0
    for index in range(1, iteration + 1):
        best = scoring.lowest_regret({i: played[i] for i in played if i < index})
        drops.append(statistics.drop_interval(played[index].drop_M(played[best]), level))
    rise = _rise(config, played, iteration) if wanted.fall_back else None
    worse = rise is not None and rise.found > rise.by_chance + ROUNDING
    decision = statistics.gate(drops, worse, wanted.stop_after or iteration + 1, wanted.gain)
    start = best if decision == "fall_back" else iteration
    return GateDecision(decision, start, drops[-1], *(rise or (None, None)))


class _Rise(NamedTuple):
    found: float
    by_chance: float


def _rise(config: RunConfig, played: dict[int, Performance], iteration: int) -> _Rise:
    """How much worse the newest model is than the best of all others, and what chance explains.

    One run may look once in every iteration, and end an evaluation at any of its looks: the 5 % are
    divided among them, so that a run in which nothing changes falls back in at most 5 % of cases.
    """
    looks = len(held_out(config, "validation").looks)
    common = min(len(played[index].regret_M) for index in range(iteration + 1))
    regret_NM = np.stack([played[i].regret_M[:common] for i in range(iteration + 1)], axis=1)
    error = (1.0 - statistics.LEVEL) / (config.iterations * looks)
    rng = seeds.rng(config.seed, "gate", iteration)
    return _Rise(statistics.rise(regret_NM), statistics.rise_by_chance(regret_NM, error, rng))


def in_words(config: RunConfig, journal: Journal, index: int) -> list[str]:
    """How the model of iteration `index` did in validation, and what to be warned of."""
    figures = _figures(config, journal, "validation")
    mine, drop = figures[index], figures[index].paired_drop
    whole = config.validation.scenarios
    base = " (the base)" if config.warm_up is None else " (the base, warmed up)"
    line = (
        f"iteration {index}: validation regret {mine.regret.mean:.2f}"
        + (f", {abs(drop.mean):.2f} {_side(drop.mean)} the base" if drop else base)
        + (f" on {mine.scenarios} of {whole} scenarios" if mine.scenarios < whole else "")
        + f"; {mine.valid:.1%} of replies valid; {measures.in_words(mine.measures)}"
    )
    warnings = (*_unread(figures, {}, index), *_warnings(figures, index))
    return [line, *(f"warning: {one}" for one in warnings)]


def tracked(config: RunConfig, journal: Journal, index: int) -> dict[str, float]:
    """The figures of iteration `index` so far, by names that a tracker takes."""
    found: dict[str, float] = {"usd_spent": journal.ledger.totals().spent / 1e6}
    for split in ("validation", "test"):
        figures = _figures(config, journal, split).get(index)
        if figures is None:
            continue
        found |= {f"{split}/{name}": value for name, value in _numbers(figures).items()}
    if index == 0 and (warmed := warm_up_of(config, journal)) is not None:
        found["before_warm_up/valid"] = warmed.valid_before
        if warmed.before is not None:
            found["before_warm_up/regret"] = warmed.before.regret.mean
    summary = journal.get("makeup", f"{index:02}", SelectionSummary)
    if summary is not None:
        found["train/regret"] = summary.all.regret
        if summary.kept is not None:
            found["train/regret_kept"] = summary.kept.regret
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _numbers(figures: Figures) -> dict[str, float]:
    intervals = {"regret": figures.regret, "drop_to_base": figures.paired_drop}
    found = {
        f"{name}{end}": value
        for name, one in intervals.items()
        if one is not None
        for end, value in (("", one.mean), ("_low", one.low), ("_high", one.high))
    }
    shares = (figures.suff_fail_freq, figures.k_min_frac, figures.valid)
    found |= {name.replace(":", "."): one.mean for name, one in figures.own.items()}
    named = zip(("suff_fail_freq", "k_min_frac", "valid"), shares, strict=True)
    return {**found, **{name: share for name, share in named if share is not None}}


def scenarios_to_play(config: RunConfig, journal: Journal, split: Split, index: int) -> int | None:
    """Scenarios, from the first, that a model must have played to be looked at; None: it has.

    From the journal alone, so a resumed evaluation ends at the same look as an undisturbed one.
    """
    base = None if index == 0 else _standing(config, journal, split, 0, None).performance
    return _standing(config, journal, split, index, base).owed


def _side(drop: float) -> str:
    return "below" if drop >= 0 else "above"


def scenario_set(config: RunConfig, split: Split) -> ScenarioSet:
    """The held-out scenarios of a split."""
    return ScenarioSet(
        scenarios=tuple(preparation.scenarios(config, split, 0)),
        problems=preparation.problems_of(config, split),
        measures=own_measures.load(config.evaluation.measures, config.origin.folder),
    )


def models(journal: Journal) -> dict[int, str]:
    """The id of every iteration's model; 0 is the base."""
    return {int(key): model for key, model in journal.all("model", str)}


def performances(config: RunConfig, journal: Journal, split: Split) -> dict[int, Performance]:
    """Index -> performance of every model whose evaluation has ended."""
    base = _standing(config, journal, split, 0, None).performance
    found = {0: base}
    for index in models(journal):
        if index:
            found[index] = _standing(config, journal, split, index, base).performance
    return {index: one for index, one in found.items() if one is not None}


class _Standing(NamedTuple):
    """How far an evaluation is: its outcome, or the scenarios that it still has to reach."""

    performance: Performance | None
    owed: int | None


def _standing(
    config: RunConfig, journal: Journal, split: Split, index: int, base: Performance | None
) -> _Standing:
    plan, held = held_out(config, split), scenario_set(config, split)
    played = [trajectory for trajectory, _ in journal.plays(split, index)]
    plays = Counter(trajectory.address.scenario for trajectory in played)
    for count in plan.looks if base else plan.looks[-1:]:
        if any(plays[scenario] < plan.trajectories for scenario in range(count)):
            return _Standing(None, count)
        mine = [trajectory for trajectory in played if trajectory.address.scenario < count]
        performance = scoring.of_trajectories(held.first(count), mine, _order(config))
        if base is None or plan.ends(performance.drop_M(base)):
            return _Standing(performance, None)
    raise AssertionError("a rule ends at its last look")


def _order(config: RunConfig) -> scoring.ToldOrder | None:
    if config.prompts.name_order == "fixed":
        return None
    return partial(preparation.shown_order, config)


def _figures(config: RunConfig, journal: Journal, split: Split) -> dict[int, Figures]:
    return _figures_of(config, split, performances(config, journal, split))


def _figures_of(
    config: RunConfig, split: Split, found: Mapping[int, Performance]
) -> dict[int, Figures]:
    held, level = scenario_set(config, split), held_out(config, split).level
    base = found.get(0)
    return {
        index: scoring.figures(held, one, base if index else None, level)
        for index, one in found.items()
    }


def _unread(
    validation: Mapping[int, Figures], test: Mapping[int, Figures], index: int
) -> Iterator[str]:
    """Where so little of a model's replies could be read that its regret is in doubt."""
    for split, figures in (("validation", validation), ("test", test)):
        if index in figures and (warning := measures.unread_warning(figures[index].valid)):
            yield f"{split}: {warning}"


def _warnings(figures: dict[int, Figures], index: int) -> tuple[str, ...]:
    base, mine = figures[0], figures[index]
    if mine.paired_drop is None:
        return ()
    found = measures.collapses(base.measures, mine.measures, mine.paired_drop)
    return tuple(f"validation: {line}" for line in found)


def _baselines(config: RunConfig) -> dict[str, Figures]:
    held = scenario_set(config, "test")
    folder = config.origin.folder
    return {
        name: scoring.figures(held, scoring.of_baseline(held, name, config.seed, folder), None)
        for name in baselines_of(config, held)
    }


def baselines_of(config: RunConfig, held: ScenarioSet) -> tuple[str, ...]:
    """The algorithms beside the models: those that the run file names, else the usual ones."""
    return scoring.named_baselines(held, config.test.baselines)


def check_baselines(config: RunConfig) -> None:
    """Let the named algorithms play a scenario of each problem, so that mistakes come first.

    Raises ConfigError, and DataError for a class of one's own that breaks its contract.
    """
    held = scenario_set(config, "test").first(len(preparation.problems_of(config, "test")))
    for name in scoring.named_baselines(held, config.test.baselines or ()):
        check_baseline(name, held, config.seed, config.origin.folder)


def check_measures(config: RunConfig) -> None:
    """Let measures of one's own look at a play of each problem, and at one that was never read.

    Raises ConfigError, and DataError for one that breaks its contract.
    """
    if not config.evaluation.measures:
        return
    held = scenario_set(config, "test").first(len(preparation.problems_of(config, "test")))
    plays = baselines.play("random", held.scenarios, config.seed)
    own_measures.of_plays(held.measures, [plays, [_never_read(one) for one in plays]])


def check_selection_rule(config: RunConfig) -> None:
    """Let a rule of one's own rank a play of each problem, and one that was never read.

    Otherwise its mistakes came out after an iteration's play is paid for. Raises ConfigError, and
    DataError for one that breaks its contract.
    """
    folder = config.origin.folder
    if ranking.own_rule(config.selection, folder) is None:
        return
    held = scenario_set(config, "train").first(len(preparation.problems_of(config, "train")))
    scored = [
        regret.score(Address("train", 1, number, trajectory), scenario.regret, play)
        for number, scenario in enumerate(held.scenarios)
        for played in baselines.play("random", [scenario], config.seed)
        for trajectory, play in enumerate([played, _never_read(played)])
    ]
    ranking.rank(scored, config.selection, config.seed, 1, folder)


def _never_read(play: PlayArrays) -> PlayArrays:
    """The same play, had no reply been readable."""
    return play._replace(actions_T=np.full_like(play.actions_T, UNREAD))


def check_baseline(name: str, held: ScenarioSet, seed: int, folder: Path | None) -> None:
    """Let it play the scenarios of the problems that it fits.

    Raises ConfigError where it fits none, and DataError for a class that breaks its contract.
    """
    able = held.playable(name, folder).scenarios
    baselines.play(name, able or held.scenarios, seed, folder=folder)
