"""What a shell completes: names of run files, and of runs."""

import os
from collections.abc import Iterator
from pathlib import Path

import typer


def run_files(incomplete: str) -> list[str]:
    """Shipped names, and files and folders that begin so."""
    return [*shipped_files(incomplete), *_files(incomplete)]


def shipped_files(incomplete: str) -> list[str]:
    """Names of shipped run files."""
    from rmft_api.config.run_files import shipped

    return [name for name in shipped() if name.startswith(incomplete)]


def runs(context: typer.Context, incomplete: str) -> list[str]:
    """Runs in the folder that `--runs` or RMFT_RUNS names."""
    from rmft_api.session.run_directories import run_names

    folder = context.params.get("runs") or os.environ.get("RMFT_RUNS") or "runs"
    return [name for name in run_names(Path(folder)) if name.startswith(incomplete)]


def _files(incomplete: str) -> Iterator[str]:
    folder, _, beginning = incomplete.rpartition("/")
    head = f"{folder}/" if "/" in incomplete else ""
    try:
        entries = sorted(os.scandir(head or "."), key=lambda entry: entry.name)
        for entry in entries:
            if entry.name.startswith(beginning):
                if entry.is_dir():
                    yield f"{head}{entry.name}/"
                elif entry.name.endswith(".toml"):
                    yield f"{head}{entry.name}"
    except OSError:
        return
