"""A request on its way through batches, and what is written down about a batch."""

import asyncio
from dataclasses import dataclass, field
from hashlib import sha256

from rmft_api.core.errors import Mismatch
from rmft_api.core.records import ChatRequest, ChatResponse, Record


@dataclass(eq=False)
class WaitingRequest:
    """One request that waits for its response."""

    request: ChatRequest
    digest: bytes
    number: int
    """Attempts so far."""
    attempt: int | None = None
    """The open attempt, None where a new one must begin."""
    batch: str | None = None
    """The batch that the open attempt went into."""
    reserved: int = 0
    mismatch: Mismatch | None = None
    """The form of the reply that it last had, where that was no answer."""
    reply: "asyncio.Future[ChatResponse]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def answer(self, reply: ChatResponse) -> None:
        """Hand the reply on; its waiter may be gone."""
        if not self.reply.done():
            self.reply.set_result(reply)

    def fail(self, error: BaseException) -> None:
        """Hand on why there is none."""
        if not self.reply.done():
            self.reply.set_exception(error)
            self.reply.exception()  # its waiter may be gone, which is no error

    def forget(self) -> None:
        """Its attempt is over without an answer: it is asked again."""
        self.attempt, self.batch = None, None


class Manifest(Record, frozen=True):
    """What a batch is made of, written down before anything is reserved for it."""

    filename: str
    bytes: int
    sha256: str
    requests: int


def manifest_of(name: str, run: str, content: bytes, requests: int) -> Manifest:
    """Of a batch's file."""
    filename = f"rmft-{run[:24]}-batch-{name}.jsonl"
    return Manifest(filename, len(content), sha256(content).hexdigest(), requests)


def name_of(run: str, created: int, group: list[WaitingRequest]) -> str:
    """A batch's fixed name: the same requests of the same run have the same name."""
    lines = [f"{one.request.key}|{one.number}|{one.digest.hex()}" for one in group]
    return sha256("\n".join([run, str(created), *lines]).encode()).hexdigest()[:24]
