"""Models that must be deployed: deployed once, paid by the hour, and never left standing."""

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rmft_api.core.errors import BudgetError, ResumableError, RmftError
from rmft_api.core.records import ChatRequest, DeploymentOrder, Message, Sampling
from rmft_api.deployments import Deployments, HourlyCost, Lease
from rmft_api.journal import Journal
from rmft_api.providers import Connection, connect
from rmft_api.providers.prices import Prices
from rmft_api.providers.profiles import Profile, load
from rmft_api.requests.retries import Retries
from tests.fakes.azure import AZURE, PREFIX, FakeAzure, environ
from tests.finetuning.test_training import Time
from tests.providers.stub import Meets, Serving, error

TUNED = "gpt-4.1-mini-2025-04-14.ft-00000007"
BASE = "gpt-4.1-mini-2025-04-14"
HOUR = 1_700_000


@dataclass
class Bench:
    """A run's hosting; `process` is what a resumed run is."""

    azure: FakeAzure
    profile: Profile
    connection: Connection
    targets: dict[str, str]
    path: Path
    time: Time = field(default_factory=Time)
    said: list[str] = field(default_factory=list[str])
    journal: Journal | None = None

    async def process(self, cap_usd: float = 100.0) -> Deployments:
        if self.journal is not None:
            self.journal.close()
        self.targets.clear()
        directory = self.path / "case"
        clock = self.time.clock
        exists = (directory / "journal.sqlite").exists()
        self.journal = (
            Journal.open(directory, clock=clock)
            if exists
            else Journal.create(directory, "{}", {}, clock=clock)
        )
        await self.journal.ledger.set_cap(round(cap_usd * 1e6))
        retries = Retries(clock=self.time.clock, sleep=self.time.sleep, jitter=lambda: 0.5)
        prices = Prices(self.profile)
        return Deployments(
            profile=self.profile,
            host=self.connection.host,
            chat=self.connection.chat,
            journal=self.journal,
            retries=retries,
            leaving=retries,
            rent=HourlyCost(self.journal, prices.deployment_hour, self.time.clock),
            token=prices.worst_case,
            say=self.said.append,
            targets=self.targets,
        )

    def rented(self) -> int:
        """Micro-dollars that hosting has cost, without the probes' tokens."""
        assert self.journal
        return self.journal.ledger.totals().spent // 1000 * 1000

    @property
    def standing(self) -> list[str]:
        return list(self.azure.deployments)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    azure = FakeAzure()
    azure.models.add(TUNED)
    async with Serving(azure, AZURE, PREFIX):
        profile = load("azure")
        targets: dict[str, str] = {}
        async with connect(profile, environ=environ(azure), targets=targets) as connection:
            bench = Bench(azure, profile, connection, targets, tmp_path)
            yield bench
            if bench.journal:
                bench.journal.close()


def ask(model: str = TUNED) -> ChatRequest:
    return ChatRequest(
        "k", model, (Message("user", "Which button?"),), 1, 0, Sampling(max_tokens=8)
    )


async def test_a_model_answers_under_its_deployments_name(bench: Bench) -> None:
    hosting = await bench.process()
    await hosting.open(TUNED)
    (name,) = bench.standing
    assert bench.targets == {TUNED: name}
    assert name.startswith("rmft-case-")
    reply = await bench.connection.chat.reply(ask())
    assert reply.model == TUNED
    tags = bench.azure.deployments[name]["tags"]
    assert (tags["rmft_run"], tags["rmft_model"]) == ("case", TUNED)


async def test_ready_means_that_a_token_came_back(bench: Bench) -> None:
    bench.azure.cold_chats = 3
    hosting = await bench.process()
    await hosting.open(TUNED)
    probes = bench.azure.asked("chat")
    assert len(probes) == 4
    assert probes[-1].json["max_completion_tokens"] == 1


@pytest.mark.parametrize("model", [TUNED, BASE])
async def test_a_data_plane_that_does_not_know_it_yet_is_waited_for(
    bench: Bench, model: str
) -> None:
    bench.azure.plan("chat", *[error(404, "No such deployment", code="DeploymentNotFound")] * 2)
    hosting = await bench.process()
    await hosting.open(model)
    assert bench.targets


