"""docs/results.md is what its records and its template say, and nothing else."""

import importlib.util
import json
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from benchmarks.records import RecordError, load, source_line, text_of, time_in_words

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "results"
RECORD = {"command": "rmft-api report a", "seeds": [1, 2], "commit": "abc1234", "cpu_s": 75.0}
TABLE: dict[str, Any] = {"columns": ["who", "regret"], "rows": [["base", "3.1"]]}


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_results", ROOT / "docs" / "make_results.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    path = list(sys.path)
    spec.loader.exec_module(loaded)
    sys.path[:] = path
    return loaded


def folder(tmp_path: Path, template: str, **records: dict[str, Any]) -> Path:
    (tmp_path / "records").mkdir()
    (tmp_path / "template.md").write_text(template, encoding="utf-8")
    for name, fields in records.items():
        path = tmp_path / "records" / f"{name}.json"
        path.write_text(json.dumps(fields), encoding="utf-8")
    return tmp_path


def test_the_page_of_results_is_up_to_date(script: ModuleType) -> None:
    page = (ROOT / "docs" / "results.md").read_text("utf-8")
    assert script.results() == page, "python docs/make_results.py"


def test_the_pictures_are_up_to_date(script: ModuleType) -> None:
    for name, text in script.pictures().items():
        assert (FOLDER / name).read_text("utf-8") == text, "python docs/make_results.py"


def test_a_changed_figure_changes_the_page(script: ModuleType, tmp_path: Path) -> None:
    copied = shutil.copytree(FOLDER, tmp_path / "results")
    path = copied / "records" / "theory-three-seeds.json"
    text = path.read_text("utf-8")
    path.write_text(text.replace("1.35 / 1.54", "9.99 / 1.54"), encoding="utf-8")
    assert "9.99 / 1.54" in script.results(copied)


def test_every_table_of_the_page_is_of_a_record() -> None:
    template = (FOLDER / "template.md").read_text("utf-8")
    assert not [line for line in template.splitlines() if line.startswith("|")]


def test_a_table_stands_above_what_it_is_from(script: ModuleType, tmp_path: Path) -> None:
    page = script.results(folder(tmp_path, "# R\n\n{{table a}}\n", a={**RECORD, **TABLE}))
    assert page.endswith(
        "# R\n\n| who | regret |\n|---|---|\n| base | 3.1 |\n\n[Record](results/records/a.json): "
        "`rmft-api report a`; seeds 1 to 2; commit abc1234; 1 min 15 s of CPU.\n"
    )


def grid(better: float, seeds: int) -> dict[str, Any]:
    """Cells `good` and `bad`, which has `better` more regret on K=2 and as much on K=3."""
    cells: dict[str, dict[str, Any]] = {"base": {}, "good": {}, "bad": {}}
    for seed in range(1, seeds + 1):
        rng = np.random.default_rng(seed)
        good = rng.exponential(1.0, 60) + 1.0
        bad = good + np.tile([better, 0.0], 30) + 0.1 * rng.standard_normal(60)
        shares: dict[str, Any] = {"suff_fail": [0.0] * 60, "greedy": [0.5] * 60}
        for name, regret_M in (("base", good + 2.0), ("good", good), ("bad", bad)):
            cells[name][str(seed)] = {"regret": regret_M.tolist(), **shares}
    return {**RECORD, "problems": ["bandit K=2 T=25", "bandit K=3 T=25"], "cells": cells}


CLAIMS = """
[[claim]]
says = "Bad is worse"
where = [
  { setting = "K = 2", record = "a", high = "bad", low = "good", problems = "K=2" },
  { setting = "not K = 2", record = "a", high = "bad", low = "good", problems = "-K=2" },
  { setting = "greedy", record = "a", high = "bad", low = "good", measure = "greedy" },
  { setting = "elsewhere", not_run = "no time" },
]
"""


