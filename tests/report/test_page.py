"""One file that asks nobody and runs nothing but its own script."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from rmft_api.report import page
from tests.report.conftest import HOSTILE
from tests.report.reading import blocks

ASSETS = Path(page.__file__).parent / "assets"
UNSAFE = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser"
    r"|createContextualFragment|setHTML|srcdoc"
)


@pytest.fixture(scope="module")
def text(report: Path) -> str:
    return report.read_text("utf-8")


class Elements(HTMLParser):
    """What stands in a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_policy_allows_the_pages_own_script_and_style_alone(text: str) -> None:
    tags = Elements(text).tags
    policy = next(a["content"] for t, a in tags if a.get("http-equiv") and t == "meta") or ""
    script = text.rsplit("<script>", 1)[1].split("</script>")[0]
    style = text.split("<style>")[1].split("</style>")[0]
    for name, content in (("script-src", script), ("style-src", style)):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{name} 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "connect-src 'none'" in policy
    assert "unsafe" not in policy


def test_nothing_is_loaded_from_anywhere(text: str) -> None:
    for tag, attributes in Elements(text).tags:
        assert tag not in {"img", "iframe", "object", "embed", "form", "base"}
        assert "src" not in attributes
        assert attributes.get("href", "#") in {"#", "#main", "data:,"}
        assert not any(name.startswith("on") for name in attributes)


def test_model_text_stands_in_data_blocks_alone(text: str) -> None:
    for hostile in HOSTILE[:5]:
        assert hostile not in text
    told = [
        one for name, block in blocks(text).items() if name != "story" for one in block["texts"]
    ]
    for hostile in HOSTILE:
        assert any(hostile in one for one in told)


def test_names_cannot_break_out_of_the_page() -> None:
    made = page.document("</title><script>x</script>", "{{data}}<b>", "", "")
    assert "<script>x" not in made
    assert "<b>" not in made
    assert [tag for tag, _ in Elements(made).tags].count("script") == 1


@pytest.mark.parametrize("name", page.SCRIPTS)
def test_no_script_of_ours_makes_markup_from_text(name: str) -> None:
    assert not UNSAFE.search((ASSETS / name).read_text("utf-8"))


def test_every_asset_is_part_of_the_page() -> None:
    assert {path.name for path in ASSETS.iterdir()} == {*page.SCRIPTS, *page.STYLES, "page.html"}
