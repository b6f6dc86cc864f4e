"""A whole run at Bedrock: killed while it tunes or deploys, resumed; nothing is made twice."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.bedrock import BASES, BEDROCK, PREFIX, FakeBedrock, environ
from tests.fakes.loop import Ended, Loop, talk
from tests.providers.stub import Meets, Serving

pytest.importorskip("botocore", reason="pip install 'rmft-api[bedrock]'")
BASE = "amazon.nova-micro-v1:0"
QUICK = """\
[bedrock.training]
poll_every_s = 0.02
[bedrock.hosting]
poll_every_s = 0.02
rest_s = 0
"""
RENTED = '[bedrock]\ndeploy = "provisioned_throughput"\n' + QUICK
PRICES = f"""\
[[price]]
provider = "bedrock"
model = "{BASE}"
input = 0.035
output = 0.14
train = 1.00
hosting_per_hour = 20
as_of = 2026-11-28
source = "as agreed"
"""


@pytest.fixture
async def bedrock() -> AsyncIterator[FakeBedrock]:
    fake = FakeBedrock(talk=talk)
    async with Serving(fake, BEDROCK, PREFIX):
        yield fake


def loop(bedrock: FakeBedrock, path: Path, own: str = QUICK) -> Loop:
    prices = path / "prices.toml"
    prices.write_text(PRICES)
    told = environ(bedrock) | {"RMFT_PRICES": str(prices), "AWS_EC2_METADATA_DISABLED": "true"}
    return Loop(path, told, "bedrock", BASE, own=own, budget=200.0)


def check(bedrock: FakeBedrock) -> None:
    """What must hold of every finished run."""
    assert bedrock.deployments == {}
    assert bedrock.made == bedrock.removed
    assert len(bedrock.jobs) == len(bedrock.custom) == len(bedrock.objects) == 2
    first, second = bedrock.jobs
    assert first["start"] == BASES[BASE]
    assert second["start"] == first["outputModelArn"]


def in_one_line(ended: Ended, code: int, *said: str) -> None:
    line = ended.err.strip().splitlines()[-1]
    assert ended.code == code, ended.err
    assert all(one in line for one in said), line
    assert "Traceback" not in ended.err


async def test_a_run_plays_deployments_and_a_lost_reply_is_sent_again_and_is_one(
    bedrock: FakeBedrock, tmp_path: Path
) -> None:
    """No list of jobs is read and nothing is waited out: the same token makes the same job."""
    bedrock.plan("create", Meets(manner="after"), Meets(503, {}, done=True))
    bedrock.plan("deploy", Meets(manner="after"))
    ended = await loop(bedrock, tmp_path).run()
    assert ended.code == 0, ended.err
    check(bedrock)
    tokens = [seen.json["clientRequestToken"] for seen in bedrock.asked("create")]
    assert (len(tokens), len(set(tokens))) == (4, 2)
    assert bedrock.asked("jobs") == []
    assert set(bedrock.made.values()) == {1}
    report = await loop(bedrock, tmp_path).command("report", "case", "--json")
    assert f"{BASE}:{bedrock.jobs[1]['outputModelArn']}" in report.out
    phases = json.loads(report.out)["spending"]["phases"]
    training = [one for one in phases if one["phase"] == "training"]
    assert [0 < one["spent_usd"] < 1 for one in training] == [True, True]
    assert {one["reserved_usd"] for one in training} == {0}
    first_tokens = [one["spent_usd"] for one in phases if one["phase"] in ("hosting", "other")]
    assert sum(first_tokens) < 0.001  # nothing by the hour


async def test_rented_units_are_booked_by_the_hour(bedrock: FakeBedrock, tmp_path: Path) -> None:
    ended = await loop(bedrock, tmp_path, RENTED).run()
    assert ended.code == 0, ended.err
    check(bedrock)
    assert {one.json["modelUnits"] for one in bedrock.asked("deploy")} == {1}
    report = await loop(bedrock, tmp_path, RENTED).command("report", "case", "--json")
    phases = json.loads(report.out)["spending"]["phases"]
    rented = [one["spent_usd"] for one in phases if one["phase"] == "hosting" and one["iteration"]]
    assert rented == pytest.approx([20, 20], abs=0.001)


@pytest.mark.parametrize(
    "point",
    ["job.acted:2", "deployment.acted:2"],  # `tests.faults.hosted` has all of them
)
async def test_killed_anywhere_it_makes_nothing_twice_and_leaves_nothing_standing(
    bedrock: FakeBedrock, tmp_path: Path, point: str
) -> None:
    run = loop(bedrock, tmp_path)
    assert (await run.run(crash=point)).code == -9
    ended = await run.resume()
    assert ended.code == 0, ended.err
    check(bedrock)


async def test_a_signal_takes_deployments_down(bedrock: FakeBedrock, tmp_path: Path) -> None:
    run = loop(bedrock, tmp_path)
    ended = await run.run(crash="call.saved:60:TERM")
    assert ended.code == 143, ended.err
    assert bedrock.made.total() >= 1
    assert bedrock.deployments == {}
    assert (await run.resume()).code == 0
    check(bedrock)


async def test_an_orphan_is_shown_and_swept_by_a_command(
    bedrock: FakeBedrock, tmp_path: Path
) -> None:
    run = loop(bedrock, tmp_path)
    assert (await run.run(crash="deployment.recorded:2")).code == -9
    (name,) = bedrock.deployments
    assert name in (await run.command("cleanup", "--profile", "bedrock")).out
    assert "removed" in (await run.command("cleanup", "--profile", "bedrock", "--remove")).out
    assert bedrock.deployments == {}
    assert (await run.resume()).code == 0
    check(bedrock)


async def test_without_a_price_of_training_a_run_does_not_begin(
    bedrock: FakeBedrock, tmp_path: Path
) -> None:
    run = loop(bedrock, tmp_path)
    (tmp_path / "prices.toml").write_text(PRICES.replace("train = 1.00\n", ""))
    in_one_line(await run.run(), 78, "no price is known for training")
    assert bedrock.seen == []


async def test_without_a_price_of_an_hour_nothing_is_rented(
    bedrock: FakeBedrock, tmp_path: Path
) -> None:
    run = loop(bedrock, tmp_path, RENTED)
    (tmp_path / "prices.toml").write_text(PRICES.replace("hosting_per_hour = 20\n", ""))
    in_one_line(await run.run(), 78, "no price is known for hosting")
    assert bedrock.seen == []


async def test_without_access_to_the_model_a_run_ends_before_it_spends(
    bedrock: FakeBedrock, tmp_path: Path
) -> None:
    bedrock.granted = False
    in_one_line(await loop(bedrock, tmp_path).run(), 77, "is not granted", "Model access")
    assert (bedrock.asked("chat"), bedrock.objects) == ([], {})


async def test_a_quota_of_no_deployments_ends_a_run_that_can_go_on_later(
    bedrock: FakeBedrock, tmp_path: Path
) -> None:
    bedrock.quota = 0
    run = loop(bedrock, tmp_path)
    ended = await run.run()
    assert ended.code in (69, 75, 77), ended.err
    assert "Service Quotas" in ended.err
    bedrock.quota = 5
    assert (await run.resume()).code == 0
    check(bedrock)
