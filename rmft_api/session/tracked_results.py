"""What a finished run hands to its tracker: its figures as pictures, and its champion."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from rmft_api.config.schema import RunConfig
from rmft_api.core.ports import Tracker
from rmft_api.evaluation.scoring import Results
from rmft_api.finetuning import FineTuned
from rmft_api.journal import Journal
from rmft_api.planning.plan_vs_actual import RESULTS
from rmft_api.tracking import report_to_tracker

KIND, KEY = "tracked", "results"


async def track_results(
    tracker: Tracker, config: RunConfig, journal: Journal, say: Callable[[str], None]
) -> None:
    """Hand over, once, what a run came to; nothing before it has results."""
    found = journal.get(RESULTS, "", Results)
    if found is None or journal.get(KIND, KEY, bool):
        return
    if importlib.util.find_spec("matplotlib") is None:
        say("the tracker gets no figures: pip install 'rmft-api[figures]'")

    def work() -> None:
        with TemporaryDirectory(prefix="rmft-figures-") as folder:
            pictures = _pictures(config, journal, found, Path(folder))
            tracker.results(pictures, champion_of(config, journal, found))

    if await report_to_tracker(work, say):
        await journal.put(KIND, KEY, True)


def _pictures(
    config: RunConfig, journal: Journal, results: Results, folder: Path
) -> dict[str, Path]:
    """The figures as PNG files, by name; none without matplotlib."""
    if importlib.util.find_spec("matplotlib") is None:
        return {}
    from rmft_api.report.build import gather
    from rmft_api.report.data import RunState
    from rmft_api.session import paper

    report = gather(config, journal, results, RunState("finished", ""))
    return paper.pictures(results, report, folder)


def champion_of(config: RunConfig, journal: Journal, results: Results) -> dict[str, str]:
    """The champion: what requests name, and where it comes from."""
    index = results.champion.index
    made = journal.get("trained", f"{index:02}", FineTuned)
    trained = {} if made is None else {"trained_from": made.start, "dataset_sha256": made.dataset}
    return {
        "model": results.champion.model,
        "iteration": str(index),
        "base": config.model.base,
        "profile": config.model.profile,
        "run": config.name,
        "seed": str(config.seed),
        **trained,
    }
