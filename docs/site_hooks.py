"""What `mkdocs.yml` cannot say: pages at the root of the repository, and links that leave `docs/`.

The pages are written for GitHub, where every relative link leads to a file. On the site, README,
CONTRIBUTING, CHANGELOG and SECURITY are pages too, and any other file that a page links to is
copied to `files/`.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
}
"""Pages at the root of the repository, and what they are called on the site."""
AT_ROOT = {site: there for there, site in PAGES.items()}
LINK = re.compile(r"(?<=\]\()([^)\s#]+)(?=(?:#[^)\s]*)?\))")
FENCE = re.compile(r"(^ *```.*?^ *```$)", re.MULTILINE | re.DOTALL)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """The menu has the pages that are there: `api.md` is written by hand, beside the API."""
    config.nav = [
        entry
        for entry in config.nav or []
        if all((ROOT / "docs" / uri).is_file() or uri in AT_ROOT for uri in entry.values())
    ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages at the root, and every linked file outside `docs/`."""
    for there, site in PAGES.items():
        files.append(File.generated(config, site, content=(ROOT / there).read_text("utf-8")))
    for file in list(files.documentation_pages()):
        for target in _targets(file.content_string, _folder(file.src_uri)):
            uri = _on_site(target)
            if uri.startswith("files/") and (ROOT / target).is_file() and uri not in files.src_uris:
                files.append(File.generated(config, uri, abs_src_path=str(ROOT / target)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links as they lead on the site; code blocks stay as they are."""
    folder = _folder(page.file.src_uri)
    here = posixpath.dirname(page.file.src_uri) or "."

    def moved(found: re.Match[str]) -> str:
        if "://" in found[1]:
            return found[1]
        target = posixpath.normpath(posixpath.join(folder, found[1]))
        return posixpath.relpath(_on_site(target), here)

    parts = FENCE.split(markdown)
    return "".join(part if i % 2 else LINK.sub(moved, part) for i, part in enumerate(parts))


def _folder(uri: str) -> str:
    """The folder of the repository that a page's links start at."""
    return "." if uri in AT_ROOT else posixpath.join("docs", posixpath.dirname(uri))


def _targets(markdown: str, folder: str) -> list[str]:
    """Files of the repository that a page links to."""
    found = LINK.findall(FENCE.sub("", markdown))
    return [posixpath.normpath(posixpath.join(folder, link)) for link in found if "://" not in link]


def _on_site(target: str) -> str:
    """Where a file of the repository is on the site."""
    if target in PAGES:
        return PAGES[target]
    inside = target.removeprefix("docs/")
    return inside if inside != target else f"files/{target}"
