"""The numeric families behind the local server's port."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rmft_api.local_server.engine import (
    ChatMessage,
    ExampleError,
    JobHyperparameters,
    Model,
    Prompt,
    SampledText,
    TrainingStep,
)
from rmft_api.local_server.numeric import chats, noise, simplex, training, weights
from rmft_api.local_server.numeric.family import Architecture, Tensors
from rmft_api.local_server.numeric.linear_attention import LinearAttention
from rmft_api.local_server.numeric.matrix_attention import MatrixAttention
from rmft_api.local_server.numeric.simplex import Floats
from rmft_api.local_server.numeric.transformer import Transformer


class NumericBase(NamedTuple):
    """A base model: an architecture and its first weights."""

    family: Architecture
    weights: Tensors


_LINEAR = LinearAttention()
_MATRIX = MatrixAttention()
_TRANSFORMER = Transformer()
BASES: Mapping[str, NumericBase] = {
    "rmft-linear-attention": NumericBase(_LINEAR, _LINEAR.start(1)),
    "rmft-linear-attention-2": NumericBase(_LINEAR, _LINEAR.start(2)),
    "rmft-linear-attention-3": NumericBase(_LINEAR, _LINEAR.start(3)),
    "rmft-linear-attention-worst": NumericBase(_LINEAR, _LINEAR.follows(-1.0)),
    **{
        "rmft-matrix-attention" + (f"-{seed}" if seed > 1 else ""): NumericBase(
            _MATRIX, _MATRIX.start(seed)
        )
        for seed in range(1, 6)
    },
    "rmft-transformer": NumericBase(_TRANSFORMER, _TRANSFORMER.start(1)),
}
"""Three random starts, one that follows the worst action so far, five random matrices, and the
Transformer's start."""


class NumericModel:
    """Loaded weights that answer questions of numbers."""

    def __init__(self, family: Architecture, tensors: Tensors) -> None:
        self._family = family
        self._tensors = tensors

    def complete(self, prompts: Sequence[Prompt]) -> list[SampledText]:
        """Sample every prompt, in order. Raises ExampleError."""
        questions = [chats.asked(prompt.messages) for prompt in prompts]
        seen = {question: self._logits(question) for question in dict.fromkeys(questions)}
        logits_N = [
            seen[question].logits_K + _noise(prompt, seen[question].logits_K.size)
            for question, prompt in zip(questions, prompts, strict=True)
        ]
        return [
            _completion(prompt, seen[question].tokens, units)
            for prompt, question, units in zip(prompts, questions, _units(logits_N), strict=True)
        ]

    def _logits(self, question: str) -> "_Seen":
        rewards_tK = chats.read_question(question)
        logits_K = self._family.logits(self._tensors, self._family.encode(rewards_tK))
        return _Seen(logits_K, chats.question_tokens(rewards_tK))


class _Seen(NamedTuple):
    """What a question comes to, noise apart."""

    logits_K: Floats
    tokens: int


class NumericEngine:
    """Models that play full-information online learning, numbers in and numbers out."""

    @property
    def bases(self) -> tuple[str, ...]:
        """Ids of the base models."""
        return tuple(BASES)

    def load(self, base: str, weights: Path | None) -> Model:
        """The base itself or a fine-tune of it. Raises DataError for a file of another family."""
        return NumericModel(BASES[base].family, _tensors(base, weights))

    def check(self, messages: Sequence[ChatMessage]) -> int:
        """Tokens of one training example. Raises ExampleError when it cannot be trained on."""
        tokens = sum(chats.example_tokens(example) for example in chats.examples(messages))
        if not tokens:
            raise ExampleError("the chat has no assistant message with weight 1 to learn from")
        return tokens

    def resolve(self, wanted: JobHyperparameters, examples: int) -> JobHyperparameters:
        """The numbers that training will use."""
        return JobHyperparameters(*training.numbers(wanted, examples))

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
        """Fine-tune, save after each epoch, and return the trained tokens."""
        return training.train(
            BASES[base].family,
            _tensors(base, start),
            examples,
            training.numbers(hyperparameters, len(examples)),
            seed,
            checkpoint,
            report,
        )


def _tensors(base: str, path: Path | None) -> Tensors:
    family, first = BASES[base]
    return first if path is None else weights.load(path, family.name, like=first)


def _noise(prompt: Prompt, K: int) -> Floats:
    """What temperature adds to K logits."""
    return prompt.temperature * noise.draw(prompt.seed, K)


def _units(logits_N: Sequence[Floats]) -> list[list[int]]:
    """The policies that rows of logits (of any K) stand for, in parts of `chats.UNITS`."""
    by_K: dict[int, list[int]] = {}
    for row, logits_K in enumerate(logits_N):
        by_K.setdefault(logits_K.size, []).append(row)
    units_N: list[list[int]] = [[] for _ in logits_N]
    for rows in by_K.values():
        policies_NK = simplex.project(np.stack([logits_N[row] for row in rows]))
        for row, units in zip(rows, simplex.in_units(policies_NK, chats.UNITS), strict=True):
            units_N[row] = units.tolist()
    return units_N


def _completion(prompt: Prompt, prompt_tokens: int, units: Sequence[int]) -> SampledText:
    if prompt.top_logprobs is not None:
        raise ExampleError("this model's answers are numbers and have no log-probabilities")
    if prompt.top_p != 1:
        raise ExampleError(f"top_p={prompt.top_p:g}: this model samples by temperature alone")
    whole = chats.pieces(units)
    kept = _until_stop(whole[: prompt.max_tokens], prompt.stop)
    cut = len(whole) > prompt.max_tokens and kept == whole[: prompt.max_tokens]
    return SampledText(kept, "length" if cut else "stop", prompt_tokens, len(kept))


def _until_stop(pieces: tuple[str, ...], stops: Sequence[str]) -> tuple[str, ...]:
    """The pieces before the first stop text."""
    text = "".join(pieces)
    ends = [text.index(stop) for stop in stops if stop in text]
    if not ends:
        return pieces
    left, kept = min(ends), list[str]()
    for piece in pieces:
        if left > 0:
            kept.append(piece[:left])
        left -= len(piece)
    return tuple(kept)
