"""A whole run at Fireworks: killed while it tunes or deploys, resumed; nothing is made twice."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.fireworks import BASE, FIREWORKS, PREFIX, FakeFireworks, environ
from tests.fakes.loop import Ended, Loop, talk
from tests.providers.stub import Meets, Serving

QUICK = """\
[fireworks.training]
poll_every_s = 0.02
[fireworks.hosting]
poll_every_s = 0.02
quarantine_s = 0.2
rest_s = 0
"""
PRICES = f"""\
[[price]]
provider = "fireworks"
model = "{BASE}"
input = 0.20
output = 0.20
train = 1.00
train_dpo = 2.00
as_of = 2026-11-28
source = "as agreed"

[[price]]
provider = "fireworks"
model = "ft:{BASE}"
input = 0
output = 0
train = 1.00
train_dpo = 2.00
hosting_per_hour = 7.00
as_of = 2026-11-28
source = "as agreed"
"""


@pytest.fixture
async def fireworks() -> AsyncIterator[FakeFireworks]:
    fake = FakeFireworks(talk=talk)
    async with Serving(fake, FIREWORKS, PREFIX):
        yield fake


def loop(fireworks: FakeFireworks, path: Path) -> Loop:
    prices = path / "prices.toml"
    prices.write_text(PRICES)
    told = environ(fireworks) | {"RMFT_PRICES": str(prices)}
    return Loop(path, told, "fireworks", BASE, own=QUICK, budget=200.0)


def check(fireworks: FakeFireworks) -> None:
    """What must hold of every finished run."""
    assert fireworks.stays == {}
    assert fireworks.made == fireworks.removed
    assert len(fireworks.jobs) == len(fireworks.datasets) == 2
    first, second = fireworks.jobs
    assert (first["baseModel"], first["warmStartFrom"]) == (BASE, "")
    assert second["warmStartFrom"] == first["outputModel"]


def in_one_line(ended: Ended, code: int, *said: str) -> None:
    lines = ended.err.strip().splitlines()
    assert ended.code == code, ended.err
    assert any(all(one in line for one in said) for line in lines), lines
    assert "Traceback" not in ended.err


async def test_a_run_plays_deployments_and_a_lost_reply_is_sent_again_and_is_one(
    fireworks: FakeFireworks, tmp_path: Path
) -> None:
    """No list of jobs is read and nothing is waited out: a name is taken only once."""
    fireworks.plan("create", Meets(manner="after"), Meets(503, {}, done=True))
    fireworks.plan("dataset", Meets(manner="after"))
    fireworks.plan("upload", Meets(manner="reset"))
    ended = await loop(fireworks, tmp_path).run()
    assert ended.code == 0, ended.err
    check(fireworks)
    assert fireworks.asked("jobs") == []
    assert set(fireworks.made.values()) == {1}
    report = json.loads((await loop(fireworks, tmp_path).command("report", "case", "--json")).out)
    phases = report["spending"]["phases"]
    rented = [one["spent_usd"] for one in phases if one["phase"] == "hosting" and one["iteration"]]
    assert rented == pytest.approx([7, 7], abs=0.001)
    training = [one["spent_usd"] for one in phases if one["phase"] == "training"]
    assert [0 < one < 1 for one in training] == [True, True]


async def test_both_methods_are_two_jobs_an_iteration_the_second_from_the_firsts_model(
    fireworks: FakeFireworks, tmp_path: Path
) -> None:
    """Killed between them, and a lost reply to the job of preferences: still four jobs."""
    run = loop(fireworks, tmp_path)
    both = ("--set", "finetuning.method=supervised-then-dpo", "--set", "rollouts.scenarios=8")
    ended = await run.command("run", str(run.write()), *both, crash="job.acted:2")
    assert ended.code == -9, ended.err
    fireworks.plan("create", Meets(manner="after"))
    ended = await run.resume()
    assert ended.code == 0, ended.err
    kinds = [job["name"].split("/")[2] for job in fireworks.jobs]
    assert kinds == ["supervisedFineTuningJobs", "dpoJobs"] * 2
    starts = [job["warmStartFrom"] for job in fireworks.jobs]
    assert starts == ["", *(job["outputModel"] for job in fireworks.jobs[:3])]
    assert fireworks.stays == {}


@pytest.mark.parametrize(
    "point",
    ["job.acted:2", "deployment.acted:2"],  # `tests.faults.hosted` has all of them
)
async def test_killed_anywhere_it_makes_nothing_twice_and_leaves_nothing_standing(
    fireworks: FakeFireworks, tmp_path: Path, point: str
) -> None:
    run = loop(fireworks, tmp_path)
    assert (await run.run(crash=point)).code == -9
    ended = await run.resume()
    assert ended.code == 0, ended.err
    check(fireworks)


async def test_a_signal_takes_deployments_down(fireworks: FakeFireworks, tmp_path: Path) -> None:
    run = loop(fireworks, tmp_path)
    ended = await run.run(crash="call.saved:60:TERM")
    assert ended.code == 143, ended.err
    assert fireworks.made.total() >= 1
    assert fireworks.stays == {}
    assert (await run.resume()).code == 0
    check(fireworks)


async def test_an_orphan_is_shown_with_its_price_and_swept_by_a_command(
    fireworks: FakeFireworks, tmp_path: Path
) -> None:
    run = loop(fireworks, tmp_path)
    assert (await run.run(crash="deployment.recorded:2")).code == -9
    (name,) = fireworks.stays
    shown = (await run.command("cleanup", "--profile", "fireworks")).out
    assert name in shown
    assert "7.00" in shown
    assert "removed" in (await run.command("cleanup", "--profile", "fireworks", "--remove")).out
    assert fireworks.stays == {}
    assert (await run.resume()).code == 0
    check(fireworks)


@pytest.mark.parametrize(
    ("missing", "words"),
    [("train = 1.00\n", "training"), ("hosting_per_hour = 7.00\n", "hosting")],
)
async def test_without_a_price_a_run_does_not_begin(
    fireworks: FakeFireworks, tmp_path: Path, missing: str, words: str
) -> None:
    run = loop(fireworks, tmp_path)
    (tmp_path / "prices.toml").write_text(
        PRICES.replace(missing, missing.replace(missing.split()[-1], '"unknown"'))
    )
    in_one_line(await run.run(), 78, f"no price is known for {words}")
    assert fireworks.seen == []


@pytest.mark.parametrize(
    ("about", "suspended", "words"),
    [({"tunable": False}, "UNSUSPENDED", "cannot be"), ({}, "CREDIT_DEPLETED", "add credit")],
)
async def test_what_speaks_against_a_run_ends_it_before_it_spends(
    fireworks: FakeFireworks, tmp_path: Path, about: Any, suspended: str, words: str
) -> None:
    fireworks.about_base, fireworks.suspended = about, suspended
    in_one_line(await loop(fireworks, tmp_path).run(), 77, words)
    assert (fireworks.asked("chat"), fireworks.datasets) == ([], {})


async def test_a_file_that_is_refused_ends_a_run_with_the_vendors_reason(
    fireworks: FakeFireworks, tmp_path: Path
) -> None:
    fireworks.refuses = "invalid example on line 2: too many tokens"
    ended = await loop(fireworks, tmp_path).run()
    in_one_line(ended, 65, "invalid example on line 2: too many tokens", "trajectory")
    assert fireworks.jobs == []
