"""A model card says where a champion comes from and what may not be concluded of it."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

import rmft_api
from rmft_api.cli.main import app
from rmft_api.core.errors import UsageError
from rmft_api.core.records import Interval
from rmft_api.report.model_card import conclusions, model_card
from rmft_api.report.model_card.sections import code
from rmft_api.session import paper
from tests.report.conftest import played


@pytest.fixture(scope="session")
def card(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The finished run's card."""
    path = tmp_path_factory.mktemp("card") / "sub" / "README.md"
    words = ["card", str(finished), "--out", str(path)]
    shown = CliRunner().invoke(app, words, standalone_mode=False)
    assert shown.stdout.strip() == str(path)
    return path.read_text()


def test_the_head_is_what_the_hub_reads(card: str, finished: Path) -> None:
    cards = pytest.importorskip("huggingface_hub")
    data: Any = cards.ModelCard(card).data
    run = rmft_api.open_run(finished)
    best = run.results.champion
    assert data.base_model == run.config.model.base
    found = {one.metric_name: one.metric_value for one in data.eval_results}
    tested = next(one.test for one in run.results.iterations if one.index == best.index)
    assert tested is not None
    assert found["Regret per trajectory"] == pytest.approx(tested.regret.mean, rel=1e-5)
    assert found["Share of readable replies"] == pytest.approx(tested.valid, rel=1e-5)


def test_it_names_every_training_file_by_its_hash_and_every_seed(card: str, finished: Path) -> None:
    _, report = paper.read_run(finished)
    assert report.champion
    for step in report.steps:
        chained = step.iteration <= report.champion
        assert (step.dataset in card) == chained
        assert not chained or f"| {step.seed} |" in card
    for heading in ("Where it comes from", "How it was trained", "Measures", "Cost"):
        assert f"\n## {heading}\n" in card
    assert "rmft_api.open_run('loop').champion.decider()" in card


def test_no_baseline_is_beaten_in_words_that_is_not_in_figures(finished: Path) -> None:
    results, report = paper.read_run(finished)
    config = rmft_api.open_run(finished).config
    said = list(conclusions.not_shown(config, results, report))
    for one in report.differences:
        if one.family == "champion" and one.other in results.baselines:
            better = f"That it is better than {one.other}: the difference may be chance"
            assert any(line.startswith(better) for line in said) == (one.p_holm >= 0.05)
    doubtful = tuple(
        msgspec.structs.replace(one, p_holm=0.01, drop=Interval(-1.0, -2.0, -0.5))
        for one in report.differences
    )
    worse = msgspec.structs.replace(report, differences=doubtful)
    lines = list(conclusions.not_shown(config, results, worse))
    assert "That it is as good as random: it is worse, by 1.00 a trajectory." in lines


def test_a_gain_that_may_be_chance_is_none(finished: Path) -> None:
    results, report = paper.read_run(finished)
    config = rmft_api.open_run(finished).config
    shown = "That regret fell: the interval of its paired drop"
    assert shown not in model_card(config, results, report)
    doubtful = tuple(
        one
        if one.test is None
        else msgspec.structs.replace(
            one, test=msgspec.structs.replace(one.test, paired_drop=Interval(0.1, -0.1, 0.3))
        )
        for one in results.iterations
    )
    unsure = msgspec.structs.replace(results, iterations=doubtful)
    assert f"{shown}, 0.10 [-0.10, 0.30], contains 0." in model_card(config, unsure, report)


def test_a_name_cannot_close_its_code() -> None:
    assert code("plain") == "`plain`"
    assert code("a`b``c") == "``` a`b``c ```"


def test_a_run_stopped_on_its_way_has_a_card_that_says_so(tmp_path: Path) -> None:
    begun = played(tmp_path / "begun", end_after=200)
    path = rmft_api.open_run(begun).card()
    assert path == begun / "MODEL_CARD.md"
    text = path.read_text()
    assert re.search(r"The run is not finished \(\w+\); these are its figures so far\.", text)
    early = played(tmp_path / "early", end_after=5)
    with pytest.raises(UsageError, match="has evaluated no model yet"):
        rmft_api.open_run(early).card()
