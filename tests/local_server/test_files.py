import json
import time
from pathlib import Path

import openai
import pytest
from openai.types import FileObject

from rmft_api.local_server import files
from rmft_api.local_server.files import FileStore, UploadPart
from rmft_api.local_server.refusals import RequestError
from tests.local_server.serving import Served, dataset, served, upload


def test_a_file_is_kept_byte_for_byte_until_it_is_deleted(client: openai.OpenAI) -> None:
    content = dataset() + b"\r\n--boundary\x00\xff"
    file = client.files.create(file=("a b.jsonl", content), purpose="fine-tune")
    assert (file.filename, file.bytes, file.status) == ("a b.jsonl", len(content), "processed")
    assert client.files.retrieve(file.id) == file
    assert client.files.content(file.id).read() == content
    assert client.files.delete(file.id).deleted
    for missing in (client.files.retrieve, client.files.content, client.files.delete):
        with pytest.raises(openai.NotFoundError, match=file.id):
            missing(file.id)


def test_files_are_listed_newest_first_in_pages(tmp_path: Path) -> None:
    with served(tmp_path) as server, server.client() as client:
        ids = [upload(client) for _ in range(5)]
        other = client.files.create(file=("x", b"x"), purpose="user_data").id
        page = client.files.list(limit=2, purpose="fine-tune")
        assert [file.id for file in page.data] == [ids[4], ids[3]]
        assert page.has_more
        assert [file.id for file in client.files.list(limit=2)] == [other, *ids[::-1]]
        assert [file.id for file in client.files.list(order="asc", after=ids[3])] == [ids[4], other]


def test_a_file_object_passes_the_sdks_own_strict_check(server: Served) -> None:
    with server.client() as client:
        file_id = upload(client)
    FileObject.model_validate_json(json.dumps(server.request("GET", f"/v1/files/{file_id}")[1]))


def form(*fields: tuple[str, str]) -> tuple[bytes, dict[str, str]]:
    parts = [
        f'--edge\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields
    ]
    body = "".join(parts).encode() + b"--edge--\r\n"
    return body, {"Content-Type": "multipart/form-data; boundary=edge"}


FILE = ("file", "{}")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ((FILE,), "purpose"),
        ((("purpose", "fine-tune"),), "file"),
        ((FILE, ("purpose", "fun")), "purpose"),
        ((FILE, ("purpose", "x" * 2000)), "purpose"),
        ((FILE, FILE, ("purpose", "fine-tune")), "file"),
        (
            (FILE, ("purpose", "fine-tune"), ("expires_after[seconds]", "9")),
            "expires_after.seconds",
        ),
    ],
)
def test_a_wrong_form_names_its_field(
    server: Served, fields: tuple[tuple[str, str], ...], param: str
) -> None:
    body, headers = form(*fields)
    status, answer = server.request("POST", "/v1/files", body, **headers)
    assert (status, answer["error"]["param"]) == (400, param)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"{}", "application/json"),
        (b"", "multipart/form-data; boundary=edge"),
        (b"torn", "multipart/form-data; boundary=edge"),
        (b'--edge\r\nContent-Disposition: form-data; name="file"\r\n\r\nhal', "multipart/x"),
        (
            b'--edge\r\nContent-Disposition: form-data; name="file"\r\n\r\nhal',
            "multipart/form-data; boundary=edge",
        ),
    ],
)
def test_a_torn_form_is_refused_and_leaves_nothing_behind(
    server: Served, body: bytes, content_type: str
) -> None:
    before = set((server.state / "files").iterdir())
    status, answer = server.request("POST", "/v1/files", body, **{"Content-Type": content_type})
    assert status == 400, answer
    assert set((server.state / "files").iterdir()) == before


def test_a_file_can_expire(client: openai.OpenAI) -> None:
    file = client.files.create(
        file=("x", b"x"),
        purpose="fine-tune",
        expires_after={"anchor": "created_at", "seconds": 3600},
    )
    assert file.expires_at == file.created_at + 3600


async def stored(store: FileStore, content: bytes, expires_after_s: int | None = None) -> str:
    part = store.begin()
    await receive(part, content)
    return (await store.keep(part, "x.jsonl", "fine-tune", expires_after_s)).id


async def receive(part: UploadPart, content: bytes) -> None:
    async def chunks() -> files.AsyncIterator[bytes]:
        yield content

    await part.receive(chunks())


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_an_expired_file_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FileStore(tmp_path)
    file_id = await stored(store, b"x", expires_after_s=60)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 61)
    with pytest.raises(RequestError, match="No such File"):
        store.get(file_id)
    assert names(tmp_path) == []


async def test_a_file_above_the_limit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LARGEST", 3)
    with pytest.raises(RequestError) as caught:
        await stored(FileStore(tmp_path), b"four")
    assert caught.value.status == 413


async def test_an_upload_that_never_ended_is_swept_at_the_next_start(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    kept = await stored(store, b"x")
    await receive(store.begin(), b"half")
    assert len(names(tmp_path)) == 2
    assert [file.id for file in FileStore(tmp_path).all()] == [kept]
    assert names(tmp_path) == [kept]
