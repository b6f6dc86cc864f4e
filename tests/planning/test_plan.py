"""What a plan says of money, time, limits and the calendar."""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rmft_api import planning
from rmft_api.config import schema
from rmft_api.core import resources
from rmft_api.core.errors import ConfigError
from rmft_api.planning import Cost, sampling
from rmft_api.providers import profiles
from tests.planning.world import NOW, drawn, openai, phase, prompts_of, small

SHIPPED = sorted(
    path
    for path in resources.run_files_dir().glob("*.toml")
    if "[[cell]]" not in path.read_text("utf-8")  # a grid is no run
)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_run_is_planned_with_sockets_shut_and_without_a_key(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shut(*_: object, **__: object) -> None:
        raise AssertionError("a plan asks nobody")

    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    for name in ("connect", "connect_ex", "sendto", "bind"):
        monkeypatch.setattr(f"socket.socket.{name}", shut)
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "openai", None)
    settings = schema.load(path)
    plan = drawn(settings)
    unpriced = any("no price is known" in warning for warning in plan.warnings)
    assert (plan.total.worst is None) == unpriced
    assert (plan.total.expected is None) == unpriced
    assert unpriced == (settings.model.profile in ("gemini", "nebius", "bedrock"))
    assert len([p for p in plan.phases if p.name == "training"]) == settings.iterations
    assert plan.refusal is None


def test_fine_tuned_prices_hold_from_the_first_new_model_on() -> None:
    plan = drawn(small(rollouts={"coalesce": False}))
    base, tuned = phase(plan, "validation", 0).cost, phase(plan, "validation", 1).cost
    assert (base.expected, tuned.expected) != (0, 0)
    assert tuned.expected == pytest.approx(2 * (base.expected or 0), abs=2)
    assert phase(plan, "rollouts", 1).model == 0
    assert phase(plan, "rollouts", 2).model == 1


def test_low_expected_and_worst_come_in_this_order_and_add_up() -> None:
    for ways in ({}, {"conversation": "multi_turn", "history": "raw"}):
        plan = drawn(small(prompts=ways))
        for cost in (plan.total, *(p.cost for p in plan.phases)):
            assert cost.low is not None
            assert cost.expected is not None
            assert cost.worst is not None
            assert cost.low <= cost.expected <= cost.worst
        assert plan.total.expected == sum(p.cost.expected or 0 for p in plan.phases)


def test_a_plan_says_what_training_from_this_machine_needs_and_can_cost_again() -> None:
    at_tinker = drawn(small(model={"profile": "tinker", "base": "Qwen/Qwen3-8B"}))
    said = [one for one in at_tinker.warnings if "step by step" in one]
    assert len(said) == 1
    assert "at most 10 steps" in said[0]
    assert not any("step by step" in one for one in drawn(small()).warnings)


def test_an_unknown_price_makes_the_total_unknown_and_never_zero() -> None:
    plan = drawn(small(model={"base": "gpt-99"}))
    assert plan.total == Cost(None, None, None)
    assert plan.crash is None
    assert any("no price is known" in warning for warning in plan.warnings)


def test_epochs_that_are_left_to_the_provider_have_no_price() -> None:
    plan = drawn(small(finetuning={"n_epochs": None}))
    assert phase(plan, "training").trained_tokens is None
    assert plan.total.expected is None
    assert any("n_epochs" in warning for warning in plan.warnings)


def test_a_machine_of_ones_own_costs_nothing() -> None:
    plan = drawn(small(model={"base": "rmft-tiny", "profile": "local"}))
    assert plan.total == Cost(0, 0, 0)
    assert plan.seconds is None


def test_coalescing_saves_what_its_absence_costs() -> None:
    # In a full-information game that tells no actions, trajectories stay alike to the end.
    def run(coalesce: bool) -> planning.RunPlan:
        return drawn(small("full", rollouts={"coalesce": coalesce}, prompts={"reasoning": "none"}))

    saved, apart = run(coalesce=True), run(coalesce=False)
    assert saved.saves.coalescing is not None
    first, alone = phase(saved, "rollouts"), phase(apart, "rollouts")
    assert first.calls < alone.calls == 2 * 4 * 6
    assert first.cost.expected is not None
    assert alone.cost.expected is not None
    assert first.cost.expected < alone.cost.expected
    assert apart.saves.coalescing == 0


