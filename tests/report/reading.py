"""Reading a page as its script does."""

import base64
import json
import re
import zlib
from pathlib import Path
from typing import Any

from rmft_api.config.schema import RunConfig
from rmft_api.evaluation.outcome import results
from rmft_api.evaluation.scoring import Results
from rmft_api.journal import Journal
from rmft_api.report.build import gather
from rmft_api.report.data import ReportData, RunState
from rmft_api.report.trajectory_index import TrajectoryIndex

TOLD = RunState("finished", "")
BLOCK = re.compile(r'<script type="text/plain" id="([\w-]+)">([A-Za-z0-9+/=]*)</script>')


def unpacked(text: str) -> Any:
    """What `book.packed` packed."""
    return json.loads(zlib.decompress(base64.b64decode(text), -zlib.MAX_WBITS))


def blocks(page: str) -> dict[str, Any]:
    """The data blocks of a page, by name."""
    return {name: unpacked(text) for name, text in BLOCK.findall(page)}


def told(run_dir: Path) -> tuple[ReportData, TrajectoryIndex, Results | None, RunConfig]:
    """A run's story and book, what its journal comes to, and its settings."""
    journal = Journal.read(run_dir)
    try:
        config = RunConfig.model_validate_json(journal.run.config_json)
        evaluated = journal.get("results", "", object) is not None
        found = results(config, journal) if evaluated else None
        book = TrajectoryIndex()
        return gather(config, journal, found, TOLD, book.add), book, found, config
    finally:
        journal.close()
