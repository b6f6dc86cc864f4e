"""The durable state of a run: what came back from outside, and what it cost.

A lock makes one process the owner; its writer thread commits in groups; the ledger books every
request before it leaves.
"""

from rmft_api.journal.accounting import Books, Place, Sum
from rmft_api.journal.journal import FILE, Event, Journal, RunRow
from rmft_api.journal.ledger import Attempt, Ledger, Totals, dollars
from rmft_api.journal.lock import is_owned
from rmft_api.journal.snapshots import snapshot

__all__ = [
    "FILE",
    "Attempt",
    "Books",
    "Event",
    "Journal",
    "Ledger",
    "Place",
    "RunRow",
    "Sum",
    "Totals",
    "dollars",
    "is_owned",
    "snapshot",
]
