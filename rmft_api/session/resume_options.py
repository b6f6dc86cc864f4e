"""What may be said when a run or an evaluation is resumed."""

from dataclasses import dataclass

from rmft_api.session.budgets import NO_CAPS, Budgets
from rmft_api.session.valid_replies import AS_BEFORE, OnStopped


@dataclass(frozen=True, kw_only=True)
class ResumeOptions:
    """How to continue; the defaults change nothing. An evaluation takes only the first two."""

    caps: Budgets = NO_CAPS
    on_stopped: OnStopped = AS_BEFORE
    iterations: int | None = None
    """How many the run is to have from now on (`extensions.py`); None: as before."""
    as_recorded: bool = False
    """Continue under the recorded settings though the run file has changed."""
    again: bool = False
    """Order once more the job that failed, was cancelled or was refused."""
    new_key: bool = False
    """Continue with another key of the same provider project."""


UNCHANGED = ResumeOptions()
