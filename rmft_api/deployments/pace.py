"""The turn of a request to a model that must be deployed first."""

from rmft_api.core.records import ChatRequest
from rmft_api.deployments.manager import Deployments
from rmft_api.requests.journaled_chat import Pacing


class DeploymentPace:
    """A `Pace`: the model answers, and its rent is paid, before a request to it takes its turn.

    So a model is deployed by the first request that is really sent to it, and never for answers
    that the journal has already.
    """

    def __init__(self, hosting: Deployments, pace: Pacing) -> None:
        self._hosting = hosting
        self._pace = pace

    async def __call__(self, ask: ChatRequest) -> None:
        """Take a turn. Raises what `Hosting.open` does, and BudgetError."""
        await self._hosting.open(ask.model)
        await self._hosting.rent.keep(ask.model)
        await self._pace(ask)

    def dropped(self, ask: ChatRequest) -> None:
        """Give the turn back."""
        self._pace.dropped(ask)
