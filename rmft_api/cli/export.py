"""`rmft-api export`: a run's trajectories for other tools."""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rmft_api.cli.options import RUNS, RunName, RunsDir

if TYPE_CHECKING:
    from rmft_api.journal import Journal


class Table(StrEnum):
    """What is written."""

    TRAJECTORIES = "trajectories"
    ROUNDS = "rounds"
    DATASETS = "datasets"
    MESSAGES = "messages"
    PROMPT_COMPLETION = "prompt-completion"
    PREFERENCE = "preference"


FRAMES = (Table.TRAJECTORIES, Table.ROUNDS)
KINDS = (".csv", ".jsonl", ".parquet")


To = Annotated[
    Path,
    typer.Argument(
        metavar="PATH",
        help="A .csv, .jsonl or .parquet file; a .jsonl file for TRL; a folder for datasets.",
        show_default=False,
    ),
]
Chosen = Annotated[
    Table,
    typer.Option(
        help="trajectories or rounds: a row each. datasets: a folder that Hugging Face "
        "datasets loads. messages, prompt-completion, preference: the selected training data, "
        "as TRL's trainers take it."
    ),
]


def export(run: RunName, to: To, table: Chosen = Table.TRAJECTORIES, runs: RunsDir = RUNS) -> None:
    """Write a run's trajectories for other tools.

    As a table, as a dataset, or as training data for TRL.
    """
    from rmft_api.core.files import replace_file
    from rmft_api.session.pages import looked_into
    from rmft_api.session.run_directories import existing_run

    directory = existing_run(runs, run)
    _check_name(to, table)
    with looked_into(directory) as journal:
        if table is Table.DATASETS:
            from rmft_api.report.frames import write_folder

            count = write_folder(to, run, journal.all_trajectories())
            print(f"{count} trajectories in {to}")  # noqa: T201
            return
        content, count = (
            _frame(journal, table, to.suffix) if table in FRAMES else _lines(journal, table)
        )
    replace_file(to, content)
    print(f"{count} {table.value} in {to}")  # noqa: T201


def _check_name(to: Path, table: Table) -> None:
    from rmft_api.core.errors import UsageError

    if table in FRAMES and to.suffix not in KINDS:
        raise UsageError(f"{str(to)!r} must end in {', '.join(KINDS)}")
    if table is Table.DATASETS and to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise UsageError(f"{str(to)!r} exists and is no empty folder; name another")
    if table not in (*FRAMES, Table.DATASETS) and to.suffix != ".jsonl":
        raise UsageError(f"{str(to)!r} must end in .jsonl: TRL takes a JSON object a line")


def _frame(journal: "Journal", table: Table, suffix: str) -> tuple[bytes, int]:
    from rmft_api.report.frames import as_text, parquet, rounds_df, trajectories_df

    played = journal.all_trajectories()
    frame = trajectories_df(played) if table is Table.TRAJECTORIES else rounds_df(played)
    content = parquet(frame) if suffix == ".parquet" else as_text(frame, suffix).encode()
    return content, len(frame)


def _lines(journal: "Journal", table: Table) -> tuple[bytes, int]:
    """JSON lines of what was selected. Raises UsageError where nothing was, or nothing opposes."""
    from rmft_api.core.errors import UsageError

    lines = list(_learnt(journal, table))
    if not lines:
        raise UsageError(f"run {journal.run_dir.name!r} has nothing for {table.value} yet")
    return b"".join(lines), len(lines)


def _learnt(journal: "Journal", table: Table) -> Iterator[bytes]:
    from rmft_api.report.frames import trl
    from rmft_api.selection import ranking
    from rmft_api.selection.ranking import Selected
    from rmft_api.session.recorded_config import recorded_config

    config = recorded_config(journal)
    for key, verdicts in journal.all("selection", list[Selected]):
        kept = [verdict.address for verdict in verdicts if verdict.kept]
        opposed = list(ranking.opposed(verdicts, config.finetuning.dpo.rivals))
        wanted = {*kept, *(one for pair in opposed for one in pair)}
        played = {t.address: t for t, _ in journal.trajectories("train", int(key), wanted)}
        learnt = [played[address] for address in kept]
        if table is Table.MESSAGES:
            yield from trl.messages(learnt, config)
        elif table is Table.PROMPT_COMPLETION:
            yield from trl.prompt_completion(learnt, config)
        else:
            pairs = [(played[lower], played[higher]) for lower, higher in opposed]
            yield from trl.preference(pairs, config)
