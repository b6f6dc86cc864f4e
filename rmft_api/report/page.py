"""The page: one file that needs nothing else and sends nothing.

Its policy allows exactly its own script and its own styles, by their hashes; no request, no frame,
no form. Data stand in blocks that no browser runs, in base64, and the script puts them on the page
as text (`require-trusted-types-for` makes every other way an error).
"""

import base64
import hashlib
from collections.abc import Callable
from html import escape
from importlib.resources import files
from typing import Any, TypeVar

import msgspec

from rmft_api.config.schema import RunConfig
from rmft_api.evaluation.scoring import Results
from rmft_api.journal import Journal
from rmft_api.report.build import gather
from rmft_api.report.compared_data import ComparedReport
from rmft_api.report.data import ReportData, RunState
from rmft_api.report.index_page import IndexReport
from rmft_api.report.trajectory_index import TrajectoryIndex, packed

Report = TypeVar("Report", bound=ReportData | ComparedReport)
MARK = b'<meta name="generator" content="rmft-api">'
"""Stands near the beginning of every page."""
LIMIT = 24_000_000
"""Characters of trajectories in one file; texts of some are left out above it."""
SCRIPTS = (
    *("dom.js", "words.js", "data.js", "scales.js", "lines.js", "chart.js", "bars.js"),
    *("players.js", "glance.js", "evidence.js", "off_policy.js", "record.js"),
    *("several.js", "compared.js", "index.js"),
    *("list.js", "rounds.js", "play.js", "browser.js", "main.js"),
)
"""The page's script, in order; each file adds to what stands before it."""
STYLES = ("page.css", "charts.css", "browser.css", "media.css")


def html(
    config: RunConfig, journal: Journal, results: Results | None, run_state: RunState
) -> bytes:
    """The whole page of a run; `results` is None before the base has been evaluated."""
    return of_data(*read(config, journal, results, run_state))


def of_data(report: ReportData | ComparedReport | IndexReport, index: TrajectoryIndex) -> bytes:
    """The whole page of what was gathered."""
    blocks = [_block("story", packed(data(report, index)))]
    blocks += [_block(f"chapter-{i}", chapter) for i, chapter in enumerate(index.chapters)]
    return document(report.run, report.headline.title, "\n".join(blocks), "").encode()


def within_limit(
    fill: Callable[[TrajectoryIndex], Report], limit: int = LIMIT
) -> tuple[Report, TrajectoryIndex]:
    """What `fill` gathers, with an index that it has filled and that stays within `limit`."""
    index = TrajectoryIndex()
    report = fill(index)
    index.shrink(limit)
    return report, index


def read(
    config: RunConfig,
    journal: Journal,
    results: Results | None,
    run_state: RunState,
    limit: int = LIMIT,
) -> tuple[ReportData, TrajectoryIndex]:
    """The run's story and its book, which stays within `limit`."""

    def fill(index: TrajectoryIndex) -> ReportData:
        return gather(config, journal, results, run_state, index.add)

    return within_limit(fill, limit)


def data(
    report: ReportData | ComparedReport | IndexReport, index: TrajectoryIndex, version: str = ""
) -> dict[str, Any]:
    """What the page's script begins with; what is not finite becomes null."""
    plain = msgspec.json.decode(msgspec.json.encode(report))
    return {"version": version, "story": plain, "groups": index.index}


def document(run: str, title: str, blocks: str, live: str) -> str:
    """The page around its data. `live` is empty, or the path that reports news."""
    style, script = "".join(map(_asset, STYLES)), "".join(map(_asset, SCRIPTS))
    script = f'"use strict";\n(() => {{\n{script}}})();\n'
    named = {
        "policy": _policy(style, script, live),
        "title": escape(f"{run}: {title}"),
        "run": escape(run),
        "headline": escape(title),
        "style": style,
        "script": script,
        "data": blocks,
        "live": escape(live),
    }
    page = _asset("page.html")
    head, *rest = page.split("{{")
    parts = (part.split("}}", 1) for part in rest)
    return head + "".join(named[name] + after for name, after in parts)


def _policy(style: str, script: str, live: str) -> str:
    place = "'self'" if live else "'none'"
    rules = [
        "default-src 'none'",
        f"script-src '{_hash(script)}'",
        f"style-src '{_hash(style)}'",
        f"connect-src {place}",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ]
    return "; ".join(rules)


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _block(name: str, content: str) -> str:
    return f'<script type="text/plain" id="{name}">{content}</script>'


def _asset(name: str) -> str:
    return (files("rmft_api.report") / "assets" / name).read_text("utf-8")
