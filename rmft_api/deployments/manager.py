"""Models that answer only while they are deployed: deploy, wait, pay by the hour, remove.

    lease stored -> deployed (once) -> provisioned -> answers a token -> used -> removed (once)

A *lease* is one deployment of one model. It is in the journal before anything is deployed, so a
resumed run finds what was left running, and uses or removes it. The hourly cost is reserved before
the first request of each hour is sent: so the budget includes deployments, and rollouts end before
the cap is exceeded.

Where a provider serves its fine-tunes by itself there is no `DeploymentClient`, and nothing here
does anything.
"""

import asyncio
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass, field

import msgspec

from rmft_api.core.errors import ResumableError, RmftError, StorageError
from rmft_api.core.ports import ChatModel, DeploymentClient
from rmft_api.core.records import ChatRequest, Deployment, DeploymentOrder
from rmft_api.deployments.errors import failed, late
from rmft_api.deployments.hourly_cost import HourlyCost
from rmft_api.deployments.leases import KIND as _KIND
from rmft_api.deployments.leases import Lease, Removed, deploy_key, mark_of, name_of
from rmft_api.deployments.readiness import ReadinessProbe
from rmft_api.journal import Journal
from rmft_api.journal.ledger import Attempt, digest_of
from rmft_api.providers.profiles import Profile
from rmft_api.requests.outbox import Outbox, Quarantine
from rmft_api.requests.retries import Retries

_SEEN_WITHIN_S = 120.0
"""A deployment that was just made may be missing from the provider's answers for so long."""
_LEAVE_WITHIN_S = 60.0
"""A run that ends waits no longer than this for the provider to accept a removal."""


