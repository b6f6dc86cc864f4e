"""A whole run at Gemini: killed while it tunes, resumed, and nothing made twice."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.gemini import GEMINI, FakeGemini, environ
from tests.fakes.loop import Loop, talk
from tests.providers.stub import Serving

BASE = "gemini-3.5-flash-lite"
QUICK = """\
[gemini.training]
poll_every_s = 0.02
quarantine_s = 0.2
list_lag_s = 0
[gemini.hosting]
poll_every_s = 0.02
"""
PRICES = f"""\
[[price]]
provider = "gemini"
model = "{BASE}"
input = 0.30
output = 2.50
train = 3.00
as_of = 2026-11-22
source = "as agreed"
"""


@pytest.fixture
async def gemini() -> AsyncIterator[FakeGemini]:
    fake = FakeGemini(talk=talk)
    async with Serving(fake, GEMINI):
        yield fake


def loop(gemini: FakeGemini, path: Path) -> Loop:
    prices = path / "prices.toml"
    prices.write_text(PRICES)
    own = environ(gemini) | {"RMFT_PRICES": str(prices)}
    return Loop(path, own, "gemini", BASE, own=QUICK)


def check(gemini: FakeGemini) -> None:
    assert len(gemini.jobs) == 2
    assert len(gemini.objects) == 2
    first, second = gemini.jobs
    assert first["baseModel"] == BASE
    assert second["preTunedModel"]["tunedModelName"] == first["tunedModel"]["model"]


async def test_a_run_tunes_models_and_plays_their_endpoints(
    gemini: FakeGemini, tmp_path: Path
) -> None:
    ended = await loop(gemini, tmp_path).run()
    assert ended.code == 0, ended.err
    check(gemini)
    report = await loop(gemini, tmp_path).command("report", "case", "--json")
    assert f"{BASE}:{gemini.jobs[1]['tunedModel']['model']}" in report.out


@pytest.mark.parametrize(
    "point", ["upload.acted:1", "job.intended:1", "job.acted:1", "job.acted:2", "job.recorded:2"]
)
async def test_killed_while_tuning_it_makes_nothing_twice(
    gemini: FakeGemini, tmp_path: Path, point: str
) -> None:
    run = loop(gemini, tmp_path)
    assert (await run.run(crash=point)).code == -9
    ended = await run.resume()
    assert ended.code == 0, ended.err
    check(gemini)


async def test_without_a_price_of_training_a_run_does_not_begin(
    gemini: FakeGemini, tmp_path: Path
) -> None:
    run = loop(gemini, tmp_path)
    (tmp_path / "prices.toml").write_text(PRICES.replace("train = 3.00\n", ""))
    ended = await run.run()
    assert (ended.code, ended.err.count("\n")) == (78, 1)
    assert "no price is known for training" in ended.err
    assert gemini.seen == []
