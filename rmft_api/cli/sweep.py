"""`rmft-api sweep`: deployments that runs have left standing at a provider."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rmft_api.cli.options import RUNS, RunsDir

if TYPE_CHECKING:
    from rmft_api.core.records import Deployment
    from rmft_api.providers.profiles import Profile


def sweep(
    profile: Annotated[str, typer.Option(help="The endpoint to look at.")] = "azure",
    remove: Annotated[
        bool, typer.Option("--remove", help="Take them down, except those of runs at work here.")
    ] = False,
    runs: RunsDir = RUNS,
) -> None:
    """List what runs have left deployed at an endpoint.

    And what it costs while it stands.
    A run takes its own deployments down, however it ends; what a lost machine left is found here.
    """
    import asyncio

    from rmft_api.providers import profiles

    asyncio.run(_sweep(profiles.load(profile), runs, remove=remove))


async def _sweep(profile: "Profile", runs: Path, *, remove: bool) -> None:
    from rmft_api.cli.console import clean
    from rmft_api.core.errors import UsageError
    from rmft_api.providers import connect
    from rmft_api.providers.prices import Prices
    from rmft_api.requests.retries import Retries

    retries = Retries()
    async with connect(profile) as connection:
        host = connection.host
        if host is None:
            raise UsageError(f"nothing is deployed at {profile.name!r}: its models answer as is")
        found = await retries.look(host.deployments, "listing deployments", within_s=60)
        for one in found:
            works = _is_at_work(one, runs)
            if remove and not works:
                await retries.look(lambda name=one.name: host.remove(name), f"removing {one.name}")
            fate = "in use by a run at work" if works else "removed" if remove else "standing"
            rent = Prices(profile).hosting(one.model) if profile.is_tuned(one.model) else 0
            print(clean(_line(one, fate, rent)))  # noqa: T201
    if not found:
        print(f"no deployment of ours stands at {profile.name}")  # noqa: T201


def _is_at_work(one: "Deployment", runs: Path) -> bool:
    from rmft_api.core.names import RUN_NAME
    from rmft_api.journal.lock import is_owned

    return bool(RUN_NAME.match(one.run)) and is_owned(runs / one.run)


def _line(one: "Deployment", fate: str, rent: int | None) -> str:
    from rmft_api.journal.ledger import dollars

    cost = "price unknown" if rent is None else f"{dollars(rent)} an hour"
    return f"{one.name:40} {fate:24} {one.created or '-':26} {cost:16} {one.model}"
