"""What a run or an evaluation came to, as frames: a row for each line of its tables."""

import io
from collections.abc import Iterator
from typing import Any

import msgspec
import pandas as pd

from rmft_api.evaluation.comparison import ComparisonResults
from rmft_api.evaluation.scoring import Results
from rmft_api.evaluation.selection_summary import Share
from rmft_api.report.text.comparison import standings_csv


def selections_df(results: Results) -> pd.DataFrame:
    """Two rows per iteration that trained: all that was played, and what of it was selected."""
    return pd.DataFrame(list(_selections(results)))


def standings_df(found: ComparisonResults) -> pd.DataFrame:
    """One row per player over the whole suite, and on every value of every axis."""
    return pd.read_csv(io.StringIO(standings_csv(found)))


def _selections(results: Results) -> Iterator[dict[str, Any]]:
    for one in results.iterations:
        if one.made_from is None:
            continue
        parts = {"all": one.made_from.all, "selected": one.made_from.kept}
        for name, share in parts.items():
            if share is not None:
                yield {"iteration": one.index, "trajectories": name, **_measured(share)}


def _measured(share: Share) -> dict[str, Any]:
    return {"regret": share.regret, **msgspec.structs.asdict(share.measures)}
