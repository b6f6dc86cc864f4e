"""The page of several runs side by side: what can be compared is, what cannot is said."""

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import msgspec

from rmft_api import statistics
from rmft_api.core.records import Interval
from rmft_api.journal import dollars
from rmft_api.report import page, run_sides
from rmft_api.report.compared_data import (
    ComparedPair,
    ComparedPlayer,
    ComparedReport,
)
from rmft_api.report.data import Fact, Headline, PlayerFigures, State
from rmft_api.report.figures import Regrets
from rmft_api.report.run_sides import RunSide, RunToRead
from rmft_api.report.trajectory_index import TrajectoryIndex

SURE = 0.05
STATES = {"running": "is running", "interrupted": "was interrupted", "failed": "failed"}


def html(runs: Sequence[RunToRead], unreadable: Mapping[str, str]) -> bytes:
    """The whole page. `unreadable`: runs that cannot be opened, with the reason."""

    def fill(index: TrajectoryIndex) -> ComparedReport:
        return gather_all(runs, unreadable, index)

    return page.of_data(*page.within_limit(fill))


def gather_all(
    runs: Sequence[RunToRead], unreadable: Mapping[str, str], index: TrajectoryIndex
) -> ComparedReport:
    """The data of the page; trajectories go into `index`."""
    sides = [run_sides.read(run, index) for run in runs]
    courses = list(dict.fromkeys(side.course for side in sides))
    report = beside(sides, unreadable)
    different = tuple(_different(sides, courses)) if len(courses) > 1 else ()
    return msgspec.structs.replace(
        report,
        headline=_headline(sides, report.pairs, courses),
        warnings=(*report.warnings, *different),
        players=(*report.players, *_rivals(sides, courses)),
    )


def beside(sides: Sequence[RunSide], unreadable: Mapping[str, str]) -> ComparedReport:
    """What a page has of any runs that stand beside each other; its headline says no more."""
    return ComparedReport(
        run=", ".join(side.run.name for side in sides),
        about="",
        state=state_of(sides),
        stage=", ".join(f"{s.run.name}, {s.run.state.stage}" for s in sides if _is_at_work(s)),
        made_at=int(time.time() * 1000),
        headline=Headline(f"{len(sides)} runs side by side", "", None),
        facts=tuple(_facts(sides)),
        warnings=tuple(_warnings(sides, unreadable)),
        notes=(),
        players=tuple(_models(sides)),
        pairs=tuple(_pairs(sides)),
        axes=(),
        chains=tuple(chain for side in sides if (chain := run_sides.chain(side)) is not None),
        runs=tuple(run_sides.row(side, sides[0].run) for side in sides),
    )


def state_of(sides: Sequence[RunSide]) -> State:
    """Of all runs together: one that is under way, was interrupted or failed comes first."""
    states: set[State] = {side.run.state.state for side in sides}
    order: tuple[State, ...] = ("running", "interrupted", "failed")
    for one in order:
        if one in states:
            return one
    return "finished"


def _is_at_work(side: RunSide) -> bool:
    return side.run.state.state == "running"


def _models(sides: Sequence[RunSide]) -> Iterator[ComparedPlayer]:
    for side in sides:
        ends = {side.base: 0, side.champion: side.report.champion}
        for name, index in ends.items():
            if (found := side.player(index)) is not None:
                yield _player(name, found, found.name, side.share_of(index))


def _rivals(sides: Sequence[RunSide], courses: Sequence[str]) -> Iterator[ComparedPlayer]:
    """The known algorithms, where all runs have the same scenarios."""
    if len(courses) == 1:
        for one in sides[0].report.players:
            if one.index is None and one.regret is not None:
                yield _player(one.name, one, None)


def _player(
    name: str, found: PlayerFigures, model: str | None, share: Interval | None = None
) -> ComparedPlayer:
    assert found.regret is not None
    return ComparedPlayer(
        name=name,
        model=model,
        scenarios=found.scenarios,
        regret=found.regret,
        drop=found.paired_drop,
        measures=found.measures,
        curves=found.curves,
        only=found.only,
        share_of_possible=share,
    )


