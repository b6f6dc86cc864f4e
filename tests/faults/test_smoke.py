"""A thin slice of the fault matrix; `make faults` plays all of it."""

from pathlib import Path

from tests.faults import refusals, report
from tests.faults.__main__ import Lab, smoke


def test_every_promise_is_kept_in_a_slice_of_the_matrix(tmp_path: Path) -> None:
    with Lab(tmp_path) as lab:
        cases = smoke(lab)
        verdicts = lab.play(cases, jobs=2)
    assert {case.layer for case in cases} == set("ADEGJ")
    effects = {case.rules[0]["endpoint"] for case in cases if case.layer == "J"}
    assert effects == set(refusals.EFFECTS)
    broken = [f"{one.id}: {one.violations}" for one in verdicts if one.violations]
    assert not broken, "\n".join([*broken, report.table(verdicts)])
    assert sum(verdict.met for verdict in verdicts) >= 0.7 * len(verdicts)
