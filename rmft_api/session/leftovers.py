"""Deployments that runs have left at a provider: listed, priced, removed."""

from pathlib import Path

from rmft_api.core.errors import UsageError
from rmft_api.core.names import RUN_NAME
from rmft_api.core.records import Deployment, Record
from rmft_api.deployments import readable
from rmft_api.journal import is_owned
from rmft_api.providers import connect
from rmft_api.providers.prices import Prices
from rmft_api.providers.profiles import Profile
from rmft_api.requests.retries import Retries


class Leftover(Record, frozen=True):
    """One deployment that a run made."""

    deployment: Deployment
    in_use: bool
    """Its run is at work on this machine."""
    removed: bool
    hourly_cost: int | None
    """Micro-dollars while it stands; None: no price is known."""


async def leftovers(profile: Profile, runs: Path, *, remove: bool) -> list[Leftover]:
    """What stands at the endpoint; `remove`: less what no run in the folder `runs` uses now.

    Raises UsageError where nothing is ever deployed, RmftError where the provider does not answer.
    """
    retries = Retries()
    found: list[Leftover] = []
    async with connect(profile) as connection:
        host = connection.host
        if host is None:
            raise UsageError(f"profile {profile.name!r} deploys nothing: its models answer as is")
        for one in await retries.look(host.deployments, "listing deployments", within_s=60):
            used = _is_in_use(one, runs)
            if remove and not used:
                await retries.look(lambda name=one.name: host.remove(name), f"removing {one.name}")
            rented = profile.rents_deployments and profile.is_tuned(one.model)
            cost = Prices(profile).deployment_hour(one.model) if rented else 0
            found.append(Leftover(one, used, remove and not used, cost))
    return found


def _is_in_use(one: Deployment, runs: Path) -> bool:
    """Whether its run is at work; at some providers only a deployment's name shows it."""
    if not RUN_NAME.match(one.run) or not runs.is_dir():
        return False
    run_name = readable(one.run)
    return any(is_owned(path) for path in runs.iterdir() if readable(path.name) == run_name)
