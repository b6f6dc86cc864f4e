"""Models that are algorithms, to rehearse a run without a key: they answer in the right form.

A run sends them the counts and sums of its rewards as `visible_state` of a request, so that they
play every prompt set and story. Fine-tuning one makes the same player: it learns nothing.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rmft_api.core.records import VisibleState
from rmft_api.core.scripted_players import BASES, PREFIX
from rmft_api.local_server.engine import (
    ChatMessage,
    ChatPair,
    ExampleError,
    JobHyperparameters,
    Prompt,
    SampledText,
    TrainingStep,
)
from rmft_api.local_server.word_tokens import pieces, tokens_of
from rmft_api.prompts import reader

Floats = NDArray[np.float64]


class ScriptedPlayer:
    """One algorithm."""

    def __init__(self, algorithm: str) -> None:
        self._algorithm = algorithm

    def complete(self, prompts: Sequence[Prompt]) -> list[SampledText]:
        """Answer every prompt by its visible state. Raises ExampleError where it has none."""
        return [self._complete(prompt) for prompt in prompts]

    def _complete(self, prompt: Prompt) -> SampledText:
        state = prompt.visible_state
        if state is None:
            raise ExampleError(
                "a scripted player reads no words; a run sends it the actions and rewards as "
                "visible_state, which this request has not"
            )
        said = reply(self._algorithm, state, prompt.seed)
        words = pieces(said)
        cut = words[: prompt.max_tokens]
        finish = "stop" if len(cut) == len(words) else "length"
        return SampledText(tuple(cut), finish, tokens_of(prompt.messages), len(cut))


def reply(algorithm: str, state: VisibleState, seed: int) -> str:
    """What the player says: a reason where one is asked for, and its answer."""
    action = chosen(algorithm, state, np.random.default_rng(seed))
    K = len(state.names)
    even = algorithm == "random"
    policy = np.full(K, 1 / K) if even else np.eye(K)[action]
    why = f"The rule {algorithm} takes {state.names[action]} now." if state.reasoned else ""
    if state.written:
        return f"{why}\n{state.written[action]}" if why else state.written[action]
    return reader.render(action, policy.tolist(), state.names, state.output, why)


def chosen(algorithm: str, state: VisibleState, rng: np.random.Generator) -> int:
    """The action; equals and untried ones by chance. Rewards are taken to lie in [0, 1]."""
    counts_K = np.array(state.counts, dtype=np.float64)
    sums_K = np.array(state.sums, dtype=np.float64)
    if algorithm == "random":
        return int(rng.integers(len(counts_K)))
    if algorithm == "thompson":
        won_K = np.clip(sums_K, 0, counts_K)
        return int(rng.beta(1 + won_K, 1 + counts_K - won_K).argmax())
    values_K = np.where(counts_K > 0, sums_K / np.maximum(counts_K, 1), np.inf)
    if algorithm == "ucb1":
        t = max(counts_K.sum(), 1)
        values_K = values_K + np.sqrt(2 * math.log(t) / np.maximum(counts_K, 1))
    best = np.flatnonzero(values_K == values_K.max())
    return int(rng.choice(best))


class ScriptedPlayersEngine:
    """The players as base models; a fine-tune is its base again."""

    bases = BASES

    def load(self, base: str, weights: Path | None) -> ScriptedPlayer:
        """The player, whatever it was trained on."""
        return ScriptedPlayer(base.removeprefix(PREFIX))

    def check(self, messages: Sequence[ChatMessage]) -> int:
        """Words of the chat."""
        if not any(one.role == "assistant" and one.weight for one in messages):
            raise ExampleError("the chat has no assistant message with weight 1 to learn from")
        return tokens_of(messages)

    def resolve(self, wanted: JobHyperparameters, examples: int) -> JobHyperparameters:
        """What was asked for, else one epoch of one batch."""
        return JobHyperparameters(
            n_epochs=wanted.n_epochs or 1,
            batch_size=wanted.batch_size or examples,
            learning_rate_multiplier=wanted.learning_rate_multiplier or 1.0,
        )

    def train(
        self,
        base: str,
        start: Path | None,
        examples: Sequence[Sequence[ChatMessage]],
        hyperparameters: JobHyperparameters,
        seed: int,
        checkpoint: Callable[[int], Path],
        report: Callable[[TrainingStep], None],
    ) -> int:
        """Read the examples and learn nothing; one step an epoch."""
        epochs = hyperparameters.n_epochs or 1
        for epoch in range(1, epochs + 1):
            report(TrainingStep(epoch, epochs, 0.0, 0.0, epoch))
            checkpoint(epoch).write_text(base, encoding="utf-8")
        return epochs * sum(tokens_of(example) for example in examples)

    def prefer(
        self,
        base: str,
        start: Path | None,
        pairs: Sequence[ChatPair],
        hyperparameters: JobHyperparameters,
        beta: float,
        seed: int,
        checkpoint: Callable[[int], Path],
        report: Callable[[TrainingStep], None],
    ) -> int:
        """As `train`, of both chats of every pair."""
        chats = [chat for pair in pairs for chat in pair.chats()]
        return self.train(base, start, chats, hyperparameters, seed, checkpoint, report)
