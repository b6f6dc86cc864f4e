"""Pictures of a page, to be looked at.

    python -m tests.report.pictures runs/quickstart/report.html pictures

Light, dark and on a phone: the top, every section, and two trajectories side by side.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.report.chromium import Chromium, find

SETTLED_S = 0.4
VIEWS = {
    "light": ("light", 1280, 1000, False),
    "dark": ("dark", 1280, 1000, False),
    "phone": ("light", 390, 844, True),
    "phone-dark": ("dark", 390, 844, True),
}


def take(page: Path, folder: Path) -> Iterator[Path]:
    """The pictures' paths, one by one."""
    program = find()
    if program is None:
        raise SystemExit("no chromium here")
    folder.mkdir(parents=True, exist_ok=True)
    with (
        TemporaryDirectory(ignore_cleanup_errors=True) as profile,
        Chromium(program, Path(profile)) as browser,
    ):
        for view, (scheme, width, height, phone) in VIEWS.items():
            browser.prefer(scheme)
            browser.size(width, height, phone=phone)
            browser.open(page.resolve().as_uri())
            for name in browser.run("[...document.querySelectorAll('main > *')].map((s) => s.id)"):
                yield _picture(browser, folder / f"{view}-{name}.png", f"#{name}")
            _compare(browser)
            yield _picture(browser, folder / f"{view}-compare.png", ".view")
            yield _picture(browser, folder / f"{view}-rounds.png", ".rounds")


def _compare(browser: Chromium) -> None:
    """Open two trajectories of one scenario, and a round of both."""
    browser.run("document.querySelector('.list').focus()")
    browser.press("ArrowDown")
    browser.until("document.querySelector('.view').dataset.shown")
    browser.run(
        "(() => { const box = document.querySelector('.against select'); box.selectedIndex = 1;"
        "box.dispatchEvent(new Event('change')); })()"
    )
    browser.until("document.querySelector('.view').dataset.shown.includes(' ')")
    browser.run("document.querySelectorAll('details.round')[2].open = true")


def _picture(browser: Chromium, path: Path, place: str) -> Path:
    browser.run(f"document.querySelector('{place}').scrollIntoView({{ behavior: 'instant' }})")
    time.sleep(SETTLED_S)
    browser.picture(path)
    return path


if __name__ == "__main__":
    for taken in take(Path(sys.argv[1]), Path(sys.argv[2])):
        print(taken)  # noqa: T201
