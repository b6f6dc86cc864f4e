"""The durable state of a run: what came back from outside, and what it cost.

A lock makes one process the owner; its writer thread commits in groups; the ledger books every
request before it leaves; the outbox does things once that must not be done twice.
"""

from rmft_api.journal.books import Books, Place, Sum
from rmft_api.journal.copying import snapshot
from rmft_api.journal.journal import FILE, Event, Journal, RunRow
from rmft_api.journal.ledger import Attempt, Ledger, Totals, dollars
from rmft_api.journal.lock import is_owned
from rmft_api.journal.outbox import Effect, Outbox, Quarantine

__all__ = [
    "FILE",
    "Attempt",
    "Books",
    "Effect",
    "Event",
    "Journal",
    "Ledger",
    "Outbox",
    "Place",
    "Quarantine",
    "RunRow",
    "Sum",
    "Totals",
    "dollars",
    "is_owned",
    "snapshot",
]
