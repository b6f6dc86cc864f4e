"""A model family without weights, for trying the wire out: it needs no torch and says one thing.

The base answers "I choose 1." and so on with numbers drawn from the seed. Training on chats makes
a model that always gives the last chat's last answer.
"""

import math
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rmft_api.local_server.engine import (
    ChatMessage,
    ExampleError,
    JobHyperparameters,
    Prompt,
    SampledText,
    TokenLogprob,
    TrainingStep,
    beyond_context,
)
from rmft_api.local_server.word_tokens import pieces, tokens_of

CONTEXT = 2000
"""Words that fit; a word is a token."""
STEP_S = 0.01
"""How long a training step takes, so that many epochs make a job that can be watched."""


class LastAnswerModel:
    """Answers with the words it was given, or draws a number."""

    def __init__(self, answer: str | None) -> None:
        self._answer = answer

    def complete(self, prompts: Sequence[Prompt]) -> list[SampledText]:
        """Raises ExampleError for a chat without a user's turn."""
        return [self._complete(prompt) for prompt in prompts]

    def _complete(self, prompt: Prompt) -> SampledText:
        asked = _tokens(prompt.messages)
        if prompt.messages[-1].role != "user":
            raise ExampleError("the last message must be from the user")
        words = pieces(self._answer or f"I choose {_draw(prompt)}.")
        kept, stopped = _until_stop(words, prompt.stop)
        cut = kept[: prompt.max_tokens]
        finish = "stop" if stopped or len(cut) == len(kept) else "length"
        return SampledText(tuple(cut), finish, asked, len(cut), _logprobs(cut, prompt.top_logprobs))


def _draw(prompt: Prompt) -> int:
    if prompt.temperature == 0:
        return 0
    return random.Random(f"{prompt.seed} {prompt.messages}").randrange(100)


def _until_stop(words: Sequence[str], stop: Sequence[str]) -> tuple[list[str], bool]:
    text = "".join(words)
    ends = [text.find(sequence) for sequence in stop if sequence in text]
    if not ends:
        return list(words), False
    kept = text[: min(ends)]
    return (pieces(kept) if kept else []), True


def _logprobs(words: Sequence[str], top: int | None) -> tuple[TokenLogprob, ...] | None:
    if top is None:
        return None
    certain = tuple((word, 0.0) for word in words)
    return tuple(
        TokenLogprob(word, 0.0, (pair,) * min(top, 1))
        for word, pair in zip(words, certain, strict=True)
    )


def _tokens(messages: Sequence[ChatMessage]) -> int:
    tokens = tokens_of(messages)
    if tokens > CONTEXT:
        raise beyond_context(tokens, CONTEXT)
    return tokens


class LastAnswerEngine:
    """Trains by remembering the last answer; the loss it reports falls like 1/step."""

    bases = ("scripted-1",)

    def load(self, base: str, weights: Path | None) -> LastAnswerModel:
        """The base, or what a training remembered."""
        return LastAnswerModel(None if weights is None else weights.read_text(encoding="utf-8"))

    def check(self, messages: Sequence[ChatMessage]) -> int:
        """Words of the chat."""
        return _tokens(messages)

    def resolve(self, wanted: JobHyperparameters, examples: int) -> JobHyperparameters:
        """Three epochs of batches of eight."""
        return JobHyperparameters(
            n_epochs=wanted.n_epochs or 3,
            batch_size=wanted.batch_size or 8,
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
        """Remember the last answer once an epoch."""
        epochs = hyperparameters.n_epochs or 1
        steps = math.ceil(len(examples) / (hyperparameters.batch_size or 1))
        for epoch in range(epochs):
            for step in range(epoch * steps + 1, (epoch + 1) * steps + 1):
                time.sleep(STEP_S)
                done = epoch + (step == (epoch + 1) * steps)
                report(TrainingStep(step, epochs * steps, 1 / step, 1 - 1 / (step + 1), done))
            answer = examples[-1][-1].content
            checkpoint((epoch + 1) * steps).write_text(answer, encoding="utf-8")
        return epochs * sum(_tokens(example) for example in examples)