async def test_open_twice_deploys_once(bench: Bench) -> None:
    hosting = await bench.process()
    await hosting.open(TUNED)
    seen = len(bench.azure.seen)
    await hosting.open(TUNED)
    assert len(bench.azure.seen) == seen


async def test_closed_it_is_gone_and_costs_the_hour_that_was_begun(bench: Bench) -> None:
    hosting = await bench.process()
    await hosting.open(TUNED)
    bench.time.now += 600
    await hosting.close(TUNED)
    assert bench.standing == []
    assert bench.targets == {}
    assert bench.rented() == HOUR
    assert bench.journal and bench.journal.ledger.totals().reserved == 0
    assert bench.journal.problems() == []


async def test_a_base_model_is_deployed_but_not_rented(bench: Bench) -> None:
    hosting = await bench.process()
    await hosting.open(BASE)
    await hosting.close(BASE)
    assert sum(bench.azure.made.values()) == 1
    assert bench.rented() == 0


async def test_every_hour_is_reserved_before_a_request_begins_in_it(bench: Bench) -> None:
    hosting = await bench.process()
    await hosting.open(TUNED)
    for hours in (1.5, 1.0):
        bench.time.now += hours * 3600
        await hosting.rent.keep(TUNED)
    assert bench.journal
    totals = bench.journal.ledger.totals()
    assert totals.spent + totals.reserved >= 3 * HOUR
    await hosting.close(TUNED)
    assert bench.rented() == 3 * HOUR


async def test_a_cap_that_is_too_near_for_the_next_hour_ends_the_playing(bench: Bench) -> None:
    hosting = await bench.process(cap_usd=2.0)
    await hosting.open(TUNED)
    bench.time.now += 3601
    with pytest.raises(BudgetError):
        await hosting.rent.keep(TUNED)
    await hosting.leave()
    assert bench.standing == []


async def test_a_cap_below_one_hour_deploys_nothing(bench: Bench) -> None:
    hosting = await bench.process(cap_usd=1.0)
    with pytest.raises(BudgetError):
        await hosting.open(TUNED)
    await hosting.leave()
    assert bench.azure.asked("deploy") == []
    assert bench.azure.asked("remove") == []


async def test_hours_that_nobody_watched_are_booked_when_they_are_known(bench: Bench) -> None:
    """Killed with a deployment standing, resumed five hours later."""
    await (await bench.process()).open(TUNED)
    bench.time.now += 5 * 3600 - 60
    hosting = await bench.process()
    await hosting.open(TUNED)
    await hosting.close(TUNED)
    assert bench.rented() == 5 * HOUR
    assert bench.azure.made.total() == 1


async def test_a_resumed_run_plays_on_with_what_stands(bench: Bench) -> None:
    await (await bench.process()).open(TUNED)
    (name,) = bench.standing
    hosting = await bench.process()
    await hosting.open(TUNED)
    assert bench.targets == {TUNED: name}
    assert bench.azure.made[name] == 1
    assert len(bench.azure.asked("deploy")) == 1


async def test_a_deployment_that_somebody_removed_is_made_again(bench: Bench) -> None:
    await (await bench.process()).open(TUNED)
    bench.azure.deployments.clear()
    hosting = await bench.process()
    await hosting.open(TUNED)
    assert len(bench.standing) == 1
    assert bench.azure.made.total() == 2


async def test_a_model_that_is_played_again_later_is_deployed_again(bench: Bench) -> None:
    bench.azure.rest = 2
    hosting = await bench.process()
    await hosting.open(TUNED)
    await hosting.close(TUNED)
    await hosting.open(TUNED)
    assert bench.azure.made.total() == 2
    assert max(bench.time.slept) >= 10  # the name rests before it is used again
    assert bench.journal
    ((_, lease),) = bench.journal.all("lease", Lease)
    assert (lease.number, lease.until) == (2, None)


@pytest.mark.parametrize("manner", ["after", "reset"])
async def test_a_lost_reply_to_a_deployment_makes_no_second_one(bench: Bench, manner: str) -> None:
    bench.azure.plan("deploy", Meets(manner=manner))  # type: ignore[arg-type]
    hosting = await bench.process()
    await hosting.open(TUNED)
    assert bench.azure.made.total() == 1


