"""What the local server asks of a model family: an `Engine` makes `Model`s and trains them.

The server knows HTTP, files and jobs; an engine knows weights. `tiny` and `numeric` are engines,
a Hugging Face checkpoint is another. Nothing here imports torch, so that the server can refuse a
wrong request before any weights are loaded.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, runtime_checkable

from rmft_api.core.records import VisibleState


class ChatMessage(NamedTuple):
    """One turn of a chat; `weight` 0 keeps an assistant turn out of the training loss."""

    role: str
    content: str
    weight: int = 1


class TokenLogprob(NamedTuple):
    """A sampled token, its natural-log probability, and its most likely rivals."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...]


class AnswerToken(NamedTuple):
    """A token's share of an answer."""

    text: str
    logprob: TokenLogprob | None = None


Listener = Callable[[int, AnswerToken], None]
"""Gets a piece and its place in the answer, on the sampling thread; a place may come again."""


def never() -> bool:
    """No client has left."""
    return False


@dataclass(frozen=True, slots=True)
class Prompt:
    """One completion to sample. Its text depends on these fields alone, never on its batch."""

    messages: tuple[ChatMessage, ...]
    seed: int
    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 64
    stop: tuple[str, ...] = ()
    top_logprobs: int | None = None
    """None: no logprobs wanted; 0 to 20: those of the sampled token and that many rivals."""
    visible_state: VisibleState | None = None
    """What a run sends scripted players; other engines read the messages."""
    listener: Listener | None = field(default=None, compare=False, repr=False)
    """Receives each piece as soon as it is sure. An engine may send the whole answer at once."""
    is_gone: Callable[[], bool] = field(default=never, compare=False, repr=False)
    """Whether no client waits any more. An engine checks before each token and stops there."""


@dataclass(frozen=True, slots=True)
class SampledText:
    """The sampled answer to one `Prompt`."""

    pieces: tuple[str, ...]
    """The answer's text, token by token (streamed one piece a chunk)."""
    finish_reason: Literal["stop", "length"]
    prompt_tokens: int
    completion_tokens: int
    """Tokens sampled, the end-of-answer token not counted."""
    logprobs: tuple[TokenLogprob, ...] | None = None

    @property
    def text(self) -> str:
        """The whole answer."""
        return "".join(self.pieces)


class ExampleError(ValueError):
    """A training example or a prompt that this engine cannot take; the text says why."""


class ContextLengthError(ExampleError):
    """A chat that is longer than the model's context; answered as `context_length_exceeded`."""


def beyond_context(tokens: int, context: int) -> ContextLengthError:
    """In OpenAI's words: clients look for them."""
    return ContextLengthError(
        f"This model's maximum context length is {context} tokens. However, your messages resulted "
        f"in {tokens} tokens. Please reduce the length of the messages."
    )


class EngineError(Exception):
    """Weights that cannot be loaded, or a training that cannot continue: reported to the client.

    `code` and `param` are those of the wire's error object; the text says what to do next.
    """

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.param = param


@dataclass(frozen=True, slots=True)
class JobHyperparameters:
    """What a job may set; `None` is OpenAI's "auto", the engine's own choice."""

    n_epochs: int | None = None
    batch_size: int | None = None
    learning_rate_multiplier: float | None = None


@dataclass(frozen=True, slots=True)
class TrainingStep:
    """One optimiser step, reported as a metrics event."""

    step: int
    total_steps: int
    train_loss: float
    train_mean_token_accuracy: float
    epoch: int
    """Epochs wholly behind this step; a checkpoint is due when it rises."""


class ChatPair(NamedTuple):
    """A chat up to an answer, with the answer to prefer and the one to prefer it to."""

    messages: tuple[ChatMessage, ...]
    preferred: str
    rejected: str

    def chats(self) -> tuple[tuple[ChatMessage, ...], tuple[ChatMessage, ...]]:
        """The two whole chats: the preferred one, then the other."""
        said = (ChatMessage("assistant", text) for text in (self.preferred, self.rejected))
        preferred, rejected = ((*self.messages, answer) for answer in said)
        return preferred, rejected


class Model(Protocol):
    """Loaded weights that answer chats."""

    def complete(self, prompts: Sequence[Prompt]) -> list[SampledText]:
        """Sample every prompt, in order. Raises ExampleError for a chat it cannot read."""
        ...


class Engine(Protocol):
    """A family of models that can be sampled and fine-tuned."""

    @property
    def bases(self) -> tuple[str, ...]:
        """Ids of the base models."""
        ...

    def load(self, base: str, weights: Path | None) -> Model:
        """The base itself (`weights` None) or a fine-tune of it."""
        ...

    def check(self, messages: Sequence[ChatMessage]) -> int:
        """Tokens of one training example. Raises ExampleError when it cannot be trained on."""
        ...

    def resolve(self, wanted: JobHyperparameters, examples: int) -> JobHyperparameters:
        """The numbers that training will use: every "auto" replaced."""
        ...

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
        """Fine-tune and save; return the trained tokens (all tokens of all examples x epochs).

        `start` is the weights file of the model to continue from, None for the base.
        `checkpoint(step)` names the file to save after each epoch; the last one is the result.
        Same inputs, same machine: same bytes. The caller runs this in a process of its own.
        """
        ...


@runtime_checkable
class Prefers(Protocol):
    """What an engine that is trained by preferences (DPO) has besides."""

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
        """As `Engine.train`, on pairs; the reference is the model that it starts from.

        The trained tokens are those of both chats of every pair x epochs.
        """
        ...


@runtime_checkable
class Resumes(Protocol):
    """What an engine for large models has besides: a killed training continues where it was."""

    def resumes_at(self, scratch: Path) -> int:
        """The step that training with this folder would continue after; 0 when it starts again."""
        ...

    def keeping(self, scratch: Path) -> Engine:
        """The same engine; its training leaves in `scratch` what it needs to continue, and does."""
        ...


@runtime_checkable
class Capped(Protocol):
    """What an engine has besides whose fine-tunes may take so much of the disk and no more."""

    @property
    def most_bytes(self) -> int:
        """Of all fine-tunes of its base together; 0: no bound."""
        ...

    def bytes_of_one(self, start: Path | None) -> int:
        """Of the weights file of a fine-tune that starts from this one, or from the base."""
        ...

    def resolve(self, wanted: JobHyperparameters, examples: int) -> JobHyperparameters:
        """As `Engine.resolve`."""
        ...


Registry = Mapping[str, Callable[[], Engine]]
"""Engine name -> how to make it; making it may import torch."""
