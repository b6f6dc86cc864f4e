"""Selection rules of one's own."""

from typing import Any

import numpy as np
import pytest

from rmft_api.config.schema import SelectionConfig
from rmft_api.core.errors import ConfigError, DataError
from rmft_api.core.records import Address, Regrets, Scored
from rmft_api.evaluation import outcome
from rmft_api.selection import ranking
from rmft_api.session.prepare import prepare
from rmft_api.testing import SelectionContract
from tests import loop_world


def even(one: Scored) -> float:
    """Regret, and a little for actions that were tried unevenly."""
    return one.regret + 0.1 * (max(one.pulls) - min(one.pulls))


def nothing(one: Scored) -> None:
    return None


def broken(one: Scored) -> float:
    raise KeyError("regret")


class TestEven(SelectionContract):
    rule = f"{__name__}:even"


def of_numpy(one: Scored) -> Any:
    return np.float32(one.regret)


def fragile(one: Scored) -> float:
    """Good for any play that was read."""
    return 1 / one.valid


def scored(trajectory: int, regret: float, pulls: tuple[int, ...]) -> Scored:
    address = Address("train", 1, 0, trajectory)
    return Scored(address, "pseudo", Regrets(*(regret,) * 6), 0.5, pulls, 1.0)


def config(rule: str) -> SelectionConfig:
    return SelectionConfig(k=1, rank_by=f"{__name__}:{rule}")


def test_an_own_rule_decides_what_is_kept() -> None:
    plays = [scored(0, 1.0, (10, 0)), scored(1, 1.5, (5, 5))]
    verdicts = ranking.rank(plays, config("even"), 1, 1)
    assert [one.kept for one in verdicts] == [False, True]
    assert [one.cost for one in verdicts] == pytest.approx([2.0, 1.5])


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("nothing", r"nothing returned None for .*; a finite number expected"),
        ("broken", r"broken raised KeyError: 'regret' for "),
    ],
)
def test_a_breach_names_the_rule_and_what_it_returned(rule: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        ranking.rank([scored(0, 1.0, (1, 1))], config(rule), 1, 1)


def test_numbers_of_numpy_are_numbers() -> None:
    assert ranking.rank([scored(0, 1.5, (1, 1))], config("of_numpy"), 1, 1)[0].cost == 1.5


@pytest.mark.parametrize(
    ("rule", "says"),
    [("nothing", "nothing returned None"), ("fragile", "fragile raised ZeroDivisionError")],
)
def test_a_rule_is_tried_before_anything_is_paid_for(rule: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        prepare(loop_world.config(selection={"k": 1, "rank_by": f"{__name__}:{rule}"}))
    outcome.check_selection_rule(
        loop_world.config(selection={"k": 1, "rank_by": f"{__name__}:even"})
    )


def test_a_rule_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"selection rule .* has no 'nobody'"):
        ranking.own_rule(config("nobody"), None)
