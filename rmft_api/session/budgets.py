"""What a run may spend at most: said when it begins, and again whenever it is resumed."""

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from rmft_api.config.schema import RunConfig
from rmft_api.core.records import Record
from rmft_api.journal import Journal
from rmft_api.session.run_identity import has_begun

_KIND = "caps"


class Budgets(Record, frozen=True):
    """Caps in USD; None leaves what the run file or an earlier resumption said."""

    run_usd: float | None = None
    iteration_usd: float | None = None


NO_CAPS = Budgets()


def capped(journal: Journal, config: RunConfig, asked: Budgets) -> RunConfig:
    """The settings of a run with the caps asked for now, or else last."""
    kept = journal.get(_KIND, "", Budgets) or NO_CAPS
    wanted = {
        "budget_usd": _first(asked.run_usd, kept.run_usd, config.budget_usd),
        "iteration_budget_usd": _first(
            asked.iteration_usd, kept.iteration_usd, config.iteration_budget_usd
        ),
    }
    return config.model_copy(update=wanted)


async def set_caps(journal: Journal, config: RunConfig) -> None:
    """Keep the settings' caps and hold the run to its own; the loop holds each iteration to its.

    Raises BudgetError for a cap below what is already taken.
    """
    if config.budget_usd is not None:
        await journal.ledger.set_cap(round(config.budget_usd * 1e6))
    caps = Budgets(config.budget_usd, config.iteration_budget_usd)
    if caps != (journal.get(_KIND, "", Budgets) or NO_CAPS):
        await journal.put(_KIND, "", caps)


def left_of(budget_usd: float, others: Iterable[Path]) -> float:
    """What several runs that share a budget leave of it, in USD: what they reserved is taken too.

    The runs are given by their directories; none of them may be at work. May be negative.
    """
    return budget_usd - sum(map(_taken, others)) / 1e6


def _taken(directory: Path) -> int:
    """Micro-dollars that a run has spent, or may have."""
    if not has_begun(directory):
        return 0
    with closing(Journal.read(directory)) as journal:
        totals = journal.ledger.totals()
    return totals.spent + totals.reserved


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)
