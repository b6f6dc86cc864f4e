"""Measures of one's own, of several players."""

from collections.abc import Sequence

from rmft_api.evaluation.scoring import Figures
from rmft_api.report.text.columns import table


def own_measures(players: Sequence[tuple[str, Figures]]) -> str:
    """A row for each player, a column for each measure; empty where there is none."""
    names = list(dict.fromkeys(name for _, one in players for name in one.own))
    if not names:
        return ""
    rows = [(who, *(str(one.own.get(name, "")) for name in names)) for who, one in players]
    return table([("", *names), *rows], words=1, foot=0)
