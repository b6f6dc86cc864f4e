"""A whole run at Together: killed while it tunes or deploys, resumed; nothing is made twice."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.loop import Ended, Loop, talk
from tests.fakes.together import BASE, TOGETHER, FakeTogether, environ
from tests.providers.stub import Meets, Serving

QUICK = """\
[together.training]
poll_every_s = 0.02
quarantine_s = 0.2
list_lag_s = 0
[together.hosting]
poll_every_s = 0.02
quarantine_s = 0.2
"""
PRICES = f"""\
[[price]]
provider = "together"
model = "{BASE}"
input = 0.17
output = 0.25
train = 1.00
as_of = 2026-11-28
source = "as agreed"

[[price]]
provider = "together"
model = "ft:{BASE}"
input = 0
output = 0
train = 1.00
hosting_per_hour = 3.99
as_of = 2026-11-28
source = "as agreed"
"""


@pytest.fixture
async def together() -> AsyncIterator[FakeTogether]:
    fake = FakeTogether(talk=talk)
    async with Serving(fake, TOGETHER):
        yield fake


def loop(together: FakeTogether, path: Path) -> Loop:
    prices = path / "prices.toml"
    prices.write_text(PRICES)
    told = environ(together) | {"RMFT_PRICES": str(prices)}
    return Loop(path, told, "together", BASE, own=QUICK, budget=200.0)


def check(together: FakeTogether) -> None:
    """What must hold of every finished run."""
    assert together.endpoints == {}
    assert together.made == together.removed
    assert len(together.jobs) == len(together.files) == 2
    first, second = together.jobs
    assert (first["model"], first["from_checkpoint"]) == (BASE, None)
    assert (second["model"], second["from_checkpoint"]) == (None, first["id"])


def in_one_line(ended: Ended, code: int, *said: str) -> None:
    lines = ended.err.strip().splitlines()
    assert ended.code == code, ended.err
    assert any(all(one in line for one in said) for line in lines), lines
    assert "Traceback" not in ended.err


async def test_a_run_plays_its_endpoints_by_the_hour_and_a_lost_reply_makes_nothing_twice(
    together: FakeTogether, tmp_path: Path
) -> None:
    together.plan("create", Meets(manner="after"), Meets(503, {}, done=True))
    together.plan("deploy", Meets(manner="after"))
    together.plan("endpoint", Meets(manner="after"))
    together.plan("upload", Meets(manner="after"))
    together.stopping_looks = 1
    ended = await loop(together, tmp_path).run()
    assert ended.code == 0, ended.err
    assert len(together.jobs) == 2
    assert together.endpoints == {}
    assert together.made == together.removed
    report = json.loads((await loop(together, tmp_path).command("report", "case", "--json")).out)
    phases = report["spending"]["phases"]
    rented = [one["spent_usd"] for one in phases if one["phase"] == "hosting" and one["iteration"]]
    assert rented == pytest.approx([3.99, 3.99], abs=0.001)
    training = [one["spent_usd"] for one in phases if one["phase"] == "training"]
    assert [0 < one < 1 for one in training] == [True, True]


@pytest.mark.parametrize(
    "point",
    ["job.acted:2", "deployment.acted:2"],  # `tests.faults.hosted` has all of them
)
async def test_killed_anywhere_it_makes_nothing_twice_and_leaves_nothing_standing(
    together: FakeTogether, tmp_path: Path, point: str
) -> None:
    run = loop(together, tmp_path)
    assert (await run.run(crash=point)).code == -9
    ended = await run.resume()
    assert ended.code == 0, ended.err
    check(together)


async def test_a_signal_takes_deployments_down(together: FakeTogether, tmp_path: Path) -> None:
    run = loop(together, tmp_path)
    ended = await run.run(crash="call.saved:60:TERM")
    assert ended.code == 143, ended.err
    assert together.made.total() >= 1
    assert together.endpoints == {}
    assert (await run.resume()).code == 0
    check(together)


async def test_an_orphan_is_shown_with_its_price_and_swept_by_a_command(
    together: FakeTogether, tmp_path: Path
) -> None:
    run = loop(together, tmp_path)
    assert (await run.run(crash="deployment.recorded:2")).code == -9
    (endpoint,) = together.endpoints.values()
    shown = (await run.command("cleanup", "--profile", "together")).out
    assert endpoint["name"].removeprefix("lab/") in shown
    assert "3.99" in shown
    assert "removed" in (await run.command("cleanup", "--profile", "together", "--remove")).out
    assert together.endpoints == {}
    assert (await run.resume()).code == 0
    check(together)


@pytest.mark.parametrize(
    ("missing", "words"),
    [("train = 1.00\n", "training"), ("hosting_per_hour = 3.99\n", "hosting")],
)
async def test_without_a_price_a_run_does_not_begin(
    together: FakeTogether, tmp_path: Path, missing: str, words: str
) -> None:
    run = loop(together, tmp_path)
    unknown = f'{missing.split()[0]} = "unknown"\n'
    (tmp_path / "prices.toml").write_text(PRICES.replace(missing, unknown))
    in_one_line(await run.run(), 78, f"no price is known for {words}")
    assert together.seen == []


async def test_a_base_that_cannot_be_hosted_ends_a_run_before_it_spends(
    together: FakeTogether, tmp_path: Path
) -> None:
    together.products = ("PRODUCT_SERVERLESS",)
    in_one_line(await loop(together, tmp_path).run(), 77, "cannot be hosted")
    assert (together.asked("chat"), together.files) == ([], [])


async def test_a_job_that_cannot_be_paid_ends_a_run_that_can_go_on_later(
    together: FakeTogether, tmp_path: Path
) -> None:
    together.allowed, together.estimate = False, 1.25
    run = loop(together, tmp_path)
    ended = await run.run()
    assert ended.code in (69, 75, 77), ended.err
    assert "about 1.25 USD" in ended.err
    assert together.jobs == []
    together.allowed = True
    assert (await run.resume()).code == 0
    check(together)


async def test_an_estimate_above_our_own_count_is_reserved_and_booked(
    together: FakeTogether, tmp_path: Path
) -> None:
    together.estimate = 1.25
    run = loop(together, tmp_path)
    assert (await run.run(crash="job.acted:2")).code == -9
    ended = await run.resume()
    assert ended.code == 0, ended.err
    assert len(together.asked("estimate")) == 2
    phases = json.loads((await run.command("report", "case", "--json")).out)["spending"]["phases"]
    training = [one["spent_usd"] for one in phases if one["phase"] == "training"]
    assert training == pytest.approx([1.25, 1.25])


async def test_a_job_estimated_above_the_budget_is_not_ordered(
    together: FakeTogether, tmp_path: Path
) -> None:
    together.estimate = 500.0
    ended = await loop(together, tmp_path).run()
    in_one_line(ended, 75, "budget")
    assert together.jobs == []


async def test_a_file_that_is_refused_ends_a_run_with_the_vendors_reason(
    together: FakeTogether, tmp_path: Path
) -> None:
    together.refuses = "Invalid format on line 2: too many tokens"
    ended = await loop(together, tmp_path).run()
    in_one_line(ended, 65, "Invalid format on line 2: too many tokens", "trajectory")
    assert together.jobs == []
