"""`rmft-api plan`: what a run will do and cost. Asks nobody and needs no key."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rmft_api.config import RunConfig
    from rmft_api.providers.profiles import Profile

ReplyTokens = Annotated[
    int | None,
    typer.Option(min=1, help="Assumed length of a reply in a plan; half of max_tokens if absent."),
]
AcceptShutdown = Annotated[
    bool,
    typer.Option("--accept-shutdown", help="Begin though the model's end comes before the run's."),
]


def plan(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="A run file; without one, the embedded quick start.", show_default=False
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change a key of the run file; repeatable."
        ),
    ] = None,
    budget: Annotated[
        float | None, typer.Option(metavar="USD", help="Never spend more than this.", min=0)
    ] = None,
    reply_tokens: ReplyTokens = None,
    accept_shutdown: AcceptShutdown = False,
    as_json: Annotated[bool, typer.Option("--json", help="The plan, for programs.")] = False,
) -> None:
    """Show what a run will do, cost and take, phase by phase. Sends and spends nothing."""
    from rmft_api import config, resources

    path = file or resources.run_files_dir() / "quickstart.toml"
    changes = [*(overrides or ()), *(() if budget is None else (f"budget_usd={budget}",))]
    show(
        config.load(path, changes),
        reply_tokens=reply_tokens,
        accept_shutdown=accept_shutdown,
        as_json=as_json,
    )


def show(
    config: "RunConfig", *, reply_tokens: int | None, accept_shutdown: bool, as_json: bool
) -> None:
    """Print the plan. Raises ConfigError, after it, where the run would end after its model."""
    import asyncio
    from datetime import UTC, datetime

    from rmft_api import resources
    from rmft_api.cli.planned import plan_json, plan_table
    from rmft_api.errors import ConfigError
    from rmft_api.planning import draw_up
    from rmft_api.prompts import load

    prompts = load(config.prompts, [resources.prompts_dir(), Path.cwd()])
    drawn = asyncio.run(
        draw_up(
            config,
            prompts,
            *profiles_of(config),
            now=datetime.now(UTC),
            reply_tokens=reply_tokens,
        )
    )
    print(plan_json(drawn) if as_json else plan_table(drawn))  # noqa: T201
    if drawn.refusal and not accept_shutdown:
        raise ConfigError(drawn.refusal)


def refuse_shutdown(config: "RunConfig") -> None:
    """Raise ConfigError where the run would end after its model does."""
    from datetime import UTC, datetime

    from rmft_api.planning import refuse

    refuse(config, *profiles_of(config), now=datetime.now(UTC))


def profiles_of(config: "RunConfig") -> "tuple[Profile, Profile]":
    """The endpoints that play and that train."""
    from rmft_api.providers import profiles

    names = config.model.profile, config.model.training_profile or config.model.profile
    return profiles.load(names[0]), profiles.load(names[1])
