"""Fine-tunes answer on dedicated endpoints: an endpoint with one deployment for each.

An endpoint is only a name; what costs money is its deployment, by the minute, used or not.
Endpoints carry no tags, so the deployment's name says whose it is: the run's mark, and the job
whose model it serves. A deployment that nobody asks for an hour stops by itself.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from rmft_api.core.errors import ConfigError, FaultKind, ProviderFault
from rmft_api.core.records import Deployment, DeploymentOrder, DeploymentState
from rmft_api.providers import faults
from rmft_api.providers.prices import Prices
from rmft_api.providers.profiles import Profile
from rmft_api.providers.rest import read
from rmft_api.providers.together import names
from rmft_api.providers.together.control import MOST_PAGES, PAGE, TogetherControl, segment

OURS = "rmft-"
_STATE = "DEPLOYMENT_STATE_"
_ANSWERING = ("READY", "DEGRADED", "SCALING")
"""States in which it answers, as long as one replica is ready."""
_GONE = ("STOPPED", "STOPPING")
"""Nothing answers there, and nothing is billed."""
_IDLE_MIN = 60
"""Minutes without a request after which a deployment stops by itself."""
_NAME = re.compile(r"(?P<key>[^-]+)-(?P<job>ft-.+)")
_MODEL_PATH = re.compile(r"projects/[^/]+/models/(?P<id>[^/]+)")


class _Stay(msgspec.Struct, rename="camel"):
    """A deployment, as its endpoint shows it."""

    id: str
    name: str
    state: str = ""
    created_at: str = ""
    ready_replicas: int | None = None

    @property
    def short(self) -> str:
        """Its name within the endpoint."""
        return self.name.rpartition("/")[2]

    @property
    def is_gone(self) -> bool:
        """Whether it has stopped, by our wish or by itself."""
        return self.state.removeprefix(_STATE) in _GONE


class _Endpoint(msgspec.Struct):
    id: str
    name: str
    deployments: list[_Stay] = []

    @property
    def short(self) -> str:
        """Its name within the project."""
        return self.name.rpartition("/")[2]


class _Endpoints(msgspec.Struct):
    data: list[_Endpoint]
    next_cursor: str | None = None


class _Status(msgspec.Struct):
    state: str = ""


class _Made(msgspec.Struct):
    """A deployment, as its creation returns it."""

    id: str
    name: str
    status: _Status = msgspec.field(default_factory=_Status)


class _TrainedModel(msgspec.Struct):
    """What a job leaves in the registry."""

    model_object_id: str | None = None
    adapter_object_id: str | None = None
    model: str | None = None


class _Model(msgspec.Struct, rename="camel"):
    id: str
    project_id: str = ""
    base_model: str | None = None
    base_model_id: str | None = None


class _Selector(msgspec.Struct):
    key: str
    value: str = ""


class _Config(msgspec.Struct, rename="camel"):
    id: str
    project_id: str = ""
    selectors: list[_Selector] = []

    @property
    def path(self) -> str:
        """Its name as a resource."""
        return f"projects/{self.project_id}/configs/{self.id}"

    @property
    def hardware(self) -> str:
        """The instance type that it needs, as the price list names it."""
        answer = {one.key: one.value for one in self.selectors}
        return f"{answer.get('accelerator_count', '1')}x{answer.get('accelerator_type', '')}"


class _Configs(msgspec.Struct):
    data: list[_Config]


class _Instance(msgspec.Struct, rename="camel"):
    name: str
    price_cents_per_hour: int


class _Instances(msgspec.Struct):
    data: list[_Instance]


class _Checkpoint(msgspec.Struct):
    step: int
    object_id: str | None = None


class _Checkpoints(msgspec.Struct):
    data: list[_Checkpoint]


class TogetherEndpoints:
    """A `DeploymentClient` for one project. Raises ProviderFault, classified."""

    billed_hourly = True
    removed_after_use = True
    repeatable = True
    """The endpoint's name is ours alone, and so is the deployment's within it."""

    def __init__(self, profile: Profile, environ: Mapping[str, str]) -> None:
        self._profile = profile
        self._control = TogetherControl(profile, environ)

    async def close(self) -> None:
        """Let go of all connections."""
        await self._control.close()

    async def deploy(self, order: DeploymentOrder, token: str) -> Deployment:
        """Deploy it, or start what stands there. A base model answers by itself, serverless."""
        if not self._profile.is_tuned(order.model):
            return Deployment(order.name, order.model, order.model, "ready")
        endpoint = await self._endpoint(order.name)
        if endpoint and (stays := endpoint.deployments):
            if stays[0].is_gone:
                await self._scale(endpoint.id, stays[0].id, self._profile.hosting.capacity)
            return _record(stays[0], order)
        body = await self._body(order)
        endpoint = endpoint or await self._made_endpoint(order)
        request = self._control.request(f"deploy {order.name}", model=order.model, repeatable=True)
        path = f"{await self._path(endpoint.id)}/deployments"
        try:
            raw = await self._control.rest.send(request, "POST", path, json=body)
        except ProviderFault as fault:
            standing = await self.find(order) if fault.status == 409 else []
            if not standing:
                await self._take_back(endpoint, fault)
                raise
            return standing[0]
        made = read(request, raw, _Made)
        return _record(_Stay(made.id, made.name, made.status.state), order)

    async def find(self, order: DeploymentOrder) -> list[Deployment]:
        """The deployment of the order's endpoint; one that stopped is not there."""
        if not self._profile.is_tuned(order.model):
            return [Deployment(order.name, order.model, order.model, "ready")]
        endpoint = await self._endpoint(order.name)
        stays = endpoint.deployments if endpoint else []
        return [_record(stay, order) for stay in stays if not stay.is_gone]

    async def deployments(self) -> list[Deployment]:
        """Everything in the project that carries our name and is billed."""
        return [
            await self._leftover(endpoint, stay)
            for endpoint in await self._endpoints()
            if endpoint.short.startswith(OURS)
            for stay in endpoint.deployments
        ]

    async def remove(self, name: str) -> None:
        """Stop the deployment, which ends its bill, then delete it and its endpoint."""
        endpoint = await self._endpoint(name)
        if endpoint is None:
            return
        path = await self._path(endpoint.id)
        for stay in endpoint.deployments:
            if not stay.is_gone:
                await self._scale(endpoint.id, stay.id, 0)
            await self._delete(f"{path}/deployments/{segment(stay.id)}", name)
        await self._delete(path, name)

    async def _body(self, order: DeploymentOrder) -> dict[str, Any]:
        """The request of a deployment. Raises ConfigError for hardware dearer than is known."""
        tuned = names.required(order.model)
        model = await self._model(tuned)
        replicas = self._profile.hosting.capacity
        return {
            "name": f"{order.key}-{tuned.job}",
            "model": f"projects/{model.project_id}/models/{model.id}",
            "config": await self._config(order, model),
            "autoscaling": {"minReplicas": replicas, "maxReplicas": replicas},
            "inactiveTimeout": _IDLE_MIN,
        }

    async def _model(self, tuned: names.TogetherModelId) -> _Model:
        """What the job, or its checkpoint, has left in the registry."""
        request = self._control.request(f"get the model of {tuned.checkpoint}", repeatable=True)
        path = f"v1/fine-tunes/{segment(tuned.job)}"
        if tuned.step is None:
            raw = await self._control.rest.send(request, "GET", path)
            job = read(request, raw, _TrainedModel)
            found = job.model_object_id or job.adapter_object_id
        else:
            raw = await self._control.rest.send(request, "GET", f"{path}/checkpoints")
            saved = {one.step: one.object_id for one in read(request, raw, _Checkpoints).data}
            found = saved.get(tuned.step)
        if not found:
            raise faults.malformed(request, "it names no model of the registry", raw)
        project = await self._control.project()
        raw = await self._control.rest.send(request, "GET", f"{project}/models/{segment(found)}")
        return read(request, raw, _Model)

    async def _config(self, order: DeploymentOrder, model: _Model) -> str:
        """The chosen config, or the cheapest that the base has."""
        if chosen := self._profile.hosting.sku:
            return chosen
        base = _MODEL_PATH.match(model.base_model or "")
        reference = base["id"] if base else model.base_model_id or model.id
        request = self._control.request(f"list the configs of {order.model}", repeatable=True)
        path = f"{await self._control.project()}/configs"
        query = {"referenceModelId": reference, "limit": PAGE}
        raw = await self._control.rest.send(request, "GET", path, query=query)
        configs = read(request, raw, _Configs).data
        if not configs:
            raise ConfigError(
                f"{self._profile.name} has no hardware for fine-tunes of "
                f"{names.required(order.model).base!r}; set model.base to a model that it can host"
            )
        cents = await self._prices()
        known = [one for one in configs if one.hardware in cents]
        cheapest = min(known, key=lambda one: (cents[one.hardware], one.id), default=configs[0])
        self._check_rent(order, cheapest, cents.get(cheapest.hardware))
        return cheapest.path

    def _check_rent(self, order: DeploymentOrder, config: _Config, cents: int | None) -> None:
        """Hours are reserved at the price that is known here: none that costs more is rented."""
        known = Prices(self._profile).deployment_hour(order.model)
        if cents is None or known is None or cents * 10_000 <= known:
            return
        raise ConfigError(
            f"{self._profile.name}: the cheapest hardware for {order.model} is {config.hardware} "
            f"at {cents / 100:.2f} USD an hour, and the price list says {known / 1e6:.2f}; write "
            "hosting_per_hour into a prices file of yours and name it in RMFT_PRICES"
        )

    async def _prices(self) -> dict[str, int]:
        """Cents an hour by instance type; none where they are not stated."""
        request = self._control.request("get the price of hardware", repeatable=True)
        try:
            path = "v2/public/inference-instance-types"
            raw = await self._control.rest.send(request, "GET", path)
            answer = read(request, raw, _Instances).data
        except ProviderFault:
            return {}
        return {one.name: one.price_cents_per_hour for one in answer}

    async def _made_endpoint(self, order: DeploymentOrder) -> _Endpoint:
        """The endpoint of this name, made now or a moment ago."""
        request = self._control.request(
            f"make endpoint {order.name}", model=order.model, repeatable=True
        )
        path = f"{await self._control.project()}/endpoints"
        try:
            raw = await self._control.rest.send(request, "POST", path, json={"name": order.name})
        except ProviderFault as fault:
            standing = await self._endpoint(order.name) if fault.status == 409 else None
            if standing is None:
                raise
            return standing
        return read(request, raw, _Endpoint)

    async def _take_back(self, endpoint: _Endpoint, fault: ProviderFault) -> None:
        """Remove the endpoint whose deployment was refused; one that has a deployment stays."""
        if fault.kind in (FaultKind.STOP, FaultKind.REJECTED):
            with suppress(ProviderFault):
                await self._delete(await self._path(endpoint.id), endpoint.short)

    async def _endpoint(self, name: str) -> _Endpoint | None:
        return next((one for one in await self._endpoints() if one.short == name), None)

    async def _endpoints(self) -> Sequence[_Endpoint]:
        request = self._control.request("list endpoints", repeatable=True)
        path = f"{await self._control.project()}/endpoints"
        found: list[_Endpoint] = []
        query = {"limit": PAGE}
        for _ in range(MOST_PAGES):
            raw = await self._control.rest.send(request, "GET", path, query=query)
            page = read(request, raw, _Endpoints)
            found += page.data
            if not page.next_cursor:
                break
            query = {**query, "after": page.next_cursor}
        return found

    async def _leftover(self, endpoint: _Endpoint, stay: _Stay) -> Deployment:
        """Whose it is, by its names; its model's base, by its job."""
        named = _NAME.fullmatch(stay.short)
        run = endpoint.short.removeprefix(OURS).rpartition("-")[0]
        model = await self._model_of(named["job"]) if named else ""
        order = DeploymentOrder(endpoint.short, model, run, named["key"] if named else "")
        return _record(stay, order)

    async def _model_of(self, job: str) -> str:
        """Our id of a job's model; the job's own where it has gone."""
        request = self._control.request(f"get job {job}", repeatable=True)
        try:
            raw = await self._control.rest.send(request, "GET", f"v1/fine-tunes/{segment(job)}")
        except ProviderFault as fault:
            if fault.status != 404:
                raise
            return job
        base = names.base_of(self._profile, read(request, raw, _TrainedModel).model or "")
        return str(names.TogetherModelId(base, job)) if base else job

    async def _scale(self, endpoint: str, deployment: str, replicas: int) -> None:
        """Start or stop; nothing happens where it has gone."""
        request = self._control.request(f"set {deployment} to {replicas} replicas", repeatable=True)
        path = f"{await self._path(endpoint)}/deployments/{segment(deployment)}"
        scaling = {"autoscaling": {"minReplicas": replicas, "maxReplicas": replicas}}
        try:
            await self._control.rest.send(
                request, "PATCH", path, json=scaling, query={"updateMask": "autoscaling"}
            )
        except ProviderFault as fault:
            if fault.status != 404:
                raise

    async def _delete(self, path: str, name: str) -> None:
        request = self._control.request(f"remove deployment {name}", repeatable=True)
        try:
            await self._control.rest.send(request, "DELETE", path)
        except ProviderFault as fault:
            if fault.status != 404:
                raise

    async def _path(self, endpoint: str) -> str:
        return f"{await self._control.project()}/endpoints/{segment(endpoint)}"


def _record(stay: _Stay, order: DeploymentOrder) -> Deployment:
    answer = stay.state.removeprefix(_STATE)
    ready = answer == "READY" or (answer in _ANSWERING and bool(stay.ready_replicas))
    state: DeploymentState = "failed" if answer == "FAILED" else "ready" if ready else "pending"
    return Deployment(
        name=order.name,
        target=stay.name,
        model=order.model,
        state=state,
        run=order.run,
        key=order.key,
        created=stay.created_at,
        detail="" if ready else answer.lower(),
    )
