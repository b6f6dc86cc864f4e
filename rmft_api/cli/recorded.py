"""The settings that a run was begun with, as its journal has them."""

import msgspec

from rmft_api import config
from rmft_api.config import RunConfig
from rmft_api.journal import Journal


def recorded_config(journal: Journal) -> RunConfig:
    """The frozen copy of the run file."""
    raw = msgspec.json.decode(journal.run.config_json)
    return config.parse(raw, source=f"the journal of {journal.run_dir.name}")
