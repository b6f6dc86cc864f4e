"""What a family of seeds or an ablation grid came to, as a table or as JSON."""

from pathlib import Path

import msgspec

from rmft_api.report.text.family import family_json, family_table
from rmft_api.session import ablations, families, grids
from rmft_api.session.run_directories import is_family


def family_or_grid(directory: Path, *, as_json: bool) -> str:
    """The table, or one JSON object. Raises UsageError for a grid whose runs have not all ended."""
    if is_family(directory):
        found = families.results_of(directory)
        return family_json(found) if as_json else family_table(found)
    rows = ablations.recorded_rows(grids.record_of(directory), directory.parent)
    return msgspec.json.encode(rows).decode() if as_json else ablations.table_of(rows)
