"""The page as a reader meets it, in a real browser."""

from itertools import pairwise
from pathlib import Path

import pytest

from tests.report.chromium import Chromium
from tests.report.conftest import played, written

LIST = "document.querySelector('.list')"
VIEW = "document.querySelector('.view')"
SHOWN = f"{VIEW}.dataset.shown"
TOTAL = "document.querySelector('.total').textContent"
REGRETS = (
    "[...document.querySelectorAll('.option')].sort((a, b) => a.ariaPosInSet - b.ariaPosInSet)"
    ".map(o => Number(o.querySelector('.regret').textContent))"
)


@pytest.fixture
def reader(browser: Chromium, report: Path) -> Chromium:
    browser.open(report.as_uri())
    return browser


def choose(reader: Chromium, label: str, value: str) -> None:
    """Choose from the select of this label."""
    reader.run(
        f"""(() => {{
          const label = [...document.querySelectorAll('label')].find(
            (one) => one.textContent.startsWith({label!r}));
          const box = label.querySelector('select');
          box.value = {value!r};
          box.dispatchEvent(new Event('change'));
        }})()"""
    )


def test_the_page_asks_nobody_and_complains_of_nothing(reader: Chromium, report: Path) -> None:
    reader.run(f"{LIST}.focus()")
    reader.press("ArrowDown")
    reader.until(SHOWN)
    reader.run(f"{VIEW}.querySelectorAll('details').forEach((one) => {{ one.open = true; }})")
    assert reader.requests() == [report.as_uri()]
    assert reader.complaints() == []


def test_a_figure_has_a_name_and_no_label_stands_upon_another(reader: Chromium) -> None:
    named = "[...document.querySelectorAll('figure.chart')].every((figure) => "
    named += "document.getElementById(figure.getAttribute('aria-labelledby'))?.textContent)"
    assert reader.run(named)
    places = reader.run(
        "[...document.querySelectorAll('#iterations svg .label')].map((l) => +l.getAttribute('y'))"
    )
    assert len(places) > 3
    assert all(below - above >= 14.9 for above, below in pairwise(sorted(places)))
    leaders = reader.run("document.querySelectorAll('#iterations svg .leader').length")
    assert leaders == len(places)


def test_a_long_state_leaves_every_section_on_the_bar(reader: Chromium) -> None:
    reader.size(1280, 900)
    reader.run("document.getElementById('state').textContent = 'running: '.repeat(60)")
    edge = reader.run(
        "[...document.querySelectorAll('nav a')].at(-1).getBoundingClientRect().right"
    )
    assert edge <= 1280


def test_the_headline_and_every_section_stand_there(reader: Chromium) -> None:
    assert reader.run("document.querySelector('h1').textContent") == "No sure change of regret"
    assert "which may be chance" in reader.run("document.querySelector('.verdict').textContent")
    ids = reader.run("[...document.querySelectorAll('main > section')].map((one) => one.id)")
    assert ids == [
        *("glance", "iterations", "rounds", "differences", "exploration", "selection"),
        *("trajectories", "money", "lineage"),
    ]
    linked = reader.run("[...document.querySelectorAll('nav a')].map((a) => a.hash.slice(1))")
    assert linked == ids


def test_nothing_that_a_model_says_runs(reader: Chromium) -> None:
    reader.run(f"{LIST}.focus()")
    seen: set[str] = set()
    for _ in range(6):
        reader.press("ArrowDown")
        key = reader.until(f"{SHOWN} && {VIEW}.isConnected && {SHOWN}")
        seen.add(key)
        reader.run(f"{VIEW}.querySelectorAll('details').forEach((one) => {{ one.open = true; }})")
    reader.until(f"{VIEW}.textContent.includes('window.hacked')")
    assert reader.run("window.hacked") is None
    assert reader.run("document.scripts.length") == reader.run(
        "[...document.scripts].filter((one) => one.type === 'text/plain').length + 1"
    )
    assert reader.run("document.images.length") == 0
    assert reader.complaints() == []


