# pyright: basic, reportMissingImports=false
# inspect_ai pins other versions than this project's tests do, so it is checked where it is there.
"""Tasks of inspect_ai: every suite that ships, scored by regret and by exploration.

    inspect eval rmft_api/k24 --model openai/gpt-4o-mini
    inspect eval rmft_api/small --model mockllm/model -T scenarios=8 --epochs 4

A sample is one scenario, the same as in `rmft-api eval`, and an epoch is one trajectory of it. The
solver sends the messages of a run, round by round, and reads answers as a run does.
"""

import json
from collections.abc import Callable
from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
    GenerateConfig,
    get_model,
)
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr
from inspect_ai.solver import Generate, Solver, TaskState, solver

from rmft_api import suites
from rmft_api.core.records import Message
from rmft_api.integrations.problems import measures_of, problems_of_suite
from rmft_api.rollouts.episodes import Episode, Problems

FIGURES = "rmft_api"
"""Where a sample's store keeps what its episode came to."""
FINISH = {"max_tokens": "length", "model_length": "length", "content_filter": "content_filter"}
"""inspect_ai's reasons of a reply's end, in the words of the wire."""
_ROLES = {"system": ChatMessageSystem, "user": ChatMessageUser, "assistant": ChatMessageAssistant}


def suite_task(
    suite: str,
    scenarios: int | None = None,
    seed: int | None = None,
    conversation: str | None = None,
) -> Task:
    """The task of a suite: a shipped name, or the path of a .toml file of yours.

    `scenarios`: how many, those of the suite when absent. `seed`: other scenarios.
    `conversation`: single_turn (each round is a chat) or multi_turn (one chat grows).
    """
    asked = {"scenarios": scenarios, "seed": seed, "prompts.conversation": conversation}
    overrides = {key: value for key, value in asked.items() if value is not None}
    problems = problems_of_suite(suite, overrides)
    config = problems.config
    count = config.test.scenarios
    return Task(
        dataset=MemoryDataset([_sample(problems, i) for i in range(count)], name=suite),
        solver=play(suite, json.dumps(overrides)),
        scorer=[regret(), exploration()],
        epochs=config.test.trajectories,
        config=GenerateConfig(
            temperature=config.sampling.temperature,
            top_p=config.sampling.top_p,
            max_tokens=config.sampling.max_tokens,
        ),
        metadata={"suite": suite, **overrides},
    )


def _sample(problems: Problems, index: int) -> Sample:
    episode = problems.episode(index)
    scenario = episode.scenario.scenario
    return Sample(
        id=f"scenario-{index}",
        input=_chat(episode.messages()),
        metadata={
            "scenario": index,
            "K": scenario.K,
            "T": scenario.T,
            "regret": scenario.regret,
            "actions": list(episode.scenario.names),
        },
    )


def _chat(messages: tuple[Message, ...]) -> list[ChatMessage]:
    return [_ROLES[one.role](content=one.content) for one in messages]


@solver
def play(suite: str, overrides: str = "{}") -> Solver:
    """Play a sample's scenario to its last round; the figures go into the sample's store."""
    problems = problems_of_suite(suite, json.loads(overrides))

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        episode = problems.episode(state.metadata["scenario"], state.epoch - 1)
        whys = await _played(episode, state)
        state.store.set(FIGURES, {**measures_of(episode), "unread": whys})
        state.completed = True
        return state

    return solve


async def _played(episode: Episode, state: TaskState) -> list[str]:
    """Ask for every round; why replies could not be read, each reason once."""
    model, whys, said = get_model(), dict[str, None](), list[ChatMessage]()
    while not episode.over:
        prompt = _chat(episode.messages())
        output = await model.generate(prompt)
        said = [*prompt, *([output.message] if output.choices else [])]
        state.output = output
        reason = FINISH.get(output.stop_reason, "stop") if output.choices else "content_filter"
        step = episode.answer(output.completion, reason)
        if step.why:
            whys[step.why] = None
    state.messages = said
    return list(whys)


def _figures(state: TaskState) -> dict[str, Any]:
    return state.store.get(FIGURES) or {}


@scorer(metrics=[mean(), stderr()])
def regret() -> Scorer:
    """Regret of the trajectory, in the form that its problem ranks by. Lower is better."""

    async def score(state: TaskState, target: Target) -> Score:
        found = _figures(state)
        unread = "; ".join(found.get("unread", ()))
        return Score(
            value=found["regret"],
            explanation=f"unreadable replies: {unread}" if unread else None,
            metadata={"regret_per_round": found["regret_per_round"]},
        )

    return score


@scorer(metrics={"*": [mean(), stderr()]})
def exploration() -> Scorer:
    """How it explored (docs/method.md 3), and the share of replies that could be read."""

    async def score(state: TaskState, target: Target) -> Score:
        found = _figures(state)
        names = ("suff_fail_freq", "k_min_frac", "greedy_frac", "best_share", "valid")
        return Score(value={name: found[name] for name in names if name in found})

    return score


def _task_of(suite: str) -> Callable[..., Task]:
    def made(
        scenarios: int | None = None, seed: int | None = None, conversation: str | None = None
    ) -> Task:
        return suite_task(suite, scenarios, seed, conversation)

    made.__name__ = made.__qualname__ = suite
    made.__doc__ = f"Suite {suite}: {suites.load(suite).about}"
    return task(name=suite)(made)


TASKS = {suite: _task_of(suite) for suite in suites.names()}
"""By the suite's name; `inspect eval rmft_api/NAME` finds them through an entry point."""
