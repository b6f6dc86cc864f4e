"""`rmft-api preview` shows what a run sends, and reads replies as a run does."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import rmft_api
from rmft_api.cli.main import app
from rmft_api.config import schema
from rmft_api.core.errors import DataError, UsageError
from rmft_api.prompts import of_run
from rmft_api.rollouts import preparation

FILE = """
[model]
base = "gpt-4.1-mini-2025-04-14"
profile = "openai"
[prompts]
story = "buttons"
output = "distribution"
examples = 1
[rollouts]
scenarios = 2
trajectories = 8
[[rollouts.problems]]
environment = "bandit"
K = 3
T = 9
"""


def invoke(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    path = tmp_path / "mine.toml"
    path.write_text(FILE)
    return path


def test_the_first_round_is_the_one_that_the_run_will_send(file: Path) -> None:
    config = schema.load(file)
    seat = next(preparation.prepared_scenarios(config, of_run(config), "train", 1))
    shown = rmft_api.preview(file, rounds=[1])
    (one,) = shown.rounds
    assert one.messages == seat.prompt_builder().messages()
    assert shown.record.tokens_exact
    assert one.cost_usd is not None
    tokens = one.prompt_tokens * 0.4 + one.reply_tokens * 1.6  # dollars per million
    assert one.cost_usd == pytest.approx(tokens / 1e6, abs=2e-6)


def test_first_middle_and_last_are_shown_without_a_key_and_nothing_is_written(file: Path) -> None:
    before = set(file.parent.iterdir())
    result = invoke("preview", str(file))
    assert result.exit_code == 0
    for number in (1, 5, 9):
        assert f"round {number}: " in result.stdout
        assert f"round {number} of 9" in result.stdout
    assert set(file.parent.iterdir()) == before


def test_a_preview_for_programs_has_the_same_rounds(file: Path) -> None:
    out = invoke("preview", str(file), "--json", "--round", "2", "--split", "test").stdout
    shown = json.loads(out)
    assert [one["round"] for one in shown["rounds"]] == [2]
    assert shown["split"] == "test"
    assert shown["rounds"][0]["messages"][0]["role"] == "system"


def test_replies_are_read_as_the_run_reads_them(file: Path) -> None:
    replies = ["<Answer>blue:3,red:1</Answer>", "I take blue."]
    read, unread = rmft_api.preview(file, replies=replies).replies
    assert read.policy == {"blue": 0.75, "green": 0.0, "red": 0.25}
    assert read.action is None
    assert unread.policy is None
    assert "there is no <Answer>" in unread.why
    said = str(rmft_api.preview(file, {"prompts.output": "action"}, replies=replies[1:]))
    assert "cannot be read (unreadable): there is no <Answer>" in said
    named = rmft_api.preview(file, {"prompts.output": "action"}, replies=["<Answer>red</Answer>"])
    assert "is read as the action red" in str(named)


def test_what_a_run_does_not_have_is_refused_in_one_line(file: Path) -> None:
    with pytest.raises(UsageError, match="no round 10: the scenario has rounds 1 to 9"):
        rmft_api.preview(file, rounds=[10])
    with pytest.raises(UsageError, match="no scenario 2: split 'train' has 2, numbered 0 to 1"):
        rmft_api.preview(file, scenario=2)
    (file.parent / "rounds.jsonl").write_text("{")
    with pytest.raises(DataError, match="line 1"):
        rmft_api.preview(file, {"prompts.examples_file": "rounds.jsonl"})


async def test_a_preview_works_inside_an_event_loop(file: Path) -> None:
    assert len((await rmft_api.apreview(file)).rounds) == 3
    assert len(rmft_api.preview(file).rounds) == 3