def test_markup_cannot_be_put_on_the_page_by_anybody(reader: Chromium) -> None:
    refused = reader.run(
        "(() => { try { document.body.innerHTML = '<b>'; } catch (e) { return e.name; } })()"
    )
    assert refused == "TypeError"
    reader.run("document.body.append(Object.assign(document.createElement('img'), {src: 'x.png'}))")
    assert any("Content Security Policy" in one for one in reader.complaints())


def test_the_list_walks_by_keys_from_the_first_to_the_last(reader: Chromium) -> None:
    reader.run(f"{LIST}.focus()")
    reader.press("ArrowDown")
    first = reader.until(SHOWN)
    reader.press("ArrowDown")
    second = reader.until(f"{SHOWN} !== {first!r} && {SHOWN}")
    reader.press("ArrowUp")
    reader.until(f"{SHOWN} === {first!r}")
    reader.press("End")
    last = reader.until(f"{SHOWN} !== {first!r} && {SHOWN}")
    assert len({first, second, last}) == 3
    active = reader.run(
        f"document.getElementById({LIST}.getAttribute('aria-activedescendant'))"
        ".getAttribute('aria-posinset')"
    )
    assert active == reader.run("document.querySelector('.option').getAttribute('aria-setsize')")
    reader.press("Enter")
    assert reader.run(f"document.activeElement === {VIEW}")


