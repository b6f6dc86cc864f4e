"""Runs that stand beside each other on one page: each one, opened and read."""

import hashlib
from dataclasses import dataclass, field
from typing import NamedTuple

from rmft_api.config.schema import RunConfig
from rmft_api.core.records import Interval, Split
from rmft_api.evaluation.scoring import Results
from rmft_api.journal import Journal
from rmft_api.report import figures, lineage, players
from rmft_api.report.build import gather
from rmft_api.report.compared_data import ChainPoint, RegretChain, RunCost
from rmft_api.report.data import PlayerFigures, ReportData, RunState
from rmft_api.report.figures import Regrets
from rmft_api.report.play_groups import PlayGroup, ScoredPlay
from rmft_api.report.trajectory_index import TrajectoryIndex
from rmft_api.rollouts import preparation
from rmft_api.selection.ranking import Selected

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
class RunSide:
    """One run, read."""

    run: RunToRead
    course: str
    """Runs of one course have the same test scenarios."""
    report: ReportData
    regrets: dict[Split, dict[int, Regrets]] = field(
        default_factory=dict[Split, dict[int, Regrets]]
    )
    """Of every model, by split and iteration."""
    tested: dict[int, tuple[ScoredPlay, ...]] = field(
        default_factory=dict[int, tuple[ScoredPlay, ...]]
    )
    """Plays of the test scenarios, by iteration."""

    @property
    def split(self) -> Split:
        """Where its champion is shown: test, unless that has not been played."""
        champion = self.report.champion
        tested = players.find(self.report.players, "test", champion)
        return "test" if tested is not None else "validation"

    def player(self, index: int | None) -> PlayerFigures | None:
        """The model of an iteration where it is shown."""
        return players.find(self.report.players, self.split, index)

    def share_of(self, index: int | None) -> Interval | None:
        """What a tested model has gained of what is possible, where a limit is known."""
        shares = self.report.shares if self.split == "test" else {}
        return shares.get(index) if index else None

    def regrets_of(self, index: int | None) -> Regrets:
        """A model's regret by scenario, where it is shown; empty where it is not."""
        found = self.player(index)
        regrets = self.regrets.get(self.split, {}).get(index or 0, {})
        count = found.scenarios if found else 0
        return {scenario: regret for scenario, regret in regrets.items() if scenario < count}

    def tested_by(self, index: int | None) -> tuple[ScoredPlay, ...]:
        """A model's plays of the test scenarios that its figures are of."""
        found = players.find(self.report.players, "test", index)
        count = found.scenarios if found else 0
        return tuple(one for one in self.tested.get(index or 0, ()) if one.scenario < count)

    @property
    def champion(self) -> str:
        """What the champion is called."""
        return f"{self.run.name}: champion" if self.report.champion else self.base

    @property
    def base(self) -> str:
        """What the base is called."""
        return f"{self.run.name}: base"


def read(run: RunToRead, index: TrajectoryIndex) -> RunSide:
    """Read a run; its trajectories go into `index`."""
    courses: dict[Split, str] = {
        split: fingerprint(run.config, split) for split in ("test", "validation")
    }
    regrets: dict[Split, dict[int, Regrets]] = {}
    tested: dict[int, tuple[ScoredPlay, ...]] = {}

    def visit(group: PlayGroup, selected: tuple[Selected, ...]) -> None:
        who = "base" if group.iteration <= 0 else f"iteration {group.iteration}"
        course = courses.get(group.split, run.name)
        index.add(group, selected, name=f"{run.name}: {who}", course=course)
        if group.split != "train":
            found = figures.regret_by_scenario(group.sittings)
            regrets.setdefault(group.split, {})[group.iteration] = found
        if group.split == "test":
            tested[group.iteration] = group.sittings

    report = gather(run.config, run.journal, run.results, run.state, visit)
    return RunSide(run, courses["test"], report, regrets, tested)


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


def chain(side: RunSide) -> RegretChain | None:
    """Regret by iteration, on test where every model was tested, else on validation."""
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


def row(side: RunSide, first: RunToRead) -> RunCost:
    """What it is and cost, and where its settings differ from the first run's."""
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
