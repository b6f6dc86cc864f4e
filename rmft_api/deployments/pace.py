"""Pacing of requests to a model that must be deployed first."""

from rmft_api.core.records import ChatRequest
from rmft_api.deployments.manager import Deployments
from rmft_api.requests.journaled_chat import Pacing


class DeploymentPace:
    """A `Pacing`: before a request is sent, its model is deployed and its hour is reserved.

    So a model is deployed by the first request that is really sent to it, and never for responses
    that are in the journal already.
    """

    def __init__(self, deployments: Deployments, pace: Pacing) -> None:
        self._deployments = deployments
        self._pace = pace

    async def __call__(self, request: ChatRequest) -> None:
        """Wait until `request` may be sent. Raises as `Deployments.open`; BudgetError."""
        await self._deployments.open(request.model)
        await self._deployments.rent.keep(request.model)
        await self._pace(request)

    def dropped(self, request: ChatRequest) -> None:
        """`request` is not sent: its turn goes to the next."""
        self._pace.dropped(request)
