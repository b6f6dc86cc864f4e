"""Every record comes back from JSON as it was, whatever its floats are."""

import importlib
import math
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import inspect

import rmft_api
from rmft_api.core import serialization
from rmft_api.core.records import Address, Interval, Record, Regrets, Scored, Trajectory
from rmft_api.core.transcripts import TranscriptRecorder
from rmft_api.evaluation.scoring import GateDecision, Results
from rmft_api.journal import Journal

FLOATS = st.floats(allow_nan=True, allow_infinity=True)
TEXT = st.text(max_size=4) | st.sampled_from(["NaN", "Infinity", "-Infinity", "null"])
SCALARS: dict[type[inspect.Type], st.SearchStrategy[Any]] = {
    inspect.FloatType: FLOATS,
    inspect.IntType: st.integers(-(2**63), 2**63 - 1),
    inspect.StrType: TEXT,
    inspect.BoolType: st.booleans(),
    inspect.NoneType: st.none(),
    inspect.BytesType: st.binary(max_size=4),
    inspect.DateType: st.dates(),
    inspect.AnyType: st.none() | st.booleans() | TEXT,
}


def strategy_of(shape: inspect.Type) -> st.SearchStrategy[Any]:
    """Values of a msgspec type, non-finite floats among them."""
    match shape:
        case inspect.Metadata():
            return strategy_of(shape.type)
        case inspect.LiteralType():
            return st.sampled_from(shape.values)
        case inspect.UnionType():
            return st.one_of(*map(strategy_of, shape.types))
        case inspect.VarTupleType():
            return st.lists(strategy_of(shape.item_type), max_size=2).map(tuple)
        case inspect.ListType():
            return st.lists(strategy_of(shape.item_type), max_size=2)
        case inspect.TupleType():
            return st.tuples(*map(strategy_of, shape.item_types))
        case inspect.DictType():
            keys, values = strategy_of(shape.key_type), strategy_of(shape.value_type)
            return st.dictionaries(keys, values, max_size=2)
        case inspect.EnumType():
            return st.sampled_from(list(shape.cls))
        case inspect.StructType():
            fields = {field.name: strategy_of(field.type) for field in shape.fields}
            return st.fixed_dictionaries(fields).map(lambda given: shape.cls(**given))
        case _:
            return SCALARS[type(shape)]


def record_types() -> Iterator[type[Record]]:
    """Every record of the package that needs no optional dependency to import."""
    for module in pkgutil.walk_packages(rmft_api.__path__, "rmft_api."):
        if not any(part in module.name for part in ("local_server", "integrations", "__main__")):
            importlib.import_module(module.name)
    waiting = [Record]
    while waiting:
        for found in waiting.pop().__subclasses__():
            waiting.append(found)
            if found.__module__.startswith("rmft_api."):
                yield found


RECORDS = sorted(set(record_types()), key=lambda one: (one.__module__, one.__name__))


def same(one: object, other: object) -> bool:
    """Equal, where NaN equals NaN and 0.0 is not -0.0."""
    return type(one) is type(other) and repr(one) == repr(other)


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])  # large records
@given(data=st.data())
def test_a_record_comes_back_as_it_was(kind: type[Record], data: st.DataObject) -> None:
    record = data.draw(strategy_of(inspect.type_info(kind)))
    assert same(serialization.decode(serialization.encode(record), kind), record)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_what_is_written_is_json_for_everybody(value: float) -> None:
    written = serialization.encode(Interval(1.0, value, value))
    plain = msgspec.json.decode(written)
    assert float(plain["low"]) == value or math.isnan(value)
    assert b"null" not in written


async def test_an_unbounded_interval_survives_the_journal(tmp_path: Path) -> None:
    gate = GateDecision("continue", 1, Interval(0.25, -math.inf, math.inf))
    journal = Journal.create(tmp_path / "run", "{}", {})
    await journal.put("gate", "01", gate)
    assert journal.get("gate", "01", GateDecision) == gate
    assert journal.all("gate", GateDecision) == [("01", gate)]
    journal.close()


async def test_a_play_of_any_size_survives_the_journal(tmp_path: Path) -> None:
    address = Address("test", 0, 0, 0)
    lost = Scored(address, "static", Regrets(math.inf, *[math.nan] * 5), -math.inf, (0, 0), 1.0)
    journal = Journal.create(tmp_path / "run", "{}", {})
    await journal.save_trajectories(
        [(TranscriptRecorder().trajectory(address, "m", ("A", "B")), lost)]
    )
    ((trajectory, scored),) = journal.plays("test", 0)
    assert same(scored, lost)
    assert trajectory == Trajectory(address, "m", ("A", "B"), ())
    journal.close()


def test_null_in_an_older_journal_is_an_unbounded_interval() -> None:
    old = b'{"decision":"continue","start":1,"drop":{"mean":0.5,"low":null,"high":null}}'
    assert serialization.decode(old, GateDecision).drop == Interval(0.5, -math.inf, math.inf)


def test_null_in_an_older_journal_is_no_number_elsewhere() -> None:
    regrets = serialization.decode(msgspec.json.encode(Regrets(*[math.inf] * 6)), Regrets)
    assert all(map(math.isnan, msgspec.structs.astuple(regrets)))


@pytest.mark.parametrize("raw", [b'{"mean":"high","low":0,"high":1}', b"[]", b'{"mean":1.0}'])
def test_json_of_another_type_is_refused(raw: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        serialization.decode(raw, Interval)


def test_every_record_with_a_float_is_looked_at() -> None:
    assert {Interval, Regrets, GateDecision, Results} <= set(RECORDS)
