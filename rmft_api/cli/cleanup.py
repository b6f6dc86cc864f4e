"""`rmft-api cleanup`: deployments that runs have left at a provider."""

from typing import TYPE_CHECKING, Annotated

import typer

from rmft_api.cli.options import RUNS, RunsDir

if TYPE_CHECKING:
    from rmft_api.session.leftovers import Leftover


def cleanup(
    profile: Annotated[str, typer.Option(help="The endpoint to look at.")] = "azure",
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove them, except those of runs at work here.")
    ] = False,
    runs: RunsDir = RUNS,
) -> None:
    """List deployments that runs have left.

    With what each costs an hour. A run removes its own deployments, however it ends; a machine
    that was lost leaves some.
    """
    import asyncio

    from rmft_api.cli.console import clean
    from rmft_api.providers import profiles
    from rmft_api.session.leftovers import leftovers

    found = asyncio.run(leftovers(profiles.load(profile), runs, remove=remove))
    for one in found:
        print(clean(_line(one)))  # noqa: T201
    if not found:
        print(f"no deployment of our runs at {profile}")  # noqa: T201


def _line(one: "Leftover") -> str:
    from rmft_api.journal.ledger import dollars

    state = "in use by a run at work" if one.in_use else "removed" if one.removed else "standing"
    rent = one.hourly_cost
    cost = "price unknown" if rent is None else f"{dollars(rent)} an hour"
    shown = one.deployment
    return f"{shown.name:40} {state:24} {shown.created or '-':26} {cost:16} {shown.model}"
