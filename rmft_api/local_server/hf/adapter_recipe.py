"""What one training is about, in tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rmft_api.local_server.engine import JobHyperparameters


@dataclass(frozen=True, slots=True)
class AdapterRecipe:
    """All that the weights depend on, besides the base."""

    start: Path | None
    """The adapter to continue from; None for a fresh one."""
    rows: Sequence[dict[str, list[int]]]
    """As TRL's collators take them: input_ids and labels, or prompt_, chosen_ and rejected_ids."""
    hyperparameters: JobHyperparameters
    seed: int
    beta: float | None = None
    """Set for preferences (DPO)."""
