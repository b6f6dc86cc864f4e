"""One file and one job for one order, whatever a gateway answers after the work was done.

Every adapter over real HTTP, each against the fake of its wire. What is answered is drawn: any
status, any form of a body, any wait that is asked for, once or several times in a row.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmft_api.core.errors import RmftError
from rmft_api.core.records import Method
from rmft_api.finetuning import FineTuned, Trainer
from rmft_api.journal import Journal
from rmft_api.journal.ledger import Totals
from rmft_api.providers import Connection, connect
from rmft_api.providers.profiles import Profile, load
from rmft_api.requests.retries import Retries
from tests.fakes import azure, gemini, nebius
from tests.finetuning.test_training import Data, Time, config
from tests.providers.conftest import ENVIRON
from tests.providers.stub import ROUTES, Json, Meets, Routes, Serving, StubProvider

PRICE = 10_000
"""Micro-dollars that any job costs."""
SPARE = 50
"""Enough money for so many jobs at once: nothing here ends for want of it."""
Route = Literal["upload", "create"]


@dataclass(frozen=True)
class Wire:
    """One adapter and the fake of its provider."""

    profile: str
    base: str
    fake: Callable[[], Any]
    routes: Routes
    environ: Callable[[Any], Mapping[str, str]]
    prefix: str = "/v1"
    stored: str = "files"
    """Where the fake keeps what was uploaded."""

    @asynccontextmanager
    async def served(self) -> AsyncGenerator[tuple[Any, Profile, Connection]]:
        """The fake, and a connection to it."""
        fake = self.fake()
        async with Serving(fake, self.routes, self.prefix):
            own = load(self.profile)
            profile = own.at(fake.url) if self.profile == "openai" else own
            async with connect(profile, environ=self.environ(fake)) as connection:
                yield fake, profile, connection


WIRES = {
    "openai": Wire("openai", "gpt-4.1-mini", StubProvider, ROUTES, lambda _: ENVIRON),
    "azure": Wire(
        "azure",
        "gpt-4.1-mini-2025-04-14",
        azure.FakeAzure,
        azure.AZURE,
        azure.environ,
        azure.PREFIX,
    ),
    "gemini": Wire(
        "gemini",
        "gemini-3.5-flash-lite",
        gemini.FakeGemini,
        gemini.GEMINI,
        gemini.environ,
        stored="objects",
    ),
    "nebius": Wire("nebius", nebius.BASE, nebius.FakeNebius, nebius.NEBIUS, nebius.environ),
}
ERRORS: tuple[Json, ...] = (
    {"message": "Rate limit reached.", "type": "requests", "code": "rate_limit_exceeded"},
    {"message": "You ramp up too fast.", "type": "requests", "code": "slow_down"},
    {"message": "You exceeded your current quota.", "code": "insufficient_quota"},
    {"message": "maximum of 8 fine-tuning requests per day", "code": "daily_rate_limit_exceeded"},
    {"message": "The file is still being processed and is not ready."},
    {"message": "Example 3 has no answer.", "code": "invalid_training_file"},
    {"message": "Incorrect API key provided.", "code": "invalid_api_key"},
    {"message": "The server had an error.", "type": "server_error"},
    {"message": "RESOURCE_EXHAUSTED", "status": "RESOURCE_EXHAUSTED"},
)
BODIES = st.one_of(
    st.sampled_from(ERRORS).map(lambda error: {"error": error}),
    st.sampled_from([b"<html>busy</html>", b"", b"{}", b"null", b"[]", b'{"id": "x", "status"']),
)
HEADERS = st.sampled_from(
    [{}, {"retry-after": "1"}, {"retry-after": "500"}, {"retry-after-ms": "20"}]
)
ANSWERS = st.one_of(
    st.builds(
        Meets,
        status=st.one_of(
            st.sampled_from([200, 400, 401, 402, 403, 409, 429, 500, 503]),
            st.integers(400, 599),
        ),
        body=BODIES,
        headers=HEADERS,
        done=st.booleans(),
    ),
    st.sampled_from([Meets(manner="after"), Meets(manner="reset")]),
)


def is_done(meets: Meets) -> bool:
    return meets.done or meets.manner == "after"


@pytest.mark.parametrize("name", WIRES)
@settings(deadline=None, max_examples=30)
@given(
    route=st.sampled_from(["upload", "create"]),
    answers=st.lists(ANSWERS, min_size=1, max_size=3),
    again=st.booleans(),
)
def test_what_was_done_and_then_refused_is_found_and_not_paid_again(
    name: str, route: Route, answers: list[Meets], again: bool
) -> None:
    with TemporaryDirectory() as folder:
        asyncio.run(_once(WIRES[name], route, answers, again, Path(folder)))


async def _once(wire: Wire, route: Route, answers: list[Meets], again: bool, path: Path) -> None:
    async with wire.served() as (fake, profile, connection):
        fake.plan(route, *answers)
        time = Time()
        Journal.create(path / "test-run", "{}", {}, clock=time.clock).close()
        trained: FineTuned | None = None
        made: list[Json] = fake.jobs
        met: list[Meets] = []
        for _ in range(2 + len(answers)):  # a person resumes whatever stops
            sent = len(fake.asked(route))
            trained, money = await _process(wire, profile, connection, path, time, again)
            met = answers[: len(fake.asked(route))]
            assert len(made) <= 1
            assert money.spent + money.reserved >= PRICE * len(made)
            if any(map(is_done, met[:sent])):
                assert len(fake.asked(route)) == sent, "sent again although it was there"
            if trained:
                break
        assert len(getattr(fake, wire.stored)) <= 1
        if trained or any(map(is_done, met)):
            assert trained, "what was made was not found"
            assert trained.job.id == _name_of(made[0])
            assert len(fake.asked(route)) <= 1 + [*map(is_done, answers), True].index(True)


async def _process(
    wire: Wire, profile: Profile, connection: Connection, path: Path, time: Time, again: bool
) -> tuple[FineTuned | None, Totals]:
    """One process of a run, and the money that its journal knows of."""
    journal = Journal.open(path / "test-run", clock=time.clock)
    try:
        await journal.ledger.set_cap(SPARE * PRICE)
        retries = Retries(clock=time.clock, sleep=time.sleep, jitter=lambda: 0.5)
        trainer = Trainer(profile, connection, journal, retries, config(), _price, _say, again)
        try:
            trained = await trainer.train(1, wire.base, Data())
        except RmftError:
            trained = None
        return trained, journal.ledger.totals()
    finally:
        journal.close()


def _name_of(job: Json) -> str:
    return str(job.get("name") or job["id"])


def _price(model: str, tokens: int, epochs: int, method: Method) -> int:
    return PRICE


def _say(text: str) -> None:
    """Nobody listens."""