@pytest.mark.parametrize("status", [400, 403, 409, 429, 500, 503])
@pytest.mark.parametrize("body", [{}, b"<html>busy</html>"])
async def test_a_deployment_that_is_made_and_then_refused_is_one_and_is_taken_down(
    bench: Bench, status: int, body: Any
) -> None:
    bench.azure.plan("deploy", Meets(status, body, done=True))
    hosting = await bench.process()
    with suppress(RmftError):
        await hosting.open(TUNED)
    await hosting.leave()  # it may stand although it was refused, so it is taken down
    assert bench.standing == []
    assert bench.azure.made == bench.azure.removed
    assert bench.azure.made.total() == 1
    assert bench.journal
    assert bench.journal.ledger.totals().reserved == 0
    assert bench.rented() == HOUR


async def test_a_deployment_that_was_refused_and_not_made_costs_nothing(bench: Bench) -> None:
    bench.azure.plan("deploy", Meets(403, {"error": {"code": "QuotaExceeded"}}))
    hosting = await bench.process()
    with pytest.raises(RmftError, match="quota"):
        await hosting.open(TUNED)
    assert bench.journal
    assert bench.journal.ledger.totals().reserved == HOUR
    await hosting.leave()
    assert bench.journal.ledger.totals()[:2] == (0, 0)
    await hosting.open(TUNED)
    assert bench.azure.made.total() == 1


async def test_a_lost_reply_to_a_removal_is_removed_all_the_same(bench: Bench) -> None:
    hosting = await bench.process()
    await hosting.open(TUNED)
    bench.azure.plan("remove", Meets(manner="reset"), Meets(503, b"busy"))
    await hosting.close(TUNED)
    assert bench.standing == []


async def test_whatever_ends_the_run_nothing_stands_after_it(bench: Bench) -> None:
    hosting = await bench.process()
    await hosting.open(TUNED)
    await hosting.open(BASE)
    await hosting.leave()
    assert bench.standing == []


async def test_leaving_says_what_it_could_not_take_down(bench: Bench) -> None:
    hosting = await bench.process()
    await hosting.open(TUNED)
    refused = Meets(403, {"error": {"code": "AuthorizationFailed", "message": "no delete"}})
    bench.azure.plan("remove", refused)
    await hosting.leave()
    assert "rmft-api cleanup --profile azure --remove" in bench.said[-1]


async def test_a_deployment_that_failed_is_said_and_taken_down(bench: Bench) -> None:
    bench.azure.provisioning = "Failed"
    hosting = await bench.process()
    with pytest.raises(ResumableError, match="console"):
        await hosting.open(TUNED)
    await hosting.leave()
    assert bench.standing == []
    bench.azure.provisioning = "Succeeded"
    await hosting.open(TUNED)
    assert bench.targets


async def test_a_deployment_that_never_answers_is_given_up(bench: Bench) -> None:
    bench.azure.cold_chats = 10_000
    hosting = await bench.process()
    with pytest.raises(ResumableError, match="did not answer in time"):
        await hosting.open(TUNED)
    await hosting.leave()
    assert bench.standing == []


async def test_a_deployment_without_a_lease_is_swept_at_the_start(bench: Bench) -> None:
    hosting = await bench.process()
    await hosting.open(TUNED)
    (name,) = bench.standing
    mark = bench.azure.deployments[name]["tags"]["rmft_key"]
    await hosting.close(TUNED)
    host = bench.connection.host
    assert host
    await host.deploy(DeploymentOrder("rmft-left", TUNED, "case", mark), "a")
    await host.deploy(DeploymentOrder("rmft-other", TUNED, "other", "another"), "a")
    await (await bench.process()).sweep()
    assert bench.standing == ["rmft-other"]
    assert any("rmft-other" in line and "rmft-api cleanup" in line for line in bench.said)


async def test_what_a_lease_holds_is_not_swept(bench: Bench) -> None:
    await (await bench.process()).open(TUNED)
    await (await bench.process()).sweep()
    assert len(bench.standing) == 1


async def test_without_a_host_nothing_happens(bench: Bench) -> None:
    hosting = await bench.process()
    hosting.host = None
    await hosting.sweep()
    await hosting.open(TUNED)
    await hosting.rent.keep(TUNED)
    await hosting.close(TUNED)
    await hosting.leave()
    assert bench.azure.seen == []
