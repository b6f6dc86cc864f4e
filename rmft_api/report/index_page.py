"""The index: everything in a folder of runs, one line each, as data for its page."""

import time
from collections.abc import Mapping, Sequence
from typing import Literal

from rmft_api.core.records import Interval, Record, Split
from rmft_api.report.data import Headline, State

Kind = Literal["run", "evaluation", "family", "grid", "page"]


class IndexEntry(Record, frozen=True):
    """One run, evaluation, family of seeds, ablation grid, or page of several."""

    name: str
    kind: Kind
    page: str | None = None
    """Where its page lies, from the index; None: it has none."""
    state: State | None = None
    """None: nothing of it has started."""
    stage: str = ""
    at: int | None = None
    """When it was last at work, UTC milliseconds."""
    champion: str = ""
    regret: Interval | None = None
    """Of the champion; of the best player in an evaluation."""
    drop: Interval | None = None
    """Paired, from the base."""
    split: Split | None = None
    """What these figures are of."""
    points: tuple[float, ...] = ()
    """Regret by iteration, the base first."""
    spent: int = 0
    """Micro-dollars."""
    cap: int | None = None
    of: tuple[str, ...] = ()
    """The runs of a family or grid."""
    note: str = ""
    """What it is, or why it cannot be shown."""


class IndexReport(Record, frozen=True, tag_field="kind", tag="index"):
    """What a folder holds."""

    run: str
    """The folder."""
    state: State
    stage: str
    made_at: int
    headline: Headline
    warnings: tuple[str, ...]
    entries: tuple[IndexEntry, ...]
    """The one that was at work last comes first."""


def gather(
    folder: str, entries: Sequence[IndexEntry], unreadable: Mapping[str, str]
) -> IndexReport:
    """The data of the page. `unreadable`: folders that cannot be shown, with the reason."""
    running = [one.name for one in entries if one.state == "running" and one.kind != "family"]
    runs = sum(one.kind == "run" for one in entries)
    return IndexReport(
        run=folder,
        state="running" if running else "finished",
        stage=", ".join(running),
        made_at=int(time.time() * 1000),
        headline=_headline(entries, runs),
        warnings=tuple(f"{name} cannot be shown: {why}" for name, why in unreadable.items()),
        entries=tuple(sorted(entries, key=lambda one: one.at or 0, reverse=True)),
    )


def _headline(entries: Sequence[IndexEntry], runs: int) -> Headline:
    if not entries:
        return Headline("No runs yet", "`rmft-api run` starts one; it will be listed here.", None)
    counts = {
        "evaluation": sum(one.kind == "evaluation" for one in entries),
        "family": sum(one.kind == "family" for one in entries),
        "grid": sum(one.kind == "grid" for one in entries),
    }
    words = {"evaluation": "evaluations", "family": "families", "grid": "grids"}
    parts = [f"{count} {words[kind] if count > 1 else kind}" for kind, count in counts.items()]
    found = [f"{runs} {'run' if runs == 1 else 'runs'}"]
    found += [part for part, count in zip(parts, counts.values(), strict=True) if count]
    spent = sum(one.spent for one in entries if one.kind in ("run", "evaluation")) / 1e6
    return Headline(", ".join(found), f"${spent:,.2f} spent by all of them.", None)
