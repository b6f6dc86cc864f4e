"""A key's old name is answered with the new one, and a journal that has it still opens."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rmft_api.config import renamed_keys, schema
from rmft_api.core.errors import ConfigError
from rmft_api.journal import Journal
from rmft_api.session.recorded_config import recorded_config
from rmft_api.session.run_identity import refuse_changes

OLD = """
[model]
base = "rmft-tiny"
[prompts]
set = "compact"
scenario = ["buttons", "doors"]
[rollouts]
scenarios = 4
concurrency = 8
transport = "direct"
[[rollouts.problems]]
environment = "bandit"
context = "medicine"
[selection]
floor = 1
valid = 0.9
form = "realised"
[[test.problems]]
environment = "logged"
options = { path = "log.csv" }
"""
NEW = """
[model]
base = "rmft-tiny"
[prompts]
set = "compact"
story = ["buttons", "doors"]
[requests]
concurrency = 8
transport = "direct"
[rollouts]
scenarios = 4
[[rollouts.problems]]
environment = "bandit"
story = "medicine"
[selection]
min_pulls = 1
min_valid = 0.9
regret_form = "realised"
[[test.problems]]
environment = "table"
options = { path = "log.csv" }
"""
SHORT = """
[model]
base = "rmft-tiny"
[prompts]
set = "compact"
[[rollouts.problems]]
environment = "bandit"
K = 2
T = 5
"""
SAID = (
    'prompts.scenario is now prompts.story: write story = ["buttons", "doors"] in [prompts]',
    "selection.floor is now selection.min_pulls: write min_pulls = 1 in [selection]",
    "selection.valid is now selection.min_valid: write min_valid = 0.9 in [selection]",
    'selection.form is now selection.regret_form: write regret_form = "realised" in [selection]',
    "rollouts.concurrency is now requests.concurrency: write concurrency = 8 in [requests]",
    'rollouts.transport is now requests.transport: write transport = "direct" in [requests]',
    "rollouts.problems.context is now rollouts.problems.story: "
    'write story = "medicine" in [[rollouts.problems]]',
    'environment = "logged" is now environment = "table"',
)


def written(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


def begun(path: Path, directory: Path) -> Journal:
    """A run as an earlier version recorded it: every key that it had, by the names it had."""
    raw: dict[str, Any] = schema.load(written(path, NEW)).model_dump(mode="json")
    requests, selection = raw.pop("requests"), raw["selection"]
    raw["rollouts"] |= requests
    raw["prompts"]["scenario"] = raw["prompts"].pop("story")
    for new, old in {"min_pulls": "floor", "min_valid": "valid", "regret_form": "form"}.items():
        selection[old] = selection.pop(new)
    for section in ("rollouts", "test"):
        for problem in raw[section]["problems"]:
            problem["context"] = problem.pop("story")
    raw["test"]["problems"][0]["environment"] = "logged"
    file = json.dumps(schema.read(written(path, OLD)), sort_keys=True)
    provenance = {"source": str(path), "file": file, "prompts": ""}
    return Journal.create(directory, json.dumps(raw), provenance)


def test_every_old_name_is_understood_and_answered_with_what_to_write(tmp_path: Path) -> None:
    with pytest.warns(FutureWarning) as warned:
        old = schema.load(written(tmp_path / "old.toml", OLD))
    (one,) = warned
    assert str(one.message) == f"{tmp_path / 'old.toml'}: {'; '.join(SAID)}"
    assert old == schema.load(written(tmp_path / "old.toml", NEW))


def test_a_key_under_both_names_is_refused(tmp_path: Path) -> None:
    both = NEW.replace("min_pulls = 1", "min_pulls = 1\nfloor = 2")
    with pytest.raises(ConfigError, match=r"leave out selection\.floor"):
        schema.load(written(tmp_path / "both.toml", both))


def test_the_command_line_says_it_once(tmp_path: Path) -> None:
    file = written(tmp_path / "old.toml", SHORT + "[selection]\nfloor = 1\n")
    command = [sys.executable, "-m", "rmft_api", "plan", str(file), "--runs", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("rmft-api: warning: ") == 1
    assert "write min_pulls = 1 in [selection]" in ended.stderr


def test_what_is_advised_is_taken_and_means_the_same(tmp_path: Path) -> None:
    new = schema.load(written(tmp_path / "new.toml", NEW))
    assert renamed_keys.translated(schema.read(written(tmp_path / "old.toml", OLD))) == schema.read(
        tmp_path / "new.toml"
    )
    assert (new.requests.concurrency, new.selection.min_pulls) == (8, 1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("selection.floor=2", "write min_pulls = 2 in [selection]"),
        ("prompts.scenario=doors", 'write story = "doors" in [prompts]'),
        ("rollouts.problems.context=all", 'write story = "all" in [[rollouts.problems]]'),
        ("rollouts.problems.environment=logged", 'is now environment = "table"'),
    ],
)
def test_an_old_name_on_the_command_line_is_answered_too(
    tmp_path: Path, change: str, says: str
) -> None:
    bare = written(tmp_path / "bare.toml", SHORT)
    with pytest.warns(FutureWarning) as warned:
        schema.load(bare, [change])
    assert says in str(warned[0].message)


def test_a_journal_with_old_names_opens_and_goes_on_under_either_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    journal = begun(path, tmp_path / "mine")
    try:
        refuse_changes(journal)  # the file has its old names still
        written(path, NEW)
        refuse_changes(journal)
        assert recorded_config(journal) == schema.load(path)
        written(path, NEW.replace("min_pulls = 1", "min_pulls = 2"))
        with pytest.raises(ConfigError, match=r"selection\.min_pulls: 1 -> 2"):
            refuse_changes(journal)
    finally:
        journal.close()


def test_the_problems_that_a_contestant_was_trained_on_keep_up_with_the_names() -> None:
    raw: dict[str, Any] = {
        "run": {"prompts": {"scenario": "doors"}},
        "players": [{"trained": {"problem": ["logged", "bandit gap 0.2"]}}, {"trained": None}],
    }
    new = renamed_keys.translated_comparison(raw)
    assert new["run"] == {"prompts": {"story": "doors"}}
    assert new["players"][0]["trained"]["problem"] == ["table", "bandit gap 0.2"]
