"""A whole run at Tinker: killed in a step and resumed, it pays no step twice."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.loop import Ended, Loop, talk
from tests.fakes.tinker import BASE, PREFIX, TINKER, FakeTinker, environ
from tests.providers.stub import Meets, Serving

QUICK = """\
[tinker.training]
poll_every_s = 0.02
quarantine_s = 0.2
list_lag_s = 0
save_every = 2
extra = { batch_size = 2, lora_rank = 32 }
"""


@pytest.fixture
async def tinker() -> AsyncIterator[FakeTinker]:
    fake = FakeTinker(talk=talk)
    async with Serving(fake, TINKER, PREFIX):
        yield fake


def loop(tinker: FakeTinker, path: Path) -> Loop:
    return Loop(path, environ(tinker, path), "tinker", BASE, own=QUICK)


def check(tinker: FakeTinker) -> None:
    """What must hold of every finished run."""
    assert tinker.twice == {}
    starts = [run for run in tinker.runs.values() if run.next_seq > 1]
    assert len(starts) == 2
    (loaded,) = tinker.asked("load")[:1]
    assert loaded.json["path"] == f"tinker://{starts[0].id}/weights/final"


def in_one_line(ended: Ended, code: int, *said: str) -> None:
    lines = ended.err.strip().splitlines()
    assert ended.code == code, ended.err
    assert any(all(one in line for one in said) for line in lines), lines
    assert "Traceback" not in ended.err


async def test_a_run_trains_step_by_step_and_a_lost_reply_pays_nothing_twice(
    tinker: FakeTinker, tmp_path: Path
) -> None:
    tinker.plan("create", Meets(manner="after"), Meets(503, {}, done=True))
    tinker.plan("forward", Meets(manner="after"), Meets(500, {}, done=True))
    tinker.plan("optim", Meets(manner="after"))
    tinker.plan("save", Meets(manner="after"))
    ended = await loop(tinker, tmp_path).run()
    assert ended.code == 0, ended.err
    check(tinker)


@pytest.mark.parametrize("point", ["step.sent:2", "step.saved:2", "job.acted:2"])
async def test_killed_anywhere_it_trains_no_step_twice(
    tinker: FakeTinker, tmp_path: Path, point: str
) -> None:
    run = loop(tinker, tmp_path)
    assert (await run.run(crash=point)).code == -9
    ended = await run.resume()
    assert ended.code == 0, ended.err
    check(tinker)


async def test_an_account_without_billing_ends_a_run_unspent(
    tinker: FakeTinker, tmp_path: Path
) -> None:
    tinker.blocked = True
    in_one_line(await loop(tinker, tmp_path).run(), 75, "add credit")
    assert tinker.runs == {}


async def test_a_base_that_is_not_offered_ends_a_run_unspent(
    tinker: FakeTinker, tmp_path: Path
) -> None:
    del tinker.offered[BASE]
    in_one_line(await loop(tinker, tmp_path).run(), 77, "is not offered there", "gpt-oss-20b")
    assert (tinker.asked("chat"), tinker.runs) == ([], {})


async def test_without_a_tokenizer_a_run_ends_before_it_spends(
    tinker: FakeTinker, tmp_path: Path
) -> None:
    run = loop(tinker, tmp_path)
    (tmp_path / "tokenizer" / "tokenizer.json").unlink()
    in_one_line(await run.run(), 78, "RMFT_TINKER_TOKENIZER")
    assert (tinker.asked("chat"), tinker.runs) == ([], {})
