"""What the pipeline needs from the outside world; `providers/` implements it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from rmft_api.core.records import (
    Batch,
    BatchAnswer,
    BatchOrder,
    ChatRequest,
    ChatResponse,
    ChatStats,
    Checkpoint,
    Deployment,
    DeploymentOrder,
    Job,
    JobEvent,
    JobOrder,
    Message,
    UploadedFile,
)
from rmft_api.core.waits import Wait


class ChatModel(Protocol):
    """Answers chats."""

    async def reply(self, request: ChatRequest) -> ChatResponse:
        """One request, `request.n` choices. Raises ProviderFault, already classified."""
        ...


class FineTuner(Protocol):
    """Holds files and trains models. Nothing here retries: `retries.py` does."""

    def stored(self, content: bytes) -> bytes:
        """A training file's bytes as the provider will hold them."""
        ...

    async def upload(self, filename: str, content: bytes) -> UploadedFile:
        """Store a training file."""
        ...

    async def find_uploads(self, filename: str) -> list[UploadedFile]:
        """Files of this very name, oldest first."""
        ...

    async def file(self, file_id: str) -> UploadedFile:
        """The file as it stands."""
        ...

    async def estimated_price(self, order: JobOrder) -> int | None:
        """The endpoint's own estimate for the job in micro-dollars; None: it gives none.

        Raises ProviderFault for a job that the account cannot pay.
        """
        ...

    async def create_job(self, order: JobOrder) -> Job:
        """Start a job and return at once, so that its id can be saved before the first poll."""
        ...

    async def find_jobs(self, order: JobOrder) -> list[Job]:
        """Jobs that carry the order's key or train on its file, oldest first."""
        ...

    async def job(self, job_id: str) -> Job:
        """The job as it stands."""
        ...

    async def events(self, job_id: str, after: str | None) -> list[JobEvent]:
        """The job's log since event `after`, oldest first."""
        ...

    async def checkpoints(self, job_id: str) -> list[Checkpoint]:
        """Models saved so far, oldest first; empty where a provider keeps none."""
        ...

    async def cancel_job(self, job_id: str) -> Job:
        """Ask for the job's end."""
        ...

    async def model_ready(self, model: str) -> bool:
        """Whether the endpoint lists the model yet."""
        ...


class DeploymentClient(Protocol):
    """Makes models answer that do not by themselves. Nothing here retries: `retries.py` does."""

    @property
    def billed_hourly(self) -> bool:
        """Whether what is deployed is paid by the hour."""
        ...

    @property
    def removed_after_use(self) -> bool:
        """Whether what is deployed must not outlive its use.

        It is paid by the hour, or an account may have only a few.
        """
        ...

    @property
    def repeatable(self) -> bool:
        """Whether the same order with the same token makes one thing, however often it is sent."""
        ...

    async def deploy(self, order: DeploymentOrder, token: str) -> Deployment:
        """Begin to make the model answer, under the order's name.

        `token` is this deployment's alone: a later one of the same model has another.
        """
        ...

    async def find(self, order: DeploymentOrder) -> list[Deployment]:
        """What stands under the order's name, as it is now."""
        ...

    async def deployments(self) -> list[Deployment]:
        """Everything that any run of ours has deployed there."""
        ...

    async def remove(self, name: str) -> None:
        """Take a deployment down; nothing happens where there is none."""
        ...


class BatchClient(Protocol):
    """Answers many chats at once, later and cheaper. Nothing here retries: `retries.py` does."""

    def line(self, request: ChatRequest) -> bytes:
        """The request as a line of a batch's file, under the ask's own key."""
        ...

    def read(self, request: ChatRequest, answer: BatchAnswer) -> ChatResponse:
        """The reply that an answer holds. Raises ProviderFault, already classified."""
        ...

    async def upload(self, filename: str, content: bytes) -> UploadedFile:
        """Store the lines of a batch."""
        ...

    async def find_uploads(self, filename: str) -> list[UploadedFile]:
        """Files of this very name, oldest first."""
        ...

    async def create(self, order: BatchOrder) -> Batch:
        """Start a batch and return at once, so that its id can be saved before the first poll."""
        ...

    async def find(self, order: BatchOrder) -> list[Batch]:
        """Batches that carry the order's key or read its file, oldest first."""
        ...

    async def batch(self, batch_id: str) -> Batch:
        """The batch as it stands."""
        ...

    async def cancel(self, batch_id: str) -> Batch:
        """Ask for the batch's end."""
        ...

    async def answers(self, batch: Batch) -> list[BatchAnswer]:
        """What became of each request of a batch that has ended, in any order."""
        ...


class PromptBuilder(Protocol):
    """What one trajectory is shown, round by round. Pure: no chance, no clock."""

    def show_in(self, order: tuple[int, ...]) -> None:
        """List the actions in this order from now on."""
        ...

    def messages(self) -> tuple[Message, ...]:
        """All messages to send now; equal for trajectories that saw the same."""
        ...

    def new_messages(self) -> tuple[Message, ...]:
        """The messages of `chat()` that are new in this round."""
        ...

    def stats(self) -> ChatStats | None:
        """Of `chat()`, where it grows; None where every round is a chat of its own."""
        ...

    def observe(self, reply: str, action: int | None, rewards: tuple[float, ...]) -> None:
        """Continue to the next round. `action` None: the reply could not be read.

        `rewards` are all K; what is shown of them depends on the scenario's feedback.
        """
        ...


class Console(Protocol):
    """Where a run shows how far it is."""

    def stage(self, what: str) -> None:
        """Name what the run does from now on, where no decisions are counted."""
        ...

    def waiting(self, wait: Wait | None, is_news: bool) -> None:
        """Show what is waited for; None: nothing. A `waits.Listener`."""
        ...

    def line(self, text: str) -> None:
        """Say one thing."""
        ...

    def playing(self, what: str, rounds: int) -> AbstractContextManager[Callable[[int], None]]:
        """Show the progress of `rounds` decisions; the context hands out what counts them."""
        ...


class Tracker(Protocol):
    """Takes a copy of every iteration's figures. It may block; the loop calls it in a thread."""

    def figures(self, index: int, model: str, figures: Mapping[str, float]) -> None:
        """The figures of the model of iteration `index`; 0 is the base."""
        ...

    def results(self, pictures: Mapping[str, Path], champion: Mapping[str, str]) -> None:
        """What a finished run came to: its figures as PNG files by name, and its champion.

        `champion` holds "model" and where that comes from. May be called again for the same run.
        """
        ...

    def close(self, *, finished: bool) -> None:
        """No more comes now; an unfinished run may be resumed."""
        ...
