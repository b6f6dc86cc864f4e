"""However a run is stopped: the right exit code, one way on, nothing said is forgotten."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.faults.world import NAME, QUICK, Said, World, build

FAILED = {"script": "job_failed_server", "endpoint": "job_create", "nth": 1}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = build(tmp_path / "world", QUICK)
    yield world
    world.provider.stop()


def said(world: World, *arguments: str, crash_at: str = "") -> Said:
    environ: Mapping[str, str] = {"RMFT_CRASH_AT": crash_at} if crash_at else {}
    return world.process(*arguments, environ=environ).start().finish(60)


@pytest.mark.parametrize(
    ("crash_at", "code"),
    [
        ("run.locked:1:TERM", 143),
        ("run.creating:1:INT", 130),
        ("journal.commit:1:TERM", 143),
        ("status.drafted:1:HUP", 129),
        ("call.reserved:3:TERM", 143),
    ],
)
def test_a_signal_at_any_moment_ends_in_its_code_and_the_way_on(
    world: World, crash_at: str, code: int
) -> None:
    ended = said(world, "run", f"{NAME}.toml", crash_at=crash_at)
    assert ended.code == code, ended.stderr
    assert "rmft-api resume" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_signal_after_the_last_result_changes_nothing(world: World) -> None:
    ended = said(world, "run", f"{NAME}.toml", crash_at="results.saved:1:TERM")
    assert "Traceback" not in ended.stderr
    assert said(world, "resume", NAME, crash_at="status.replaced:1:INT").code in (0, 130)
    assert said(world, "resume", NAME).code == 0


def test_a_raised_budget_is_remembered_by_the_next_resume(world: World) -> None:
    assert said(world, "run", f"{NAME}.toml", "--budget", "0.01").code == 75
    assert said(world, "resume", NAME, "--budget", "5", crash_at="job.polled:1:TERM").code == 143
    assert said(world, "resume", NAME).code == 0


def test_an_iteration_has_a_budget_of_its_own_and_says_what_raises_it(world: World) -> None:
    poor = said(world, "run", f"{NAME}.toml", "--set", "iteration_budget_usd=0.01")
    assert poor.code == 75
    assert "--iteration-budget" in poor.stderr
    assert said(world, "resume", NAME, "--iteration-budget", "5").code == 0


def test_another_key_does_not_go_on_with_a_run_unless_it_is_said_to_belong(world: World) -> None:
    assert said(world, "run", f"{NAME}.toml", crash_at="job.polled:1:TERM").code == 143
    other = {"OPENAI_API_KEY": "sk-another-0123456789abcdef"}
    refused = world.process("resume", NAME, environ=other).start().finish(60)
    assert refused.code == 78
    assert "--new-key" in refused.stderr
    assert world.process("resume", NAME, "--new-key", environ=other).start().finish(60).code == 0
    assert world.process("resume", NAME, environ=other).start().finish(60).code == 0


def test_a_failed_job_is_ordered_once_more_only_when_that_is_asked_for(world: World) -> None:
    world.provider.stop()
    failing = build(world.folder.parent / "failing", QUICK, [FAILED])
    try:
        first = said(failing, "run", f"{NAME}.toml")
        assert first.code in (65, 69)
        assert "--again" in first.stderr
        created = failing.provider.books.requests("POST")
        assert said(failing, "resume", NAME).code == first.code
        assert failing.provider.books.requests("POST") == created
        assert said(failing, "resume", NAME, "--again").code == 0
    finally:
        failing.provider.stop()
