"""A run's trajectories, written for other tools: which table goes into which kind of file."""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from rmft_api.core.errors import UsageError
from rmft_api.core.files import replace_file

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


def export(directory: Path, to: Path, table: Table) -> int:
    """Write a table of the run in a directory; how many rows it has.

    `trajectories` and `rounds` go to .csv, .jsonl or .parquet; `datasets` to a folder that Hugging
    Face's datasets loads; the others, the selected training data as TRL takes it, to .jsonl.

    Raises UsageError for a name that does not fit, and where nothing was selected yet.
    """
    from rmft_api.journal import open_to_read
    from rmft_api.session.comparisons import is_comparison

    _check_name(to, table)
    with open_to_read(directory) as journal:
        if is_comparison(journal):
            raise UsageError(
                f"{directory.name!r} is an evaluation, which exports no trajectories; "
                f"`rmft-api report {directory.name} --json` shows its figures"
            )
        if table is Table.DATASETS:
            from rmft_api.report.frames import write_folder

            return write_folder(to, directory.name, journal.all_trajectories())
        content, count = (
            _frame(journal, table, to.suffix) if table in FRAMES else _lines(journal, table)
        )
    replace_file(to, content)
    return count


def _check_name(to: Path, table: Table) -> None:
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
