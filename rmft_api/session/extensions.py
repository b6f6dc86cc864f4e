"""A run that gets more iterations than it began with, as nobody knows how many it takes.

Scenarios, seeds and jobs of an iteration do not depend on how many there are. So an extended run is
what a run of so many iterations would have been, but for what the first end of it left behind: its
champion was tested (`test_models = "ends"`), and a gate that may fall back divided its error among
fewer iterations.
"""

import asyncio
import time

from rmft_api.config.schema import RunConfig
from rmft_api.core.errors import UsageError
from rmft_api.evaluation import outcome
from rmft_api.evaluation.outcome import EXTENDED
from rmft_api.evaluation.scoring import Extension, GateDecision
from rmft_api.journal import Journal
from rmft_api.planning.plan_vs_actual import PLAN, RESULTS
from rmft_api.session.prepare import PreparedRun, drawn_up


def extended(journal: Journal, config: RunConfig, iterations: int | None) -> RunConfig:
    """The settings with the iterations asked for; None: as before. Raises UsageError."""
    if iterations is None or iterations == config.iterations:
        return config
    _check(journal, config, iterations)
    return config.model_copy(update={"iterations": iterations})


async def keep(journal: Journal, before: int, prepared: PreparedRun) -> None:
    """Keep that the run has another number of iterations than `before`: its plan is another one.

    It has no results any more: they are named again in the end.
    """
    after = prepared.config.iterations
    if before == after:
        return
    one = Extension(at=int(time.time() * 1000), before=before, after=after)
    await journal.event(EXTENDED, f"iterations: {before} -> {after}")
    await journal.forget(RESULTS, "")
    await journal.put(PLAN, "", await asyncio.to_thread(drawn_up, prepared))
    await journal.put(EXTENDED, "", (*outcome.extensions(journal), one))


def _check(journal: Journal, config: RunConfig, iterations: int) -> None:
    name, begun = config.name, _begun(journal)
    if iterations < 1:
        raise UsageError(f"--iterations {iterations}: a run has at least 1")
    if iterations < begun:
        raise UsageError(
            f"--iterations {iterations}: run {name!r} has started iteration {begun} already; name "
            "that number or a higher one"
        )
    if config.replay is not None:
        raise UsageError(
            f"--iterations {iterations}: run {name!r} trains the chain of run "
            f"{config.replay.run!r} again, which has {config.iterations}; extend that run, and "
            "`rmft-api retrain` it under another name"
        )
    stopped = [key for key, gate in journal.all("gate", GateDecision) if gate.decision == "stop"]
    if stopped:
        raise UsageError(
            f"--iterations {iterations}: run {name!r} was ended by its gate after iteration "
            f"{int(stopped[0])} (gate.stop_after = {config.gate.stop_after}), however many it may "
            f"have; begin another run without it: --set gate.stop_after=... --set name=OTHER"
        )


def _begun(journal: Journal) -> int:
    """The last iteration that has started."""
    done = max(outcome.models(journal), default=0)
    under_way = next(journal.plays("train", done + 1), None) is not None
    return done + under_way
