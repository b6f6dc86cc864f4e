"""The pages say what is there: commands parse, files load, links lead somewhere."""

import ast
import importlib
import importlib.util
import re
import shlex
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from itertools import dropwhile, pairwise
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import pytest
import typer

from rmft_api import testing
from rmft_api.cli.main import app
from rmft_api.config import schema
from rmft_api.core import resources
from rmft_api.prompts import load
from rmft_api.providers import prices, profiles
from rmft_api.rollouts import preparation

ROOT = Path(__file__).parents[1]
PAGES = (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")))
GUIDE = ROOT / "docs" / "guide.md"
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
NAMED = re.compile(r"`((?:rmft_api|tests|docs|benchmarks|prompts)/[\w./-]*|runs/[\w.-]+\.toml)`")
COMMANDS: dict[str, Any] = getattr(typer.main.get_command(app), "commands")  # noqa: B009
ASSIGNED = re.compile(r"[A-Z_]+=")
OWN = ("rmft_api", "tests")
TAG = re.compile(r"^\| ([TBCDEGS]\d+) \|", re.MULTILINE)
TAGS = {"T": 12, "B": 13, "C": 13, "D": 8, "E": 12, "G": 13, "S": 6}
REFERENCE = re.compile(
    r"\b(?:docs/)?(METHOD|DESIGN|FAULTS|method|design|faults)\.md,? (\d+(?:\.\d+)?)"
    r"((?: and \d+(?:\.\d+)?)?)"
)


def blocks(page: Path, language: str) -> list[str]:
    return [body for kind, body in FENCE.findall(page.read_text("utf-8")) if kind == language]


def typed(page: Path) -> Iterator[list[str]]:
    """The words of every command of a page's consoles."""
    for block in blocks(page, "console"):
        for line in block.splitlines():
            if line.strip().startswith("$ "):
                words = shlex.split(line.strip().removeprefix("$ "), comments=True)
                yield list(dropwhile(ASSIGNED.match, words))


def scripted(page: Path) -> Iterator[list[str]]:
    """The words of every line of a page's scripts: nothing of ours is run, other tools may be."""
    for block in (*blocks(page, "bash"), *blocks(page, "sh")):
        for line in filter(str.strip, block.splitlines()):
            yield list(dropwhile(ASSIGNED.match, shlex.split(line, comments=True)))


OURS = [
    (words[1:], page)
    for page in PAGES
    for words in [*typed(page), *scripted(page)]
    if words[:1] == ["rmft-api"]
]
TOML = [block for page in PAGES for block in blocks(page, "toml")]


def shown(value: list[str] | Path) -> str:
    return value.stem if isinstance(value, Path) else " ".join(value)


def titled(page: Path, name: str) -> list[str]:
    """Code blocks that begin with `# name`: files that the reader is to write."""
    bodies = (body for _, body in FENCE.findall(page.read_text("utf-8")))
    return [body for body in bodies if body.startswith(f"# {name}\n")]


def anchors(page: Path) -> set[str]:
    text = FENCE.sub("", page.read_text("utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


def module(path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, loaded)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.mark.parametrize(("words", "page"), OURS, ids=shown)
def test_every_command_of_the_pages_can_be_typed(words: list[str], page: Path) -> None:
    name, *arguments = words
    assert name in COMMANDS
    COMMANDS[name].make_context(name, list(arguments))
    files = [word for word in arguments if word.endswith(".toml")]
    for file in files:
        assert (ROOT / file).is_file() or titled(page, file), f"{file} is nowhere"
    changes = [after for word, after in pairwise(arguments) if word == "--set"]
    path = ROOT / (files[0] if files else "runs/quickstart.toml")
    if changes and path.is_file() and name != "serve":  # whose settings are the engine's
        schema.load(path, changes)


def source_of(folder: str) -> str:
    files = sorted((ROOT / folder).rglob("*.py")) + sorted((ROOT / folder).rglob("*.toml"))
    return "\n".join(file.read_text("utf-8") for file in files)


def make_exists(words: list[str]) -> bool:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    return set(words[1:]) <= set(targets)


def module_exists(words: list[str]) -> bool:
    place = ROOT.joinpath(*words[2].split("."))
    return words[1] == "-m" and (place.is_dir() or place.with_suffix(".py").is_file())


def extra_exists(words: list[str]) -> bool:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    (extra,) = re.findall(r"^rmft-api\[(\w+)\]$", words[2])
    return words[1] == "install" and extra in project["optional-dependencies"]


def variable_is_read(words: list[str]) -> bool:
    return words[1].partition("=")[0] in source_of("rmft_api")


def route_exists(words: list[str]) -> bool:
    route = "/" + words[1].split("/", 3)[3]
    return f'"{route}"' in source_of("rmft_api/local_server")


def source_exists(words: list[str]) -> bool:
    return (ROOT / words[-2]).exists()


def is_written_there(words: list[str]) -> bool:
    return any(f"$ cat {words[1]}\n" in page.read_text("utf-8") for page in PAGES)


CHECKS: Mapping[str, Callable[[list[str]], bool]] = {
    "make": make_exists,
    "python": module_exists,
    "pip": extra_exists,
    "export": variable_is_read,
    "curl": route_exists,
    "cp": source_exists,
    ".venv/bin/pytest": lambda words: (ROOT / words[1]).exists(),
    "cat": is_written_there,
    "source": lambda words: words == ["source", ".venv/bin/activate"],
}
"""Commands of the consoles beside our own, and what makes them ones that can be typed."""
OTHERS = [words for page in PAGES for words in typed(page) if words[0] != "rmft-api"]


@pytest.mark.parametrize("words", OTHERS, ids=shown)
def test_every_other_command_names_what_exists(words: list[str]) -> None:
    assert words[0] in CHECKS, "a check of its kind is missing"
    assert CHECKS[words[0]](words)


TRAPS = re.findall(r"`(tests/[\w/]+\.py)::([\w:]+)`", (ROOT / "docs" / "providers.md").read_text())


def test_every_provider_has_its_table_of_traps() -> None:
    rows = (ROOT / "docs" / "providers.md").read_text("utf-8").count("\n| ")
    headers = 11
    assert len(TRAPS) == rows - headers >= 80


@pytest.mark.parametrize("file", sorted({file for file, _ in TRAPS}))
def test_every_trap_of_the_page_has_its_test(file: str) -> None:
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    defined = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    named = {name.split("::")[-1] for where, name in TRAPS if where == file}
    assert named - defined == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_named_in_a_sentence_exist(page: Path) -> None:
    names = re.findall(r"`rmft-api ([a-z][a-z-]*)", FENCE.sub("", page.read_text("utf-8")))
    assert set(names) <= set(COMMANDS)


@pytest.mark.parametrize("block", TOML)
def test_every_toml_block_can_be_used(block: str, tmp_path: Path) -> None:
    raw = tomllib.loads(block)
    if "model" in raw:
        schema.parse({"name": "from-the-page", **raw}, "the page")
    if any("base_url" in table for table in raw.values() if isinstance(table, dict)):
        (tmp_path / "own.toml").write_text(block)
        assert raw.keys() <= profiles.load_all(tmp_path / "own.toml").keys()
    if "price" in raw:
        (tmp_path / "own.toml").write_text(block)
        assert prices.load(tmp_path / "own.toml").price


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(FENCE.sub("", page.read_text("utf-8"))):
        if target.startswith(("http://", "https://")):
            continue
        file, _, anchor = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_path_that_is_named_exists(page: Path) -> None:
    named = NAMED.findall(page.read_text("utf-8"))
    assert not [name for name in named if not (ROOT / name).exists()]


def test_every_fault_has_one_row() -> None:
    found = TAG.findall((ROOT / "docs" / "faults.md").read_text("utf-8"))
    assert found == [f"{letter}{n}" for letter, last in TAGS.items() for n in range(1, last + 1)]


def test_sections_that_the_code_refers_to_exist() -> None:
    sections = {
        name: re.findall(r"^#+ (\d+(?:\.\d+)?)\.? ", page.read_text("utf-8"), re.MULTILINE)
        for name in ("method", "design", "faults")
        if (page := ROOT / "docs" / f"{name}.md")
    }
    sources = [*(ROOT / "rmft_api").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    referred = 0
    for source in sources:
        for page, number, more in REFERENCE.findall(source.read_text("utf-8")):
            for section in (number, more.removeprefix(" and ")):
                referred += 1
                known = {*sections[page.lower()], ""}
                assert section in known, f"{source} refers to {page}.md {section}"
    assert referred > 40


def test_the_layers_of_the_design_are_those_of_the_import_contract() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    (held,) = [c for c in project["tool"]["importlinter"]["contracts"] if c["type"] == "layers"]
    page = (ROOT / "docs" / "design.md").read_text("utf-8")
    drawn = page.partition("A layer may import")[2].partition("```text\n")[2].partition("```")[0]
    layers: list[set[str]] = []
    for line in drawn.splitlines():
        rooms = set(re.split(r"\s{2,}", line.strip())[:-1])
        rooms = {room for named in rooms for room in named.split()}
        layers = [*layers[:-1], layers[-1] | rooms] if line[0] == " " else [*layers, rooms]
    written = [set(re.findall(r"\w+", layer)) for layer in held["layers"]]
    without_api = [[layer - {"api"} for layer in each] for each in (layers, written)]
    assert [each for each in without_api[0] if each] == [each for each in without_api[1] if each]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_module_that_is_named_exists(page: Path) -> None:
    """With a folder or without one, from the root or from the package."""
    named = set(
        re.findall(r"`((?:[a-z_]+/)*[a-z_]+\.py)[`:]", FENCE.sub("", page.read_text("utf-8")))
    )
    places = ("rmft_api", "tests", "docs", "benchmarks", "examples")
    sources = [
        str(path.relative_to(ROOT)) for place in places for path in ROOT.glob(f"{place}/**/*.py")
    ]
    titles = {
        name for kept in PAGES for name in re.findall(r"^# (\w+\.py)$", kept.read_text(), re.M)
    }
    missing = [n for n in named - titles if not any(f"/{s}".endswith(f"/{n}") for s in sources)]
    assert missing == []


def run_file_keys() -> set[str]:
    """Every key that the reference lists for a run file, with its sections before it."""
    page = (ROOT / "docs" / "reference.md").read_text("utf-8")
    text = page.partition("## The run file")[2].partition("## A profile")[0]
    keys: set[str] = set()
    for part in re.split(r"^### ", text, flags=re.MULTILINE):
        section = re.match(r"`?\[+([\w.]+)\]+", part)
        within = f"{section[1]}." if section else ""
        keys |= {f"{within}{key}" for key in re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE)}
        keys.add(within.rstrip("."))
    return keys


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_script_of_a_page_names_files_that_exist(page: Path) -> None:
    named = [word for words in scripted(page) for word in words if word.endswith(".py")]
    assert [word for word in named if not (ROOT / word).is_file()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_key_of_a_run_file_that_is_named_exists(page: Path) -> None:
    known = run_file_keys()
    sections = {key.partition(".")[0] for key in known if "." in key}
    assert {"selection.min_pulls", "requests.transport", "finetuning.n_epochs"} <= known
    text = FENCE.sub("", page.read_text("utf-8")) if page.name != "CHANGELOG.md" else ""
    named = set(re.findall(r"`(?:--set )?([a-z]+(?:\.[a-z_]+)+)(?: ?=[^`]*)?`", text))
    assert {key for key in named if key.partition(".")[0] in sections} - known == set()


def test_the_reference_is_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    maker = module(ROOT / "docs" / "make_reference.py", "make_reference", monkeypatch)
    written = (ROOT / "docs" / "reference.md").read_text("utf-8")
    assert written == maker.reference(), "run: python docs/make_reference.py"


def test_the_guides_own_decision_problem_keeps_the_shipped_contract(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("servers", "test_servers"):
        (block,) = titled(GUIDE, f"{name}.py")
        (tmp_path / f"{name}.py").write_text(block)
        loaded = module(tmp_path / f"{name}.py", name, monkeypatch)
    contract = loaded.TestServers()
    assert isinstance(contract, testing.EnvironmentContract)
    kept = [name for name in dir(contract) if name.startswith("test_")]
    for name in kept:
        getattr(contract, name)()
    assert len(kept) > 5


def test_the_guides_ten_lines_can_be_played(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shown,) = [block for block in blocks(GUIDE, "console") if "$ cat visits.csv" in block]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "visits.csv").write_text(shown.partition("\n")[2])
    for name in ("visits", "cart"):
        (block,) = titled(GUIDE, f"{name}.toml")
        settings = schema.parse({"name": name, **tomllib.loads(block)}, name)
        if name == "cart" and importlib.util.find_spec("gymnasium") is None:
            continue
        prompts = load(settings.prompts, [resources.prompts_dir()])
        seat = next(preparation.prepared_scenarios(settings, prompts, "train", 1))
        assert seat.scenario.T == 25
        assert seat.prompt_builder().messages()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_python_block_is_python_and_imports_what_exists(page: Path) -> None:
    for block in blocks(page, "python"):
        tree = ast.parse(block)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith(OWN):
                held = importlib.import_module(str(node.module))
                for name in node.names:
                    assert hasattr(held, name.name), f"{node.module} has no {name.name}"


def test_the_guides_table_of_the_quick_start_quotes_its_run_file() -> None:
    """Each value of the left column, in its section, is what the file holds."""
    held = tomllib.loads((ROOT / "runs" / "quickstart.toml").read_text("utf-8"))
    page = GUIDE.read_text("utf-8")
    table = page.partition("`runs/quickstart.toml`:\n\n")[2].partition("\n\n")[0]
    section: Any = held
    quoted: list[str] = []
    for row in table.splitlines()[2:]:
        for cell in re.findall(r"`([^`]+)`", row.split(" | ")[0]):
            named = re.match(r"(?:\[+([\w.]+)\]+ )?(\w+) = (.+)", cell)
            assert named is not None, cell
            if named[1]:
                inner: Any = held
                for part in named[1].split("."):
                    inner = inner[part]
                section = cast("list[Any]", inner)[0] if isinstance(inner, list) else inner
            quoted.append(named[2])
            if "[...]" in named[3]:
                assert named[2] in section, cell
            else:
                assert tomllib.loads(f"value = {named[3]}")["value"] == section[named[2]], cell
    assert len(quoted) == 23
