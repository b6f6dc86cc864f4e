"""What a warm-up learns. Its play is random and sends nothing, so a plan plays it for real."""

from collections.abc import Sequence

from rmft_api.config.schema import RunConfig
from rmft_api.core.records import Trajectory
from rmft_api.core.transcripts import StoredTrajectory
from rmft_api.datasets import dataset
from rmft_api.datasets.tokens import TokenCounter
from rmft_api.planning.phases import TrainingSize
from rmft_api.prompts import PromptSet
from rmft_api.rollouts import engine, preparation, warm_up
from rmft_api.rollouts.engine import PreparedScenario
from rmft_api.rollouts.warm_up import ITERATION, RandomPlayer

DECISIONS = 2000
"""Played at most, in whole scenarios; the others are taken to be like these."""


async def training_size(
    config: RunConfig, prompts: PromptSet, counter: TokenCounter
) -> TrainingSize | None:
    """The training file of the warm-up; None where the run has none."""
    if config.warm_up is None:
        return None
    mine = warm_up.settings(config)
    epochs = mine.finetuning.n_epochs
    if config.replay is not None:
        examples = sum(one.examples for one in config.replay.warm_up)
        tokens = sum(one.tokens for one in config.replay.warm_up)
        return TrainingSize(examples, tokens, tokens, tokens, epochs)
    each = preparation.rounds_of(mine, "train") / mine.rollouts.scenarios
    looked_at = min(mine.rollouts.scenarios, max(1, int(DECISIONS // each)))
    weights = [counter.chat(chat) for chat in await _examples(mine, prompts, looked_at)]
    more = preparation.rounds_of(mine, "train") / preparation.rounds_of(mine, "train", looked_at)
    tokens = sum(weights) * more
    most = tokens if more == 1 else max(weights) * len(weights) * more
    return TrainingSize(len(weights) * more, tokens, tokens, round(most), epochs)


async def _examples(
    mine: RunConfig, prompts: PromptSet, scenarios: int
) -> list[Sequence[dataset.ExampleMessage]]:
    """The examples of the first scenarios."""
    few = mine.rollouts.model_copy(update={"scenarios": scenarios})
    mine = mine.model_copy(update={"rollouts": few})
    prepared_scenarios = preparation.prepared_scenarios(mine, prompts, "train", ITERATION)
    settings = preparation.rollout_settings(mine, "train", ITERATION, mine.model.base, 1)
    played: list[Trajectory] = []

    async def save(prepared: PreparedScenario, finished: Sequence[StoredTrajectory]) -> None:
        played.extend(one.whole() for one in finished)

    await engine.play(settings, prepared_scenarios, RandomPlayer.of(mine, prompts), save)
    made = [dataset.examples_of(one, mine.dataset, mine.prompts) for one in played]
    return [example.messages for some in made for example in some]
