"""Connects the endpoint that plays, with whatever must be deployed there."""

from collections.abc import Callable
from contextlib import AsyncExitStack

from rmft_api.deployments import DeploymentPace, Deployments, HourlyCost
from rmft_api.journal import Journal
from rmft_api.providers import Connection, connect
from rmft_api.providers.prices import Prices
from rmft_api.providers.profiles import Profile
from rmft_api.requests.journaled_chat import JournaledChat
from rmft_api.requests.pacing import Pacer
from rmft_api.requests.retries import Retries
from rmft_api.session.lifecycle import paid_once


async def connected(
    stack: AsyncExitStack,
    profile: Profile,
    journal: Journal,
    retries: Retries,
    pacer: Pacer,
    say: Callable[[str], None],
) -> tuple[Connection, Deployments, JournaledChat]:
    """The connection, its deployments, and its chats; the stack takes down what was deployed."""
    targets: dict[str, str] = {}
    connection = await stack.enter_async_context(connect(profile, pacer=pacer, targets=targets))
    prices = Prices(profile)
    hosting = Deployments(
        profile=profile,
        host=connection.host,
        chat=connection.chat,
        journal=journal,
        retries=retries,
        leaving=Retries(),
        rent=HourlyCost(journal, prices.deployment_hour, retries.clock),
        token=prices.worst_case,
        say=say,
        targets=targets,
    )
    stack.push_async_callback(hosting.leave)
    await hosting.sweep()
    pace = DeploymentPace(hosting, pacer) if hosting.host else pacer
    return connection, hosting, paid_once(journal, connection.chat, retries, profile, pace)
