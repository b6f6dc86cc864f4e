"""Records as JSON and back, without loss: the one place where a float becomes text.

JSON has no infinity and no NaN. msgspec writes both as null, and refuses null where a float is
read. Here they are written as the strings "Infinity", "-Infinity" and "NaN" (as in the JSON mapping
of Protocol Buffers), and read back wherever the type says float. JSON for other programs
(`--json`, the pages) is msgspec's own: there null stands for "no finite value".
"""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar, cast

import msgspec
from msgspec import inspect

T = TypeVar("T")
_SPELT = {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}
NULL = "null"
"""The key of `msgspec.Meta.extra` that says what null means where a float is expected: journals
from before this module hold it for any float that is not finite. Without it null is NaN."""


def encode(value: object) -> bytes:
    """JSON that `decode` makes the same value of."""
    raw = msgspec.json.encode(value)
    if b"null" not in raw:  # all floats are finite
        return raw
    return msgspec.json.encode(_spelt(msgspec.to_builtins(value)))


def decode(raw: bytes | str, returns: type[T]) -> T:
    """The value. Raises msgspec.DecodeError, or ValidationError for JSON of another type."""
    try:
        return msgspec.json.decode(raw, type=returns)
    except msgspec.ValidationError:
        plain = _read(msgspec.json.decode(raw), _shape(returns))
        return msgspec.convert(plain, returns, str_keys=True)


def _spelt(plain: object) -> object:
    if isinstance(plain, float):
        return plain if math.isfinite(plain) else _name(plain)
    if isinstance(plain, dict):
        return {key: _spelt(value) for key, value in cast("dict[str, object]", plain).items()}
    if isinstance(plain, list | tuple):
        return [_spelt(value) for value in cast("Sequence[object]", plain)]
    return plain


def _name(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


@lru_cache(maxsize=128)
def _shape(returns: Any) -> inspect.Type:
    return inspect.type_info(returns)


def _read(plain: Any, shape: inspect.Type, null: float = math.nan) -> Any:
    """What was parsed, with floats where the type has them; anything that does not fit as it is."""
    match shape:
        case inspect.Metadata():
            extra = cast("dict[str, float]", shape.extra or {})  # pyright: ignore[reportUnknownMemberType]
            return _read(plain, shape.type, extra.get(NULL, null))
        case inspect.FloatType():
            return _float(plain, null)
        case inspect.UnionType():
            return _of_any(plain, shape.types, null)
        case inspect.StructType() if shape.tag is not None and not _tagged(plain, shape):
            return plain
        case inspect.StructType() | inspect.DataclassType() | inspect.NamedTupleType():
            return _fields(plain, shape.fields)
        case inspect.TupleType() if isinstance(plain, list):
            values = cast("list[Any]", plain)
            return [_read(one, of) for one, of in zip(values, shape.item_types, strict=False)]
        case inspect.CollectionType() if isinstance(plain, list):
            return [_read(one, shape.item_type) for one in cast("list[Any]", plain)]
        case inspect.DictType() if isinstance(plain, Mapping):
            items = cast("Mapping[str, Any]", plain).items()
            return {key: _read(value, shape.value_type) for key, value in items}
        case _:
            return plain


def _float(plain: Any, null: float) -> Any:
    if plain is None:
        return null
    return _SPELT.get(plain, plain) if isinstance(plain, str) else plain


def _of_any(plain: Any, shapes: Sequence[inspect.Type], null: float) -> Any:
    """As that one of the types which it can be; null and text stay what they are where they may."""
    if plain is None and any(isinstance(one, inspect.NoneType) for one in shapes):
        return None
    if isinstance(plain, str) and any(isinstance(one, inspect.StrType) for one in shapes):
        return plain
    for shape in shapes:
        read = _read(plain, shape, null)
        if read is not plain:
            return read
    return plain


def _tagged(plain: Any, shape: inspect.StructType) -> bool:
    """Whether this is that one of several records."""
    return isinstance(plain, dict) and cast("Any", plain).get(shape.tag_field) == shape.tag


def _fields(plain: Any, fields: Sequence[inspect.Field]) -> Any:
    if isinstance(plain, list):  # a tuple, or a record written as one
        values = cast("list[Any]", plain)
        return [_read(one, of.type) for one, of in zip(values, fields, strict=False)]
    if not isinstance(plain, Mapping):
        return plain
    of = {field.encode_name: field.type for field in fields}
    items = cast("Mapping[str, Any]", plain).items()
    return {key: _read(value, of[key]) if key in of else value for key, value in items}
