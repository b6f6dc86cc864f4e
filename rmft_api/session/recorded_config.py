"""The settings that a run was started with, as its journal has them."""

import os
from pathlib import Path

import msgspec

from rmft_api.config import renamed_keys, schema
from rmft_api.config.schema import RunConfig
from rmft_api.core.paths import RULES, Origin
from rmft_api.evaluation import outcome
from rmft_api.journal import Journal
from rmft_api.rollouts import preparation

_FOLDER, _FROM_RUN, _RULES = "folder", "folder_from_run", "draws"


def recorded_config(journal: Journal) -> RunConfig:
    """The frozen copy of the run file, with the iterations that were asked for last."""
    raw = renamed_keys.translated(msgspec.json.decode(journal.run.config_json))
    found = schema.parse(raw, f"the journal of {journal.run_dir.name}", origin_of(journal))
    extended = outcome.extensions(journal)
    return found.model_copy(update={"iterations": extended[-1].after}) if extended else found


def kept_origin(config: RunConfig, directory: Path) -> dict[str, str]:
    """For the journal of a run in `directory`: where its files lie, what they hold, how it draws.

    Raises DataError for a file that cannot be read.
    """
    folder = os.path.realpath(config.origin.folder)
    return {
        _FOLDER: folder,
        _FROM_RUN: os.path.relpath(folder, os.path.realpath(directory)),
        _RULES: str(config.origin.rules),
        outcome.FILES: msgspec.json.encode(preparation.files(config)).decode(),
    }


def origin_of(journal: Journal) -> Origin:
    """Where a run's files lie: where they lay when it began, or as far from its own folder.

    A run of an earlier version kept neither: it continues as it began, in the working folder.
    """
    kept = journal.run.provenance
    if _RULES not in kept:
        return Origin(Path.cwd(), rules=1)
    folder, moved = Path(kept[_FOLDER]), journal.run_dir / kept[_FROM_RUN]
    found = folder if folder.is_dir() or not moved.is_dir() else moved
    return Origin(found, min(int(kept[_RULES]), RULES))
