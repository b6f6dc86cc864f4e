"""What the code's own shape must be."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import rmft_api

LONGEST = 40
ROOT = Path(rmft_api.__file__).parent
PROJECT = ROOT.parent


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


PRIVATE = re.compile(
    r"\b(told|tells?|telling|heard|foretold|begun|anew|whoever|go(es)? on|going on|gone on|"
    r"for ever|heeded|ballast|reckons?|mended)\b",
    re.IGNORECASE,
)
"""What readers of this field say otherwise: shown, reported, sent, started, again, continues."""


def texts(path: Path) -> Iterator[str]:
    """The prose of a page without its code, or the texts and comments of a module."""
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        yield from re.split(r"\n\n|\n\|", re.sub(r"(?s)```.*?```|`[^`]*`", "", source))
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield re.sub(r"`[^`]*`", "", node.value)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield re.sub(r"`[^`]*`", "", token.string)


def private_words(path: Path) -> list[str]:
    """Where a text says `told` and the like, with some words around it."""
    return [
        f"{path.name}: {text[max(0, found.start() - 30) : found.end() + 30]!r}"
        for text in texts(path)
        for found in PRIVATE.finditer(text)
    ]


ROOT_PAGES = ("README", "CONTRIBUTING", "SECURITY")
GENERATED = "reference.md"  # made of docstrings, which are checked themselves
PAGES = [
    *(path for path in (PROJECT / "docs").glob("*.md") if path.name != GENERATED),
    *(PROJECT / f"{name}.md" for name in ROOT_PAGES),
]


def test_pages_use_the_words_of_the_field() -> None:
    assert len(PAGES) > 10
    assert [one for path in PAGES for one in private_words(path)] == []


def test_docstrings_messages_and_comments_use_the_words_of_the_field() -> None:
    modules = sorted(ROOT.rglob("*.py"))
    assert len(modules) > 300
    assert [one for path in modules for one in private_words(path)] == []


def test_a_private_word_is_found_wherever_it_is_planted(tmp_path: Path) -> None:
    planted = {
        "page.md": "| a | is told `x` |",
        "a.py": '"""It goes on."""',
        "b.py": "x = 1  # anew",
        "c.py": 'raise ValueError(f"{x} has begun")',
    }
    for name, text in planted.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert [len(private_words(tmp_path / name)) for name in planted] == [1, 1, 1, 1]
    (tmp_path / "page.md").write_text("`told`\n\n```\ntold\n```\n", encoding="utf-8")
    assert private_words(tmp_path / "page.md") == []
