"""A whole run at Azure: killed while it deploys or tears down, resumed, and nothing twice."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.azure import AZURE, PREFIX, FakeAzure, environ
from tests.fakes.loop import Loop, talk
from tests.providers.stub import Serving

BASE = "gpt-4.1-mini-2025-04-14"
QUICK = """\
[azure.training]
poll_every_s = 0.02
quarantine_s = 0.2
list_lag_s = 0
[azure.hosting]
poll_every_s = 0.02
rest_s = 0
"""


@pytest.fixture
async def azure() -> AsyncIterator[FakeAzure]:
    fake = FakeAzure(talk=talk, cold_chats=0, file_status="processed")
    async with Serving(fake, AZURE, PREFIX):
        yield fake


def loop(azure: FakeAzure, path: Path) -> Loop:
    return Loop(path, environ(azure), "azure", BASE, own=QUICK)


def check(azure: FakeAzure) -> None:
    """What must hold of every finished run."""
    assert azure.deployments == {}
    assert len(azure.jobs) == 2
    assert len(azure.files) == 2
    first, second = azure.jobs
    assert first["model"] == BASE
    assert second["model"] == first["fine_tuned_model"]  # the model, not its deployment
    deployed = {seen.json["properties"]["model"]["name"] for seen in azure.asked("deploy")}
    assert deployed == {
        "gpt-4.1-mini",
        first["fine_tuned_model"],
        second["fine_tuned_model"],
    }


async def test_a_run_trains_from_models_and_plays_deployments(
    azure: FakeAzure, tmp_path: Path
) -> None:
    ended = await loop(azure, tmp_path).run()
    assert ended.code == 0, ended.err
    check(azure)
    assert set(azure.made.values()) == {1}
    asked = {seen.json["model"] for seen in azure.asked("chat")}
    assert asked == set(azure.made)
    report = await loop(azure, tmp_path).command("report", "case", "--json")
    assert azure.jobs[1]["fine_tuned_model"] in report.out
    check_rent(json.loads(report.out)["spending"])


def check_rent(spending: dict[str, Any]) -> None:
    """The hours are booked as hosting, and no more is spent than the worst case."""
    rented = [one for one in spending["phases"] if one["phase"] == "hosting" and one["iteration"]]
    assert [one["planned_usd"]["worst"] >= one["spent_usd"] for one in rented] == [True, True]
    assert [one["spent_usd"] for one in rented] == pytest.approx([1.7, 1.7], abs=0.001)
    assert {one["phase"] for one in spending["phases"]}.isdisjoint({"other"})
    assert spending["spent_usd"] < spending["planned_usd"]["worst"]


@pytest.mark.parametrize(
    "point",
    [
        "deployment.acted:2",
        "deployment.recorded:2",
        "teardown.acted:2",
        "job.acted:2",
    ],
)
async def test_killed_anywhere_around_a_deployment_it_leaves_nothing_standing(
    azure: FakeAzure, tmp_path: Path, point: str
) -> None:
    run = loop(azure, tmp_path)
    assert (await run.run(crash=point)).code == -9
    ended = await run.resume()
    assert ended.code == 0, ended.err
    check(azure)
    assert azure.made.total() <= 4  # one is made anew where it was taken down before the kill
    assert azure.made == azure.removed


async def test_a_signal_takes_deployments_down(azure: FakeAzure, tmp_path: Path) -> None:
    run = loop(azure, tmp_path)
    ended = await run.run(crash="call.saved:20:TERM")
    assert ended.code == 143, ended.err
    assert azure.made.total() >= 1
    assert azure.deployments == {}
    assert (await run.resume()).code == 0
    check(azure)


async def test_an_orphan_is_shown_and_swept_by_a_command(azure: FakeAzure, tmp_path: Path) -> None:
    run = loop(azure, tmp_path)
    assert (await run.run(crash="deployment.recorded:2")).code == -9
    (name,) = azure.deployments
    shown = await run.command("cleanup", "--profile", "azure")
    assert name in shown.out
    assert "$1.70 an hour" in shown.out
    assert list(azure.deployments) == [name]
    assert "removed" in (await run.command("cleanup", "--profile", "azure", "--remove")).out
    assert azure.deployments == {}
    assert (await run.resume()).code == 0
    check(azure)
