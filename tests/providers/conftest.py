from collections.abc import AsyncIterator

import pytest

from rmft_api.providers import Connection, connect
from rmft_api.providers.profiles import Profile, load
from tests.providers.stub import Serving, StubProvider

CANARY = "sk-canary-0123456789abcdef"
ENVIRON = {"OPENAI_API_KEY": CANARY}


@pytest.fixture
async def stub() -> AsyncIterator[StubProvider]:
    async with Serving() as stub:
        yield stub


@pytest.fixture
def profile(stub: StubProvider) -> Profile:
    return load("openai").at(stub.url)


@pytest.fixture
async def connection(profile: Profile) -> AsyncIterator[Connection]:
    async with connect(profile, environ=ENVIRON) as connection:
        yield connection
