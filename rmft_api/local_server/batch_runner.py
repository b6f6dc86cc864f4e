"""Carries batches out: each line is a chat as any other, answered by the same models.

A batch that a restart interrupted is run again: no client has seen its answers.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from secrets import token_hex
from typing import Literal, NamedTuple

import msgspec

from rmft_api.local_server.batch_records import ENDPOINT, Batch, BatchStore, FileProblem
from rmft_api.local_server.files import FileStore
from rmft_api.local_server.jsonl import rows
from rmft_api.local_server.refusals import RequestError, decode, internal_error, invalid

MOST_LINES = 50_000
MOST_PROBLEMS = 20
"""Most errors reported for one file."""
Answer = Callable[[bytes], Awaitable[bytes]]
"""A chat completion's request body -> its answer's. Raises Refusal."""

log = logging.getLogger(__name__)


class BatchFileError(ValueError):
    """A batch whose file cannot be carried out."""

    def __init__(self, *problems: FileProblem) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems


class BatchLine(msgspec.Struct, forbid_unknown_fields=True):
    """One request of a batch."""

    custom_id: str
    method: Literal["POST"]
    url: str
    body: msgspec.Raw


class _Outcome(NamedTuple):
    """A line of the output file, or of the error file."""

    answered: bool
    line: bytes


class BatchRunner:
    """Works on every batch that is not over."""

    def __init__(self, store: BatchStore, files: FileStore, answer: Answer) -> None:
        self._store = store
        self._files = files
        self._answer = answer
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def resume_all(self) -> None:
        """Begin what an earlier server left."""
        for batch in self._store.all():
            if not batch.is_over:
                self.begin(batch)

    def begin(self, batch: Batch) -> None:
        """Carry a batch out; returns at once."""
        task = asyncio.create_task(self._run(batch))
        self._tasks[batch.id] = task
        task.add_done_callback(lambda _: self._tasks.pop(batch.id, None))

    async def cancel(self, batch: Batch) -> Batch:
        """End a batch; what it had answered is not kept."""
        if task := self._tasks.get(batch.id):
            task.cancel()
            await asyncio.wait([task])
        ended = msgspec.structs.replace(
            self._store.get(batch.id), status="cancelled", ended_at=int(time.time())
        )
        await self._store.save(ended)
        return ended

    async def stop(self) -> None:
        """Leave everything as it is on the disk."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _run(self, batch: Batch) -> None:
        try:
            await self._carry_out(batch)
        except BatchFileError as error:
            await self._end(batch, "failed", problems=error.problems)
        except Exception:
            log.exception("batch %s failed", batch.id)
            problem = FileProblem("server_error", "the server had an error; its log says more")
            await self._end(batch, "failed", problems=(problem,))

    async def _carry_out(self, batch: Batch) -> None:
        content = await asyncio.to_thread(self._files.content(batch.input_file).read_bytes)
        lines = read_lines(content)
        batch = msgspec.structs.replace(batch, status="in_progress", total=len(lines))
        await self._store.save(batch)
        outcomes = await asyncio.gather(*map(self._outcome, lines))
        good = [one.line for one in outcomes if one.answered]
        bad = [one.line for one in outcomes if not one.answered]
        await self._end(
            batch,
            "completed",
            output_file=await self._keep(batch, "output", good),
            error_file=await self._keep(batch, "error", bad),
            completed=len(good),
            failed=len(bad),
        )

    async def _outcome(self, line: BatchLine) -> _Outcome:
        status = 200
        try:
            body = await self._answer(bytes(line.body))
        except RequestError as refusal:
            status, body = refusal.status, _body_of(refusal)
        except Exception:
            log.exception("request %s of a batch failed", line.custom_id)
            status, body = 500, _body_of(internal_error())
        response = {
            "status_code": status,
            "request_id": f"req_{token_hex(12)}",
            "body": msgspec.Raw(body),
        }
        shown = {
            "id": f"batch_req_{token_hex(12)}",
            "custom_id": line.custom_id,
            "response": response,
            "error": None,
        }
        return _Outcome(status == 200, msgspec.json.encode(shown))

    async def _keep(self, batch: Batch, what: str, lines: list[bytes]) -> str | None:
        """The id of a file of results; None where nothing stands in it."""
        if not lines:
            return None
        part = self._files.begin()
        await part.receive(_whole(b"\n".join(lines) + b"\n"))
        file = await self._files.keep(part, f"{batch.id}_{what}.jsonl", "batch_output", None)
        return file.id

    async def _end(
        self, batch: Batch, status: Literal["completed", "failed"], **more: object
    ) -> None:
        ended = msgspec.structs.replace(batch, status=status, ended_at=int(time.time()), **more)
        await self._store.save(ended)


def read_lines(content: bytes) -> list[BatchLine]:
    """The requests of a batch's file. Raises BatchFileError, which names the lines at fault."""
    try:
        found = list(rows(content.split(b"\n")))
    except UnicodeError as error:
        raise BatchFileError(FileProblem("invalid_json_line", str(error), 1)) from error
    if not 1 <= len(found) <= MOST_LINES:
        message = f"A batch has 1 to {MOST_LINES} requests, this file has {len(found)}."
        raise BatchFileError(FileProblem("too_many_tasks" if found else "empty_file", message))
    lines: list[BatchLine] = []
    problems: list[FileProblem] = []
    first: dict[str, int] = {}
    for number, row in found:
        try:
            line = _line(row)
            if first.setdefault(line.custom_id, number) != number:
                raise _twice(line.custom_id, first[line.custom_id])
            lines.append(line)
        except RequestError as refusal:
            problems.append(_problem(refusal, number))
    if problems:
        raise BatchFileError(*problems[:MOST_PROBLEMS])
    return lines


def _line(row: bytes) -> BatchLine:
    line = decode(_lines, row)
    if line.url != ENDPOINT:
        raise invalid(f"Expected url {ENDPOINT!r}, but got {line.url!r}.", "url", "invalid_url")
    return line


def _twice(name: str, first: int) -> RequestError:
    message = f"The custom_id {name!r} stands in line {first}, too; each request needs its own."
    return invalid(message, "custom_id", "duplicate_custom_id")


def _problem(refusal: RequestError, number: int) -> FileProblem:
    message = refusal.message.replace("JSON body of your request", "JSON of this line")
    code = refusal.code or "invalid_json_line"
    return FileProblem(code, f"Line {number}: {message}", number, refusal.param)


def _body_of(refusal: RequestError) -> bytes:
    return msgspec.json.encode({"error": refusal.error()})


async def _whole(content: bytes) -> AsyncIterator[bytes]:
    yield content


_lines = msgspec.json.Decoder(BatchLine)
