"""The make-up of a selection: what is learnt from, beside all that it was chosen from. Pure.

A lucky lock-in wins a ranking by regret, so how the kept trajectories explore is shown every time
(docs/method.md 3).
"""

from collections import Counter
from collections.abc import Sequence

from rmft_api.core.records import Record, Scored, Trajectory
from rmft_api.environments.scenario import Scenario
from rmft_api.evaluation import measures
from rmft_api.evaluation.measures import Measures
from rmft_api.selection.ranking import Selected
from rmft_api.selection.regret import play_in


class Share(Record, frozen=True):
    """A part of what was played."""

    regret: float
    """Mean, in the form that each scenario ranks by."""
    measures: Measures


class SelectionSummary(Record, frozen=True):
    """One iteration's selection."""

    all: Share
    kept: Share | None
    """None where nothing was kept."""
    verdicts: dict[str, int]
    """How many trajectories were kept, and why the others were not: rank, floor, valid."""


def summary(
    scenarios: Sequence[Scenario],
    played: Sequence[tuple[Trajectory, Scored]],
    selected: Sequence[Selected],
) -> SelectionSummary:
    """What the verdicts made of the trajectories of these scenarios."""
    kept = {verdict.address for verdict in selected if verdict.kept}
    chosen = [one for one in played if one[0].address in kept]
    return SelectionSummary(
        all=_share(scenarios, played),
        kept=_share(scenarios, chosen) if chosen else None,
        verdicts=dict(Counter(verdict.why for verdict in selected)),
    )


def in_words(summary: SelectionSummary) -> str:
    """The make-up in one line."""
    before, after = summary.all, summary.kept
    counts = summary.verdicts
    kept = f"kept {counts.get('kept', 0)} of {before.measures.plays}"
    barred = [
        f"{counts[why]} {words}"
        for why, words in (("floor", "tried too little"), ("valid", "too often unreadable"))
        if counts.get(why)
    ]
    if after is None:
        return ", ".join([kept, *barred])
    pairs = (
        ("regret", after.regret, before.regret),
        ("SuffFail", after.measures.suff_fail_freq, before.measures.suff_fail_freq),
        ("K x MinFrac", after.measures.k_min_frac, before.measures.k_min_frac),
        ("greedy", after.measures.greedy_frac, before.measures.greedy_frac),
    )
    shown = [
        f"{name} {mine:.2f} (all {whole:.2f})"
        for name, mine, whole in pairs
        if mine is not None and whole is not None
    ]
    return ", ".join([kept, *barred]) + ": " + ", ".join(shown)


def _share(scenarios: Sequence[Scenario], played: Sequence[tuple[Trajectory, Scored]]) -> Share:
    mine = [scenarios[trajectory.address.scenario] for trajectory, _ in played]
    plays = [play_in(scenario, one.rounds) for scenario, (one, _) in zip(mine, played, strict=True)]
    return Share(
        regret=sum(score.regret for _, score in played) / len(played),
        measures=measures.summary(plays, [scenario.regret for scenario in mine]),
    )
