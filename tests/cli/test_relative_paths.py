"""What a run file names relatively lies beside it, whatever folder a command is given in."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rmft_api import environments, suites
from rmft_api.config import grid
from rmft_api.config import schema as configs
from rmft_api.config.schema import RunConfig
from rmft_api.core import resources
from rmft_api.core.errors import ConfigError
from rmft_api.environments.loading import imported
from rmft_api.evaluation.outcome import changed_files
from rmft_api.journal import Journal
from rmft_api.prompts import of_run
from rmft_api.rollouts import preparation
from rmft_api.session.recorded_config import kept_origin, recorded_config

OWN = """
from pathlib import Path
import numpy as np
from rmft_api.environments import Scenario

class Mine:
    NUMBER = {number}

    def __init__(self, K, T, table):
        self.K, self.T, self.rows = K, T, Path(table).read_text().splitlines()

    def draw(self, rng):
        means = np.full((self.T, self.K), self.NUMBER * len(self.rows) / 100)
        return Scenario(rewards=means, means=means, feedback="bandit", regret="pseudo")
"""
RUN = """
[model]
base = "rmft-tiny"
[prompts]
set = "{words}"
story = "visits"
[sampling]
max_tokens = 24
[rollouts]
scenarios = 2
trajectories = 5
[[rollouts.problems]]
environment = "{environment}"
K = 3
T = 4
options = {options}
"""
LOGGED = {"environment": "table", "options": '{ path = "data/visits.csv" }'}
CLASS = {"environment": "own_problem:Mine", "options": '{ table = "data/visits.csv" }'}


def project(folder: Path, number: float = 0.5) -> Path:
    """A run file of each kind, its data, its class and its words; where others have theirs."""
    (folder / "data").mkdir(parents=True)
    rows = "".join(f"{i % 2},{number},1\n" for i in range(60))
    (folder / "data" / "visits.csv").write_text(f"reward_mail,reward_call,reward_visit\n{rows}")
    (folder / "own_problem.py").write_text(OWN.format(number=number))
    words = folder / "my-words"
    shutil.copytree(resources.prompts_dir() / "compact", words)
    story = words / "scenarios" / "visits"
    shutil.copytree(words / "scenarios" / "buttons", story)
    (story / "actions.txt").write_text(f"mail{number:g}\ncall\nvisit\n")
    for name, kind in (("file", LOGGED), ("class", CLASS)):
        (folder / f"{name}.toml").write_text(RUN.format(words="my-words", **kind))
    return folder


@pytest.fixture
def decoy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder that has the same names with something else in them."""
    folder = project(tmp_path / "decoy", 0.25)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return folder


def numbers(config: RunConfig) -> set[float]:
    return {
        round(float(x), 6) for s in preparation.scenarios(config, "test", 0) for x in s.rewards.flat
    }


def names(config: RunConfig) -> tuple[str, ...]:
    return of_run(config).names("visits", 3)


@pytest.mark.usefixtures("decoy")
def test_data_classes_and_words_are_those_beside_the_run_file(tmp_path: Path) -> None:
    own = project(tmp_path / "own")
    file, class_ = configs.load(own / "file.toml"), configs.load(own / "class.toml")
    assert 0.5 in numbers(file)
    assert numbers(class_) == {0.305}  # 61 lines x 0.5 / 100
    assert names(file) == ("mail0.5", "call", "visit")


def test_two_folders_may_have_a_module_of_one_name(tmp_path: Path, decoy: Path) -> None:
    own = project(tmp_path / "own")
    for _ in range(2):
        assert imported("class", "own_problem:Mine", own).NUMBER == 0.5
        assert imported("class", "own_problem:Mine", decoy).NUMBER == 0.25


def test_what_is_typed_at_the_command_line_starts_at_the_working_folder(
    tmp_path: Path, decoy: Path
) -> None:
    own = project(tmp_path / "own")
    problems = "[{ environment = 'table', T = 4, options = { path = 'data/visits.csv' } }]"
    typed = ["prompts.set=./my-words", f"rollouts.problems={problems}"]
    config = configs.load(own / "file.toml", typed)
    assert 0.25 in numbers(config)
    assert names(config) == ("mail0.25", "call", "visit")
    assert Path(config.prompts.set) == decoy / "my-words"


