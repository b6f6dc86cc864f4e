"""The figures in plain words. No more is said than the intervals allow."""

from collections.abc import Iterator, Sequence

from rmft_api.core.records import Interval, Split
from rmft_api.evaluation.measures import MOSTLY_READ
from rmft_api.evaluation.scoring import Results
from rmft_api.journal import dollars
from rmft_api.planning import Spending
from rmft_api.report.data import Fact, Headline, PlayerFigures
from rmft_api.report.players import find

DIVIDED = "two splits"
"""What every line on the division of rows says."""
NOTHING = Headline(
    title="No model has been evaluated yet",
    text="There are no figures before the base has played the validation scenarios. "
    "What was played so far is in the trajectory browser below.",
    sure=None,
)
ALONE = Headline(
    title="Only the base has been evaluated",
    text="No fine-tuned model has played the validation scenarios yet.",
    sure=None,
)
NO_GAIN = Headline(
    title="No iteration beat the base",
    text="No fine-tuned model had less regret on the validation scenarios than the base.",
    sure=None,
)
NOT_SURE = "No sure change of regret"
"""The title where the interval of the paired drop contains 0: such a change is no headline."""
WHERE: dict[Split, str] = {
    "test": "held-out test scenarios",
    "validation": "validation scenarios, which also chose this model",
}


def headline(players: Sequence[PlayerFigures], champion: int | None) -> Headline:
    """What the run came to, by the test split where that was played."""
    if champion is None:
        return NOTHING
    if champion == 0:
        judged = [one for one in players if one.split == "validation" and one.regret]
        return NO_GAIN if len(judged) > 1 else ALONE
    for split in ("test", "validation"):
        best, base = find(players, split, champion), find(players, split, 0)
        if best is not None and base is not None:
            return _headline(best, base)
    return NOTHING


def _headline(best: PlayerFigures, base: PlayerFigures) -> Headline:
    drop, before, after = best.paired_drop, base.regret, best.regret
    if drop is None or before is None or after is None:
        return NOTHING
    share = abs(drop.mean / before.mean) if before.mean > 0 else None
    by = f"by {abs(drop.mean):.2f}" if share is None else f"by {share:.0%}"
    sure = drop.low > 0 or drop.high < 0
    verb = "fell" if drop.mean >= 0 else "rose"
    unread = _unread(best, base)
    title = f"Regret {verb} {by}{', but not all could be read' if unread else ''}"
    chance = "" if sure else f"Regret {verb} {by}, which may be chance. "
    return Headline(
        title=title if sure else NOT_SURE,
        text=f"{chance}From {before.mean:.2f} to {after.mean:.2f} a trajectory, base against "
        f"iteration {best.index}, on {WHERE[best.split]}. {_paired(drop, sure)}{unread}",
        sure=sure and not unread,
    )


def _paired(drop: Interval, sure: bool) -> str:
    if not drop.known:
        return f"The paired drop is {drop.mean:.2f}; too few scenarios for a 95 % interval of it."
    side = "excludes 0" if sure else "contains 0"
    return f"The paired drop with its 95 % interval is {drop}, which {side}."


def facts(
    players: Sequence[PlayerFigures],
    champion: int | None,
    iterations: int,
    money: Spending,
    results: Results | None,
) -> tuple[Fact, ...]:
    """Single figures, and what is to be known of the data and of a warm-up."""
    figures = _figures(players, champion, iterations, money)
    return (*figures, *_possible(results), *_data(results), *_warm_up(results))


def _possible(results: Results | None) -> tuple[Fact, ...]:
    """What the champion has gained of what is possible, where a limit is known."""
    if results is None or results.limit is None:
        return ()
    best = next(one for one in results.iterations if one.index == results.champion.index)
    if best.share_of_possible is None:
        return ()
    note = f"of the way from the base to the limit, {results.limit.regret.mean:.2f}"
    return (Fact("Of the possible", f"{best.share_of_possible.mean:.0%}", note),)