def test_claims_have_the_verdict_of_their_effect_over_seeds(
    script: ModuleType, tmp_path: Path
) -> None:
    made = folder(tmp_path, "{{claims}}\n{{table a}}\n{{verdicts}}", a=grid(1.0, 5))
    (made / "claims.toml").write_text(CLAIMS, encoding="utf-8")
    assert script.results(made).endswith("1 holds, 2 do not hold, 1 was not run")
    rows = script.results(made).splitlines()
    assert "| Bad is worse | K = 2 | 1.0" in rows[3]
    assert rows[3].endswith("of regret | 5 | **holds** |  |")
    assert rows[4].endswith("| 5 | **does not hold** |  |")
    assert "0.05 of share, greedy" in rows[5]
    assert rows[6] == "| Bad is worse | elsewhere |  |  |  | not run | no time |"
    assert any(row.startswith("| bad | 5 | ") for row in rows)


def test_two_seeds_decide_nothing_and_the_number_that_would_is_given(
    script: ModuleType, tmp_path: Path
) -> None:
    made = folder(tmp_path, "{{claims}}", a=grid(1.0, 2))
    (made / "claims.toml").write_text(CLAIMS, encoding="utf-8")
    assert "(too few)" in script.results(made)
    assert "| 2 | **undecided** | about 3 seeds |" in script.results(made)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ('high = "worst"', "has no cell 'worst'"),
        ('problems = "K=9"', "no problem with 'K=9'"),
        ('record = "b"', "no record 'b'"),
    ],
)
def test_a_claim_that_names_what_is_not_there_is_refused(
    script: ModuleType, tmp_path: Path, wrong: str, message: str
) -> None:
    made = folder(tmp_path, "{{claims}}", a=grid(1.0, 3))
    place = {"record": '"a"', "high": '"bad"', "low": '"good"', "setting": '"s"'}
    key, _, value = wrong.partition(" = ")
    inline = ", ".join(f"{k} = {v}" for k, v in {**place, key: value}.items())
    text = f'[[claim]]\nsays = "x"\nwhere = [{{ {inline} }}]\n'
    (made / "claims.toml").write_text(text, encoding="utf-8")
    with pytest.raises(Exception, match=message):
        script.results(made)


