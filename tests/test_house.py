"""What the code's own shape must be."""

import ast
from collections.abc import Iterator
from pathlib import Path

import rmft_api

LONGEST = 40
ROOT = Path(rmft_api.__file__).parent


def functions(root: Path) -> Iterator[tuple[str, int]]:
    """Every function, and how many lines it has without its decorators."""
    for path in sorted(root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
                yield f"{path.relative_to(root)}: {node.name}", node.end_lineno - node.lineno + 1


def test_no_function_is_longer_than_a_screen() -> None:
    found = dict(functions(ROOT))
    assert len(found) > 2000
    assert {name: lines for name, lines in found.items() if lines > LONGEST} == {}
