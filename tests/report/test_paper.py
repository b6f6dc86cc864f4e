"""Figures and tables for a paper show the report's numbers, in files that a journal takes."""

import csv
import io
import json
import math
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from typer.testing import CliRunner

import rmft_api
from rmft_api.cli.main import app
from rmft_api.core.errors import ConfigError, RmftError, UsageError
from rmft_api.core.records import Interval
from rmft_api.report.paper import plots, style, tables
from rmft_api.report.paper.tables import Column, PaperTable, Starred
from rmft_api.session import paper
from tests.report.conftest import played

NAMES = (
    *("regret_by_iteration", "regret_by_round", "share_of_possible"),
    *("paired_differences", "exploration"),
)


def command(*words: str) -> str:
    result = CliRunner().invoke(app, words, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.stdout


@pytest.fixture(scope="session")
def drawn(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished run's figures and tables."""
    pytest.importorskip("matplotlib")
    folder = tmp_path_factory.mktemp("paper") / "figures"
    rmft_api.open_run(finished).figures(folder, tables=["latex", "markdown", "csv"])
    return folder


def test_a_run_has_every_figure_in_every_format(drawn: Path) -> None:
    starts = {"svg": b"<?xml", "pdf": b"%PDF", "png": b"\x89PNG"}
    for name in NAMES:
        for suffix, start in starts.items():
            assert (drawn / f"{name}.{suffix}").read_bytes().startswith(start)


def test_text_stays_text(drawn: Path) -> None:
    picture = ET.parse(drawn / "regret_by_iteration.svg")
    words = "".join(picture.getroot().itertext())
    assert "iteration (0 is the base)" in words
    assert "test regret" in words
    assert "random" in words
    assert b"/Type3" not in (drawn / "regret_by_iteration.pdf").read_bytes()


def test_the_same_run_gives_the_same_bytes_whatever_the_readers_settings(
    finished: Path, drawn: Path, tmp_path: Path
) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    with matplotlib.rc_context({"font.size": 20, "svg.fonttype": "path", "axes.grid": True}):
        rmft_api.figures([finished], tmp_path, formats=["svg", "pdf"])
    for name in NAMES:
        for suffix in ("svg", "pdf"):
            file = f"{name}.{suffix}"
            assert (tmp_path / file).read_bytes() == (drawn / file).read_bytes()


def test_points_stand_where_the_report_says(finished: Path) -> None:
    pytest.importorskip("matplotlib")
    results = rmft_api.open_run(finished).results
    _, report = paper.read_run(finished)
    with style.styled():
        axes = plots.regret_by_iteration(report, 1).axes[0]  # pyright: ignore[reportOptionalMemberAccess]
    lines = {one.get_label(): one for one in axes.containers}
    for split in ("test", "validation"):
        shown: list[float] = list(lines[f"{split} regret"].lines[0].get_ydata())
        found = [getattr(one, split) for one in results.iterations]
        assert shown == [one.regret.mean for one in found if one is not None]
    levels = {one.get_label(): one.get_ydata()[0] for one in axes.lines}
    for name, one in results.baselines.items():
        assert levels[name] == one.regret.mean


def test_csv_has_the_digits_of_the_json(finished: Path, drawn: Path) -> None:
    told = json.loads(
        command("report", finished.name, "--runs", str(finished.parent), "--json", "--no-html")
    )
    rows = list(csv.DictReader(io.StringIO((drawn / "results.csv").read_text())))
    tested = [one for one in told["iterations"] if one["split"] == "test"]
    limit = [told["limit"]] if told["limit"] else []
    shown = [*tested, *told["baselines"].values(), *limit]
    for row, one in zip(rows, shown, strict=True):
        assert float(row["regret"]) == one["regret"]["mean"]
        ends = one["regret"]["ci95"] or ["", ""]
        assert [row["regret low"], row["regret high"]] == [str(end) for end in ends]


def test_a_latex_table_has_booktabs_rules_and_whole_rows(drawn: Path) -> None:
    files = sorted(drawn.glob("*.tex"))
    assert {"results.tex", "paired_differences.tex", "selections.tex"} <= {
        file.name for file in files
    }
    for file in files:
        text = file.read_text()
        for rule in ("toprule", "midrule", "bottomrule"):
            assert text.count(f"\\{rule}") == 1
        align = re.search(r"begin\{tabular\}\{@\{\}([lr]+)@\{\}\}", text)
        assert align is not None
        rows = [line for line in text.splitlines() if line.endswith(r"\\")]
        assert len(rows) > 1
        assert {len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows} == {len(align[1])}


HOSTILE = PaperTable(
    name="odd",
    title="50 % of a_b & c",
    columns=(Column("who", is_text=True), Column("drop"), Column("p", 4), Column("n")),
    rows=(
        ("x|y_{1}$\\", Starred(Interval(-0.004, -1.0, 0.5), 0), 0.00001, 12_000),
        ("*z*", Starred(Interval(2.0, 1.0, 3.0), 2), 0.004, None),
        ("few", Starred(Interval(1.0, -math.inf, math.inf), 0), math.nan, 3),
    ),
    notes=("* p < 0.05",),
    strong=frozenset({1}),
)


def test_names_cannot_break_a_latex_table() -> None:
    text = tables.latex(HOSTILE)
    assert r"\caption{50 \% of a\_b \& c}" in text
    assert r"x|y\_\{1\}\$\textbackslash{} & 0.00 [$-$1.00, 0.50] & \textless{}0.0001" in text
    assert r"\textbf{2.00 [1.00, 3.00]\textsuperscript{**}}" in text
    assert r"few & 1.00 (too few) &  & 3 \\" in text


def test_stars_in_markdown_are_stars() -> None:
    text = tables.markdown(HOSTILE)
    assert r"| **\*z\*** | **2.00 [1.00, 3.00]\*\*** |" in text
    assert r"x\|y" in text
    assert text.endswith("\n\\* p < 0.05\n")


def test_csv_has_an_interval_in_three_columns_and_no_ends_where_there_are_too_few() -> None:
    head, *rows = csv.reader(io.StringIO(tables.comma_separated(HOSTILE)))
    assert head == ["who", "drop", "drop low", "drop high", "p", "n"]
    assert rows[0] == ["x|y_{1}$\\", "-0.004", "-1.0", "0.5", "1e-05", "12000"]
    assert rows[2][1:4] == ["1.0", "", ""]


def test_several_runs_have_a_folder_each_and_figures_together(
    finished: Path, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    other = played(tmp_path / "other", test_models="ends")
    words = ("--format", "svg", "--out", str(tmp_path / "out"))
    shown = command("figures", str(finished), str(other), *words)
    files = {str(Path(line).relative_to(tmp_path / "out")) for line in shown.splitlines()}
    assert {"runs_regret_by_iteration.svg", "runs_champions.svg"} <= files
    assert {f"{finished.name}/exploration.svg", "other/regret_by_iteration.svg"} <= files
    words_of = ET.parse(tmp_path / "out/runs_regret_by_iteration.svg").getroot().itertext()
    assert "validation regret per trajectory" in "".join(words_of)  # one run has no test


def test_tables_need_no_matplotlib_and_figures_say_that_they_do(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    run = rmft_api.open_run(finished)
    assert run.figures(tmp_path, formats=(), tables=["csv"])
    with pytest.raises(ConfigError, match=r"pip install 'rmft-api\[figures\]'"):
        run.figures(tmp_path)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--format", "gif"), "no format of figures 'gif'; there are svg, pdf, png"),
        (("--table", "word"), "no format of tables 'word'; there are latex, markdown, csv"),
        (("--columns", "3"), "no number of columns 3; there are 1, 2"),
        (("--no-figures",), "--no-figures leaves nothing to write"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_line(
    finished: Path, words: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        command("figures", str(finished), *words)


def test_a_run_without_an_evaluated_model_says_what_to_do(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    begun = played(tmp_path / "begun", end_after=5)
    with pytest.raises(RmftError, match="has evaluated no model yet; `rmft-api resume begun`"):
        command("figures", str(begun))
