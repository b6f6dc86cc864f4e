"""Replies of the OpenAI wire, read strictly: right types, an id, or a fault that says why not."""

from typing import Any, TypeVar, cast

import msgspec

from rmft_api.core.records import UploadedFile
from rmft_api.providers import faults, refusals

KEY = "rmft_key"
"""Under which our own name for a thing stands in its metadata."""
Entry = dict[str, Any]
W = TypeVar("W")


class WireFile(msgspec.Struct):
    """A file as the endpoint reports it."""

    id: str
    filename: str
    bytes: int
    status: str | None = None

    def record(self) -> UploadedFile:
        """The file as we know it."""
        return UploadedFile(self.id, self.filename, self.bytes, self.status or "processed")


class WirePage(msgspec.Struct):
    """One page of a list; its entries are read one by one."""

    data: list[Entry]
    has_more: bool = False


def decoded(request: faults.Request, raw: bytes, kind: type[W]) -> W:
    """A reply's body. Raises ProviderFault for what is not of its kind, or has an empty id."""
    try:
        wire = msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        if refusals.is_error(raw):
            raise faults.refused(request, 200, {}, raw) from error
        raise faults.malformed(request, str(error), raw) from error
    return _named(request, wire)


def converted(request: faults.Request, entry: Entry, kind: type[W]) -> W:
    """An entry of a list. Raises ProviderFault as `decoded` does."""
    try:
        return _named(request, msgspec.convert(entry, kind))
    except msgspec.ValidationError as error:
        raise faults.malformed(request, str(error)) from error


def is_ours(entry: Entry, key: str, field: str, file_id: str) -> bool:
    """Whether an entry carries our key, or its `field` names our file."""
    metadata = entry.get("metadata")
    carries = isinstance(metadata, dict) and cast(Entry, metadata).get(KEY) == key
    return carries or entry.get(field) == file_id


def _named(request: faults.Request, wire: W) -> W:
    if getattr(wire, "id", "-") == "":
        raise faults.malformed(request, "its id is empty")
    return wire
