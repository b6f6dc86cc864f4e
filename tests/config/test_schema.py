"""A run file is closed: what it cannot mean is refused in one line that names the way out."""

import datetime
import math
from pathlib import Path
from typing import Any

import pytest

from rmft_api.config import schema
from rmft_api.core import resources
from rmft_api.core.errors import ConfigError

SMALL: dict[str, Any] = {
    "name": "small",
    "model": {"base": "rmft-tiny"},
    "rollouts": {"problems": [{"environment": "bandit"}]},
}


def refusal(**changes: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        schema.parse({**SMALL, **changes}, "small.toml")
    message = str(caught.value)
    assert "\n" not in message
    return message


SHIPPED = sorted(
    path
    for path in resources.run_files_dir().glob("*.toml")
    if "[[cell]]" not in path.read_text("utf-8")  # a grid is no run
)


@pytest.mark.parametrize("path", SHIPPED, ids=str)
def test_every_shipped_run_file_can_be_followed(path: Path) -> None:
    assert schema.load(path).name == path.stem.replace(".", "-")


def test_an_unknown_key_is_refused_with_the_nearest_known_one() -> None:
    assert "did you mean 'iterations'?" in refusal(iteratoins=3)
    assert "did you mean 'finetuning.n_epochs'?" in refusal(finetuning={"n_epoch": 3})


def test_a_key_in_the_wrong_section_is_found_in_its_own() -> None:
    assert "did you mean 'selection.k'?" in refusal(k=3)


def test_keeping_every_trajectory_is_refused() -> None:
    assert "selection.k=16 must be below rollouts.trajectories=16" in refusal(selection={"k": 16})


@pytest.mark.parametrize(("key", "value"), [("K", 1), ("K", [3, 1]), ("T", 0)])
def test_a_problem_without_decisions_is_refused(key: str, value: object) -> None:
    problems = [{"environment": "bandit", key: value}]
    assert f"{key}={1 if key == 'K' else 0}" in refusal(rollouts={"problems": problems})


def test_a_number_that_is_not_finite_is_refused() -> None:
    assert "finite" in refusal(sampling={"temperature": float("nan")})


@pytest.mark.parametrize(
    "value", [math.inf, -math.inf, math.nan, [0.5, math.inf], datetime.date(2026, 1, 2)]
)
def test_an_option_that_the_journal_could_not_keep_is_refused(value: object) -> None:
    problem = {"environment": "mine:Mine", "options": {"cap": value}}
    said = refusal(rollouts={"problems": [problem]})
    assert "cap = " in said
    assert "write" in said


@pytest.mark.parametrize("name", ["../escape", "Run", "", "a" * 65, "a/b", "-x"])
def test_a_name_that_could_leave_the_runs_folder_is_refused(name: str) -> None:
    assert "name=" in refusal(name=name)


def test_a_trajectory_example_needs_a_chat_that_grows() -> None:
    assert "multi_turn" in refusal(dataset={"example": "trajectory"})


def test_an_override_changes_one_key_and_is_typed_as_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    path.write_text('[model]\nbase = "m"\n[[rollouts.problems]]\nenvironment = "bandit"\n')
    loaded = schema.load(path, ["rollouts.scenarios=8", "model.base=other", "name=renamed"])
    assert (loaded.rollouts.scenarios, loaded.model.base, loaded.name) == (8, "other", "renamed")


@pytest.mark.parametrize("override", ["iterations", "=3", "iterations.x=3"])
def test_an_override_that_names_no_key_is_refused(tmp_path: Path, override: str) -> None:
    path = tmp_path / "small.toml"
    path.write_text("iterations = 2\n")
    with pytest.raises(ConfigError):
        schema.load(path, [override])


def test_a_missing_file_and_broken_toml_are_one_line_each(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no file"):
        schema.load(tmp_path / "none.toml")
    (tmp_path / "broken.toml").write_text("a = \n")
    with pytest.raises(ConfigError, match=r"broken\.toml"):
        schema.load(tmp_path / "broken.toml")


def test_differences_are_named_with_both_values() -> None:
    old, new = {"a": {"b": 1, "c": 2}}, {"a": {"b": 3, "c": 2}}
    assert schema.differences(old, new) == ["a.b: 1 -> 3"]


@pytest.mark.parametrize("split", ["validation", "test"])
def test_the_number_of_scenarios_has_one_default_whatever_else_its_section_says(split: str) -> None:
    absent = schema.parse(SMALL, "small.toml").model_dump()[split]["scenarios"]
    partly = schema.parse({**SMALL, split: {"trajectories": 2}}, "small.toml")
    assert partly.model_dump()[split]["scenarios"] == absent
    assert absent == {"validation": 48, "test": 96}[split]
