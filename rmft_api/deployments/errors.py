"""What a run ends with when a deployment is not to be had now."""

from rmft_api.core.errors import ResumableError
from rmft_api.core.records import Deployment, DeploymentOrder


def late(name: str, why: str, run: str) -> ResumableError:
    """A deployment that was not ready, or did not answer, while it was waited for."""
    return ResumableError(
        f"deployment {name} did not answer in time ({why or 'no reason given'}); "
        f"`rmft-api resume {run}` tries again"
    )


def failed(order: DeploymentOrder, found: Deployment) -> ResumableError:
    """A deployment that its provider gave up."""
    return ResumableError(
        f"deployment {order.name} of {order.model} is {found.detail or 'failed'}: the provider "
        "says why in its console (capacity, or its safety checks); once that is fixed, "
        f"`rmft-api resume {order.run}` deploys it again"
    )
