"""Benchmarks run rarely, so what they take from the package is checked here."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = sorted(FOLDER.rglob("*.py"))


def taken(script: Path) -> Iterator[tuple[str, str]]:
    """Each name that a script imports from the package, and its module."""
    for node in ast.walk(ast.parse(script.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rmft_api"):
            yield from ((node.module or "", alias.name) for alias in node.names)


def exists(module: str, name: str) -> bool:
    if hasattr(importlib.import_module(module), name):
        return True
    try:
        importlib.import_module(f"{module}.{name}")
    except ModuleNotFoundError:
        return False
    return True


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda one: one.relative_to(FOLDER).as_posix())
def test_what_a_benchmark_takes_from_the_package_is_there(script: Path) -> None:
    assert not [one for one in taken(script) if not exists(*one)]
