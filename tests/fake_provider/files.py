"""/v1/files: upload, list, get, content, delete."""

import time
from dataclasses import dataclass, replace
from typing import Any

from tests.fake_provider.chat import bad
from tests.fake_provider.scripts import refusal
from tests.fake_provider.settings import Settings
from tests.fake_provider.store import Charge, File, Store, digest
from tests.fake_provider.wire import Request, Response, form, json_response


def page(items: list[dict[str, Any]], query: dict[str, str], default: int) -> Response:
    """One page of a list, in the order given: after an id, at most `limit`."""
    if after := query.get("after"):
        ids = [item["id"] for item in items]
        items = items[ids.index(after) + 1 :] if after in ids else []
    limit = int(query.get("limit", default))
    shown = items[:limit]
    ends = {"first_id": shown[0]["id"], "last_id": shown[-1]["id"]} if shown else {}
    return json_response({"object": "list", "data": shown, "has_more": len(items) > limit, **ends})


@dataclass(frozen=True)
class Files:
    """Files kept for training."""

    store: Store
    settings: Settings

    def upload(
        self, request: Request, number: int, key_hash: str, fate: dict[str, Any]
    ) -> Response:
        """POST /v1/files: a form with `file` and `purpose`."""
        try:
            parts = form(request)
        except ValueError as error:
            return bad(str(error), "file")
        if "file" not in parts or "purpose" not in parts:
            return bad("'file' and 'purpose' are required.", "file")
        sent, purpose = parts["file"], parts["purpose"].content.decode()
        file = self.store.add_file(sent.filename or "upload", purpose, sent.content)
        if polls := int(fate.get("late_polls", 0)):
            self.store.delay_file(file.id, polls)
        charge = Charge("upload", file.id, digest(file.filename, sent.content.hex()))
        self.store.charge(number, key_hash, charge)
        return json_response(_file_object(self.store.file(file.id) or file))

    def list(self, request: Request) -> Response:
        """GET /v1/files, newest first unless `order=asc`."""
        query = dict(request.query)
        seen = time.time() - self.settings.list_lag_s
        files = [file for file in self.store.files() if file.wall <= seen]
        if purpose := query.get("purpose"):
            files = [file for file in files if file.purpose == purpose]
        if query.get("order", "desc") != "asc":
            files.reverse()
        return page([_file_object(file) for file in files], query, 10_000)

    def get(self, id: str) -> Response:
        """GET /v1/files/{id}; each look brings a late file nearer."""
        file = self.store.file(id)
        if file is None:
            return _no_file(id)
        if file.late_polls:
            file = replace(file, late_polls=file.late_polls - 1)
            self.store.delay_file(id, file.late_polls)
        return json_response(_file_object(file))

    def content(self, id: str) -> Response:
        """GET /v1/files/{id}/content."""
        file = self.store.file(id)
        if file is None:
            return _no_file(id)
        return Response(200, file.content, {"content-type": "application/octet-stream"})

    def delete(self, id: str) -> Response:
        """DELETE /v1/files/{id}."""
        if self.store.file(id) is None:
            return _no_file(id)
        self.store.delete_file(id)
        return json_response({"id": id, "object": "file", "deleted": True})


def _no_file(id: str) -> Response:
    return refusal(404, f"No such File object: {id}", "invalid_request_error", None)


def _file_object(file: File) -> dict[str, Any]:
    return {
        "id": file.id,
        "object": "file",
        "bytes": len(file.content),
        "created_at": int(file.wall),
        "filename": file.filename,
        "purpose": file.purpose,
        "status": "uploaded" if file.late_polls else "processed",
        "status_details": None,
    }
