"""The page of a family of seeds: everybody over all seeds, and each seed beside the others."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from rmft_api.evaluation.family import BASE, CHAMPION, FamilyResults, PooledFigures
from rmft_api.report import run_sides, runs_page
from rmft_api.report.compared_data import ComparedReport
from rmft_api.report.data import Fact, Headline
from rmft_api.report.run_sides import RunToRead
from rmft_api.report.trajectory_index import TrajectoryIndex
from rmft_api.statistics import FEWEST_SEEDS


class FamilyToRead(NamedTuple):
    """A family, opened."""

    name: str
    runs: Sequence[RunToRead]
    """Those of its seeds that have started."""
    results: FamilyResults | None
    """None where they are not pooled."""
    warnings: Sequence[str]
    """Why that is, and which seeds are left out."""


def gather(
    family: FamilyToRead, unreadable: Mapping[str, str], index: TrajectoryIndex
) -> ComparedReport:
    """The data of the page; trajectories go into `index`."""
    sides = [run_sides.read(run, index) for run in family.runs]
    report = runs_page.beside(sides, unreadable)
    facts = tuple(_facts(family.results)) if family.results else ()
    return msgspec.structs.replace(
        report,
        run=family.name,
        about=(
            "A family of seeds: each has its own scenarios and its own training, so that figures "
            "over all seeds say what the run file does, not what one draw of chance did."
        ),
        headline=_headline(family.results),
        facts=(*report.facts, *facts),
        warnings=(*family.warnings, *report.warnings),
        family=family.results,
    )


def _pooled(found: FamilyResults, name: str) -> PooledFigures | None:
    return next((one for one in found.players if one.name == name), None)


def _facts(found: FamilyResults) -> Iterator[Fact]:
    best = _pooled(found, CHAMPION)
    if best is not None and best.share_of_possible is not None:
        share = best.share_of_possible
        ends = f"{share.low:.0%} to {share.high:.0%} of" if share.known else "of"
        note = f"{ends} the way from the base to the limit, over all seeds"
        yield Fact("Of the possible", f"{share.mean:.0%}", note)


def _headline(found: FamilyResults | None) -> Headline:
    """Whether the champions are better than their bases, over all seeds."""
    best, base = (None, None) if found is None else (_pooled(found, n) for n in (CHAMPION, BASE))
    if found is None or best is None or base is None:
        return Headline("No seed has finished yet", "There are no figures over seeds so far.", None)
    seeds = f"{len(found.seeds)} {'seed' if len(found.seeds) == 1 else 'seeds'}"
    text = f"From {base.regret.mean:.2f} to {best.regret.mean:.2f} a trajectory over {seeds}."
    drop = best.drop
    if drop is None or not drop.known:
        return Headline(
            f"{seeds}: too few to be sure",
            f"{text} An interval over seeds needs at least {FEWEST_SEEDS} of them.",
            None,
        )
    sure = drop.low > 0 or drop.high < 0
    text += f" The drop with its 95 % interval over seeds and scenarios is {drop}"
    if not sure:
        return Headline("No sure change of regret", f"{text}, which contains 0.", False)
    by = f"by {abs(drop.mean / base.regret.mean):.0%}" if base.regret.mean > 0 else "surely"
    verb = "fell" if drop.mean >= 0 else "rose"
    return Headline(f"Regret {verb} {by} over {seeds}", f"{text}, which excludes 0.", True)
