"""A small run to be killed: `python -m tests.journal.program DIRECTORY AT_ONCE`.

Six chat calls, AT_ONCE at a time, then a job, all through the journal. The provider is a file that
every request is appended to before it is answered: what it says was done, was done, and billed.
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rmft_api.core.records import (
    ChatRequest,
    ChatResponse,
    Choice,
    Message,
    Record,
    Sampling,
    Usage,
)
from rmft_api.journal import Journal
from rmft_api.requests.journaled_chat import JournaledChat
from rmft_api.requests.outbox import Outbox, Quarantine
from rmft_api.requests.retries import Retries

CALLS, WORST, COST = 6, 100, 30
JOB_WORST, JOB_COST = 5000, 4000
CAP = 20_000


class Job(Record, frozen=True):
    """What the provider makes of a request for training."""

    id: str


class Provider:
    """Bills first, answers then."""

    def __init__(self, bill: Path) -> None:
        self._bill = bill

    def billed(self) -> list[str]:
        """Every request that was ever served."""
        return self._bill.read_text().splitlines() if self._bill.exists() else []

    def _serve(self, request: str) -> None:
        with self._bill.open("a") as file:
            file.write(f"{request}\n")
            file.flush()
            os.fsync(file.fileno())

    async def reply(self, request: ChatRequest) -> ChatResponse:
        """Answer a chat."""
        self._serve(request.key)
        await asyncio.sleep(0.001)
        return ChatResponse(
            "id", request.model, (Choice(f"to {request.key}", "stop"),), Usage(9, 9)
        )

    async def create_job(self) -> Job:
        """Start a job."""
        self._serve("job")
        return Job("job-1")

    async def find_jobs(self) -> Sequence[Job]:
        """The jobs that exist."""
        return [Job("job-1")] * self.billed().count("job")


async def play(journal: Journal, provider: Provider, at_once: int) -> list[str]:
    """The run: the same program, whether it begins or goes on."""
    retries = Retries()
    await journal.ledger.set_cap(CAP)
    chat = JournaledChat(journal, provider, retries, price=lambda _: WORST, cost=lambda _, __: COST)

    async def call(number: int) -> str:
        request = ChatRequest(f"call/{number}", "m", (Message("user", "?"),), 1, number, Sampling())
        return (await chat.reply(request)).choices[0].content or ""

    said: list[str] = []
    for first in range(0, CALLS, at_once):
        said += await asyncio.gather(*(call(first + i) for i in range(at_once)))
    outbox = Outbox(journal, retries, Quarantine(looks_s=(0.0, 0.05), timeout_s=0.1))
    job = await outbox.once(
        "job/0",
        "job",
        said,
        look_up=provider.find_jobs,
        act=provider.create_job,
        returns=Job,
        reserve=JOB_WORST,
        cost=JOB_COST,
    )
    return [*said, job.id]


def opened(run_dir: Path) -> Journal:
    """The run's journal, begun if it was not."""
    try:
        return Journal.create(run_dir, "{}", {})
    except Exception as error:
        if "exists" not in str(error):
            raise
        return Journal.open(run_dir)


async def main(directory: Path, at_once: int) -> None:
    """Play and print what came of it."""
    journal = opened(directory / "run")
    said = await play(journal, Provider(directory / "bill"), at_once)
    totals = journal.ledger.totals()
    journal.close()
    sys.stdout.write(" ".join([*said, str(totals.spent), str(totals.reserved)]).replace("to ", ""))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
