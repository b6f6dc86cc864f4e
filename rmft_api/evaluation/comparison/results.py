"""What a comparison came to: figures, paired differences corrected for being several, and axes."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations

from rmft_api import statistics
from rmft_api.core.records import Interval, Record
from rmft_api.evaluation import limit, measures, off_policy, outcome, scoring
from rmft_api.evaluation.comparison import axes
from rmft_api.evaluation.comparison.settings import ComparisonConfig, ComparisonPlayer
from rmft_api.evaluation.off_policy import OffPolicyResults
from rmft_api.evaluation.scoring import Figures, Performance, ScenarioSet
from rmft_api.journal import Journal
from rmft_api.prompts import PromptSet
from rmft_api.rollouts import log_policy, preparation
from rmft_api.selection.regret import Floats

Marks = Sequence[Mapping[str, str]]
"""What each scenario is called along the axes."""


class PlayerResult(Record, frozen=True):
    """One player's figures over the whole suite."""

    label: str
    model: str | None
    """None for a known algorithm."""
    figures: Figures
    """`paired_drop` is to the first model; None for that one."""
    warnings: tuple[str, ...] = ()
    """Why its regret is in doubt."""
    share_of_possible: Interval | None = None
    """Of the way from the first model's regret to the limit; None for the first, for algorithms,
    and where no limit is known."""


class PairedDifference(Record, frozen=True):
    """Two players on the same scenarios, at least one of them a model."""

    one: str
    other: str
    drop: Interval
    """Regret of `other` less that of `one`: above 0, `one` is better. All intervals of a family
    (models, or models against algorithms) hold together with 95 %."""
    p: float
    """Two-sided, paired t."""
    p_holm: float
    """The same, corrected for its whole family."""


class AxisCell(Record, frozen=True):
    """One player on the scenarios of one line."""

    regret: Interval
    drop: Interval | None
    """Paired, to the first model."""
    valid: float
    """Share of replies that could be read."""
    trained: bool | None
    """Whether it was trained on this value; None: not known."""


class AxisLine(Record, frozen=True):
    """The scenarios that share a value."""

    value: str
    scenarios: int
    cells: dict[str, AxisCell]
    """By the player's label; none for an algorithm that cannot play these scenarios."""


class Axis(Record, frozen=True):
    """One way in which the suite's scenarios differ."""

    name: str
    lines: tuple[AxisLine, ...]


class ComparisonResults(Record, frozen=True):
    """What a comparison came to, or came to so far."""

    contest: str
    suite: str
    about: str
    scenarios: int
    trajectories: int
    """Plays of each scenario by each model."""
    players: tuple[PlayerResult, ...]
    """Models that have played to the end, in their order, then algorithms."""
    missing: tuple[str, ...]
    """Models that have not."""
    pairs: tuple[PairedDifference, ...]
    axes: tuple[Axis, ...]
    stopped: str = ""
    """Why a model was not played on; empty where none was stopped."""
    references: tuple[str, ...] = ()
    """What regret is against in problems with state, in words."""
    notes: tuple[str, ...] = ()
    """What these figures leave out."""
    limit: Figures | None = None
    """Nearly the least regret that is possible, on the scenarios that it is known for."""
    limit_notes: tuple[str, ...] = ()
    """Where no limit is known, and why."""
    off_policy: tuple[OffPolicyResults, ...] = ()
    """What players would have earned on held-out rows of each log; `over_base` is over the first
    model."""


def comparison_results(
    config: ComparisonConfig, journal: Journal, prompts: PromptSet
) -> ComparisonResults:
    """The standings, from the journal alone."""
    scenario_set = outcome.scenario_set(config.run, "test")
    models = _models(config, journal, scenario_set)
    folder = config.run.origin.folder
    rivals = {
        n: scoring.of_baseline(scenario_set, n, config.run.seed, folder) for n in config.baselines
    }
    everyone = {**models, **rivals}
    first = next(iter(models.values()), None)
    least = limit.performance(scenario_set)
    return ComparisonResults(
        contest=config.name,
        suite=config.suite,
        about=config.about,
        scenarios=config.run.test.scenarios,
        trajectories=config.run.test.trajectories,
        players=tuple(
            _standing(
                label,
                _id(config, label),
                _figures(scenario_set, one, first),
                _share(first, one, least) if label in models else None,
            )
            for label, one in everyone.items()
        ),
        missing=tuple(p.label for p in config.players if p.label not in models),
        pairs=(*_pairs(list(combinations(models, 2)), everyone), *_against(models, rivals)),
        axes=tuple(_axes(config, _marks(config, prompts), everyone, first)),
        stopped=outcome.stopped(journal),
        references=preparation.references(config.run),
        notes=log_policy.not_evaluated(config.run),
        off_policy=off_policy.results(
            config.run, journal, dict(enumerate(player.label for player in config.players))
        ),
        limit=None if least is None else scoring.figures(scenario_set, least, None),
        limit_notes=limit.notes(scenario_set),
    )


