# pyright: basic, reportMissingImports=false
# verifiers is no dependency of this project's tests, so it is checked where it is there.
"""An environment of verifiers: decision problems for reinforcement learning, regret as the reward.

    verifiers.load_environment("rmft-api", suite="small")
    vf-eval rmft-api -a '{"suite": "small"}' -m MODEL -b BASE_URL

A rollout is one trajectory of a scenario. Each round is a turn: the messages of a run, whose reader
takes the answer. The reward of the rollout is its mean regret a round, negated: 0 is the best play.
"""

from collections.abc import Mapping
from typing import Any

import verifiers as vf
from datasets import Dataset

from rmft_api.core.records import Message, Split
from rmft_api.integrations.problems import MEASURES, measures_of, problems_of_suite
from rmft_api.rollouts.episodes import Episode, Problems

EPISODE, FIGURES = "rmft_api_episode", "rmft_api_figures"
"""Where a rollout's state keeps its episode, and at the end what it came to."""


def load_environment(
    suite: str = "small",
    num_train_examples: int = 1000,
    num_eval_examples: int | None = None,
    conversation: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    **settings: Any,
) -> vf.Environment:
    """The problems of a suite: a shipped name, or the path of a .toml file of yours.

    Training scenarios are fresh; those of the evaluation are the suite's own, which `rmft-api eval`
    plays. `conversation`: multi_turn (one chat grows) or single_turn (each round is a chat); the
    suite's own when absent, and its prompt set must have it.
    `overrides` are dotted keys of the suite with their values; `settings` are verifiers' own.
    """
    asked = {} if conversation is None else {"prompts.conversation": conversation}
    changes = {**asked, **(overrides or {})}
    train, test = (problems_of_suite(suite, changes, split) for split in ("train", "test"))
    count = test.config.test.scenarios if num_eval_examples is None else num_eval_examples
    return DecisionEnv(
        {"train": train, "test": test},
        dataset=_dataset(train, num_train_examples),
        eval_dataset=_dataset(test, count),
        rubric=_rubric(),
        **settings,
    )


def _dataset(problems: Problems, count: int) -> Dataset:
    """A row for each scenario: what the first round says, and which scenario it is."""
    rows = [
        {
            "prompt": _chat(problems.episode(index).messages()),
            "answer": "",
            "info": {"scenario": index, "split": problems.split},
        }
        for index in range(count)
    ]
    return Dataset.from_list(rows)


def _chat(messages: tuple[Message, ...]) -> list[dict[str, str]]:
    return [{"role": one.role, "content": one.content} for one in messages]


def _rubric() -> vf.Rubric:
    """The reward, and measures beside it that weigh nothing."""

    def regret_reward(state: vf.State) -> float:
        return -state[FIGURES]["regret_per_round"]

    rubric = vf.Rubric(funcs=[regret_reward])
    for name in ("regret", *MEASURES):
        rubric.add_metric(_metric(name))
    return rubric


def _metric(name: str) -> Any:
    def measure(state: vf.State) -> float:
        return state[FIGURES].get(name, float("nan"))

    measure.__name__ = name
    return measure


class DecisionEnv(vf.MultiTurnEnv):
    """Rollouts of decision problems."""

    def __init__(self, problems: Mapping[Split, Problems], **settings: Any) -> None:
        super().__init__(**settings)
        self.problems = problems

    async def setup_state(self, state: vf.State) -> vf.State:
        """Draw the rollout's scenario."""
        info = state["info"]
        state[EPISODE] = self.problems[info["split"]].episode(int(info["scenario"]))
        return state

    async def get_prompt_messages(self, state: vf.State) -> list[dict[str, str]]:
        """What a run would send in this round."""
        return _chat(_episode(state).messages())

    async def env_response(self, messages: Any, state: vf.State, **_: Any) -> list[dict[str, str]]:
        """The new turns alone; rollouts take whole messages from `get_prompt_messages`."""
        prompt = _chat(_episode(state).messages())
        return prompt[len(messages) :]

    async def add_model_response(
        self, state: vf.State, prompt_messages: Any, response: Any
    ) -> None:
        """Read the reply, act, and continue with the next round."""
        await super().add_model_response(state, prompt_messages, response)
        message = response.message
        said = message.content if isinstance(message.content, str) else ""
        _episode(state).answer(said, message.finish_reason or "stop")

    @vf.stop
    async def all_rounds_played(self, state: vf.State) -> bool:
        """Whether no answer is expected any more."""
        return _episode(state).over

    @vf.cleanup
    async def measure(self, state: vf.State) -> None:
        """Keep the figures, and let go of the episode."""
        state[FIGURES] = measures_of(_episode(state))
        state.pop(EPISODE)


def _episode(state: vf.State) -> Episode:
    return state[EPISODE]
