"""Results as people read them: one table, models above, baselines below."""

from collections.abc import Iterator, Sequence

from rmft_api.core.records import Interval
from rmft_api.evaluation.measures import MOSTLY_READ
from rmft_api.evaluation.scoring import (
    Figures,
    Results,
    WarmUp,
    extended_in_words,
    gate_in_words,
)
from rmft_api.evaluation.selection_summary import Share
from rmft_api.report.text.columns import paragraph, table
from rmft_api.report.text.off_policy import off_policy_table
from rmft_api.report.text.own import own_measures

HEADINGS = (
    *("", "model", "regret [95 % CI]", "drop to base", "of possible"),
    *("SuffFail", "K x MinFrac", "valid"),
)
LIMIT = (
    "limit: nearly the least mean regret possible for problems drawn like these; of possible: the "
    "share of the way there from the base (docs/method.md 6)"
)
OF_POSSIBLE = HEADINGS.index("of possible")

OVER_TIME = ("", "player", "rounds", "log-log slope", "1st - 2nd half", "lock-in", "regret")
OF_SELECTIONS = (
    *("iter", "", "plays", "regret", "SuffFail", "K x MinFrac", "greedy", "best", "reward"),
    *("entropy", "delay", "valid"),
)


def results_table(results: Results) -> str:
    """The table that ends a run: held-out test scenarios, and rows of a log where there is one."""
    rows = [HEADINGS, *_models(results), *_baselines(results), *_limit(results)]
    if results.limit is None:
        rows = [(*row[:OF_POSSIBLE], *row[OF_POSSIBLE + 1 :]) for row in rows]
    words = OF_POSSIBLE if results.limit is None else OF_POSSIBLE + 1
    shown = table(rows, words=words, optional=("K x MinFrac", "SuffFail", "of possible"), foot=0)
    lines = (paragraph(line) for line in (_verdict(results), *_events(results)))
    more = [one for one in (own_measures_table(results), off_policy_table(results)) if one]
    return "\n".join([shown, "", *lines, *(line for one in more for line in ("", one))])


def own_measures_table(results: Results) -> str:
    """Measures of one's own, of every player that the table above has; empty where none is."""
    models = [(f"iteration {o.index}", o.test) for o in results.iterations if o.test is not None]
    return own_measures([*models, *results.baselines.items()])


def over_time_table(results: Results) -> str:
    """Whether regret is sublinear and play locks in, by horizon; empty where nothing is decided."""
    rows = list(_over_time(results))
    if not rows:
        return ""
    title = "regret over time (docs/method.md 5): slope below 1 and cheaper second half, or lock-in"
    return "\n".join([title, "", *_lines([OVER_TIME, *rows])])


def selections_table(results: Results) -> str:
    """What each model learnt from, beside all that it was chosen from."""
    return "\n".join(_lines([OF_SELECTIONS, *_selections(results)]))


