"""The errors that a user of the Python API can catch; each is documented in `core/errors.py`."""

from rmft_api.core.errors import (
    BudgetError,
    ConfigError,
    DataError,
    FaultKind,
    InterruptedRunError,
    LockedError,
    NotEntitledError,
    ProviderDownError,
    ProviderFault,
    ResumableError,
    RmftError,
    StorageError,
    UnreadableError,
    UsageError,
)

__all__ = [
    "BudgetError",
    "ConfigError",
    "DataError",
    "FaultKind",
    "InterruptedRunError",
    "LockedError",
    "NotEntitledError",
    "ProviderDownError",
    "ProviderFault",
    "ResumableError",
    "RmftError",
    "StorageError",
    "UnreadableError",
    "UsageError",
]
