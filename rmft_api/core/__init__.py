"""What every other room may use: records, ports, errors, seeds, files. It imports no other room."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rmft_api.core import (
        answer_forms,
        chat_stats,
        durations,
        errors,
        fault_points,
        files,
        lazy,
        locks,
        names,
        paths,
        ports,
        records,
        resources,
        scripted_players,
        seeds,
        serialization,
        staging,
        transcripts,
        waits,
    )

__all__ = [
    "answer_forms",
    "chat_stats",
    "durations",
    "errors",
    "fault_points",
    "files",
    "lazy",
    "locks",
    "names",
    "paths",
    "ports",
    "records",
    "resources",
    "scripted_players",
    "seeds",
    "serialization",
    "staging",
    "transcripts",
    "waits",
]
