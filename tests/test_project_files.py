"""The files of a project that people join: each says what is so."""

import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import yaml

from rmft_api import environments, testing
from rmft_api.baselines import game
from rmft_api.baselines.random_streams import RandomStreams
from rmft_api.core.records import Address, Round, Trajectory
from rmft_api.environments import ConcreteProblem

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
KINDS = {"markdown", "textarea", "input", "dropdown", "checkboxes"}
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")


def yaml_of(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text("utf-8"))


def recipe(target: str) -> list[str]:
    """The commands of a target of the Makefile."""
    text = (ROOT / "Makefile").read_text("utf-8").replace("$(BIN)", ".venv/bin")
    found = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", text, re.MULTILINE)
    assert found is not None
    return [line.strip() for line in found[1].splitlines()]


def example(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A code block of CONTRIBUTING, as the module that it is to be."""
    (block,) = re.findall(rf"```python\n# {name}\.py\n(.*?)```", CONTRIBUTING, re.DOTALL)
    module = ModuleType(name)
    monkeypatch.setitem(sys.modules, name, module)
    exec(compile(block, f"{name}.py", "exec"), module.__dict__)
    return module


def test_the_licence_is_the_one_that_is_declared() -> None:
    licence = (ROOT / "LICENSE").read_text("utf-8")
    assert licence.startswith(f"{PROJECT['license']} License\n")
    assert "rmft-api contributors" in licence
    assert PROJECT["license-files"] == ["LICENSE"]


def test_the_citation_is_of_this_version_and_of_the_paper() -> None:
    citation = yaml_of("CITATION.cff")
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    (paper,) = citation["references"]
    assert "2511.04393" in paper["url"]
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()


def test_the_changelog_has_this_version() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert PROJECT["version"] in headings
    kinds = re.findall(r"^### (.+)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert set(kinds) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_pre_commit_runs_the_gates_of_make_check() -> None:
    (repo,) = yaml_of(".pre-commit-config.yaml")["repos"]
    assert repo["repo"] == "local"
    assert [hook["entry"] for hook in repo["hooks"]] == recipe("check")
    for hook in repo["hooks"]:
        assert hook["language"] == "system"
        assert hook["pass_filenames"] is False
        assert hook["always_run"] is True


@pytest.mark.parametrize("form", [f for f in FORMS if f.stem != "config"], ids=lambda f: f.stem)
def test_an_issue_form_is_one_that_github_reads(form: Path) -> None:
    held = yaml_of(f".github/ISSUE_TEMPLATE/{form.name}")
    assert set(held) == {"name", "description", "labels", "body"}
    asked = [part for part in held["body"] if part["type"] != "markdown"]
    names = [part["id"] for part in asked]
    assert len(set(names)) == len(names) > 0
    assert {part["type"] for part in held["body"]} <= KINDS
    assert all(part["attributes"]["label"] for part in asked)
    assert any(part["validations"]["required"] for part in asked)
    for part in asked:
        options = part["attributes"].get("options", ["one"])
        assert all(isinstance(option, str) for option in options)
        assert (part["type"] == "dropdown") == ("options" in part["attributes"])


def test_there_is_a_form_for_each_kind_of_issue() -> None:
    assert {form.stem for form in FORMS} >= {"bug", "provider-report", "question"}


def test_the_table_of_rooms_names_every_room() -> None:
    table = CONTRIBUTING.partition("## Where things go")[2].partition("\n## ")[0]
    cells = " ".join(line.split("|")[1] for line in table.splitlines() if line.startswith("| `"))
    named = {name.rstrip("/") for name in re.findall(r"`([\w.]+/?)`", cells)}
    package = ROOT / "rmft_api"
    rooms = {path.parent.name for path in package.glob("*/__init__.py")}
    assert named == rooms | {"loop.py"}


def test_the_environment_of_the_page_keeps_its_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    contract = example("coins", monkeypatch).TestCoins()
    assert isinstance(contract, testing.EnvironmentContract)
    kept = [name for name in dir(contract) if name.startswith("test_")]
    for name in kept:
        getattr(contract, name)()
    assert len(kept) > 5


def test_the_baseline_of_the_page_plays(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = ConcreteProblem("bandit", 3, 9, {})
    scenarios = [environments.draw([problem], 0, "test", 0, i) for i in range(4)]
    known = game.table(scenarios, RandomStreams(0, "stubborn", range(4)))
    player = example("stubborn", monkeypatch).Stubborn(known)
    for scenario, play in zip(scenarios, game.run(player, scenarios, known), strict=True):
        leader = np.argmax(np.diag(scenario.rewards[:3]))
        assert play.actions_T.tolist() == [0, 1, 2, *[leader] * 6]


def test_the_output_format_of_the_page_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    played = Round(prompt=(), reply="b", status="read", action=1, policy=None, rewards=(0.0, 1.0))
    trajectory = Trajectory(Address("test", 0, 0, 0), "a-model", ("a", "b"), (played, played))
    written = example("markdown", monkeypatch).markdown([trajectory])
    assert written.decode().splitlines()[1:] == ["1. action 1", "2. action 1"]


def test_contributing_names_every_room_and_no_module_that_is_gone() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    package = ROOT / "rmft_api"
    rooms = {path.parent.name for path in package.glob("*/__init__.py")}
    assert [room for room in sorted(rooms) if f"`{room}/`" not in text] == []
    named = re.findall(r"`([a-z_]+/[a-z_]+\.py)`", text)
    assert len(named) > 10
    assert [one for one in named if not (package / one).exists()] == []
