"""The durable state of a run: what came back from outside, and what it cost.

A lock makes one process the owner; its writer thread commits in groups; the ledger accounts for
every request before it leaves.
"""

from typing import TYPE_CHECKING

from rmft_api.journal.accounting import Accounting, PhaseKey, PhaseSum
from rmft_api.journal.journal import FILE, Journal, LogEvent, RunRow
from rmft_api.journal.ledger import Attempt, Ledger, Totals, dollars
from rmft_api.journal.lock import is_owned
from rmft_api.journal.snapshots import open_to_read, snapshot

if TYPE_CHECKING:
    from rmft_api.journal import (
        accounting,
        journal,
        ledger,
        lock,
    )

__all__ = [
    "FILE",
    "Accounting",
    "Attempt",
    "Journal",
    "Ledger",
    "LogEvent",
    "PhaseKey",
    "PhaseSum",
    "RunRow",
    "Totals",
    "accounting",
    "dollars",
    "is_owned",
    "journal",
    "ledger",
    "lock",
    "open_to_read",
    "snapshot",
]
