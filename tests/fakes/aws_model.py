"""Amazon's own description of its API, as botocore carries it: what a request and a reply may hold.

Checked by members, types, patterns, bounds and enumerations. Nothing here was written from our
client, nor from the fake.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Any, cast

Json = dict[str, Any]


@cache
def operation(service: str, name: str) -> Any:
    """One operation of one service."""
    session: Any = import_module("botocore.session").get_session()
    return session.get_service_model(service).operation_model(name)


def request_mistakes(
    service: str, name: str, uri: Mapping[str, str], query: Mapping[str, str], body: bytes
) -> list[str]:
    """What the service would refuse of a request."""
    shape: Any = operation(service, name).input_shape
    told: Json = json.loads(body) if body else {}
    if clash := sorted(told.keys() & (uri.keys() | query.keys())):
        return [f"{clash[0]} is told twice"]
    members: Json = shape.members
    counts = {
        name: int(value)
        for name, value in query.items()
        if name in members and members[name].type_name == "integer"
    }
    return list(_mistakes(shape, {**told, **uri, **query, **counts}, ""))


def reply_mistakes(service: str, name: str, told: Json) -> list[str]:
    """What no reply of the service would be."""
    shape: Any = operation(service, name).output_shape
    return list(_mistakes(shape, told, "")) if shape is not None else []


def status(service: str, name: str) -> int:
    """Of a reply that is no error."""
    return int(operation(service, name).http.get("responseCode", 200))


def _mistakes(shape: Any, value: Any, at: str) -> Iterator[str]:
    kind: str = shape.type_name
    if kind == "structure":
        yield from _structure(shape, value, at)
    elif kind == "list":
        told = cast("list[Any]", value) if isinstance(value, list) else []
        yield from _bounds(shape, len(told), at) if told == value else [f"{at}: no list"]
        for number, one in enumerate(told):
            yield from _mistakes(shape.member, one, f"{at}[{number}]")
    elif kind == "map":
        for key, one in cast("Json", value).items():
            yield from _mistakes(shape.value, one, f"{at}.{key}")
    elif kind in ("integer", "long", "float", "double"):
        whole = kind in ("integer", "long")
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            yield f"{at}: {value!r} is no {kind}"
        else:
            yield from _bounds(shape, value, at)
    elif kind == "boolean" and not isinstance(value, bool):
        yield f"{at}: {value!r} is no boolean"
    elif kind in ("string", "timestamp"):
        yield from _text(shape, value, at)


def _structure(shape: Any, value: Any, at: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{at}: {value!r} is no structure"
        return
    members: Json = shape.members
    told = cast("Json", value)
    yield from (f"{at}.{name}: unknown" for name in sorted(told.keys() - members.keys()))
    yield from (f"{at}.{name}: missing" for name in shape.required_members if name not in told)
    if getattr(shape, "is_tagged_union", False) and len(told) != 1:
        yield f"{at}: exactly one member must be set"
    for name in sorted(told.keys() & members.keys()):
        yield from _mistakes(members[name], told[name], f"{at}.{name}")


def _text(shape: Any, value: Any, at: str) -> Iterator[str]:
    if not isinstance(value, str):
        yield f"{at}: {value!r} is no text"
        return
    if shape.type_name == "timestamp":
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", value):
            yield f"{at}: {value!r} is no time"
        return
    yield from _bounds(shape, len(value), at)
    pattern = shape.metadata.get("pattern")
    if pattern and not re.search(f"^(?:{pattern})$", value, re.DOTALL):
        yield f"{at}: {value!r} does not match {pattern}"
    if shape.enum and value not in shape.enum:
        yield f"{at}: {value!r} is none of {shape.enum}"


def _bounds(shape: Any, size: float, at: str) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if (least is not None and size < least) or (most is not None and size > most):
        yield f"{at}: {size} is not in [{least}, {most}]"