def _pairs(sides: Sequence[RunSide]) -> Iterator[ComparedPair]:
    """Champions that played the same scenarios, corrected together (Holm)."""
    known = {s.champion: s for s in sides if s.regrets_of(s.report.champion)}
    pairs = [
        (one, other)
        for one, other in combinations(known, 2)
        if (known[one].course, known[one].split) == (known[other].course, known[other].split)
    ]
    level = 1.0 - (1.0 - statistics.LEVEL) / max(len(pairs), 1)
    both = {pair: _common(known[pair[0]], known[pair[1]]) for pair in pairs}
    ps = {
        str(pair): statistics.compare(ours, {"other": theirs})["other"].p
        for pair, (ours, theirs) in both.items()
    }
    corrected = statistics.holm(ps)
    for pair, (ours, theirs) in both.items():
        drop = statistics.paired_drop(theirs, ours, level)
        p, key = ps[str(pair)], str(pair)
        yield ComparedPair("models", *pair, len(ours), drop, p, corrected[key])


def _common(one: RunSide, other: RunSide) -> tuple[Regrets, Regrets]:
    ours, theirs = (side.regrets_of(side.report.champion) for side in (one, other))
    both = sorted(ours.keys() & theirs.keys())
    return {s: ours[s] for s in both}, {s: theirs[s] for s in both}


def _facts(sides: Sequence[RunSide]) -> Iterator[Fact]:
    seeds = len({side.run.config.seed for side in sides})
    yield Fact("Runs", f"{len(sides)}", f"of {seeds} {'seed' if seeds == 1 else 'seeds'}")
    spent = sum(side.report.money.spent for side in sides)
    yield Fact("Spent", dollars(spent), "by all of them")
    drops = [
        found.paired_drop.mean
        for side in sides
        if (found := side.player(side.report.champion)) is not None and found.paired_drop
    ]
    if drops:
        mean = sum(drops) / len(drops)
        note = f"of the champions to their bases; from {min(drops):.2f} to {max(drops):.2f}"
        yield Fact("Mean drop", f"{mean:.2f}", note)


def _warnings(sides: Sequence[RunSide], unreadable: Mapping[str, str]) -> Iterator[str]:
    yield from (f"{name} is left out: {reason}" for name, reason in unreadable.items())
    for side in sides:
        if side.report.champion is None:
            yield f"{side.run.name} has evaluated no model yet"
        elif side.split != "test":
            yield f"{side.run.name} has not played its test scenarios; validation is shown"
        if side.run.state.state != "finished":
            yield f"{side.run.name} {STATES[side.run.state.state]}: these are its figures so far"


def _different(sides: Sequence[RunSide], courses: Sequence[str]) -> Iterator[str]:
    """What cannot be compared, and which runs can."""
    groups = [[s.run.name for s in sides if s.course == course] for course in courses]
    alike = "; ".join(", ".join(names) for names in groups)
    yield (
        "these runs have different test scenarios (another seed or other problems), so their "
        "regrets stand beside each other and cannot be paired, and known algorithms are left "
        f"out. The same scenarios have: {alike}"
    )


def _headline(
    sides: Sequence[RunSide], pairs: Sequence[ComparedPair], courses: Sequence[str]
) -> Headline:
    known = [
        (p.regret.mean, s.champion)
        for s in sides
        if (p := s.player(s.report.champion)) and p.regret
    ]
    if not known:
        return Headline("No model has been evaluated yet", "No run has figures so far.", None)
    names = f"{len(sides)} runs side by side"
    if len(courses) > 1:
        return Headline(names, "Not all of them play the same test scenarios.", None)
    regret, best = min(known)
    text = f"{best} has the least regret, {regret:.2f} a trajectory."
    mine = [pair for pair in pairs if best in (pair.one, pair.other)]
    if not mine:
        return Headline(names, text, None)
    unsure = [
        pair.other if pair.one == best else pair.one
        for pair in mine
        if not pair.drop.known or pair.p_holm >= SURE
    ]
    if unsure:
        return Headline(
            "No champion is surely the best",
            f"{text} Not clear against: {', '.join(unsure)}.",
            False,
        )
    return Headline(
        f"{best} decides best", f"{text} Against every other the difference is significant.", True
    )