@pytest.mark.parametrize(
    ("template", "fields", "message"),
    [
        ("{{table b}}", {**RECORD, **TABLE}, "no record 'b'"),
        ("nothing", {**RECORD, **TABLE}, "no place in the template shows a"),
        ("{{tabel a}}", {**RECORD, **TABLE}, "none of table NAME, claims"),
        ("{{a: rows.7.1}}", {**RECORD, **TABLE}, "'7' is not there"),
        ("{{a: rows}}", {**RECORD, **TABLE}, "is no figure but a list"),
        ("{{a: rows.0.1 @ drop (.*)}}", {**RECORD, **TABLE}, "'drop .*' is not in rows.0.1: 3.1"),
        ("{{table a}}", {**TABLE, "command": ""}, "does not say seeds, commit, cpu_s"),
        ("{{table a}}", {**RECORD, **TABLE, "commit": None}, "commit not known, and no note"),
        ("{{table a}}", {**RECORD, "columns": ["a"], "rows": [["1", "2"]]}, "not as many cells"),
        ("{{table a}}", {**RECORD, "output": {"x": 1}}, "of no command that can be shown"),
    ],
)
def test_a_record_or_a_place_that_cannot_be_used_is_named(
    script: ModuleType, tmp_path: Path, template: str, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(Exception, match=message) as found:
        script.results(folder(tmp_path, template, a=fields))
    assert type(found.value).__name__ == RecordError.__name__


def test_a_figure_in_a_sentence_follows_its_record(script: ModuleType, tmp_path: Path) -> None:
    sentence = (
        "{{a: rows.0.1 @ drop (\\S+)}} of {{a: rows.0.0}} on {{a: seeds}} seeds, "
        "{{b: bad.above.mean|1}} above, {{b: good.greedy}}; drop {{b: good.drop}}"
    )
    rows = [["base", "3.1, drop 0.25 (8%)"]]
    a: dict[str, Any] = {**RECORD, "columns": ["who", "found"], "rows": rows}
    made = folder(tmp_path, f"{sentence}{{{{table b}}}}", a=a, b=grid(1.0, 5))
    assert "0.25 of base on 2 seeds, 0.5 above, 0.50; drop 2.00 [2.00, 2.00]" in script.results(
        made
    )
    rows[0][1] = "3.1, drop 0.75 (24%)"
    (made / "records" / "a.json").write_text(json.dumps(a), encoding="utf-8")
    (made / "records" / "b.json").write_text(json.dumps(grid(3.0, 5)), encoding="utf-8")
    assert "0.75 of base on 2 seeds, 1.5 above" in script.results(made)


def theory(distance: float) -> dict[str, Any]:
    """One seed, 13 models and the champion: aI + b11^T with a = 1, but for one entry."""
    V = [[0.8, -0.2, -0.2 - distance], [-0.2, 0.8, -0.2], [-0.2, -0.2, 0.8]]
    kinds = {"static": 2.0, "slope": 0.5, "dynamic": 3.0, "swap": 4.0}
    players = ("model", "ftrl_l2", "ada_hedge", "optimistic_hedge", "fixed_share")
    families = {name: [dict.fromkeys(players, kinds)] for name in ("shift", "piecewise")}
    found = {"matrices": [[V] * 14], "parts": [[[1.0, -0.2, 0.0]] * 14], "families": families}
    return {**RECORD, "seeds": [1], "output": found}


def test_a_learnt_matrix_is_drawn_and_its_distance_told(script: ModuleType, tmp_path: Path) -> None:
    template = "{{table theory-long}}{{theory-long: off_in_play.mean}}, {{theory-long: a.high}}"
    made = folder(tmp_path, template, **{"theory-long": theory(0.0)})
    assert "| shift | 2.00 | 2.00 | 2.00 | 2.00 | 1.00 | 0.50 |" in script.results(made)
    assert script.results(made).endswith("0.00, 1.00")
    drawn = script.pictures(made)["matrix.svg"]
    assert (drawn.count(">0.80<"), drawn.count(">-0.20<"), drawn.count("off by 0%")) == (15, 30, 5)
    (made / "records" / "theory-long.json").write_text(json.dumps(theory(0.3)), encoding="utf-8")
    assert script.results(made).endswith("0.07, 1.00")
    assert "off by 7%" in script.pictures(made)["matrix.svg"]


def test_what_commands_print_as_json_is_a_record_as_it_is(
    script: ModuleType, tmp_path: Path
) -> None:
    low_high = {"mean": 1.5, "low": 1.0, "high": 2.0}
    cell = {"cell": "rmft", "regret": low_high, "drop": low_high, "against": None}
    rows = [
        {**cell, "suff_fail_freq": 0.1, "k_min_frac": 0.5},
        {
            **cell,
            "cell": "random",
            "against": {"drop": {"mean": -1.0, "low": None, "high": None}, "p_holm": 0.0123},
            "suff_fail_freq": None,
            "k_min_frac": 0.5,
        },
    ]
    page = script.results(
        folder(tmp_path, "{{table a}} {{a: 1.against.p_holm|4}}", a={**RECORD, "output": rows})
    )
    assert "| rmft | 1.50 [1.00, 2.00] | 1.50 [1.00, 2.00] |  |  | 0.10 | 0.50 |" in page
    assert "| random | 1.50 [1.00, 2.00] | 1.50 [1.00, 2.00] | -1.00 (too few) | 0.012 |" in page
    assert page.endswith(" 0.0123")


def test_a_record_reads_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(text_of({**RECORD, "note": "", **TABLE}), encoding="utf-8")
    record = load(path)
    assert (record.kind, record.figures) == ("transcribed", TABLE)
    assert "seeds 1 to 2" in source_line(record)
    assert [time_in_words(s) for s in (48.2, 192, 7500)] == ["48 s", "3 min 12 s", "2 h 5 min"]
