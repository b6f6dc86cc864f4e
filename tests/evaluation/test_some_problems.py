"""Baselines that can play only some of the problems of a mixed set: beside the model for those."""

from pathlib import Path

import numpy as np
import pytest

from rmft_api import baselines
from rmft_api.config.schema import RunConfig
from rmft_api.core.errors import ConfigError, UsageError
from rmft_api.evaluation import outcome, scoring
from rmft_api.report import players
from rmft_api.session.players import ComparisonOptions, described
from tests import loop_world
from tests.baselines.test_own import own

STOCK = {"environment": "inventory", "K": 3, "T": 6}
PRICES = {"environment": "pricing", "K": 3, "T": 6, "options": {"stock": 2}}
BANDIT = {"environment": "bandit", "K": 3, "T": 6}


def config(*problems: object, **test: object) -> RunConfig:
    rollouts = {"scenarios": 3, "trajectories": 4, "problems": list(problems)}
    return loop_world.config(rollouts=rollouts, test={"scenarios": 7, **test})


def test_every_baseline_that_fits_a_problem_stands_beside_the_model() -> None:
    run = config(STOCK, BANDIT, PRICES)
    held = outcome.scenario_set(run, "test")
    usual = outcome.baselines_of(run, held)
    assert {"random", "base_stock", "fixed_price", "kl_ucb", "thompson"} <= set(usual)
    assert held.playable("base_stock").numbers == (0, 3, 6)
    assert held.playable("ucb1").numbers == (1, 4)
    assert held.playable("fixed_price").numbers == (2, 5)
    assert held.playable("random").places is None


def test_the_usual_baselines_are_at_most_five_and_begin_with_those_of_each_kind() -> None:
    kinds = [{"environment": e, "K": 3, "T": 6} for e in ("bandit", "nonstationary")]
    full = {"environment": "online_learning", "K": 3, "T": 6}
    run = config(*kinds, full)
    usual = outcome.baselines_of(run, outcome.scenario_set(run, "test"))
    assert usual == ("random", "greedy", "hedge", "kl_ucb", "glr_kl_ucb")
    seen = config({"environment": "contextual", "K": 3, "T": 6})
    usual = outcome.baselines_of(seen, outcome.scenario_set(seen, "test"))
    assert usual == ("random", "greedy", "thompson", "linucb", "lin_thompson")


def test_all_stands_for_every_baseline_that_fits() -> None:
    run = config(STOCK, BANDIT, baselines=["all"])
    held = outcome.scenario_set(run, "test")
    every = outcome.baselines_of(run, held)
    assert every[:2] == ("random", "greedy")
    assert {"ids", "moss", "tsallis_inf", "base_stock", "order_the_mean"} <= set(every)
    assert not {"hedge", "linucb", "fixed_price", "all"} & set(every)
    outcome.check_baselines(run)
    words = ComparisonOptions((), "small", "local", ("all",), None, None, (), None)
    assert set(every) - {"base_stock", "order_the_mean"} <= set(
        described(words, Path("nowhere")).baselines
    )


def test_its_figures_are_those_of_its_problems_alone_and_say_so() -> None:
    mixed, alone = config(STOCK, BANDIT), config(STOCK)
    held = outcome.scenario_set(mixed, "test")
    played = scoring.of_baseline(held, "base_stock", 1)
    figures = scoring.figures(held, played, None)
    assert (figures.scenarios, figures.only) == (4, held.first(1).labels())
    whole = outcome.scenario_set(alone, "test")
    assert figures.only[0].startswith("inventory K=3 T=6")
    again = scoring.figures(whole, scoring.of_baseline(whole, "base_stock", 1), None)
    assert again.only == ()
    everywhere = scoring.of_baseline(held, "random", 1)
    assert scoring.figures(held, everywhere, None).only == ()
    drop_M = everywhere.drop_M(played)  # paired on the scenarios that both played
    assert np.array_equal(drop_M, played.regret_M - everywhere.regret_M[[0, 2, 4, 6]])


def test_the_report_plays_what_the_table_does() -> None:
    run = config(STOCK, BANDIT)
    held = outcome.scenario_set(run, "test")
    ((_, sittings),) = players.baseline_plays(run, ["ucb1"])
    assert sorted({one.scenario for one in sittings}) == [1, 3, 5]
    regret = scoring.of_baseline(held, "ucb1", run.seed).regret_M
    told = players.figures.regret_by_scenario(sittings)
    assert np.allclose([told[number] for number in (1, 3, 5)], regret)


def test_a_named_baseline_must_fit_one_problem_at_least() -> None:
    outcome.check_baselines(config(STOCK, BANDIT, baselines=["ucb1", "base_stock"]))
    with pytest.raises(ConfigError, match="cannot play scenario 0, which has state"):
        outcome.check_baselines(config(STOCK, PRICES, baselines=["ucb1"]))
    with pytest.raises(ConfigError, match="unknown baseline 'ucbl'; did you mean 'ucb1'"):
        outcome.check_baselines(config(STOCK, BANDIT, baselines=["ucbl"]))


def wanted(path: Path, *names: str) -> ComparisonOptions:
    suite = path / "suite.toml"
    suite.write_text(
        'scenarios = 4\n[[problems]]\nenvironment = "bandit"\nK = 3\nT = 5\n'
        '[[problems]]\nenvironment = "inventory"\nK = 3\nT = 5\n'
    )
    return ComparisonOptions((), str(suite), "local", names or None, None, None, (), None)


def test_an_evaluation_takes_a_class_of_ones_own(tmp_path: Path) -> None:
    config = described(wanted(tmp_path, own("RoundRobin"), "base_stock"), tmp_path)
    assert config.baselines == (own("RoundRobin"), "base_stock")
    assert "base_stock" in described(wanted(tmp_path), tmp_path).baselines
    with pytest.raises(UsageError, match="'ucbl' is unknown; did you mean 'ucb1'"):
        described(wanted(tmp_path, "ucbl"), tmp_path)
    with pytest.raises(UsageError, match="'hedge' cannot play this suite; these can: base_stock"):
        described(wanted(tmp_path, "hedge"), tmp_path)
    with pytest.raises(ConfigError, match="has no 'Nobody'"):
        described(wanted(tmp_path, own("Nobody")), tmp_path)
    assert baselines.is_own(own("RoundRobin"))
