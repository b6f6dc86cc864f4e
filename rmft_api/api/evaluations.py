"""Compare models on a suite from Python; what `rmft-api eval` does."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rmft_api.api import arguments
from rmft_api.api.event_loop import reporting, run_now, run_soon
from rmft_api.api.plans import Plan
from rmft_api.config.changes import from_python
from rmft_api.evaluation.comparison import ComparisonConfig, ComparisonResults
from rmft_api.planning import ComparisonPlan
from rmft_api.session import comparisons
from rmft_api.session.players import ComparisonOptions, described


async def aevaluate(
    players: Sequence[str],
    suite: str = "small",
    *,
    profile: str = "local",
    baselines: Sequence[str] | None = None,
    name: str | None = None,
    like: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    budget_usd: float | None = None,
    runs: str | Path = "runs",
    progress: bool = False,
) -> ComparisonResults:
    """Play models and known algorithms on the same scenarios of a suite, and compare them.

    Args:
        players: Model ids, "PROFILE:MODEL", "run:NAME" (its champion), or "run:NAME@WHICH" with
            base, champion, last, all, or an iteration's number.
        suite: A shipped suite, or the path of a .toml file.
        profile: The endpoint of models that are named by their id alone.
        baselines: Known algorithms that play too, or "all"; None: the suite's own.
        name: Of the evaluation and its folder; `eval-SUITE` where it is None.
        like: A run whose prompts and sampling are used in place of the suite's.
        overrides: Dotted keys of the suite to change, with their values.
        budget_usd: Never spend more than this many US dollars.
        runs: The folder of runs.
        progress: Show on stderr what the command line shows.

    Raises:
        UsageError: Where one of this name exists, or a player is unknown.
        ConfigError: For what cannot be followed, before anything is sent.

    """
    config = _described(
        *(players, suite, profile, baselines, name, like, overrides, budget_usd), runs=runs
    )
    return await comparisons.begin(config, arguments.folder(runs), reporting(progress))


def evaluate(
    players: Sequence[str],
    suite: str = "small",
    *,
    profile: str = "local",
    baselines: Sequence[str] | None = None,
    name: str | None = None,
    like: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    budget_usd: float | None = None,
    runs: str | Path = "runs",
    progress: bool = False,
) -> ComparisonResults:
    """As `aevaluate`, where no event loop runs."""
    work = partial(
        aevaluate,
        players,
        suite,
        profile=profile,
        baselines=baselines,
        name=name,
        like=like,
        overrides=overrides,
        budget_usd=budget_usd,
        runs=runs,
        progress=progress,
    )
    return run_now(work, "aevaluate")


def plan_evaluate(
    players: Sequence[str],
    suite: str = "small",
    *,
    profile: str = "local",
    baselines: Sequence[str] | None = None,
    name: str | None = None,
    like: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    budget_usd: float | None = None,
    reply_tokens: int | None = None,
    runs: str | Path = "runs",
) -> Plan[ComparisonPlan]:
    """What an evaluation will do and cost. Sends nothing, needs no key; runs in an event loop too.

    `reply_tokens` is the assumed length of a reply, half of `sampling.max_tokens` where it is None;
    the other arguments are those of `evaluate`. Known algorithms cost nothing and are left out.
    Raises as `evaluate` does, and UsageError where no model plays.
    """
    tokens = arguments.whole_or_none(reply_tokens, "reply_tokens")
    config = _described(
        *(players, suite, profile, baselines, name, like, overrides, budget_usd), runs=runs
    )
    return Plan(run_soon(lambda: comparisons.plan_of(config, tokens)))


def _described(
    players: object,
    suite: object,
    profile: object,
    baselines: object,
    name: object,
    like: object,
    overrides: object,
    budget_usd: object,
    *,
    runs: object,
) -> ComparisonConfig:
    """The evaluation that the arguments describe. Raises UsageError, ConfigError."""
    wanted = ComparisonOptions(
        arguments.texts(players, "players"),
        arguments.text(suite, "suite"),
        arguments.text(profile, "profile"),
        arguments.texts_or_none(baselines, "baselines"),
        arguments.text_or_none(name, "name"),
        arguments.text_or_none(like, "like"),
        from_python(overrides),
        arguments.dollars(budget_usd, "budget_usd"),
    )
    return described(wanted, arguments.folder(runs))