def test_long_chats_that_grow_are_charged_as_cached_where_the_provider_caches() -> None:
    grown: dict[str, Any] = {"conversation": "multi_turn", "history": "raw"}
    long = [{"environment": "bandit", "K": 3, "T": 30}]
    plan = drawn(small(prompts=grown, rollouts={"problems": long}))
    planned = phase(plan, "rollouts", 2)
    assert 0 < planned.cached_tokens < planned.prompt_tokens
    assert plan.saves.caching
    assert phase(drawn(small()), "rollouts").cached_tokens == 0


def test_a_crash_wastes_no_more_than_what_is_under_way() -> None:
    few, many = (drawn(small(requests={"concurrency": n})).crash for n in (1, 4))
    assert few is not None
    assert many == 4 * few


def test_testing_only_the_ends_plays_the_base_and_one_other() -> None:
    raw = small().model_copy(update={"test_models": "ends"})
    tests = [p for p in drawn(raw).phases if p.name == "test"]
    assert [p.model for p in tests] == [0, 3]


def test_stated_limits_make_a_plan_slower() -> None:
    slow = openai().chat.model_copy(update={"requests_per_minute": 6})
    profile = openai().model_copy(update={"chat": slow})
    planned = phase(drawn(small(), profile=profile), "validation", 0)
    assert planned.seconds == pytest.approx(planned.calls * 10)


def test_batches_halve_the_price_of_playing_and_take_a_batch_a_round() -> None:
    direct, batched = drawn(small()), drawn(small(requests={"transport": "batch"}))
    for one, other in zip(direct.phases, batched.phases, strict=True):
        expected = one.cost.expected or 0
        share = 1.0 if one.name == "training" else 0.5
        assert other.cost.expected == pytest.approx(share * expected, abs=1)
    assert phase(batched, "rollouts").seconds == 6 * 1800
    assert batched.crash == 0
    difference = (direct.total.expected or 0) - (batched.total.expected or 0)
    for plan, used in ((direct, False), (batched, True)):
        assert plan.batches is not None
        assert plan.batches.used is used
        assert plan.batches.saves == pytest.approx(difference, abs=len(plan.phases))
        assert plan.batches.at_most == plan.batches.seconds * 48
    assert any("every batch and every job" in warning for warning in batched.warnings)


def test_a_batch_price_that_is_not_known_is_unknown() -> None:
    unpriced = openai().model_copy(update={"prices": "azure", "tuned_model": r".*[.]ft-.*"})
    plan = drawn(small(requests={"transport": "batch"}), profile=unpriced)
    assert plan.total.expected is None
    assert any("no price is known" in warning for warning in plan.warnings)


def test_a_sample_stands_for_a_run_that_is_too_large_to_play() -> None:
    many = {"scenarios": 40, "trajectories": 4}
    run = small(rollouts=many, prompts={"story": ["buttons", "adverts"]})
    few = drawn(run)
    assert few.total.expected == pytest.approx(_whole(run), rel=0.01)


def _whole(run: schema.RunConfig) -> int:
    with pytest.MonkeyPatch.context() as patch:
        for split in list(sampling.DECISIONS):
            patch.setitem(sampling.DECISIONS, split, 10**6)
        found = drawn(run).total.expected
    assert found is not None
    return found


def test_a_dataset_that_is_too_small_is_told_before_it_costs_anything() -> None:
    tiny = small(
        rollouts={"scenarios": 1, "problems": [{"environment": "bandit", "T": 2}]},
        selection={"k": 1},
    )
    assert any("2 examples is refused" in warning for warning in drawn(tiny).warnings)


