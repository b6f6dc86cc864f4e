"""What a run learnt from, as JSON lines in the conversational formats that TRL's trainers take.

messages           {"messages": [...]}                                        SFTTrainer
prompt-completion  {"prompt": [...], "completion": [...]}                     SFTTrainer
preference         {"prompt": [...], "chosen": [...], "rejected": [...]}      DPOTrainer
"""

import json
from collections.abc import Iterable, Iterator, Sequence

from rmft_api.config.schema import RunConfig
from rmft_api.core.records import ExampleMessage, Trajectory
from rmft_api.datasets import dataset, preferences
from rmft_api.datasets.preferences import Opposed

Turns = list[dict[str, str]]


def messages(trajectories: Iterable[Trajectory], config: RunConfig) -> Iterator[bytes]:
    """Whole chats, as the run's own datasets hold them. Weights are not part of the format."""
    for trajectory in trajectories:
        for example in dataset.examples_of(trajectory, config.dataset, config.prompts):
            yield _line({"messages": _turns(example.messages)})


def prompt_completion(trajectories: Iterable[Trajectory], config: RunConfig) -> Iterator[bytes]:
    """One line for every readable round: what was shown, and what was answered."""
    by_round = config.dataset.model_copy(update={"example": "round"})
    for trajectory in trajectories:
        for example in dataset.examples_of(trajectory, by_round, config.prompts):
            *prompt, answer = example.messages
            yield _line({"prompt": _turns(prompt), "completion": _turns([answer])})


def preference(opposed: Iterable[Opposed], config: RunConfig) -> Iterator[bytes]:
    """Two answers to one chat: the lower regret's is chosen."""
    for pair in preferences.all_of(opposed, config.dataset, config.prompts):
        yield _line(
            {
                "prompt": _turns(pair.messages),
                "chosen": [{"role": "assistant", "content": pair.preferred}],
                "rejected": [{"role": "assistant", "content": pair.rejected}],
            }
        )


def _turns(prompt: Sequence[ExampleMessage]) -> Turns:
    return [{"role": message.role, "content": message.content} for message in prompt]


def _line(row: dict[str, Turns]) -> bytes:
    return json.dumps(row, ensure_ascii=False).encode() + b"\n"
