"""Several runs on one page, as a file."""

from collections.abc import Sequence
from pathlib import Path

from rmft_api.core.files import make_directory, replace_file
from rmft_api.report import page
from rmft_api.session import page_sources

FILE = "side-by-side.html"


def write(directories: Sequence[Path], to: Path) -> int:
    """Write the page of several runs; its size in bytes.

    A run that cannot be opened is named on the page. Raises UsageError for an evaluation, and
    where no run can be opened; StorageError.
    """
    return write_page(page_sources.of_several(directories), to)


def write_page(source: page_sources.PageSource, to: Path) -> int:
    """Write any page; its size in bytes. Raises as reading does, and StorageError."""
    content = page.of_data(*source.read())
    make_directory(to.parent)
    replace_file(to, content)
    return len(content)
