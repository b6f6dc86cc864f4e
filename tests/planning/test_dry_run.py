"""A dry run says what a whole run then costs, by the books of the provider that was paid."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.planning import echo
from tests.planning.dry_run import PROBLEMS, Case, Outcome, play

SMALL = Case("bandit", T=5, scenarios=4, trajectories=4, held_out=2, reply_tokens=30)


HISTORIES = ("summary", "raw")


@pytest.fixture(scope="module", params=[(p, h) for p in PROBLEMS for h in HISTORIES])
def outcome(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    problem, history = request.param
    return play(
        replace(SMALL, environment=problem, history=history), tmp_path_factory.mktemp(problem)
    )


def test_a_plan_is_within_five_percent_of_the_bill(outcome: Outcome) -> None:
    assert outcome.planned_usd == pytest.approx(outcome.billed_usd, rel=0.05)


def test_a_plan_of_the_trained_tokens_is_within_two_percent_of_the_bill(outcome: Outcome) -> None:
    assert outcome.planned("trained_tokens") == pytest.approx(outcome.trained, rel=0.02)


def test_the_worst_case_is_not_passed(outcome: Outcome) -> None:
    assert outcome.billed_usd <= outcome.plan["total_usd"]["worst"]


def test_what_a_run_says_it_spent_is_what_it_was_billed(outcome: Outcome) -> None:
    spending = outcome.report["spending"]
    assert spending["spent_usd"] == pytest.approx(outcome.billed_usd, abs=1e-9)
    assert spending["projected_usd"] == spending["spent_usd"]
    phases = spending["phases"]
    assert sum(one["spent_usd"] for one in phases) == pytest.approx(outcome.billed_usd, abs=1e-9)
    assert sum(one["actual"]["calls"] for one in phases) == outcome.calls
    assert [
        one["actual"]["trained_tokens"] for one in phases if one["phase"] == "training"
    ] == outcome.jobs


def test_what_is_billed_as_trained_is_the_file_counted_here_times_its_epochs(
    outcome: Outcome,
) -> None:
    assert outcome.jobs == outcome.written()
    assert len(outcome.jobs) == 3


def test_in_batches_a_run_costs_what_its_plan_says_and_asks_the_same(tmp_path: Path) -> None:
    direct = play(SMALL, tmp_path / "direct")
    batched = play(replace(SMALL, transport="batch"), tmp_path / "batch")
    assert batched.planned_usd == pytest.approx(batched.billed_usd, rel=0.05)
    assert batched.books.calls() == direct.books.calls()
    assert batched.jobs == direct.jobs
    assert batched.books.requests("POST", "chat") == 0
    saved = batched.plan["batches"]["saves_usd"]
    assert saved == pytest.approx(direct.billed_usd - batched.billed_usd, rel=0.05)


@pytest.mark.parametrize(
    ("problem", "history", "conversation"),
    [
        *((problem, history, "single_turn") for problem in PROBLEMS for history in HISTORIES),
        ("nonstationary", "raw", "multi_turn"),
    ],
)
def test_where_replies_are_as_assumed_every_token_of_the_plan_is_billed(
    problem: str,
    history: str,
    conversation: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    case = replace(
        SMALL,
        environment=problem,
        history=history,
        conversation=conversation,
        speaker=echo.SPEAKER,
    )
    said = tmp_path / "said.json"
    (tmp_path / "of.toml").write_text(f'name = "{case.name}"\n{case.file()}')
    echo.write(tmp_path / "of.toml", said, case.reply_tokens)
    monkeypatch.setenv(echo.ENV, str(said))
    outcome = play(case, tmp_path / "run")
    planned = [one for one in outcome.plan["phases"] if one["name"] == "training"]
    assert [one["trained_tokens"] for one in planned] == outcome.jobs
    assert outcome.planned("calls") == outcome.calls
    assert outcome.planned("prompt_tokens") == outcome.chats("input_tokens")
    assert outcome.planned("output_tokens") == outcome.chats("output_tokens")
    assert outcome.planned_usd == pytest.approx(outcome.billed_usd, abs=1e-6 * outcome.calls)


def test_once_a_run_has_replies_its_plan_is_made_with_their_length(tmp_path: Path) -> None:
    outcome = play(replace(SMALL, max_tokens=160), tmp_path)
    assert outcome.plan["total_usd"]["expected"] > 1.1 * outcome.billed_usd
    assert (outcome.plan["reply_tokens"], outcome.plan["heard"]) == (80, 0)
    again = outcome.replanned
    assert again["reply_tokens"] == pytest.approx(30, abs=3)
    assert again["heard"] == again["replies"]["number"]
    assert again["total_usd"]["expected"] == pytest.approx(outcome.billed_usd, rel=0.05)
    assert f"the mean of {again['heard']} real ones" in again["assumptions"][1]
    assert "the plan assumed 8" in outcome.status
