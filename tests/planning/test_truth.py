"""A plan says what a run really sends, and its worst case is never passed."""

from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmft_api.config.schema import RunConfig
from rmft_api.core import seeds
from rmft_api.core.records import ChatRequest, Split
from rmft_api.datasets import preferences, training_files
from rmft_api.datasets.tokens import counter_for
from rmft_api.planning import RunPlan
from rmft_api.providers.prices import Prices
from rmft_api.selection import ranking
from tests.planning.world import (
    FAMILIES,
    Say,
    assumed,
    drawn,
    learnt,
    openai,
    phase,
    played,
    small,
)

SPLITS: dict[str, Split] = {"rollouts": "train", "validation": "validation", "test": "test"}
WAYS: dict[str, dict[str, Any]] = {
    "summary": {"history": "summary"},
    "raw": {"history": "raw"},
    "said again": {"history": "summary", "repeat_reason": True},
    "one growing chat": {"history": "raw", "conversation": "multi_turn"},
    "distribution": {"output": "distribution", "reasoning": "none"},
    "examples": {"history": "summary", "examples": 3},
    "examples in one chat": {"conversation": "multi_turn", "examples": 3},
}


@pytest.mark.parametrize(
    ("family", "way", "coalesce"),
    [
        *((family, "summary", True) for family in FAMILIES),
        *((family, "raw", True) for family in FAMILIES),
        *(("bandit", way, True) for way in ("said again", "one growing chat", "distribution")),
        ("bandit", "examples", True),
        ("full", "examples in one chat", True),
        ("bandit", "summary", False),
        ("full", "one growing chat", False),
    ],
)
def test_a_plan_counts_the_calls_and_tokens_that_are_really_sent(
    family: str, way: str, coalesce: bool
) -> None:
    run = small(family, prompts=WAYS[way], rollouts={"coalesce": coalesce})
    plan = drawn(run)
    for name, split in SPLITS.items():
        chat, _ = played(run, split, 1 if split == "train" else 0, assumed(run))
        planned = phase(plan, name, 1)
        assert planned.calls == len(chat.asks)
        assert planned.prompt_tokens == chat.prompt_tokens
        assert planned.output_tokens == pytest.approx(chat.output_tokens, rel=0.05)


@pytest.mark.parametrize("way", ["summary", "raw", "one growing chat"])
@pytest.mark.parametrize("chain", ["continue", "from_base"])
def test_trained_tokens_are_those_of_the_dataset_that_would_be_written(
    way: str, chain: str
) -> None:
    run = small(prompts=WAYS[way], finetuning={"n_epochs": 2, "chain": chain})
    plan = drawn(run)
    of_each = [learnt(run, i, played(run, "train", i, assumed(run))[1]).tokens for i in (1, 2, 3)]
    if chain == "from_base":
        of_each = [sum(of_each[: i + 1]) for i in range(3)]
    assert [phase(plan, "training", i).trained_tokens for i in (1, 2, 3)] == [
        2 * tokens for tokens in of_each
    ]


def test_history_makes_later_prompts_longer_and_the_plan_knows() -> None:
    def per_call(way: str) -> float:
        planned = phase(drawn(small(prompts=WAYS[way], rollouts={"coalesce": False})), "rollouts")
        return planned.prompt_tokens / planned.calls

    assert per_call("one growing chat") > 1.3 * per_call("raw")


def anything(seed: int) -> Say:
    """Replies of every kind: long, empty, unreadable, of any action; some seeds like one kind."""

    def say(names: tuple[str, ...], request: ChatRequest, choice: int) -> str:
        number = seeds.number(seed, request.key, choice)
        words = " because" * (number // 8 % (request.sampling.max_tokens - 8))
        answer = f"<Answer>{names[number % len(names)]}</Answer>"
        kinds = [f"{words}\n{answer}", answer, words, ""]
        return kinds[seed % 4 if seed % 3 == 0 else number // 64 % 4]

    return say


@pytest.mark.parametrize("way", ["summary", "raw", "said again", "one growing chat"])
@pytest.mark.parametrize("family", ["bandit", "contextual"])
@settings(max_examples=2, deadline=None)
@given(seed=st.integers(0, 10**6), coalesce=st.booleans())
def test_whatever_is_replied_no_more_is_reserved_than_the_worst_case(
    family: str, way: str, seed: int, coalesce: bool
) -> None:
    run = small(
        family, prompts=WAYS[way], rollouts={"coalesce": coalesce}, selection={"min_valid": 0}
    )
    plan = _plan_of(run.model_dump_json())
    prices = Prices(openai())
    for name, split in SPLITS.items():
        chat, kept = played(run, split, 1 if split == "train" else 0, anything(seed))
        model = "ft:gpt-4o-mini:o:s:1" if phase(plan, name).model else "gpt-4o-mini"
        reserved = 0
        for request in chat.asks:
            asked = ChatRequest(
                request.key, model, request.messages, request.n, request.seed, request.sampling
            )
            reserved += prices.worst_case(asked) or 0
        worst = phase(plan, name).cost.worst
        assert worst is not None
        assert reserved <= worst
        if split == "train" and any(one.valid for _, one in kept):
            spent = prices.training("gpt-4o-mini", learnt(run, 1, kept).tokens, 2)
            most = phase(plan, "training").cost.worst
            assert spent is not None
            assert most is not None
            assert spent <= most


@cache
def _plan_of(as_json: str) -> RunPlan:
    return drawn(RunConfig.model_validate_json(as_json))


@pytest.mark.parametrize("way", ["summary", "one growing chat"])
def test_trained_tokens_of_preferences_are_those_that_would_be_written(way: str) -> None:
    run = small(prompts=WAYS[way], finetuning={"method": "supervised-then-dpo"})
    planned = phase(drawn(run), "training", 1)
    kept = played(run, "train", 1, assumed(run))[1]
    verdicts = ranking.rank([score for _, score in kept], run.selection, run.seed, 1)
    chosen = training_files.selected_plays([one for one, _ in kept], verdicts, run)
    pairs = preferences.build(
        chosen.opposed, run.dataset, run.prompts, counter_for(run.model.base), least=1
    )
    shown = learnt(run, 1, kept)
    epochs = run.finetuning.n_epochs or 1
    assert planned.examples == len(shown.examples) + len(pairs.pairs)
    assert planned.trained_tokens == epochs * shown.tokens + pairs.tokens
    assert planned.cost.worst is not None
    assert (planned.cost.expected or 0) < planned.cost.worst
