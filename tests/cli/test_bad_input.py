"""What a user typed wrong ends in one line, the right exit code, and nothing begun."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SMALL = """
[model]
base = "rmft-tiny"
[prompts]
set = "compact"
[rollouts]
problems = [{ environment = "bandit" }]
"""


def rmft(folder: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "rmft_api", *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def refused(code: int, folder: Path, *arguments: str, **environment: str) -> str:
    """The one line on stderr of a command that must end with `code` and begin no run."""
    ended = rmft(folder, *arguments, **environment)
    assert (ended.returncode, ended.stdout) == (code, ""), ended.stderr
    assert ended.stderr.startswith("rmft-api: ")
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert not (folder / "runs").exists()
    return ended.stderr


@pytest.fixture
def run_file(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    return path


def test_batches_where_the_endpoint_has_none_are_refused_with_the_way_out(
    tmp_path: Path, run_file: Path
) -> None:
    told = refused(
        *(78, tmp_path, "run", run_file.name, "--accept-shutdown", "--budget", "1"),
        *("--set", "model.profile=openai-compatible", "--set", "model.training_profile=local"),
        *("--set", "requests.transport=batch"),
    )
    assert "answers no batches" in told
    assert "requests.transport = 'direct'" in told


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("rum",), "run"),
        (("run", "--nope"), "--nope"),
        (("run", "--budget", "much"), "number"),
        (("status", "nobody"), "no run 'nobody'"),
        (("resume", "../../etc"), "is not a valid run name"),
        (("resume",), "'RUN'; `rmft-api status` lists the runs"),
        (("export", "nobody"), "'PATH'"),
        (
            ("serve", "--port", "99999"),
            "65535 (got '99999')",
        ),
        (("run", "--budget=much"), "(got 'much')"),
        (("run", "--json"), "need --dry-run"),
        (("plan", "--bugdet", "3"), "--budget"),
        (("report", "nobody"), "no run 'nobody'"),
    ],
    ids=str,
)
def test_a_command_that_cannot_be_followed_is_a_usage_error(
    tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    assert says in refused(64, tmp_path, *arguments)


def test_no_command_at_all_is_answered_with_all_of_them(tmp_path: Path) -> None:
    shown = rmft(tmp_path)
    assert (shown.returncode, shown.stderr) == (0, "")
    commands = shown.stdout.partition("Commands:")[2]
    assert "\n  make-checkpoint  " in commands
    assert "..." not in commands


def test_a_folder_without_runs_says_how_one_begins(tmp_path: Path) -> None:
    shown = rmft(tmp_path, "status")
    assert (shown.returncode, shown.stdout) == (0, "")
    assert "`rmft-api run` starts one" in shown.stderr


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("rolouts.scenarios=3", "did you mean 'rollouts.scenarios'"),
        ("selection.k=16", "must be below"),
        ("prompts.story=casino", "casino"),
        ("prompts.set=nowhere", "nowhere"),
        ("prompts.set=standard", "512 are allowed for 'rmft-tiny'"),
        ("model.base=rmft-transfromer", "did you mean 'rmft-transformer'"),
        ("model.base=gpt-4o", "model.profile"),
        ("model.profile=opanai", "did you mean 'openai'"),
        ("rollouts.problems=[{environment='bandit', K=1}]", "K=1"),
        ("rollouts.problems=[{environment='bandit', T=0}]", "T=0"),
        ("rollouts.problems=[{environment='bandits'}]", "bandit"),
        ("rollouts.problems=[{environment='bandit', options={reward='normal'}}]", "normal"),
        ("rollouts.problems=[{environment='bandit', K=[]}]", "an empty list has nothing"),
        ("rollouts.problems=[{environment='bandit', K='3'}]", "K must be a whole number (got '3')"),
        ("rollouts.problems=[{environment='bandit', k=3}]", "did you mean 'rollouts.problems.K'"),
        ("rollouts.problems=[{environment='bandit', T=100000000}]", "T <= 10000"),
        ("rollouts.problems=[{environment='bandit', options={reward=[]}}]", "reward = []"),
        ("rollouts.problems=3", "rollouts.problems must be a list (got 3)"),
        ("rollouts.scenarios=1000000000", "at most 100000"),
        ("iterations=true", "iterations must be a whole number (got True)"),
        ("model=rmft-tiny", "model must be a section"),
        ("sampling.temperature=hot", "temperature must be a number (got 'hot')"),
        ("name=../x", "name="),
    ],
)
def test_a_run_file_that_cannot_be_followed_is_a_config_error(
    run_file: Path, change: str, says: str
) -> None:
    assert says in refused(78, run_file.parent, "run", str(run_file), "--set", change)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "model is missing"),
        (SMALL.encode("utf-16"), "save it as UTF-8"),
        (b"[model\n", "is no TOML: "),
        (None, "no run file 'typed.toml'; shipped run files: "),
    ],
    ids=["empty", "UTF-16", "no TOML", "no file"],
)
def test_a_file_that_is_no_run_file_is_told_from_others(
    tmp_path: Path, content: bytes | None, says: str
) -> None:
    if content is not None:
        (tmp_path / "typed.toml").write_bytes(content)
    assert says in refused(78, tmp_path, "run", "typed.toml")


@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_teacher_that_nobody_knows_is_refused(run_file: Path, command: str) -> None:
    change = ("--set", "teacher.algorithm=ucb2")
    assert "unknown baseline 'ucb2'; did you mean" in refused(
        78, run_file.parent, command, str(run_file), *change
    )


def test_a_folder_is_no_run_file(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").mkdir()
    for name in (".", "mine"):
        assert f"no run file {name!r}" in refused(78, tmp_path, "run", name)


@pytest.mark.parametrize("name", ["mit Bom.toml", "größe.toml"])
def test_what_editors_do_to_a_file_does_not_matter(tmp_path: Path, name: str) -> None:
    text = SMALL.replace("\n", "\r\n").encode("utf-8-sig")
    (tmp_path / name).write_bytes(text)
    ended = rmft(tmp_path, "plan", name, LANG="C", LC_ALL="C")
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_paid_run_without_a_key_or_a_budget_is_refused(run_file: Path) -> None:
    model = ("--set", "model.profile=openai", "--set", "model.base=gpt-4o-mini-2024-07-18")
    told = refused(78, run_file.parent, "run", str(run_file), *model, OPENAI_API_KEY="")
    assert "OPENAI_API_KEY" in told
    told = refused(78, run_file.parent, "run", str(run_file), *model, OPENAI_API_KEY="sk-canary")
    assert "--budget" in told
    assert "sk-canary" not in told


def test_a_paid_model_without_a_known_price_is_refused(run_file: Path) -> None:
    model = ("--set", "model.profile=openai", "--set", "model.base=gpt-99")
    told = refused(78, run_file.parent, "run", str(run_file), *model, OPENAI_API_KEY="sk-x")
    assert "no price is known for 'gpt-99'" in told


def test_a_template_that_asks_for_an_unknown_field_is_refused(run_file: Path) -> None:
    folder = run_file.parent / "mine"
    source = Path(__file__).parents[2] / "prompts" / "compact"
    for file in source.rglob("*.*"):
        copy = folder / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())
    (folder / "user.md").write_text("Round $round. $history $weather")
    change = ("--set", f"prompts.set={folder}")
    ended = rmft(run_file.parent, "run", str(run_file), *change)
    assert ended.returncode in (65, 78)
    assert "weather" in ended.stderr
    assert "user.md" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_run_that_was_killed_before_it_began_can_be_begun(run_file: Path) -> None:
    folder = run_file.parent
    crash = {"RMFT_CRASH_AT": "run.creating:1:KILL"}
    assert rmft(folder, "run", str(run_file), **crash).returncode == -9
    again = rmft(folder, "run", str(run_file), RMFT_CRASH_AT="journal.commit:1:KILL")
    assert again.returncode == -9, again.stderr  # it got as far as having begun
    existing = rmft(folder, "run", str(run_file))
    assert existing.returncode == 64
    assert "rmft-api resume small" in existing.stderr


def test_a_run_that_exists_with_other_settings_names_what_differs(run_file: Path) -> None:
    folder = run_file.parent
    assert (
        rmft(folder, "run", str(run_file), RMFT_CRASH_AT="journal.commit:1:KILL").returncode == -9
    )
    other = rmft(folder, "run", str(run_file), "--set", "seed=7")
    assert other.returncode == 78
    assert "seed: 0 -> 7" in other.stderr


def test_a_run_file_that_changed_since_the_run_began_stops_its_resume(run_file: Path) -> None:
    folder = run_file.parent
    assert (
        rmft(folder, "run", str(run_file), RMFT_CRASH_AT="journal.commit:1:KILL").returncode == -9
    )
    run_file.write_text("iterations = 5\n" + SMALL)
    stopped = rmft(folder, "resume", "small")
    assert stopped.returncode == 78
    assert "iterations: None -> 5" in stopped.stderr
    assert "--as-recorded" in stopped.stderr


def test_without_the_local_extra_the_embedded_run_names_what_to_install(run_file: Path) -> None:
    hide = run_file.parent / "hidden"
    hide.mkdir()
    (hide / "sitecustomize.py").write_text(
        "import importlib.util as u\n"
        "found = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'torch' else found(name, *a)\n"
    )
    told = refused(78, run_file.parent, "run", str(run_file), PYTHONPATH=str(hide))
    assert "pip install 'rmft-api[local]'" in told


def test_an_option_that_was_renamed_names_the_new_one(tmp_path: Path) -> None:
    told = refused(64, tmp_path, "make-checkpoint", "tiny", "--lessons", "40")
    assert told == "rmft-api: --lessons is now --steps; give --steps 40\n"
