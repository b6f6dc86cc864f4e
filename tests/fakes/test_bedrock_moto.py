"""The same adapter against moto, whose S3 and customization jobs nobody here wrote."""

import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from http.client import HTTPConnection
from socket import create_server

import aiohttp
import pytest

from rmft_api.core.errors import ProviderFault
from rmft_api.providers import Connection, connect
from rmft_api.providers.profiles import load
from tests.contracts.fine_tuner import Bench
from tests.fakes.bedrock import KEY_ID, REGION, ROLE, SECRET

pytest.importorskip("moto.server", reason="pip install 'moto[s3]' flask flask-cors")
BASE = "amazon.nova-micro-v1:0"
BUCKET = "moto-tuning"
PATIENCE_S = 60


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
    )
    try:
        _await(port, server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


def _await(port: int, server: "subprocess.Popen[bytes]") -> None:
    for _ in range(10 * PATIENCE_S):
        assert server.poll() is None, "moto's server ended"
        try:
            connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
            connection.request("GET", "/moto-api/data.json")
            connection.getresponse().read()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("moto's server does not answer")


@pytest.fixture
async def connection(moto: str) -> AsyncIterator[Connection]:
    environ = {
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": moto,
        "AWS_ENDPOINT_URL_BEDROCK": moto,
        "AWS_ENDPOINT_URL_S3": moto,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "RMFT_BEDROCK_BUCKET": f"s3://{BUCKET}/rmft",
        "RMFT_BEDROCK_ROLE_ARN": ROLE,
    }
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{moto}/moto-api/reset") as reply:
            assert reply.status == 200
        async with session.put(f"{moto}/{BUCKET}") as reply:
            assert reply.status == 200
    async with connect(load("bedrock"), environ=environ) as connection:
        yield connection


async def test_a_file_is_stored_once_and_found_by_its_name(connection: Connection) -> None:
    tuner, bench = connection.tuner, Bench(connection.tuner, BASE)
    assert await tuner.find_uploads("rmft-1.jsonl") == []
    file = await tuner.upload("rmft-1.jsonl", bench.content)
    assert (file.id, file.bytes) == (
        f"s3://{BUCKET}/rmft/rmft-1.jsonl",
        len(tuner.stored(bench.content)),
    )
    await tuner.upload("rmft-1.jsonl.bak", bench.content)
    assert await tuner.upload("rmft-1.jsonl", bench.content) == file
    assert await tuner.find_uploads("rmft-1.jsonl") == [file]
    assert await tuner.file(file.id) == file
    with pytest.raises(ProviderFault, match="another file is there"):
        await tuner.upload("rmft-1.jsonl", bench.content * 2)


async def test_a_job_that_is_ordered_twice_is_one_though_moto_knows_no_tokens(
    connection: Connection,
) -> None:
    bench = Bench(connection.tuner, BASE)
    order, job = await bench.start()
    assert (await bench.tuner.create_job(order)).id == job.id
    assert [found.id for found in await bench.tuner.find_jobs(order)] == [job.id]


async def test_a_job_is_told_stopped_and_unknown(connection: Connection) -> None:
    bench = Bench(connection.tuner, BASE)
    order, job = await bench.start()
    name = job.id.rpartition("/")[2]  # moto knows a job by its name alone
    told = await bench.tuner.job(name)
    assert (told.training_file, told.metadata["rmft_key"]) == (order.training_file, order.key)
    assert (told.fine_tuned_model, told.error) == (None, None)
    assert (await bench.tuner.cancel_job(name)).status == "cancelled"
    with pytest.raises(ProviderFault, match="not found"):
        await bench.tuner.job("rmft-none")


async def test_a_bucket_that_is_not_there_is_named(connection: Connection, moto: str) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.delete(f"{moto}/{BUCKET}") as reply,
    ):
        assert reply.status == 204
    with pytest.raises(ProviderFault, match="check RMFT_BEDROCK_BUCKET"):
        await connection.tuner.upload("rmft-1.jsonl", Bench(connection.tuner, BASE).content)
