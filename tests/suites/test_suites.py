from pathlib import Path

import pytest

from rmft_api import suites
from rmft_api.core import resources
from rmft_api.core.errors import ConfigError
from rmft_api.prompts import load
from rmft_api.rollouts import preparation

MINE = """
about = "Mine."
scenarios = 3
[[problems]]
environment = "bandit"
K = 2
T = 4
"""


@pytest.mark.parametrize("name", suites.names())
def test_every_shipped_suite_can_be_told_whole(name: str) -> None:
    suite = suites.load(name)
    assert suite.about
    run = suite.as_run("told", None)
    prompts = load(run.prompts, [resources.prompts_dir()], run.stories)
    seats = list(preparation.prepared_scenarios(run, prompts, "test", 0))
    assert len(seats) == suite.scenarios
    assert all(seat.prompt_builder().messages() for seat in seats)


@pytest.mark.parametrize("name", suites.names())
def test_every_problem_of_a_shipped_suite_is_played(name: str) -> None:
    run = suites.load(name).as_run("told", None)
    assert len(preparation.problems_of(run, "test")) <= run.test.scenarios


def test_the_reference_suite_is_the_published_one() -> None:
    run = suites.load("k24").as_run("k24", None)
    found = {
        (problem.options["instance"], problem.K, problem.T)
        for problem in preparation.problems_of(run, "test")
    }
    assert found == {("hard", 5, 100), ("easy", 4, 100)}
    for scenario in preparation.scenarios(run, "test", 0):
        best, rest = (0.6, 0.4) if scenario.K == 5 else (0.75, 0.25)
        assert sorted(set(scenario.means[0].tolist())) == pytest.approx([rest, best])


def test_all_contexts_are_played_in_the_real_world_suite() -> None:
    run = suites.load("real-world").as_run("told", None)
    prompts = load(run.prompts, [resources.prompts_dir()], run.stories)
    problems = preparation.problems_of(run, "test")
    told = {
        preparation.wording_of(run, prompts, problems, "test", 0, i)
        for i in range(run.test.scenarios)
    }
    assert len(told) == len(prompts.contexts(["all"])) == 24


def test_a_suite_of_ones_own_is_a_file_and_can_be_changed(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(MINE)
    suite = suites.load(str(path), ("scenarios=9", "prompts.stakes=loss"))
    assert (suite.name, suite.scenarios, suite.prompts.stakes) == ("mine", 9, "loss")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scenarios = 3", "problems is missing"),
        (f"scenarioz = 1\n{MINE}", "unknown key 'scenarioz'.*'scenarios'"),
        (MINE.replace("scenarios = 3", "scenarios = 0"), "scenarios"),
        (MINE.replace("K = 2", "K = 1"), "leaves nothing to decide"),
        ("[", "mine.toml"),
    ],
)
def test_a_suite_that_cannot_be_followed_is_refused_in_one_line(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as raised:
        suites.load(str(path))
    assert "\n" not in str(raised.value)


def test_an_unknown_suite_is_answered_with_those_that_ship() -> None:
    with pytest.raises(ConfigError, match=r"no suite 'k25'; shipped: .*k24"):
        suites.load("k25")
    with pytest.raises(ConfigError, match=r"no file 'nowhere.toml'"):
        suites.load("nowhere.toml")
