"""A thin slice of the fault matrix; `make faults` plays all of it."""

from pathlib import Path

from tests.faults import report
from tests.faults.__main__ import Lab, smoke


def test_every_promise_is_kept_in_a_slice_of_the_matrix(tmp_path: Path) -> None:
    with Lab(tmp_path) as lab:
        verdicts = lab.play(smoke(lab), jobs=2)
    broken = [f"{one.id}: {one.violations}" for one in verdicts if one.violations]
    assert not broken, "\n".join([*broken, report.table(verdicts)])
    assert sum(verdict.met for verdict in verdicts) >= 0.7 * len(verdicts)
