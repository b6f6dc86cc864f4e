"""Two chains side by side, iteration by iteration, on the same held-out scenarios."""

from collections.abc import Iterator
from pathlib import Path

from rmft_api import statistics
from rmft_api.config import schema as configs
from rmft_api.config.schema import RunConfig
from rmft_api.core.records import Interval, Record, Split
from rmft_api.evaluation import outcome
from rmft_api.evaluation.measures import unread_warning
from rmft_api.evaluation.scoring import Performance
from rmft_api.journal import Journal
from rmft_api.report.text.columns import table
from rmft_api.session.recorded_config import recorded_config


class IterationPair(Record, frozen=True):
    """One iteration of both chains."""

    index: int
    split: Split
    scenarios: int
    here: Interval
    """Regret of the replay's model."""
    there: Interval
    """Regret of the replayed run's model."""
    valid_here: float
    """Share of the replay's replies that could be read."""
    valid_there: float
    """The same of the replayed run's."""
    lower: Interval
    """What the replay's regret is below the other's, scenario by scenario."""


class ChainComparison(Record, frozen=True):
    """Two chains."""

    replay: str
    replayed: str
    pairs: tuple[IterationPair, ...]
    changed: tuple[str, ...]
    """Settings of model and training that are others in the replay: `key: there -> here`."""


class _Side:
    """One run, read."""

    def __init__(self, directory: Path) -> None:
        journal = Journal.read(directory)
        try:
            self.config: RunConfig = recorded_config(journal)
            self.played: dict[Split, dict[int, Performance]] = {
                "test": outcome.performances(self.config, journal, "test"),
                "validation": outcome.performances(self.config, journal, "validation"),
            }
        finally:
            journal.close()


def side_by_side(replay: Path, replayed: Path) -> ChainComparison:
    """Compare a replay with the run that it replays; test scenarios where both played them."""
    here, there = _Side(replay), _Side(replayed)
    indices = here.played["validation"].keys() & there.played["validation"].keys()
    return ChainComparison(
        here.config.name,
        there.config.name,
        tuple(_pair(i, here, there) for i in sorted(indices)),
        tuple(_changed(there.config, here.config)),
    )


def _changed(there: RunConfig, here: RunConfig) -> list[str]:
    lines = {"model", "finetuning", "warm_up"}
    old, new = (one.model_dump(mode="json", include=lines) for one in (there, here))
    return configs.differences(old, new)


def _pair(index: int, here: _Side, there: _Side) -> IterationPair:
    tested = all(index in side.played["test"] for side in (here, there))
    split: Split = "test" if tested else "validation"
    mine, theirs = here.played[split][index], there.played[split][index]
    drop_M = mine.drop_M(theirs)
    return IterationPair(
        index=index,
        split=split,
        scenarios=len(drop_M),
        here=mine.regret(),
        there=theirs.regret(),
        valid_here=float(mine.valid_M.mean()),
        valid_there=float(theirs.valid_M.mean()),
        lower=statistics.drop_interval(drop_M),
    )


def sides_table(comparison: ChainComparison) -> str:
    """The chains as people read them."""
    headings = (
        "",
        f"regret of {comparison.replayed}",
        f"regret of {comparison.replay}",
        "lower by",
        "valid",
        "on",
    )
    shown = table([headings, *_rows(comparison)], words=len(headings), foot=0)
    changed = (f"replayed with {one}" for one in comparison.changed)
    return "\n".join([shown, "", _verdict(comparison), *_warnings(comparison), *changed])


def _warnings(comparison: ChainComparison) -> Iterator[str]:
    for one in comparison.pairs:
        for run, valid in (
            (comparison.replayed, one.valid_there),
            (comparison.replay, one.valid_here),
        ):
            if lines := unread_warning(valid):
                yield f"warning, iteration {one.index} of {run}: {lines}"


def _rows(comparison: ChainComparison) -> Iterator[tuple[str, ...]]:
    for one in comparison.pairs:
        lines = map(str, (one.there, one.here, one.lower))
        valid = f"{one.valid_there:.1%}, {one.valid_here:.1%}"
        yield (str(one.index), *lines, valid, f"{one.scenarios} {one.split} scenarios")


def _verdict(comparison: ChainComparison) -> str:
    """What the last iteration's figures say, and no more than they say."""
    if not comparison.pairs:
        return "no iteration was evaluated in both chains yet"
    last = comparison.pairs[-1]
    if not last.lower.known:
        return f"iteration {last.index}: too few scenarios to say which chain has less regret"
    if last.lower.low <= 0 <= last.lower.high:
        return f"iteration {last.index}: no sure difference between the two chains"
    word = "below" if last.lower.low > 0 else "above"
    return f"iteration {last.index}: the replay's regret is surely {word} the replayed run's"
