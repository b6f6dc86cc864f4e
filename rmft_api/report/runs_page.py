"""The page of several runs side by side: what can be compared is, what cannot is said."""

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import NamedTuple

from rmft_api import statistics
from rmft_api.config.schema import RunConfig
from rmft_api.core.records import Split
from rmft_api.evaluation.scoring import Results
from rmft_api.journal import Journal, dollars
from rmft_api.report import figures, lineage, page, players
from rmft_api.report.build import gather
from rmft_api.report.compared_data import (
    ChainPoint,
    ComparedPair,
    ComparedPlayer,
    ComparedReport,
    RegretChain,
    RunCost,
)
from rmft_api.report.data import Fact, Headline, PlayerFigures, ReportData, RunState
from rmft_api.report.figures import Regrets
from rmft_api.report.play_groups import PlayGroup
from rmft_api.report.trajectory_index import TrajectoryIndex
from rmft_api.rollouts import preparation
from rmft_api.selection.ranking import Selected

SURE = 0.05
STATES = {"running": "is running", "interrupted": "was interrupted", "failed": "failed"}
UNSHOWN = ("name", "seed")
"""Settings that differ in every family of seeds, and have columns of their own."""


class RunToRead(NamedTuple):
    """One run, opened."""

    name: str
    config: RunConfig
    journal: Journal
    results: Results | None
    state: RunState


@dataclass
class _Side:
    """One run, read."""

    run: RunToRead
    course: str
    """Runs of one course have the same test scenarios."""
    report: ReportData
    regrets: dict[Split, dict[int, Regrets]] = field(
        default_factory=dict[Split, dict[int, Regrets]]
    )

    @property
    def split(self) -> Split:
        """Where its champion is shown: test, unless that has not been played."""
        champion = self.report.champion
        tested = players.find(self.report.players, "test", champion)
        return "test" if tested is not None else "validation"

    def player(self, index: int | None) -> PlayerFigures | None:
        """The model of an iteration where it is shown."""
        return players.find(self.report.players, self.split, index)

    @property
    def champion(self) -> str:
        """What the champion is called."""
        return f"{self.run.name}: champion" if self.report.champion else self.base

    @property
    def base(self) -> str:
        """What the base is called."""
        return f"{self.run.name}: base"


def html(runs: Sequence[RunToRead], unreadable: Mapping[str, str]) -> bytes:
    """The whole page. `unreadable`: runs that cannot be opened, with the reason."""

    def fill(index: TrajectoryIndex) -> ComparedReport:
        return gather_all(runs, unreadable, index)

    return page.of_data(*page.within_limit(fill))


def gather_all(
    runs: Sequence[RunToRead], unreadable: Mapping[str, str], index: TrajectoryIndex
) -> ComparedReport:
    """The data of the page; trajectories go into `index`."""
    sides = [_read(run, index) for run in runs]
    courses = list(dict.fromkeys(side.course for side in sides))
    pairs = tuple(_pairs(sides))
    first = runs[0] if runs else None
    return ComparedReport(
        run=", ".join(run.name for run in runs),
        about="",
        state="running" if any(run.state.state == "running" for run in runs) else "finished",
        stage="",
        made_at=int(time.time() * 1000),
        headline=_headline(sides, pairs, courses),
        facts=tuple(_facts(sides)),
        warnings=tuple(_warnings(sides, unreadable, courses)),
        notes=(),
        players=(*_models(sides), *_rivals(sides, courses)),
        pairs=pairs,
        axes=(),
        chains=tuple(chain for side in sides if (chain := _chain(side)) is not None),
        runs=tuple(_row(side, first) for side in sides if first is not None),
    )


def _read(run: RunToRead, index: TrajectoryIndex) -> _Side:
    courses: dict[Split, str] = {
        split: fingerprint(run.config, split) for split in ("test", "validation")
    }
    regrets: dict[Split, dict[int, Regrets]] = {}

    def visit(group: PlayGroup, selected: tuple[Selected, ...]) -> None:
        who = "base" if group.iteration <= 0 else f"iteration {group.iteration}"
        course = courses.get(group.split, run.name)
        index.add(group, selected, name=f"{run.name}: {who}", course=course)
        if group.split != "train":
            found = figures.regret_by_scenario(group.sittings)
            regrets.setdefault(group.split, {})[group.iteration] = found

    report = gather(run.config, run.journal, run.results, run.state, visit)
    return _Side(run, courses["test"], report, regrets)