def test_tab_reaches_the_skip_link_first_and_then_every_control(reader: Chromium) -> None:
    reader.run("document.activeElement.blur()")
    reader.press("Tab")
    assert reader.run("document.activeElement.className") == "skip"
    assert reader.run("document.activeElement.getBoundingClientRect().left >= 0")
    reader.press("Enter")
    assert reader.run("document.activeElement.id") == "main"
    met: set[str] = set()
    for _ in range(120):
        reader.press("Tab")
        met.add(reader.run("document.activeElement.tagName + document.activeElement.className"))
        outline = reader.run("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none"
        if "DIVlist" in met:
            break
    assert {"BUTTON", "svglines", "SELECT", "INPUT", "DIVlist"} <= {
        one.replace("[object SVGAnimatedString]", "lines") for one in met
    }


def test_filters_leave_what_they_name(reader: Chromium) -> None:
    assert reader.run(TOTAL) == "108 of 108 trajectories"
    choose(reader, "Split", "train")
    assert reader.run(TOTAL) == "36 of 108 trajectories"
    choose(reader, "Iteration", "2")
    assert reader.run(TOTAL) == "12 of 108 trajectories"
    reader.run("document.querySelector('input[type=checkbox]').click()")
    assert reader.run(TOTAL) == "6 of 108 trajectories"
    assert reader.run("document.querySelectorAll('.option.kept').length") == 6
    reader.run(
        "(() => { const box = document.querySelector('input[type=number]'); box.value = '1';"
        "box.dispatchEvent(new Event('input')); })()"
    )
    assert reader.run(TOTAL) == "2 of 108 trajectories"


def test_sorting_by_regret_sorts(reader: Chromium) -> None:
    worst = reader.run(REGRETS)
    assert worst == sorted(worst, reverse=True)
    choose(reader, "Sort", "best")
    best = reader.run(REGRETS)
    assert best == sorted(best)
    assert best[0] < worst[0]


def test_two_trajectories_of_one_scenario_stand_side_by_side(reader: Chromium) -> None:
    choose(reader, "Split", "test")
    reader.run(f"{LIST}.focus()")
    reader.press("ArrowDown")
    mine = reader.until(SHOWN)
    others = reader.run(
        "[...document.querySelectorAll('.against option')].map((one) => one.value).filter(Boolean)"
    )
    assert len(others) == 3  # the other models' plays of this scenario
    assert {other.split("/")[2] for other in others} == {mine.split("/")[2]}
    choose(reader, "Compare with", others[0])
    reader.until(f"{SHOWN} === {mine + ' ' + others[0]!r}")
    assert reader.run(f"{VIEW}.querySelectorAll('.summary').length") == 2
    reader.run(f"{VIEW}.querySelector('details.round').open = true")
    talks = reader.until(f"{VIEW}.querySelectorAll('.round[open] .talk').length")
    assert talks == 2


def test_the_figures_of_a_trajectory_are_those_of_the_journal(reader: Chromium) -> None:
    reader.run(f"{LIST}.focus()")
    reader.press("ArrowDown")
    reader.until(SHOWN)
    told = reader.run(f"{VIEW}.querySelector('.summary dd').textContent")
    last = reader.run(f"{VIEW}.querySelector('.round:last-of-type .running').textContent")
    assert last.endswith(told)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_by_everybody(reader: Chromium, scheme: str) -> None:
    """WCAG 2: a contrast of 4.5 for text, in both schemes."""
    reader.prefer(scheme)
    reader.run(f"{LIST}.focus()")
    reader.press("ArrowDown")
    reader.until(SHOWN)
    assert reader.run((Path(__file__).parent / "contrast.js").read_text()) == []


@pytest.mark.parametrize("width", [320, 390, 768])
def test_a_phone_needs_no_sideways_scrolling(reader: Chromium, width: int) -> None:
    reader.size(width, 800, phone=True)
    reader.run(f"{LIST}.focus()")
    reader.press("ArrowDown")
    reader.until(SHOWN)
    reader.run(f"{VIEW}.querySelectorAll('details').forEach((one) => {{ one.open = true; }})")
    assert reader.run("document.documentElement.scrollWidth") <= width


def test_a_browser_that_cannot_unpack_is_told_so(browser: Chromium, report: Path) -> None:
    added = browser.call(
        "Page.addScriptToEvaluateOnNewDocument", source="delete globalThis.DecompressionStream"
    )
    try:
        browser.call("Page.navigate", url=report.as_uri())
        said = browser.until("document.querySelector('[role=alert]')?.textContent")
    finally:
        browser.call("Page.removeScriptToEvaluateOnNewDocument", identifier=added["identifier"])
    assert "DecompressionStream" in said


def test_paper_is_white_for_those_too_who_read_in_the_dark(reader: Chromium) -> None:
    reader.prefer("dark", "print")
    try:
        style = "getComputedStyle(document.documentElement)"
        assert reader.run(f"{style}.getPropertyValue('--paper')").strip() == "#fff"
        assert reader.run(f"{style}.getPropertyValue('--warn')").strip() == "#fdf1dd"
        assert reader.run("getComputedStyle(document.querySelector('.filters')).display") == "none"
    finally:
        reader.prefer("light")


def test_no_table_is_cut_on_paper(reader: Chromium) -> None:
    reader.size(560, 800)
    reader.prefer("light", "print")
    try:
        shown = "[...document.querySelectorAll('.wide')].filter((one) => one.clientWidth)"
        beyond = reader.run(f"{shown}.map((one) => one.scrollWidth - one.clientWidth)")
        assert beyond
        assert max(beyond) <= 0
    finally:
        reader.prefer("light")
        reader.size(1280, 900)


def test_figures_of_too_few_scenarios_say_so(browser: Chromium, tmp_path: Path) -> None:
    path = played(tmp_path / "loop", validation={"scenarios": 1}, test={"scenarios": 1})
    browser.open(written(path, tmp_path / "report.html").as_uri())
    browser.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    browser.until("document.querySelectorAll('#iterations table').length > 1")
    tables = browser.run("document.querySelector('#iterations').textContent")
    assert "(too few)" in tables
    assert "too few scenarios for a 95 % interval" in browser.run("document.body.textContent")
    drawn = browser.run("[...document.querySelectorAll('path')].map((p) => p.getAttribute('d'))")
    assert not any(word in one for one in drawn if one for word in ("NaN", "Infinity", "null"))
    assert browser.complaints() == []