def _lines(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for number, row in enumerate(rows):
        yield "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        if number == 0:
            yield "  ".join("-" * width for width in widths)


def _selections(results: Results) -> Iterator[tuple[str, ...]]:
    for one in results.iterations:
        if one.made_from is not None:
            yield (str(one.index), "played", *_share(one.made_from.all))
        if one.made_from is not None and one.made_from.kept is not None:
            yield ("", "kept", *_share(one.made_from.kept))


def _share(share: Share) -> Iterator[str]:
    m = share.measures
    yield from (str(m.plays), f"{share.regret:.2f}")
    shares = (m.suff_fail_freq, m.k_min_frac, m.greedy_frac, m.best_share, m.median_reward)
    yield from ("" if one is None else f"{one:.2f}" for one in (*shares, m.answer_entropy))
    yield "" if m.switch_delay is None else f"{m.switch_delay:.1f}"
    yield f"{m.valid:.1%}"


def _events(results: Results) -> Iterator[str]:
    """How rows were divided, what the gate did, and what to be warned of."""
    yield from results.data
    if results.warm_up is not None:
        yield warm_up_in_words(results.warm_up)
    if results.extended:
        yield f"extended {extended_in_words(results.extended)}"
    yield from results.references
    yield from limit_in_words(results.limit, results.limit_notes)
    yield from partial_in_words(results)
    for one in results.iterations:
        if one.gate is not None and one.gate.decision != "continue":
            yield f"after iteration {one.index}: {gate_in_words(one.gate)}"
        yield from (f"warning, iteration {one.index}: {warning}" for warning in one.warnings)
    if results.stopped:
        yield f"stopped: {results.stopped}"


def warm_up_in_words(found: WarmUp) -> str:
    """What the base was taught before iteration 1, and how it did before."""
    examples = "" if found.examples is None else f"{found.examples:,} examples of "
    regret = "" if found.before is None else f", validation regret {found.before.regret}"
    return (
        f"warm-up: iteration 0 is {found.base} after {examples}balanced random play, which teach "
        f"the form of an answer and no skill; before it {found.valid_before:.1%} of "
        f"{found.replies_before:,} validation replies were valid{regret}"
    )


def _models(results: Results) -> Iterator[tuple[str, ...]]:
    for one in results.iterations:
        mark = "*" if one.index == results.champion.index else " "
        if one.test is not None:
            regret, drop, *rest = _cells(one.test)
            share = share_in_words(one.share_of_possible)
            name = (f"{mark}{one.index}", one.model)
            yield (*name, regret, drop, share, *rest, f"{one.test.valid:.1%}")


def _baselines(results: Results) -> Iterator[tuple[str, ...]]:
    for name, figures in results.baselines.items():
        yield _other(name, figures)


def _limit(results: Results) -> Iterator[tuple[str, ...]]:
    if results.limit is not None:
        yield _other("limit", results.limit)


def _other(name: str, figures: Figures) -> tuple[str, ...]:
    """The row of a player that is no model."""
    regret, drop, *rest = _cells(figures)
    return ("", name + (" (only some)" if figures.only else ""), regret, drop, "", *rest, "")


def share_in_words(share: Interval | None) -> str:
    """A share of what is possible, as `86% [71%, 101%]`."""
    if share is None:
        return ""
    if not share.known:
        return f"{_percent(share.mean)} (too few)"
    return f"{_percent(share.mean)} [{_percent(share.low)}, {_percent(share.high)}]"


def _percent(share: float) -> str:
    """Whole percent, without a minus before 0."""
    return f"{round(100 * share)}%"


def limit_in_words(limit: Figures | None, notes: Sequence[str]) -> Iterator[str]:
    """What the limit is, where one stands in a table, and for which problems none is known."""
    if limit is not None:
        yield LIMIT
        yield from notes


def partial_in_words(results: Results) -> Iterator[str]:
    """Beside a baseline that plays only some problems: the base and the champion on the same."""
    tested = {one.index: one.test for one in results.iterations if one.test is not None}
    ends = {0: "the base"} | {i: "the champion" for i in (results.champion.index,) if i}
    for name, figures in results.baselines.items():
        for label in figures.only:
            mine = figures.groups[label].regret if len(figures.only) > 1 else figures.regret
            models = (
                f"{who} {found.groups[label].regret}"
                for index, who in ends.items()
                if (found := tested.get(index)) is not None and label in found.groups
            )
            yield f"{label} alone: {', '.join((f'{name} {mine}', *models))}"


def _over_time(results: Results) -> Iterator[tuple[str, ...]]:
    shown = [
        (f"{'*' if one.index == results.champion.index else ' '}{one.index}", one.model, one.test)
        for one in results.iterations
        if one.test is not None
    ]
    rivals = [("", name, figures) for name, figures in results.baselines.items()]
    for mark, name, figures in (*shown, *rivals):
        for horizon, one in figures.over_time.items():
            locked = "" if one.locked is None else str(one.locked)
            yield (mark, name, horizon, str(one.growth), str(one.halves), locked, one.verdict)


def _cells(figures: Figures) -> tuple[str, str, str, str]:
    return (
        str(figures.regret),
        str(figures.paired_drop) if figures.paired_drop else "",
        "" if figures.suff_fail_freq is None else f"{figures.suff_fail_freq:.2f}",
        f"{figures.k_min_frac:.2f}",
    )


def _verdict(results: Results) -> str:
    """What the champion's figures say, and no more than they say."""
    best = next(o for o in results.iterations if o.index == results.champion.index)
    base = next((o.test for o in results.iterations if o.index == 0), None)
    if best.test is None or base is None:
        return f"* least validation regret so far: iteration {best.index}, {best.model}"
    if best.test.paired_drop is None:
        return "* no iteration beat the base in validation: the base is the champion"
    drop = best.test.paired_drop
    share = drop.mean / base.regret.mean if base.regret.mean else 0.0
    sure = f"the 95 % interval of the drop {'excludes' if drop.low > 0 else 'includes'} 0"
    if not drop.known:
        sure = "too few of them for a 95 % interval of the drop"
    doubt = min(best.test.valid, base.valid) < MOSTLY_READ
    return (
        f"* champion {best.model} (least validation regret): "
        f"regret {abs(share):.0%} {'below' if share >= 0 else 'above'} the base's "
        f"on held-out test scenarios; {sure}"
        + ("; but much of what is compared could not be read, see the warnings" if doubt else "")
    )