def _figures(
    players: Sequence[PlayerFigures], champion: int | None, iterations: int, money: Spending
) -> tuple[Fact, ...]:
    played = sum(one.trajectories for one in players if one.index is not None)
    rounds = sum(1 for one in players if one.split == "validation" and one.index and one.regret)
    found = [
        Fact("Played", f"{played:,}", "trajectories"),
        Fact("Iterations", f"{rounds} of {iterations}", "trained and evaluated"),
        Fact("Spent", dollars(money.spent), _limits(money)),
    ]
    return (*found, *_rival(players, champion))


def _data(results: Results | None) -> tuple[Fact, ...]:
    """How the rows of a file of one's own are divided, and what regret is against with state."""
    if results is None:
        return ()
    data = (
        Fact("Rows", "divided once", line)
        if DIVIDED in line
        else Fact("Data", "what it holds", line)
        for line in results.data
    )
    return (*data, *_against(results.references))


def _against(references: Sequence[str]) -> Iterator[Fact]:
    """What regret is against where problems have state: one fact for each reference."""
    names: dict[str, list[str]] = {}
    for line in references:
        name, _, reference = line.partition(": regret is against ")
        names.setdefault(reference, []).append(name)
    for reference, those in names.items():
        value = "optimum" if reference.startswith("the exact optimum") else "reference"
        yield Fact("Regret against", value, f"{', '.join(those)}: {reference}")


def _warm_up(results: Results | None) -> tuple[Fact, ...]:
    """What the base was taught before iteration 1, and what could be read before and after."""
    found = results.warm_up if results else None
    if results is None or found is None:
        return ()
    after = results.iterations[0].validation.valid
    examples = "" if found.examples is None else f"{found.examples:,} examples of "
    return (
        Fact(
            "Warm-up",
            f"{found.valid_before:.0%} to {after:.0%} valid",
            f"{examples}balanced random play taught the form of an answer, not skill; iteration 0 "
            f"is {found.base} after it",
        ),
    )


def stopped(why: str) -> tuple[str, ...]:
    """Why the run was stopped, where that was because its replies cannot be read."""
    return (f"the run was stopped: {why}",) if why else ()


def warnings(results: Results | None) -> tuple[str, ...]:
    """What a good headline hides: exploration that collapsed, replies that cannot be read."""
    if results is None:
        return ()
    best = next(one for one in results.iterations if one.index == results.champion.index)
    base = results.iterations[0].warnings if results.champion.index else ()
    return (*(f"the base, {line}" for line in base), *best.warnings)


def _unread(best: PlayerFigures, base: PlayerFigures) -> str:
    """Whose regret is in doubt in a headline, because little of it could be read."""
    lines = ((who, _read(one)) for who, one in (("the base", base), ("the champion", best)))
    return "".join(
        f" Only {share:.1%} of the replies of {who} could be read, and each other one counts as "
        "the worst action: so much of the difference is not about decisions."
        for who, share in lines
        if share < MOSTLY_READ
    )


def _read(player: PlayerFigures) -> float:
    return player.measures["valid"].mean if "valid" in player.measures else 1.0


def _limits(taken: Spending) -> str:
    held = f"{dollars(taken.reserved)} reserved; " if taken.reserved else ""
    return f"{held}cap {dollars(taken.cap)}" if taken.cap else f"{held}no budget was set"


def _rival(players: Sequence[PlayerFigures], champion: int | None) -> list[Fact]:
    """The best baseline, where the champion played the same scenarios."""
    best = find(players, "test", champion)
    rivals = [
        (one.regret.mean, one.name)
        for one in players
        if one.index is None
        and one.regret
        and not one.reference
        and not one.only  # others played other problems
    ]
    if champion is None or best is None or best.regret is None or not rivals:
        return []
    regret, name = min(rivals)
    return [Fact("Best rival", f"{regret:.2f}", f"{name}; the champion has {best.regret.mean:.2f}")]
