"""An example that its provider would cut is refused before anything is played."""

from typing import Any

import pytest

from rmft_api.config import schema
from rmft_api.datasets.tokens import TokenCounter
from rmft_api.planning import lengths
from rmft_api.planning.lengths import too_long
from rmft_api.providers import profiles
from rmft_api.session.token_counters import counter_at
from tests.planning.world import (
    FAMILIES,
    assumed,
    drawn,
    learnt,
    openai,
    played,
    prompts_of,
    small,
)

GROWING: dict[str, Any] = {"conversation": "multi_turn", "history": "raw"}


def refusal(run: schema.RunConfig) -> str | None:
    profile = profiles.load(run.model.profile)
    return too_long(run, prompts_of(run), profile, lambda: counter_at(profile, run.model))


@pytest.mark.parametrize("way", [{}, {"history": "raw"}, GROWING], ids=["summary", "raw", "grown"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_limit_is_refused_about_where_real_examples_reach_it(
    family: str, way: dict[str, Any]
) -> None:
    run = small(family, prompts=way)
    whole = learnt(run, 1, played(run, "train", 1, assumed(run))[1]).longest
    above = small(family, prompts=way, dataset={"tokens_per_example": round(1.1 * whole)})
    below = small(family, prompts=way, dataset={"tokens_per_example": round(0.75 * whole)})
    assert refusal(above) is None
    told = refusal(below)
    assert told is not None
    assert f"{round(0.75 * whole)} are allowed" in told


def test_where_only_the_worst_case_is_too_long_the_plan_warns() -> None:
    run = small(prompts=GROWING)
    whole = learnt(run, 1, played(run, "train", 1, assumed(run))[1]).longest
    near = small(prompts=GROWING, dataset={"tokens_per_example": round(1.1 * whole)})
    assert refusal(near) is None
    assert any("are allowed: a dataset with such a one" in told for told in drawn(near).warnings)
    assert not any("are allowed" in told for told in drawn(run).warnings)


def test_the_limit_is_the_profiles_where_the_run_file_says_none() -> None:
    long = {"problems": [{"environment": "bandit", "K": 3, "T": 300}], "scenarios": 1}
    run = small(prompts=GROWING, rollouts=long, sampling={"max_tokens": 512})
    assert "65536 are allowed" in (refusal(run) or "")


def test_the_vocabulary_is_not_loaded_for_examples_that_are_surely_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def loaded() -> TokenCounter:
        raise AssertionError("every start of a run would wait for it")

    run = small(prompts=GROWING)
    assert too_long(run, prompts_of(run), openai(), loaded) is None


def embedded(**sections: dict[str, Any]) -> schema.RunConfig:
    """A run of the embedded model on problems of the usual size."""
    usual = {"scenarios": 2, "trajectories": 4, "problems": [{"environment": "bandit", "T": 25}]}
    model = {"base": "rmft-tiny", "profile": "local"}
    changes: dict[str, dict[str, Any]] = {"model": model, "rollouts": usual, **sections}
    return small("bandit", **changes)


def test_the_embedded_models_limit_is_told_before_play_with_what_to_do() -> None:
    told = refusal(embedded()) or ""
    assert "512 are allowed for 'rmft-tiny' at 'local'" in told
    assert "prompts.set = 'compact'" in told
    assert "\n" not in told
    assert "raise dataset" not in told


@pytest.mark.parametrize("repeat", [False, True])
def test_the_embedded_models_own_words_fit_though_it_spells_others_out(repeat: bool) -> None:
    words = {"set": "compact", "repeat_reason": repeat}
    run = embedded(prompts=words, sampling={"max_tokens": 24})
    assert refusal(run) is None
    assert not any("are allowed" in told for told in drawn(run).warnings)


def test_other_models_of_the_local_server_keep_no_limit() -> None:
    run = embedded(model={"base": "rmft-linear-attention", "profile": "local"})
    assert lengths.limit_of(run, profiles.load("local")) is None
