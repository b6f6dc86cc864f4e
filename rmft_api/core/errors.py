"""Every error a user can meet, each with the exit code it ends the program with.

RmftError                   70  (never raised itself)
├── UsageError              64  a command line that cannot be followed
├── DataError               65  a template, a reward, a dataset or a file that cannot be used
│   └── UnreadableError         too few replies of a model can be read
├── ConfigError             78  a run file that cannot be followed
├── StorageError            74  disk, permissions, a damaged journal
├── NotEntitledError        77  the account may not do this (closed organisation, wrong key)
├── ProviderDownError       69  the provider stayed unreachable past its deadline
├── ResumableError          75  stopped cleanly; `rmft-api resume RUN` continues
│   ├── BudgetError             the cap is reached
│   ├── SeedFailedError         some seeds of a family failed, the others have ended
│   └── LockedError             another process owns the run
├── InterruptedRunError     130/143  a signal; resumable
└── ProviderFault           69  one failed request, classified; `retries.py` decides what follows

A message says what, with which value, and what to do next, in one line.
Adding one: subclass the nearest above and give it a code only if scripts must distinguish it.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


class RmftError(Exception):
    """Base of all known errors: printed as one line, never as a traceback."""

    exit_code: ClassVar[int] = 70
    hint: str = ""
    """What to do once the cause is fixed, where the message does not say it."""


class UsageError(RmftError):
    """The command line cannot be followed."""

    exit_code = 64


class DataError(RmftError):
    """Data cannot be used: a template, a reward, a reply file, a dataset."""

    exit_code = 65


class UnreadableError(DataError):
    """Too few replies of a split can be read, so that nothing more is asked."""


class ConfigError(RmftError):
    """The run file cannot be followed."""

    exit_code = 78


class StorageError(RmftError):
    """The disk, its permissions, or the journal fails. Fatal: nothing more is acknowledged."""

    exit_code = 74


class NotEntitledError(RmftError):
    """The account may not do what was asked."""

    exit_code = 77


class ProviderDownError(RmftError):
    """The provider stayed unreachable past its deadline."""

    exit_code = 69


class ResumableError(RmftError):
    """The run stopped cleanly and can continue."""

    exit_code = 75


class BudgetError(ResumableError):
    """The next request could pass the cap, so it was not sent."""


class SeedFailedError(ResumableError):
    """Some seeds of a family failed; the others have ended and are kept."""


class LockedError(ResumableError):
    """Another process owns the run."""


class InterruptedRunError(RmftError):
    """A signal ended the run after its replies were saved."""

    exit_code = 130

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.signal_number = signal_number


class FaultKind(StrEnum):
    """What a failed request allows (docs/faults.md 3.7)."""

    SAFE = "safe"
    """Not started, says who answered: send it again. What must not be done twice is looked for
    first anyway, unless it was `ProviderFault.never_sent`."""
    AMBIGUOUS = "ambiguous"
    """Perhaps done and billed: at most one re-issue, or look it up."""
    NO_ANSWER = "no_answer"
    """A reply came that is no answer, perhaps billed: ask again, and never take it for one."""
    WAIT = "wait"
    """Not now: try again until a wall-clock deadline."""
    STOP = "stop"
    """Money, rights or a closed door: asking again cannot help."""
    REJECTED = "rejected"
    """This very request is refused for what it says; others may pass."""


@dataclass(frozen=True)
class Mismatch:
    """A form of reply that an endpoint gives because of how it, or its profile, is set up."""

    form: str
    """Equal for equal forms."""
    permanent: bool = True
    """False where an endpoint that answered before can give it too, e.g. a page of maintenance."""


class ProviderFault(RmftError):
    """One request that failed, as the adapter that knows its wire classified it.

    `mismatch` is given with a NO_ANSWER: the second one is a mistake of configuration, and the
    message says what to change. `billed` are the tokens that the failed reply was billed for, where
    it reports them: of the prompt, of the completion, and cached ones among the first.
    """

    exit_code = 69

    def __init__(
        self,
        message: str,
        kind: FaultKind,
        *,
        status: int | None = None,
        code: str | None = None,
        retry_after_s: float | None = None,
        never_sent: bool = False,
        mismatch: Mismatch | None = None,
        billed: tuple[int, int, int] | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status
        self.code = code
        self.retry_after_s = retry_after_s
        self.never_sent = never_sent
        """No connection was made, so nothing was done. Nothing else is sure: a server that answers,
        with whatever status, may have done the work before."""
        self.mismatch = mismatch
        self.billed = billed
