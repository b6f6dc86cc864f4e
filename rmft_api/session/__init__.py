"""Around the loop: prepare a run or a comparison, check, connect, run to the end, resume.

The command line only parses and prints; every decision is made here, and can be made from Python.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rmft_api.session import (
        ablations,
        budgets,
        cards,
        chains,
        comparisons,
        doctor_checks,
        embedded_server,
        environment_checks,
        exports,
        get_model,
        leftovers,
        make_checkpoint,
        pages,
        paper,
        plans,
        players,
        previews,
        progress,
        recorded_config,
        reporting,
        resume,
        resume_options,
        retrain_comparison,
        retraining,
        run_directories,
        run_list,
        runs,
        valid_replies,
    )

__all__ = [
    "ablations",
    "budgets",
    "cards",
    "chains",
    "comparisons",
    "doctor_checks",
    "embedded_server",
    "environment_checks",
    "exports",
    "get_model",
    "leftovers",
    "make_checkpoint",
    "pages",
    "paper",
    "plans",
    "players",
    "previews",
    "progress",
    "recorded_config",
    "reporting",
    "resume",
    "resume_options",
    "retrain_comparison",
    "retraining",
    "run_directories",
    "run_list",
    "runs",
    "valid_replies",
]
