"""The documentation site: it builds, every link on it leads somewhere, and it asks nobody."""

import importlib.util
import os
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[1]
AT_ROOT = {"README": "index", "CONTRIBUTING": "contributing", "CHANGELOG": "changelog"}
PAGES = {
    **{path: path.stem for path in sorted((ROOT / "docs").glob("*.md"))},
    **{ROOT / f"{name}.md": site for name, site in AT_ROOT.items()},
    ROOT / "SECURITY.md": "security",
}
LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
IN_STYLES = re.compile(r"url\(\s*['\"]?((?:https?:)?//[^)'\"]+)|@import\s+['\"]((?:https?:)?//)")
COUNTED = ("li", "ol", "ul", "table", "th", "pre", "h1", "h2", "h3", "blockquote", "img")
needs_mkdocs = pytest.mark.skipif(
    importlib.util.find_spec("mkdocs") is None or importlib.util.find_spec("mkdocstrings") is None,
    reason="the extra [docs] is not installed",
)
pytestmark = needs_mkdocs


class Read(HTMLParser):
    """What a page holds: elements of its text, ids, links, and what a browser would load."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = False
        self.elements: Counter[str] = Counter()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.classes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        held = {name: value or "" for name, value in attrs}
        self.classes |= set(held.get("class", "").split())
        self.ids |= {held[name] for name in ("id", "name") if name in held}
        self.inside = self.inside or tag == "article"
        self.elements[tag] += self.inside and "linenos" not in held.get("class", "")
        if tag == "a" and self.inside and "href" in held:
            self.links.append(held["href"])
        if tag in LOADED and held.get("rel") not in ("canonical", "next", "prev"):
            self.loads.append(held.get(LOADED[tag], ""))

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag != "article"


@cache
def read(page: Path) -> Read:
    reader = Read()
    reader.feed(page.read_text("utf-8"))
    return reader


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` builds it."""
    there = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(there)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return there


def test_every_page_is_on_the_site(site: Path) -> None:
    assert {f"{name}.html" for name in PAGES.values()} <= {page.name for page in site.iterdir()}


def test_every_page_is_named_by_the_menu(site: Path) -> None:
    home = (site / "index.html").read_text("utf-8")
    menu = home.partition("md-nav--primary")[2].partition("<article")[0]
    assert [n for n in PAGES.values() if n != "index" and f'href="{n}.html"' not in menu] == []


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    outside = [
        (page.name, load)
        for page in pages
        for load in read(page).loads
        if "//" in load and not load.startswith("data:")
    ]
    assert outside == []
    assert len(pages) > len(PAGES)
    assert all(read(page).loads for page in pages)
    assert not [page.name for page in pages if "mermaid" in read(page).classes]


def test_no_style_loads_anything_from_elsewhere(site: Path) -> None:
    styles = [*site.rglob("*.css"), *site.rglob("*.html")]
    assert [
        (style.name, found)
        for style in styles
        for found in IN_STYLES.findall(style.read_text("utf-8"))
    ] == []


def test_every_link_on_the_site_leads_somewhere(site: Path) -> None:
    followed = 0
    for page in site.glob("*.html"):
        for link in read(page).links:
            if "://" in link or (page.name == "404.html"):
                continue
            file, _, anchor = unquote(link).partition("#")
            there = (page.parent / file).resolve() if file else page
            assert there.is_file(), f"{page.name}: {link}"
            assert not anchor or anchor in read(there).ids, f"{page.name}: {link}"
            followed += 1
    assert followed > 100


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_reads_on_the_site_as_on_github(page: Path, site: Path) -> None:
    """Lists, tables and code blocks are what CommonMark makes of them, with GitHub's tables."""
    text = page.read_text("utf-8")
    if re.search(r"^::: ", text, re.MULTILINE):
        return  # made of docstrings, which GitHub shows as names
    github = Read()
    rendered = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    github.feed(f"<article>{rendered}</article>")
    here = read(site / f"{PAGES[page]}.html").elements
    assert {tag: here[tag] for tag in COUNTED} == {tag: github.elements[tag] for tag in COUNTED}
