from collections.abc import Iterator
from pathlib import Path

import pytest

from rmft_api.journal import Journal
from tests.virtual import VirtualTime


@pytest.fixture
def time() -> VirtualTime:
    return VirtualTime()


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    return tmp_path / "trial"


@pytest.fixture
def journal(run_dir: Path, time: VirtualTime) -> Iterator[Journal]:
    journal = Journal.create(run_dir, '{"name":"trial"}', {"code": "1"}, clock=time.clock)
    yield journal
    journal.close()