@pytest.mark.usefixtures("decoy")
def test_a_suite_and_a_grid_find_theirs_too(tmp_path: Path) -> None:
    own = project(tmp_path / "own")
    (own / "suite.toml").write_text(
        f"scenarios = 3\n[prompts]\nset = 'my-words'\nstory = 'visits'\n"
        f"[[problems]]\nenvironment = 'table'\nT = 4\noptions = {LOGGED['options']}\n"
    )
    run = suites.load(str(own / "suite.toml")).as_run("it", None)
    assert 0.5 in numbers(run)
    assert names(run)[0] == "mail0.5"
    (own / "grids").mkdir()
    (own / "grids" / "grid.toml").write_text('base = "../class.toml"\n[[cell]]\nname = "one"\n')
    path = own / "grids" / "grid.toml"
    assert numbers(next(iter(grid.grid_runs(path, grid.load(path)))).config) == {0.305}


@pytest.mark.usefixtures("decoy")
@pytest.mark.parametrize("kind", ["file", "class"])
def test_a_run_finds_its_files_again_from_anywhere_and_after_a_move(
    tmp_path: Path, kind: str
) -> None:
    own = project(tmp_path / "own")
    config = configs.load(own / f"{kind}.toml")
    directory = own / "runs" / kind
    Journal.create(directory, config.model_dump_json(), kept_origin(config, directory)).close()
    before = numbers(config), names(config)
    for place in (own, tmp_path / "moved"):
        if place != own:
            own.rename(place)
        journal = Journal.read(place / "runs" / kind)
        again = recorded_config(journal)
        journal.close()
        assert again == config
        assert (numbers(again), names(again)) == before


@pytest.mark.usefixtures("decoy")
def test_a_file_that_holds_other_rows_since_is_noticed(tmp_path: Path) -> None:
    own = project(tmp_path / "own")
    config, directory = configs.load(own / "file.toml"), own / "runs" / "file"
    Journal.create(directory, config.model_dump_json(), kept_origin(config, directory)).close()
    journal = Journal.read(directory)
    assert changed_files(recorded_config(journal), journal) == []
    with (own / "data" / "visits.csv").open("a") as file:
        file.write("0,0,0\n")
    assert changed_files(recorded_config(journal), journal) == ["data/visits.csv"]
    journal.close()


def test_a_run_of_an_earlier_version_looks_in_the_working_folder_as_it_did(
    tmp_path: Path, decoy: Path
) -> None:
    config, directory = configs.load(decoy / "file.toml"), tmp_path / "runs" / "file"
    Journal.create(directory, config.model_dump_json(), {"rmft_api": "0"}).close()
    journal = Journal.read(directory)
    old = recorded_config(journal)
    journal.close()
    assert (old.origin.folder, old.origin.rules) == (decoy, 1)
    assert preparation.divisions(old) == (preparation.SHARED,)
    assert old == config


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('set = "my-words"', 'set = "no-words"'),
        ("data/visits.csv", "data/none.csv"),
        ('environment = "table"', 'environment = "no_module:Mine"'),
    ],
)
def test_what_is_not_there_is_refused_in_a_line_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, after: str
) -> None:
    own = project(tmp_path / "own")
    monkeypatch.chdir(tmp_path)
    text = (own / "file.toml").read_text()
    assert before in text
    (own / "file.toml").write_text(text.replace(before, after))
    config = configs.load(own / "file.toml")
    named = after.partition("= ")[2].strip('"') or after
    with pytest.raises(ConfigError, match=named) as raised:
        preparation.problems_of(config, "test")
        of_run(config)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("kind", ["file", "class"])
def test_plan_and_doctor_look_beside_the_run_file(tmp_path: Path, kind: str) -> None:
    own = project(tmp_path / "own")
    (tmp_path / "elsewhere").mkdir()
    for command in ("plan", "doctor"):
        ended = subprocess.run(
            [sys.executable, "-m", "rmft_api", command, str(own / f"{kind}.toml")],
            cwd=tmp_path / "elsewhere",
            env={**os.environ, "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert "Traceback" not in ended.stderr
        assert ended.returncode == 0 or command == "doctor", ended.stderr
        divided = "60 rows divided at random (split_seed = 0): 36 train, 12 validation, 12 test"
        assert (divided in ended.stdout) == (kind == "file"), ended.stdout


def test_files_of_rows_are_known_by_what_they_hold(tmp_path: Path) -> None:
    own = project(tmp_path / "own")
    config = configs.load(own / "file.toml")
    assert list(preparation.files(config)) == ["data/visits.csv"]
    assert (
        environments.files(preparation.problems_of(configs.load(own / "class.toml"), "test")) == {}
    )
