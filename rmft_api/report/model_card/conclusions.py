"""What may not be concluded from a run's figures: limits of every run, and those of this one."""

from collections.abc import Iterator

from rmft_api.config.schema import RunConfig
from rmft_api.evaluation.measures import MOSTLY_READ
from rmft_api.evaluation.scoring import Evaluated, Results
from rmft_api.report.data import ReportData
from rmft_api.report.model_card.head import champion_of
from rmft_api.report.model_card.sections import code

STAND_INS = ("rmft-tiny",)
"""Models of the local server that were made so that there is something to learn within minutes."""
DIFFERS = 0.05


def section(config: RunConfig, results: Results, report: ReportData) -> str:
    """The last section of a card."""
    parts = ("## Limits", _listed(limits(config, report)), "## What may not be concluded")
    return "\n\n".join([*parts, _listed(not_shown(config, results, report))])


def _listed(lines: Iterator[str]) -> str:
    return "\n".join(f"* {line}" for line in lines)


def limits(config: RunConfig, report: ReportData) -> Iterator[str]:
    """What the figures are of, and what warns of them."""
    yield from (f"{line[0].upper()}{line[1:]}." for line in report.warnings)
    if config.model.base in STAND_INS:
        yield (
            f"{code(config.model.base)} is a stand-in that ships with rmft-api: it shows that the "
            "method's program works, and says nothing about large language models."
        )
    yield (
        f"One run of one seed ({config.seed}): intervals are over scenarios. How far another seed "
        "of training would differ is not known from them."
    )
    yield (
        "Scenarios are drawn from the problems and worded as listed above. Other numbers "
        "of actions or rounds, other rewards and other stories were not tried."
    )
    yield "Validation regret chose this iteration and is optimistic; test regret is not."
    yield (
        "Nothing was measured but decisions: not what else the model may have lost, such as "
        "general abilities, safety training or the honesty of its reasoning."
    )


def not_shown(config: RunConfig, results: Results, report: ReportData) -> Iterator[str]:
    """Sentences that continue after "it may not be concluded": each begins with That."""
    best = champion_of(results)
    yield from _of_gain(best)
    yield from _of_rivals(report)
    yield from _of_regret(best)
    yield "That it decides as well on real decisions, which were not tried."


def _of_gain(best: Evaluated) -> Iterator[str]:
    if best.index == 0:
        yield "That fine-tuning helped: no iteration beat the base in validation."
        return
    drop = best.test.paired_drop if best.test is not None else best.validation.paired_drop
    if best.test is None:
        yield "That it does as well on other scenarios: it has not played the test scenarios yet."
    if drop is None or not drop.known:
        yield "That regret fell: there are too few scenarios for an interval."
    elif drop.low <= 0 <= drop.high:
        yield f"That regret fell: the interval of its paired drop, {drop}, contains 0."
    valid = (best.test or best.validation).valid
    if valid < MOSTLY_READ:
        yield f"That differences are of decisions: only {valid:.1%} of its replies could be read."


def _of_rivals(report: ReportData) -> Iterator[str]:
    """Algorithms that it is not shown to beat."""
    names = {p.name for p in report.players if p.index is None}
    for one in report.differences:
        if one.family != "champion" or one.other not in names:
            continue
        if one.drop.mean <= 0 and one.p_holm < DIFFERS:
            yield f"That it is as good as {one.other}: it is worse, by {_reversed(one.drop.mean)}."
        elif one.p_holm >= DIFFERS:
            yield f"That it is better than {one.other}: the difference may be chance ({one.drop})."


def _reversed(drop: float) -> str:
    return f"{-drop:.2f} a trajectory"


def _of_regret(best: Evaluated) -> Iterator[str]:
    """Whether it was shown to have no regret in the long run."""
    for horizon, one in (best.test or best.validation).over_time.items():
        if not one.learns:
            yield f"That its regret is sublinear ({horizon}): it is not shown to fall."
        if one.locks_in:
            yield f"That it explores enough: some of its play locks in on one action ({horizon})."
    yield "That this holds beyond the rounds that were played: a longer game is another game."
