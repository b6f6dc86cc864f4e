"""Asks a tuned model: one connection, paced, retried, and held to a cap."""

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from rmft_api.api.decider_spec import DeciderSpec
from rmft_api.core.errors import BudgetError, ConfigError, FaultKind, ProviderFault
from rmft_api.core.ports import DeploymentClient
from rmft_api.core.records import ChatRequest, ChatResponse, DeploymentOrder
from rmft_api.providers import Connection, connect, profiles
from rmft_api.providers.prices import Prices
from rmft_api.providers.profiles import Profile
from rmft_api.requests.journaled_chat import cost_of
from rmft_api.requests.pacing import Pacer
from rmft_api.requests.retries import RULES, Retries, Rule
from rmft_api.session.embedded_server import embedded_server, is_embedded

_DOUBTFUL = (FaultKind.AMBIGUOUS, FaultKind.NO_ANSWER)
"""What may have been billed without an answer."""


@dataclass(frozen=True)
class EndpointOptions:
    """How the model is reached."""

    base_url: str | None = None
    deployment: str | None = None
    max_usd: float | None = None
    concurrency: int = 64
    retry_for_s: float = 60.0


class SpendingCap:
    """What was spent, in micro-dollars; nothing is sent that could take it past the cap."""

    def __init__(self, prices: Prices, model: str, max_usd: float | None) -> None:
        """Raises ConfigError for a cap that is no amount, or with a model of unknown price."""
        if max_usd is not None:
            if not 0 < max_usd < float("inf"):
                raise ConfigError(f"max_usd must be above 0 and finite, not {max_usd!r}")
            prices.check(model)
        self._prices = prices
        self._cap = None if max_usd is None else round(max_usd * 1e6)
        self._reserved = 0
        self.spent = 0

    def reserve(self, request: ChatRequest) -> int:
        """Set aside the most that a request can cost. Raises BudgetError."""
        worst = self._prices.worst_case(request) or 0
        if self._cap is not None and self.spent + self._reserved + worst > self._cap:
            raise BudgetError(
                f"the next request could cost {worst / 1e6:.6f} USD, {self.spent / 1e6:.6f} of "
                f"max_usd = {self._cap / 1e6:g} are spent and {self._reserved / 1e6:.6f} reserved; "
                "nothing was sent: make the decider with a larger max_usd"
            )
        self._reserved += worst
        return worst

    def settle(self, reserved: int, cost: int | None) -> None:
        """Book a request; `cost` None: not known, so what was reserved counts as spent."""
        self._reserved -= reserved
        self.spent += reserved if cost is None else cost

    def failed(self, reserved: int, request: ChatRequest, fault: ProviderFault) -> None:
        """Book a failed request, by the same rule as a run's journal."""
        known = cost_of(fault, request, self._prices.cost)
        free = known is None and fault.kind not in _DOUBTFUL
        self.settle(reserved, 0 if free else known)

    def cost(self, request: ChatRequest, response: ChatResponse) -> int | None:
        """What a reply cost."""
        return self._prices.cost(request, response)


class DeciderClient:
    """Implements `ports.ChatModel` for one event loop. Its first request connects."""

    def __init__(self, spec: DeciderSpec, options: EndpointOptions, spending: SpendingCap) -> None:
        self._spec, self._options, self._spending = spec, options, spending
        self._stack = AsyncExitStack()
        self._pacer = Pacer(options.concurrency)
        self._retries = Retries(_rules(options.retry_for_s), way_on="`decide()`")
        self._opening = asyncio.Lock()
        self._connection: Connection | None = None

    async def reply(self, request: ChatRequest) -> ChatResponse:
        """The reply. Raises BudgetError, and what `Retries.send` raises."""
        connection = await self.opened()
        return await self._retries.send(lambda: self._once(connection, request), "decide()")

    async def opened(self) -> Connection:
        """The connection; the first call makes it, and starts the run's own server for it."""
        async with self._opening:
            if self._connection is None:
                try:
                    self._connection = await self._open()
                except BaseException:
                    await self._stack.aclose()
                    raise
            return self._connection

    async def close(self) -> None:
        """Let go of the connections, and of a server that was started here."""
        await self._stack.aclose()
        self._connection = None

    async def _open(self) -> Connection:
        profile, targets = profile_of(self._spec, self._options), dict[str, str]()
        if is_embedded(profile) and self._options.base_url is None:
            profile = profile.at(await self._stack.enter_async_context(self._server()))
        made = connect(profile, pacer=self._pacer, targets=targets)
        connection = await self._stack.enter_async_context(made)
        targets.update(await self._targets(profile, connection))
        return connection

    def _server(self) -> AbstractAsyncContextManager[str]:
        spec = self._spec
        if spec.server is None or not Path(spec.server).is_dir():
            raise ConfigError(
                f"model {spec.model!r} is served from the folder {spec.server!r}, which is not "
                "here; start `rmft-api serve --state THAT_FOLDER` where it is, and give base_url="
            )
        return embedded_server(Path(spec.server), spec.engine)

    async def _targets(self, profile: Profile, connection: Connection) -> Mapping[str, str]:
        model, given = self._spec.model, self._options.deployment
        if given is not None:
            return {model: given}
        if profile.deploy == "none":
            return {}
        by_itself = profile.wire != "openai" and not profile.is_tuned(model)  # a base of Bedrock
        host = connection.host if by_itself or profile.deploy == "auto" else None
        return {model: await self._deployed(profile, host)}

    async def _deployed(self, profile: Profile, host: DeploymentClient | None) -> str:
        """Where the model answers, for providers that deploy each model by themselves."""
        model = self._spec.model
        if host is not None:
            order = DeploymentOrder(model, model, self._spec.run, "")
            found = await self._retries.look(lambda: host.find(order), "finding the model")
            ready = [one.target for one in found if one.state == "ready"]
            if ready:
                return ready[-1]
        raise ConfigError(
            f"profile {profile.name!r} answers {model!r} only where it is deployed; deploy it and "
            "give deployment='its name'"
        )

    async def _once(self, connection: Connection, request: ChatRequest) -> ChatResponse:
        await self._pacer(request)
        try:
            reserved = self._spending.reserve(request)
        except BaseException:
            self._pacer.dropped(request)
            raise
        try:
            response = await connection.chat.reply(request)
        except ProviderFault as fault:
            self._spending.failed(reserved, request, fault)
            raise
        except BaseException:  # given up on the way: perhaps answered and billed
            self._spending.settle(reserved, None)
            raise
        self._spending.settle(reserved, self._spending.cost(request, response))
        return response


def profile_of(spec: DeciderSpec, options: EndpointOptions) -> Profile:
    """The endpoint. Raises ConfigError for a profile or an address that is none."""
    profile = profiles.load(spec.profile)
    if options.base_url is None:
        return profile
    changes = {"base_url_env": None, "base_url_required": False}  # nor does the environment
    return profile.model_copy(update=changes).at(options.base_url)


def _rules(retry_for_s: float) -> Mapping[FaultKind, Rule]:
    """A run waits for hours; the caller of one decision does not."""
    return {
        kind: replace(rule, within_s=min(rule.within_s, retry_for_s))
        for kind, rule in RULES.items()
    }
