"""How far families of seeds are, in words."""

from collections.abc import Iterator
from pathlib import Path

from rmft_api.report.text.columns import table
from rmft_api.session.families import SeedStatus, record_of, statuses
from rmft_api.session.run_directories import family_names

HEADINGS = ("seed", "run", "state", "step", "spent $", "reserved $")


def status_table(directory: Path) -> str:
    """A row for each seed, and what they have taken of the family's budget."""
    found, record = statuses(directory), record_of(directory)
    rows = [HEADINGS, *map(_row, found)]
    cap = "" if record.budget_usd is None else f" of ${record.budget_usd:.2f}"
    return "\n".join([table(rows, words=4, foot=0), "", f"{_line(directory)}{cap}"])


def families_in_words(runs: Path) -> Iterator[str]:
    """One line for each family in a folder."""
    for name in family_names(runs):
        yield _line(runs / name)


def _line(directory: Path) -> str:
    found = statuses(directory)
    ended = sum(one.state == "finished" for one in found)
    spent = sum(one.spent for one in found) / 1e6
    return f"family {directory.name}: {ended} of {len(found)} seeds finished, ${spent:.2f} spent"


def _row(one: SeedStatus) -> tuple[str, ...]:
    step = "" if one.state in ("finished", "not started") else one.stage
    money = (f"{one.spent / 1e6:.2f}", f"{one.reserved / 1e6:.2f}")
    return (str(one.seed), one.run, one.state, step, *money)
