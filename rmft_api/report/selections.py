"""What selection kept, beside all that it chose from (docs/method.md 3)."""

from collections import Counter

from rmft_api.journal import Journal
from rmft_api.report import figures
from rmft_api.report.data import SelectionFigures
from rmft_api.report.play_groups import PlayGroup
from rmft_api.selection.ranking import Selected


def verdicts(group: PlayGroup, journal: Journal) -> tuple[Selected, ...]:
    """What selection said of each trajectory of a training group; empty before it did."""
    if group.split != "train":
        return ()
    return journal.get("selection", f"{group.iteration:02}", tuple[Selected, ...]) or ()


def selection_figures(group: PlayGroup, found: tuple[Selected, ...]) -> SelectionFigures | None:
    """The kept set against all; None before selection."""
    kept = {verdict.address for verdict in found if verdict.kept}
    if not found:
        return None
    chosen = [
        sitting
        for (trajectory, _), sitting in zip(group.played, group.sittings, strict=True)
        if trajectory.address in kept
    ]
    return SelectionFigures(
        iteration=group.iteration,
        kept=len(kept),
        all=len(found),
        reasons=dict(Counter(verdict.why for verdict in found)),
        of_kept=figures.measured(chosen),
        of_all=figures.measured(group.sittings),
    )
