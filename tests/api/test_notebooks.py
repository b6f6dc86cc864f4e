"""The notebooks of `examples/` run from their tops, and show what they say."""

from pathlib import Path

import rmft_api
from tests.notebooks import cell_outputs, run_notebook, text_of


def test_the_quick_start_runs_plots_and_can_be_browsed(tmp_path: Path) -> None:
    outputs = cell_outputs("quickstart.ipynb", tmp_path)
    shown = [text_of(one) for one in outputs]
    drawn = [one.get("data", {}).get("image/svg+xml") for one in outputs]
    assert "<Run 'quickstart-small': finished, runs/quickstart-small>" in shown[1]
    assert any("mean" in text and "count" in text for text in shown)
    run = rmft_api.open_run("quickstart-small", tmp_path / "runs")
    assert shown[-1] == f"report.html {len(run.rounds())}\n"
    assert (tmp_path / "runs" / "quickstart-small" / "report.html").is_file()
    assert (tmp_path / "regret.svg").read_text("utf-8").strip() in drawn


def test_a_problem_of_ones_own_is_written_run_and_compared(tmp_path: Path) -> None:
    shown = "\n".join(run_notebook("own_problem.ipynb", tmp_path))
    assert "<Run 'shops': finished, runs/shops>" in shown
    assert "random" in shown
    assert "iteration 1" in shown
    assert (tmp_path / "shops.py").is_file()
