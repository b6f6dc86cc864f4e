"""Retraining: the chain of one run trained again elsewhere, on the same bytes.

What a chain is made of stands in its lineage: every iteration's training files, by their hash, the
model that each started from, seed and hyperparameters. A provider may scale a rate of its own or
take an absolute one; what is carried over is the ratio to the rate that it takes by itself.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from rmft_api.config.schema import ReplayConfig, ReplayFile, ReplayStep
from rmft_api.core.errors import DataError
from rmft_api.core.records import ExampleMessage, Method, Record
from rmft_api.datasets import training_files
from rmft_api.datasets.tokens import TokenCounter
from rmft_api.finetuning import FineTuned
from rmft_api.providers.capabilities import TrainingCapabilities


class GivenFile(Record, frozen=True):
    """A training file as it was written by the run that is replayed."""

    content: bytes
    sha256: str
    tokens: int
    name: str

    def source_of_line(self, line: int) -> str:
        """Where a line comes from, counted from 1."""
        return f"line {line} of {self.name}, as the first run wrote it"


class ChainLink(Record, frozen=True):
    """One iteration of a chain."""

    start: int
    """The iteration whose model it started from."""
    files: tuple[tuple[Method, str], ...]
    """Its jobs in order: how they learn, and the SHA-256 of their training file."""


def links(
    models: Mapping[int, str], trained: Mapping[str, FineTuned], methods: Sequence[Method]
) -> Iterator[ChainLink]:
    """The iterations of a chain that were trained to their end, in order.

    `trained` as in the journal: "01" for an iteration's job, "01/dpo" where it learns preferences.
    """
    for iteration in range(1, len(models) + 1):
        jobs = [trained.get(step_of(iteration, method)) for method in methods]
        if any(job is None for job in jobs):
            return
        known = [job for job in jobs if job is not None]
        start = min(index for index, model in models.items() if model == known[0].start)
        files = zip(methods, (job.dataset for job in known), strict=True)
        yield ChainLink(start, tuple(files))


def learnt(chain: Sequence[ChainLink], iteration: int) -> tuple[int, ...]:
    """The iterations that a model has learnt from on its way from the base, oldest first."""
    path: list[int] = []
    while iteration > 0:
        path.append(iteration)
        iteration = chain[iteration - 1].start
    return tuple(path[::-1])


def step_of(iteration: int, method: Method) -> str:
    """A job's place in its run."""
    return f"{iteration:02}" if method == "supervised" else f"{iteration:02}/{method}"


def file_of(directory: Path, iteration: int, method: Method) -> Path:
    """Where a run keeps a training file."""
    return directory / f"iteration_{iteration:02}" / training_files.FILES[method]


def read(directory: Path, iteration: int, method: Method, sha256: str) -> bytes:
    """The bytes that were learnt from. Raises DataError where they are not those."""
    path = file_of(directory, iteration, method)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"cannot read {path}: {error}; retraining needs every training file"
        ) from None
    if (found := hashlib.sha256(content).hexdigest()) != sha256:
        raise DataError(f"{path} has sha256 {found[:12]}, the run learnt from {sha256[:12]}")
    return content


def check_tokens(
    method: Method, content: bytes, counter: TokenCounter, least: int, limit: int | None
) -> ReplayFile:
    """What a training file comes to at the endpoint that it is replayed at.

    `least` is what the endpoint takes of examples, `limit` the most tokens of one. Raises
    DataError.
    """
    lines = content.splitlines()
    chats = [[counter.chat(chat) for chat in _chats(method, line)] for line in lines]
    longest = max((max(each) for each in chats), default=0)
    if limit is not None and longest > limit:
        about = "" if counter.exact else "about "
        raise DataError(
            f"an example has {about}{longest} tokens, and {limit} are allowed there; replay it on "
            "a model that takes longer ones (--model, --profile)"
        )
    if len(lines) < least:
        raise DataError(
            f"a file has {len(lines)} examples, and the endpoint takes {least} or more; replay it "
            "at another (--profile)"
        )
    return ReplayFile(
        method=method,
        sha256=hashlib.sha256(content).hexdigest(),
        examples=len(lines),
        tokens=sum(map(sum, chats)),
    )


def files_of_step(
    directory: Path, iteration: int, step: ReplayStep
) -> list[tuple[Method, GivenFile]]:
    """What an iteration of a replay learns, from the copies in its own directory."""
    return [(one.method, _file_of_step(directory, iteration, one)) for one in step.lessons]


def files_of_warm_up(directory: Path, chain: ReplayConfig) -> list[tuple[Method, GivenFile]]:
    """What the warm-up of a replay learns."""
    return [(one.method, _file_of_step(directory, 0, one)) for one in chain.warm_up]


def _file_of_step(directory: Path, iteration: int, one: ReplayFile) -> GivenFile:
    content = read(directory, iteration, one.method, one.sha256)
    name = f"iteration_{iteration:02}/{training_files.FILES[one.method]}"
    return GivenFile(content, one.sha256, one.tokens, name)


class LearningRate(Record, frozen=True):
    """A learning rate in either kind; None twice: the provider's own."""

    multiplier: float | None = None
    absolute: float | None = None


def mapped(
    rate: LearningRate, here: TrainingCapabilities, there: TrainingCapabilities
) -> LearningRate:
    """The rate at another endpoint: the same multiple of what the endpoint takes by itself.

    Where an endpoint does not state that rate, an absolute rate is taken over as it stands, and
    nothing else can be: the choice is left to the provider.
    """
    multiplier = rate.multiplier
    if rate.absolute is not None and here.own_rate is not None:
        multiplier = rate.absolute / here.own_rate
    if there.learning_rate == "multiplier":
        return LearningRate(multiplier=multiplier)
    if multiplier is not None and there.own_rate is not None:
        return LearningRate(absolute=multiplier * there.own_rate)
    return LearningRate(absolute=rate.absolute)


class _Chat(msgspec.Struct):
    messages: tuple[ExampleMessage, ...]


class _Asked(msgspec.Struct):
    messages: tuple[ExampleMessage, ...]


class _Pair(msgspec.Struct):
    input: _Asked
    preferred_output: tuple[ExampleMessage, ...]
    non_preferred_output: tuple[ExampleMessage, ...]


def _chats(method: Method, line: bytes) -> list[tuple[ExampleMessage, ...]]:
    if method == "supervised":
        return [msgspec.json.decode(line, type=_Chat).messages]
    pair = msgspec.json.decode(line, type=_Pair)
    asked = pair.input.messages
    return [asked + pair.preferred_output, asked + pair.non_preferred_output]