def fingerprint(config: RunConfig, split: Split) -> str:
    """Equal for runs whose scenarios of a split, and their chance, are the same."""
    digest = hashlib.sha256()
    for scenario in preparation.scenarios(config, split, 0):
        digest.update(repr((scenario.rewards.shape, scenario.feedback, scenario.regret)).encode())
        digest.update(scenario.rewards.tobytes())
        digest.update(scenario.means.tobytes())
        if scenario.world is not None:
            digest.update(repr((scenario.world.name, scenario.world.seed)).encode())
    return digest.hexdigest()[:16]


def _models(sides: Sequence[_Side]) -> Iterator[ComparedPlayer]:
    for side in sides:
        ends = {side.base: 0, side.champion: side.report.champion}
        for name, index in ends.items():
            if (found := side.player(index)) is not None:
                yield _player(name, found, found.name)


def _rivals(sides: Sequence[_Side], courses: Sequence[str]) -> Iterator[ComparedPlayer]:
    """The known algorithms, where all runs have the same scenarios."""
    if len(courses) == 1:
        for one in sides[0].report.players:
            if one.index is None and one.regret is not None:
                yield _player(one.name, one, None)


def _player(name: str, found: PlayerFigures, model: str | None) -> ComparedPlayer:
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
    )


def _pairs(sides: Sequence[_Side]) -> Iterator[ComparedPair]:
    """Champions that played the same scenarios, corrected together (Holm)."""
    known = {s.champion: s for s in sides if _champions_regrets(s)}
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


def _champions_regrets(side: _Side) -> Regrets:
    found = side.player(side.report.champion)
    regrets = side.regrets.get(side.split, {}).get(side.report.champion or 0, {})
    count = found.scenarios if found else 0
    return {scenario: regret for scenario, regret in regrets.items() if scenario < count}


def _common(one: _Side, other: _Side) -> tuple[Regrets, Regrets]:
    ours, theirs = _champions_regrets(one), _champions_regrets(other)
    both = sorted(ours.keys() & theirs.keys())
    return {s: ours[s] for s in both}, {s: theirs[s] for s in both}


def _chain(side: _Side) -> RegretChain | None:
    """On test where every model was tested, else on validation."""
    every = {
        split: [
            p for p in side.report.players if p.split == split and p.regret and p.index is not None
        ]
        for split in ("test", "validation")
    }
    split: Split = "test" if len(every["test"]) >= len(every["validation"]) else "validation"
    points = [
        ChainPoint(
            p.index, p.regret.mean, p.regret.low, p.regret.high, p.index == side.report.champion
        )
        for p in sorted(every[split], key=lambda p: p.index or 0)
        if p.regret is not None and p.index is not None
    ]
    return RegretChain(side.run.name, split, tuple(points)) if points else None


def _row(side: _Side, first: RunToRead) -> RunCost:
    mine, theirs = lineage.settings(side.run.journal), lineage.settings(first.journal)
    keys = [key for key in dict.fromkeys([*theirs, *mine]) if key not in UNSHOWN]
    champion = side.report.champion
    return RunCost(
        name=side.run.name,
        state=side.run.state.state,
        stage=side.run.state.stage,
        champion="none yet"
        if champion is None
        else f"iteration {champion}"
        if champion
        else "base",
        seed=side.run.config.seed,
        base=side.run.config.model.base,
        spent=side.report.money.spent,
        settings={
            key: mine.get(key, "(absent)") for key in keys if mine.get(key) != theirs.get(key)
        },
    )


def _facts(sides: Sequence[_Side]) -> Iterator[Fact]:
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


def _warnings(
    sides: Sequence[_Side], unreadable: Mapping[str, str], courses: Sequence[str]
) -> Iterator[str]:
    yield from (f"{name} is left out: {reason}" for name, reason in unreadable.items())
    for side in sides:
        if side.report.champion is None:
            yield f"{side.run.name} has evaluated no model yet"
        elif side.split != "test":
            yield f"{side.run.name} has not played its test scenarios; validation is shown"
        if side.run.state.state != "finished":
            yield f"{side.run.name} {STATES[side.run.state.state]}: these are its figures so far"
    if len(courses) > 1:
        groups = [[s.run.name for s in sides if s.course == course] for course in courses]
        alike = "; ".join(", ".join(names) for names in groups)
        yield (
            "these runs have different test scenarios (another seed or other problems), so their "
            "regrets stand beside each other and cannot be paired, and known algorithms are left "
            f"out. The same scenarios have: {alike}"
        )


def _headline(
    sides: Sequence[_Side], pairs: Sequence[ComparedPair], courses: Sequence[str]
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
