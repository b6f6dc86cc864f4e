"""A whole run at Nebius: killed while it makes its models answer, resumed, nothing made twice."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.loop import Loop, talk
from tests.fakes.nebius import BASE, NEBIUS, FakeNebius, environ
from tests.providers.stub import Serving

QUICK = """\
[nebius.training]
poll_every_s = 0.02
quarantine_s = 0.2
list_lag_s = 0
[nebius.hosting]
poll_every_s = 0.02
quarantine_s = 0.2
[nebius.timeouts]
list_s = 2
"""
PRICES = f"""\
[[price]]
provider = "nebius"
model = "{BASE}"
input = 0.13
output = 0.40
train = 2.80
as_of = 2026-11-22
source = "as agreed"
"""


@pytest.fixture
async def nebius() -> AsyncIterator[FakeNebius]:
    fake = FakeNebius(talk=talk)
    async with Serving(fake, NEBIUS):
        yield fake


def loop(nebius: FakeNebius, path: Path, chain: str = "from_base") -> Loop:
    prices = path / "prices.toml"
    prices.write_text(PRICES)
    own = environ(nebius) | {"RMFT_PRICES": str(prices)}
    return Loop(path, own, "nebius", BASE, chain=chain, own=QUICK)


def check(nebius: FakeNebius) -> None:
    assert [job["model"] for job in nebius.jobs] == [BASE, BASE]
    assert len(nebius.custom) == 2
    asked = {seen.json["model"] for seen in nebius.asked("chat")}
    assert asked == {BASE, *(one["name"] for one in nebius.custom)}


@pytest.mark.parametrize("point", ["deployment.intended:2", "deployment.acted:2", "job.acted:2"])
async def test_killed_while_it_makes_a_model_it_makes_no_second_one(
    nebius: FakeNebius, tmp_path: Path, point: str
) -> None:
    run = loop(nebius, tmp_path)
    begun = await run.run(crash=point)
    assert begun.code == -9
    assert f"deploying {BASE} as" not in begun.out + begun.err  # a base is there already
    ended = await run.resume()
    assert ended.code == 0, ended.err
    check(nebius)


async def test_a_chain_that_nebius_cannot_make_is_refused_before_it_begins(
    nebius: FakeNebius, tmp_path: Path
) -> None:
    ended = await loop(nebius, tmp_path, "continue").run()
    assert (ended.code, ended.err.count("\n")) == (78, 1)
    assert "finetuning.chain = 'from_base'" in ended.err
    assert nebius.seen == []
