"""The model card of a run's champion."""

from pathlib import Path

from rmft_api.core.errors import UsageError
from rmft_api.core.files import make_directory, replace_file

FILE = "MODEL_CARD.md"


def text_of(directory: Path) -> str:
    """The card. Raises UsageError for an evaluation, and before the base has been evaluated."""
    from rmft_api.journal import open_to_read
    from rmft_api.report.model_card import model_card
    from rmft_api.session import comparisons, paper
    from rmft_api.session.recorded_config import recorded_config

    with open_to_read(directory) as journal:
        if comparisons.is_comparison(journal):
            raise UsageError(
                f"{directory.name!r} is an evaluation, which made no model; "
                f"`rmft-api report {directory.name}` shows its figures"
            )
        config = recorded_config(journal)
    results, report = paper.read_run(directory)
    return model_card(config, results, report)


def write(directory: Path, to: Path | None = None) -> Path:
    """Write the card; where it lies: `MODEL_CARD.md` in the run's folder when `to` is None.

    Raises UsageError as `text_of` does, StorageError.
    """
    path = directory / FILE if to is None else to
    card = text_of(directory)
    make_directory(path.parent)
    replace_file(path, card.encode())
    return path