def test_a_budget_below_the_plan_is_told() -> None:
    run = small()
    low = run.model_copy(update={"budget_usd": 0.001})
    assert any("expected to stop at its budget" in w for w in drawn(low).warnings)
    assert not any("budget" in w for w in drawn(run).warnings)


def at(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("begun", "why"),
    [
        ("2027-01-05T21:59", "would create its last job on 2027-01-06"),
        ("2027-01-10T12:00", "takes no jobs"),
        ("2027-02-01T12:00", "takes no jobs"),
    ],
)
def test_a_run_that_outlives_its_model_is_refused_and_told_what_still_works(
    begun: str, why: str
) -> None:
    refusal = drawn(small(), at(begun)).refusal
    assert refusal is not None
    assert why in refusal
    for way_out in ("--accept-shutdown", "Azure", "Nebius", "Gemini", "'local'"):
        assert way_out in refusal
    with pytest.raises(ConfigError, match="accept-shutdown") as caught:
        planning.refuse(small(), openai(), openai(), at(begun))
    assert caught.value.exit_code == 78


def test_playing_past_the_shutdown_is_refused_where_training_goes_on() -> None:
    lives = [life.model_copy(update={"training_end": None}) for life in openai().lifecycle]
    profile = openai().model_copy(update={"lifecycle": tuple(lives)})
    refusal = drawn(small(), at("2027-01-13T22:30"), profile).refusal
    assert refusal is not None
    assert "every fine-tune of it stop answering at 'openai' on 2027-01-14" in refusal
    assert drawn(small(), at("2027-01-13T12:00"), profile).refusal is None


def test_an_end_that_is_near_is_told_with_its_source() -> None:
    plan = drawn(small(), NOW)
    assert plan.refusal is None
    assert any("from 2027-01-06, in 45 days" in w for w in plan.warnings)
    assert any("from 2027-01-14, in 53 days" in w for w in plan.warnings)


def test_slow_jobs_that_would_run_into_the_end_are_told() -> None:
    plan = drawn(small(), at("2027-01-04T12:00"))
    assert plan.refusal is None
    assert any("if every job took as long" in warning for warning in plan.warnings)


def test_a_model_without_a_calendar_is_never_refused() -> None:
    local = profiles.load("local")
    run = small(model={"base": "rmft-tiny", "profile": "local"})
    planning.refuse(run, local, local, at("2030-01-01T00:00"))


def test_a_chat_and_a_trainer_elsewhere_are_priced_apart() -> None:
    run = small()
    plan = asyncio.run(
        planning.build_plan(run, prompts_of(run), profiles.load("local"), openai(), NOW)
    )
    assert phase(plan, "rollouts").cost == Cost(0, 0, 0)
    assert (phase(plan, "training").cost.expected or 0) > 0


@pytest.mark.parametrize("output", ["action", "distribution"])
@pytest.mark.parametrize("told", [{}, {"repeat_reason": True}, {"reasoning": "none"}], ids=str)
@pytest.mark.parametrize("asked", [None, 1, 17, 60])
def test_a_plan_names_one_length_of_replies(
    output: str, told: dict[str, Any], asked: int | None
) -> None:
    plan = drawn(small(prompts={"output": output, **told}), reply_tokens=asked)
    assert plan.replies is not None
    calls = sum(phase.calls for phase in plan.phases)
    played = sum(phase.output_tokens for phase in plan.phases) / plan.replies.number
    assert calls > 0
    assert plan.reply_tokens == round(plan.replies.tokens / plan.replies.number)
    assert played == pytest.approx(plan.replies.tokens / plan.replies.number, abs=0.5)
    line = next(one for one in plan.assumptions if one.startswith("expected: a reply"))
    if told != {"reasoning": "none"}:
        assert f"a reply has {plan.reply_tokens} of at most" in line
        bare = plan.replies.least / plan.replies.number
        wanted = max(asked or small().sampling.max_tokens // 2, bare)
        assert plan.reply_tokens == pytest.approx(wanted, abs=1)
