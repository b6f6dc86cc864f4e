"""Each room's `__init__` names what other rooms may use, and the rest is the room's own."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import rmft_api

ROOT = Path(rmft_api.__file__).parent
ROOMS = sorted(path.parent.name for path in ROOT.glob("*/__init__.py"))


def imports() -> Iterator[tuple[str, str, str]]:
    """Each import of one room by another: where it stands, the room, and what is taken of it."""
    for path in sorted(ROOT.rglob("*.py")):
        own = path.relative_to(ROOT).parts[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom) or not node.module:
                continue
            package, _, inside = node.module.partition(".")
            room, _, module = inside.partition(".")
            if package != "rmft_api" or room not in ROOMS or room == own or own == "__init__.py":
                continue
            for name in [module.partition(".")[0]] if module else [one.name for one in node.names]:
                yield str(path.relative_to(ROOT)), room, name


def offered(room: str) -> set[str]:
    """What a room names; a room of entry points alone names nothing."""
    return set(getattr(importlib.import_module(f"rmft_api.{room}"), "__all__", ()))


@pytest.mark.parametrize("room", ROOMS)
def test_what_a_room_names_is_there(room: str) -> None:
    names: dict[str, object] = {}
    exec(f"from rmft_api.{room} import *", names)  # imports the modules among them, too
    assert offered(room) <= names.keys()


def test_a_room_takes_of_another_only_what_that_one_names() -> None:
    found, names = list(imports()), {room: offered(room) for room in ROOMS}
    assert len(found) > 1000
    assert [one for one in found if one[2] not in names[one[1]]] == []
