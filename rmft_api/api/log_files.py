"""A log that is a pandas frame, as a file that a run file can name."""

from pathlib import Path
from typing import TYPE_CHECKING

from rmft_api.core.errors import ConfigError, DataError

if TYPE_CHECKING:
    import pandas as pd


def save_log(frame: "pd.DataFrame", path: str | Path) -> Path:
    """Write a frame of logged decisions for `environment = "logs"`, or of cases for `"table"`.

    A run is resumed and reported from its file, so a frame must be one first. The index is left
    out. Returns the absolute path, for the option `path`.

    Args:
        frame: One row for each decision.
        path: Ends in .csv, .tsv or .parquet (that needs pyarrow).

    Raises:
        ConfigError: For another ending, or without pyarrow.
        DataError: For a frame without rows.

    """
    target = Path(path).absolute()
    if not len(frame):
        raise DataError("the frame has no rows; a row is a decision")
    kind = target.suffix.lower()
    if kind in (".csv", ".tsv"):
        frame.to_csv(target, index=False, sep="\t" if kind == ".tsv" else ",")
    elif kind == ".parquet":
        try:
            frame.to_parquet(target, index=False)
        except ImportError:
            raise ConfigError(
                "writing Parquet needs pyarrow: pip install 'rmft-api[parquet]'"
            ) from None
    else:
        raise ConfigError(f"path={str(path)!r} must end in .csv, .tsv, .parquet")
    return target