def _standing(
    label: str, model: str | None, figures: Figures, share: Interval | None
) -> PlayerResult:
    warning = measures.unread_warning(figures.valid)
    return PlayerResult(label, model, figures, (warning,) if warning else (), share)


def _share(
    first: Performance | None, one: Performance, least: Performance | None
) -> Interval | None:
    if first is None or one is first:
        return None
    return limit.share_of_possible(first, one, least)


def _models(
    config: ComparisonConfig, journal: Journal, scenario_set: ScenarioSet
) -> dict[str, Performance]:
    found: dict[str, Performance] = {}
    for index, player in enumerate(config.players):
        played = [trajectory for trajectory, _ in journal.plays("test", index)]
        if len(played) == config.run.test.scenarios * config.run.test.trajectories:
            found[player.label] = scoring.of_trajectories(
                scenario_set, played, partial(preparation.shown_order, config.run)
            )
    return found


def _id(config: ComparisonConfig, label: str) -> str | None:
    return next((player.model for player in config.players if player.label == label), None)


def _figures(scenario_set: ScenarioSet, one: Performance, first: Performance | None) -> Figures:
    return scoring.figures(scenario_set, one, None if one is first else first)


def _against(
    models: Mapping[str, Performance], rivals: Mapping[str, Performance]
) -> Iterator[PairedDifference]:
    pairs = [(model, rival) for model in models for rival in rivals]
    return _pairs(pairs, {**models, **rivals})


def _pairs(
    pairs: Sequence[tuple[str, str]], players: Mapping[str, Performance]
) -> Iterator[PairedDifference]:
    """One family of comparisons, corrected for their number."""
    figures = {label: _by_scenario(one) for label, one in players.items()}
    level = 1.0 - (1.0 - statistics.LEVEL) / max(len(pairs), 1)
    sides = {(one, other): _both(figures[one], figures[other]) for one, other in pairs}
    ps = {
        f"{i}": statistics.compare(mine, {other: theirs})[other].p
        for i, ((_, other), (mine, theirs)) in enumerate(sides.items())
    }
    corrected = statistics.holm(ps)
    for i, ((one, other), (mine, theirs)) in enumerate(sides.items()):
        drop = statistics.paired_drop(theirs, mine, level)
        yield PairedDifference(one, other, drop, ps[f"{i}"], corrected[f"{i}"])


def _both(one: Mapping[int, float], other: Mapping[int, float]) -> list[dict[int, float]]:
    """Both on the scenarios that both can play."""
    common = sorted(one.keys() & other.keys())
    return [{number: side[number] for number in common} for side in (one, other)]


def _by_scenario(one: Performance) -> dict[int, float]:
    return dict(zip(one.numbers, one.regret_M.tolist(), strict=True))


def _marks(config: ComparisonConfig, prompts: PromptSet) -> Marks:
    problems = preparation.problems_of(config.run, "test")
    return [
        axes.of_scenario(
            problems[index % len(problems)],
            preparation.wording_of(config.run, prompts, problems, "test", 0, index),
        )
        for index in range(config.run.test.scenarios)
    ]


def _axes(
    config: ComparisonConfig,
    marks: Marks,
    players: Mapping[str, Performance],
    first: Performance | None,
) -> Iterator[Axis]:
    known = {player.label: player for player in config.players}
    found: dict[str, list[AxisLine]] = {}
    for axis, value, chosen in axes.lines(marks):
        cells = {
            label: AxisCell(
                regret=one.regret(among=mine),
                drop=_drop(one, first, mine),
                valid=float(one.valid_M[mine].mean()),
                trained=_trained(known.get(label), axis, value),
            )
            for label, one in players.items()
            if (mine := _places(one, chosen))  # a baseline may play only some of the problems
        }
        found.setdefault(axis, []).append(AxisLine(value, len(chosen), cells))
    return (Axis(name, tuple(lines)) for name, lines in found.items())


def _places(one: Performance, chosen: list[int]) -> list[int]:
    """Where the chosen scenarios stand among those that it played."""
    places = {number: place for place, number in enumerate(one.numbers)}
    return [places[number] for number in chosen if number in places]


def _drop(one: Performance, first: Performance | None, chosen: list[int]) -> Interval | None:
    if first is None or one is first:
        return None
    drop_M: Floats = one.drop_M(first)
    return statistics.drop_interval(drop_M[chosen])


def _trained(player: ComparisonPlayer | None, axis: str, value: str) -> bool | None:
    if player is None or player.trained is None or axis not in player.trained:
        return None
    return value in player.trained[axis]
