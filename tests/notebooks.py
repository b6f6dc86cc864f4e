"""Runs a notebook of `examples/` from its top, as a reader does."""

from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def run_notebook(name: str, folder: Path) -> list[str]:
    """The text that its cells show, run in `folder`. Raises CellExecutionError."""
    return [text_of(one) for one in cell_outputs(name, folder)]


def text_of(output: Any) -> str:
    return output.get("text") or output.get("data", {}).get("text/plain", "")


def cell_outputs(name: str, folder: Path) -> list[Any]:
    """What its cells show, in order, run in `folder`. Raises CellExecutionError."""
    nbformat: Any = pytest.importorskip("nbformat")
    nbclient: Any = pytest.importorskip("nbclient")
    notebook: Any = nbformat.read(EXAMPLES / name, as_version=4)
    there = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3", resources=there).execute()
    return [one for cell in notebook.cells for one in cell.get("outputs", [])]
