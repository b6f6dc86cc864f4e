"""`rmft-api plan`: what a run will do and cost. Sends nothing and needs no key."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rmft_api.cli.options import (
    RUNS,
    AcceptShutdown,
    Budget,
    Overrides,
    ReplyTokens,
    RunFile,
    RunsDir,
    Seeds,
    described,
    run_file,
)

if TYPE_CHECKING:
    from rmft_api.config.schema import RunConfig

Calibrate = Annotated[
    bool,
    typer.Option(
        "--calibrate",
        help="Measure this machine with the run's checkpoint for ten seconds; it is kept.",
    ),
]
Cheaper = Annotated[
    bool,
    typer.Option(
        "--cheaper",
        help="Show what would make the run cheaper, each change planned whole.",
    ),
]
Compare = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PROFILE[:MODEL]",
        help="Plan the same run at this endpoint, beside others; once for each.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="The plan, for programs.")]


def plan(
    file: RunFile = None,
    overrides: Overrides = None,
    budget: Budget = None,
    reply_tokens: ReplyTokens = None,
    accept_shutdown: AcceptShutdown = False,
    calibrate: Calibrate = False,
    cheaper: Cheaper = False,
    compare: Compare = None,
    as_json: AsJson = False,
    seeds: Seeds = None,
    runs: RunsDir = RUNS,
) -> None:
    """Show what a run will do, cost and take, phase by phase. Sends and spends nothing.

    Where a run of its name has started, its real replies say how long replies are.
    """
    config = described(run_file(file), overrides, budget)
    if cheaper or compare:
        _refuse_seeds(seeds)
        show_otherwise(
            config, runs, reply_tokens, cheaper=cheaper, endpoints=compare or [], as_json=as_json
        )
        return
    show(
        *(config, runs, reply_tokens),
        accept_shutdown=accept_shutdown,
        as_json=as_json,
        measure=calibrate,
        seeds=seeds,
    )


def _refuse_seeds(seeds: int | None) -> None:
    from rmft_api.core.errors import UsageError

    if seeds is not None:
        raise UsageError("--cheaper and --compare are of one run; leave --seeds out")


def show(
    config: "RunConfig",
    runs: Path,
    reply_tokens: int | None,
    *,
    accept_shutdown: bool,
    as_json: bool,
    measure: bool = False,
    seeds: int | None = None,
) -> None:
    """Print the plan. Raises ConfigError, after it, where the run would not begin."""
    from rmft_api.core.errors import ConfigError
    from rmft_api.report.text.any_plan import json_of, table_of
    from rmft_api.session.plans import plan_now

    if seeds is None:
        planned = plan_now(config, runs, reply_tokens, measure=measure)
    else:
        from rmft_api.session.families import plan_now as plan_of_seeds

        planned = plan_of_seeds(config, seeds, runs, reply_tokens, measure=measure)
    print(json_of(planned) if as_json else table_of(planned))  # noqa: T201
    if planned.refusal and not accept_shutdown:
        raise ConfigError(planned.refusal)


def show_otherwise(
    config: "RunConfig",
    runs: Path,
    reply_tokens: int | None,
    *,
    cheaper: bool,
    endpoints: list[str],
    as_json: bool,
) -> None:
    """Print what would make the run cheaper, or what it costs elsewhere."""
    from rmft_api.core.errors import UsageError
    from rmft_api.report.text import alternatives as texts
    from rmft_api.session import alternatives

    if cheaper and endpoints:
        raise UsageError("--cheaper and --compare are two questions; ask one")
    if cheaper:
        found = alternatives.cheaper_now(
            *(config, runs, reply_tokens), progress=lambda line: typer.echo(line, err=True)
        )
        print(texts.cheaper_json(found) if as_json else texts.cheaper_table(found))  # noqa: T201
        return
    quotes = alternatives.compared_now(config, endpoints, runs, reply_tokens)
    print(texts.endpoints_json(quotes) if as_json else texts.endpoints_table(quotes))  # noqa: T201