@dataclass
class Deployments:
    """The deployments of one run. `targets` is what its chats name instead of the models."""

    profile: Profile
    host: DeploymentClient | None
    chat: ChatModel
    """The adapter without retries: it asks a new deployment for its first token."""
    journal: Journal
    retries: Retries
    leaving: Retries
    """For what a stopped run still has to do."""
    rent: HourlyCost
    token: Callable[[ChatRequest], int | None]
    """The most that the first token can cost."""
    say: Callable[[str], None]
    targets: MutableMapping[str, str] = field(default_factory=dict[str, str])
    _answering: set[str] = field(default_factory=set[str])
    """Models that have shown that they answer."""
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def open(self, model: str) -> None:
        """Make the model answer, unless it does already.

        Raises BudgetError, ResumableError for a deployment that failed or was not ready in time,
        and what `Retries` raises.
        """
        if self.host is None or model in self._answering:
            return
        async with self._opening:
            if model not in self._answering:
                await self._open(self.host, model)

    async def _open(self, host: DeploymentClient, model: str) -> None:
        lease = self._lease_of(model)
        standing = await self._standing(host, model, lease) if lease else None
        if lease is None or standing is None:
            if lease is not None:
                self.say(f"deployment {lease.name} is gone; deploying {model} again")
                await self._end(model, lease, self._now())
            lease = await self._sign(model)
            standing = await self._standing(host, model, lease)
        if standing is None:
            raise ResumableError(
                f"deployment {lease.name} of {model} was created and is not there; look for it in "
                f"the provider's console, then `rmft-api resume {self._run}`"
            )
        self.targets[model] = standing.target
        token = ReadinessProbe(self.chat, self.journal, self.retries, self.token)
        await token.first(model, lease, self.profile.hosting.ready_within_s)
        self._answering.add(model)
        if self._rents(model):
            self.rent.begin(model, lease)
        self.say(f"{model} answers as {standing.target}")

    async def close(self, model: str) -> None:
        """Take the model down where it is rented: it is not needed for a while."""
        lease = self._lease_of(model)
        if self.host is None or not self.host.removed_after_use or lease is None:
            return
        await self._close(self.host, model, lease, self.retries)

    async def only(self, model: str) -> None:
        """Take down every other model: the run continues with this one."""
        for other, _ in self.journal.all(_KIND, Lease):
            if other != model:
                await self.close(other)

    async def leave(self) -> None:
        """Take down whatever still stands: the run ends, however it ends. Never raises."""
        if self.host is None or not self.host.removed_after_use:
            return
        for model, lease in self.journal.all(_KIND, Lease):
            if lease.until is None:
                try:
                    async with asyncio.timeout(_LEAVE_WITHIN_S):
                        await self._leave(self.host, model, lease)
                except (RmftError, TimeoutError) as error:
                    self.say(
                        f"deployment {lease.name} may still exist and cost money ({error}): "
                        f"`rmft-api cleanup --profile {self.profile.name} --remove` takes it down"
                    )

    async def _leave(self, host: DeploymentClient, model: str, lease: Lease) -> None:
        try:
            await self._close(host, model, lease, self.leaving)
        except StorageError:
            # What cannot be written down is taken down anyway: a resume finds it gone.
            await host.remove(lease.name)
            raise

    async def sweep(self) -> None:
        """Take down what this run left standing without a lease, and report what others left."""
        if self.host is None or not self.host.removed_after_use:
            return
        host = self.host
        leases = self.journal.all(_KIND, Lease)
        ours = {lease.name for _, lease in leases if lease.until is None}
        found = await self.retries.look(host.deployments, "listing deployments")
        for one in found:
            if one.key == self._mark and one.name not in ours:
                self.say(f"deployment {one.name} was left over: removing it")
                await self.retries.look(lambda name=one.name: host.remove(name), f"removing {one}")
        others = [one.name for one in found if one.key != self._mark]
        if others:
            self.say(
                f"other runs have deployments at {self.profile.name}: {', '.join(others)}; "
                f"`rmft-api cleanup --profile {self.profile.name}` shows what they cost"
            )

    async def _sign(self, model: str) -> Lease:
        """Write a new lease down; from now on this run is responsible for the deployment."""
        last = self.journal.get(_KIND, model, Lease)
        lease = Lease(
            last.number + 1 if last else 1, name_of(self._run, self._mark, model), self._now()
        )
        if last and last.until is not None and self.host and self.host.removed_after_use:
            rest = last.until / 1000 + self.profile.hosting.rest_s - self.retries.clock()
            await self.retries.pause(
                max(0.0, min(rest, self.profile.hosting.rest_s)),
                f"{last.name} was just removed, and its provider requires a pause before the next",
            )
        await self.journal.put(_KIND, model, lease)
        return lease

    async def _standing(
        self, host: DeploymentClient, model: str, lease: Lease
    ) -> Deployment | None:
        """The deployment once it is provisioned; None where it is gone."""
        order, key = self._order(model, lease), deploy_key(lease)
        rent = self.rent.hour(model) if self._rents(model) else 0
        is_new = not self.journal.ledger.knows(key)
        made = await self._outbox(self.retries).once(
            key,
            "deployment",
            order,
            look_up=lambda: host.find(order),
            act=lambda: host.deploy(order, key),
            returns=Deployment,
            reserve=rent,
            cost=None if rent else 0,
            repeatable=host.repeatable,
        )
        if is_new and made.state != "ready":
            self.say(f"deploying {model} as {lease.name}")
        until = self.retries.clock() + self.profile.hosting.ready_within_s
        with self.retries.waits.waiting(f"deployment {lease.name} of {model} to be ready", until):
            return await self._provisioned(host, order, made, is_new=is_new)

    async def _provisioned(
        self, host: DeploymentClient, order: DeploymentOrder, made: Deployment, *, is_new: bool
    ) -> Deployment | None:
        waits = self.profile.hosting
        began = self.retries.clock()
        now: Deployment | None = made if is_new else None
        while True:
            if now is not None and now.state == "ready":
                return now
            if now is not None and now.state == "failed":
                raise failed(order, now)
            found = await self.retries.look(lambda: host.find(order), f"asking for {order.name}")
            now = found[0] if found else None
            waited = self.retries.clock() - began
            if now is None and waited >= (_SEEN_WITHIN_S if is_new else 0):
                return None
            if waited > waits.ready_within_s:
                raise late(order.name, now.detail if now else "", self._run)
            if now is None or now.state == "pending":
                await self.retries.pause(waits.poll_every_s)

    async def _close(
        self, host: DeploymentClient, model: str, lease: Lease, retries: Retries
    ) -> None:
        self.targets.pop(model, None)
        self._answering.discard(model)
        self.rent.end(model)
        order = self._order(model, lease)
        digest = digest_of(msgspec.json.encode(order, order="sorted"))
        history = await self.journal.ledger.history(deploy_key(lease), digest)
        if not any(attempt.state == "done" or attempt.unanswered for attempt in history):
            await self._write_end(model, lease, self._now())  # it never left this machine
            return
        is_owed = history[-1].state == "done" or await self._is_found(
            host, order, history[-1], retries
        )
        removed = await self._remove(host, lease, retries)
        if not is_owed:
            await self.journal.ledger.believed(history[-1])
            await self._write_end(model, lease, removed.at)
            return
        await self._end(model, lease, removed.at)
        self.say(f"{lease.name} is taken down")

    async def _is_found(
        self, host: DeploymentClient, order: DeploymentOrder, doubtful: Attempt, retries: Retries
    ) -> bool:
        """Whether a deployment whose creation was not confirmed has been standing."""
        try:
            found = await retries.look(lambda: host.find(order), f"asking for {order.name}")
        except RmftError:  # what cannot be seen is taken down and held to have cost an hour
            return True
        if found:
            ledger = self.journal.ledger
            await ledger.done(doubtful.id, msgspec.json.encode(found[0]), None)
        return bool(found) or doubtful.refused_as is None

    async def _remove(self, host: DeploymentClient, lease: Lease, retries: Retries) -> Removed:
        async def act() -> Removed:
            await host.remove(lease.name)
            return Removed(lease.name, self._now())

        async def nothing() -> Sequence[Removed]:
            return ()

        return await self._outbox(retries).once(
            f"teardown/{lease.name}/{lease.number}",
            "teardown",
            {"name": lease.name},
            look_up=nothing,
            act=act,
            returns=Removed,
            repeatable=True,
        )

    async def _end(self, model: str, lease: Lease, until: int) -> None:
        """Book the whole stay and close the lease."""
        if self._rents(model):
            await self.rent.book(model, lease, until)
        await self._write_end(model, lease, until)

    async def _write_end(self, model: str, lease: Lease, until: int) -> None:
        await self.journal.put(_KIND, model, msgspec.structs.replace(lease, until=until))

    def _lease_of(self, model: str) -> Lease | None:
        """The lease that has not ended."""
        lease = self.journal.get(_KIND, model, Lease)
        return lease if lease is not None and lease.until is None else None

    def _rents(self, model: str) -> bool:
        """A base model is not rented: it is paid by the token alone."""
        return bool(self.host and self.host.billed_hourly) and self.profile.is_tuned(model)

    def _outbox(self, retries: Retries) -> Outbox:
        longest = self.profile.hosting.quarantine_s
        looks = (*(look for look in Quarantine().looks_s if look < longest), longest)
        quarantine = Quarantine(looks, timeout_s=self.profile.timeouts.list_s)
        return Outbox(self.journal, retries, quarantine)

    def _order(self, model: str, lease: Lease) -> DeploymentOrder:
        return DeploymentOrder(lease.name, model, self._run, self._mark)

    def _now(self) -> int:
        return int(self.retries.clock() * 1000)

    @property
    def _run(self) -> str:
        return self.journal.run_dir.name

    @property
    def _mark(self) -> str:
        """Ours alone: a run of the same name that was started at another time has another."""
        return mark_of(self._run, self.journal.run.created)
