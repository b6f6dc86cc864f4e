"""Runs as pandas frames, for notebooks and for `rmft-api export`. Only here is pandas imported."""

from rmft_api.report.frames.parquet import parquet, write_folder
from rmft_api.report.frames.summaries import selections_df, standings_df
from rmft_api.report.frames.tables import as_text, rounds_df, trajectories_df

__all__ = [
    "as_text",
    "parquet",
    "rounds_df",
    "selections_df",
    "standings_df",
    "trajectories_df",
    "write_folder",
]
