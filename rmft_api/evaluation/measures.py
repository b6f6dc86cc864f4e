"""Exploration measures of arXiv 2403.15371 and others that describe a set of plays. Pure.

The best action is, for dynamic regret, the one with the best mean of the round, otherwise the best
to keep. A round whose reply could not be read is a choice of none: neither best nor greedy.
Measures of one play take any leading axes, as in `regret`.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from rmft_api.core.records import Interval, Record, RegretKind
from rmft_api.environments.best import TIE, Bools, best_of, changes
from rmft_api.selection.regret import UNREAD, Floats, Ints, PlayArrays, earned_T, stack

MOSTLY_READ = 0.9
"""Share of readable replies below which a regret carries a warning."""
NO_BEST = "with state the best action depends on what was done before: there is none to settle on"
"""Why SuffFail and the switch delay say nothing of problems with state."""
TOGETHER = 1000
"""Plays worked on at once: bounds memory."""


class Measures(Record, frozen=True):
    """Figures of a set of plays; shares are over plays unless said otherwise."""

    plays: int
    suff_fail_freq: float | None
    """Share of plays that never choose the best action from round T/2 on; None where all problems
    have state (`NO_BEST`)."""
    min_frac: float
    """Mean share of rounds that the least chosen action got."""
    k_min_frac: float
    """K times that, in [0, 1]: 1 is even play."""
    greedy_frac: float
    """Mean share of rounds on an action of largest empirical mean, or never tried."""
    median_reward: float
    """Median of the mean reward, 0 for the worst mean of the table and 1 for the best."""
    best_share: float
    """Mean share of rounds on the best action."""
    switch_delay: float | None
    """Mean rounds until a new best action is chosen; None where the best never changes by itself:
    in problems with state it changes by what is done."""
    valid: float
    """Mean share of rounds whose reply could be read."""
    answer_entropy: float
    """Of all answers by position: 1 when every position is as frequent, 0 when there is one."""
    position_shares: tuple[float, ...] = ()
    """Share of all readable answers that chose the first, second, ... action shown; empty for known
    algorithms. Where `prompts.name_order` varies, all differences are a liking for a position."""


def summary(plays: Sequence[PlayArrays], kinds: RegretKind | Sequence[RegretKind]) -> Measures:
    """All measures of a set of plays, which may differ in K, T and, one each, in kind of regret."""
    if not plays:
        raise ValueError("no plays to summarise; play at least one trajectory")
    each: list[RegretKind] = [kinds] * len(plays) if isinstance(kinds, str) else list(kinds)
    stacks = _stacked(plays, each)
    groups = [group for group, _ in stacks]
    K_N = np.concatenate([np.full(len(g.actions_T), g.rewards_TK.shape[-1]) for g in groups])
    min_frac_N = np.concatenate([min_frac(group) for group in groups])
    paired = zip(plays, each, strict=True)
    delays = [d for play, kind in paired if kind != "reference" for d in switch_delays(play)]
    settled = [suff_fail(group, kind) for group, kind in stacks if kind != "reference"]
    return Measures(
        plays=len(plays),
        suff_fail_freq=_mean(settled) if settled else None,
        min_frac=float(min_frac_N.mean()),
        k_min_frac=float((K_N * min_frac_N).mean()),
        greedy_frac=_mean([greedy_frac(group) for group in groups]),
        median_reward=float(np.median(np.concatenate([scaled_reward(g) for g in groups]))),
        best_share=_mean([best_share(group, kind) for group, kind in stacks]),
        switch_delay=float(np.mean(delays)) if delays else None,
        valid=_mean([valid(group) for group in groups]),
        answer_entropy=answer_entropy(plays),
    )


def in_words(measures: Measures) -> str:
    """All measures but `valid` in one line."""
    delay, fails = measures.switch_delay, measures.suff_fail_freq
    return (
        ("" if fails is None else f"SuffFail {fails:.2f}, ")
        + f"K x MinFrac {measures.k_min_frac:.2f}, "
        f"greedy {measures.greedy_frac:.2f}, best {measures.best_share:.2f}, "
        f"median reward {measures.median_reward:.2f}, entropy {measures.answer_entropy:.2f}"
        + (f", switch delay {delay:.1f}" if delay is not None else "")
        + _positions_in_words(measures.position_shares)
    )


def _positions_in_words(shares: Sequence[float]) -> str:
    """The first, the last and the largest are what a bias shows in, so long lists are left out."""
    few = 0 < len(shares) <= 6
    return f", by position {' '.join(f'{one:.2f}' for one in shares)}" if few else ""


def positions(chosen: Iterable[int], K: int) -> tuple[float, ...]:
    """The share of each of K positions among those chosen; empty where nothing was."""
    counts = np.bincount(np.fromiter(chosen, dtype=np.int64), minlength=K)
    return tuple((counts / counts.sum()).tolist()) if counts.sum() else ()


def suff_fail(play: PlayArrays, kind: RegretKind, t: int | None = None) -> Bools:
    """SuffFail(t): the best action is never chosen in rounds t..T (from 1; T/2 when absent)."""
    start = max(1, play.actions_T.shape[-1] // 2) if t is None else t
    return np.asarray(~chose_best(play, kind)[..., start - 1 :].any(axis=-1))


def locked_in(play: PlayArrays, kind: RegretKind) -> Bools:
    """Whether one action alone is chosen from round T/2 + 1 on, and it is never the best there."""
    late = play.actions_T.shape[-1] // 2
    late_T = play.actions_T[..., late:]
    same = (late_T == late_T[..., :1]).all(axis=-1) & (late_T[..., 0] != UNREAD)
    return np.asarray(same & ~chose_best(play, kind)[..., late:].any(axis=-1))


def min_frac(play: PlayArrays) -> Floats:
    """The least chosen action's share of all rounds."""
    shares_K: Floats = _chosen(play).mean(axis=-2)
    return shares_K.min(axis=-1)


def greedy_frac(play: PlayArrays) -> Floats:
    """Share of rounds on an action of largest empirical mean; one never tried counts as such."""
    chosen_TK = _chosen(play)
    earned_TK: Floats = chosen_TK * play.rewards_TK
    counts_TK = chosen_TK.cumsum(axis=-2) - chosen_TK
    sums_TK = earned_TK.cumsum(axis=-2) - earned_TK
    tried_TK = counts_TK > 0
    means_TK: Floats = np.where(tried_TK, sums_TK / np.maximum(counts_TK, 1.0), -np.inf)
    greedy_TK = ~tried_TK | best_of(means_TK)
    return _at(greedy_TK, play).mean(axis=-1)


def scaled_reward(play: PlayArrays) -> Floats:
    """Mean reward on the scale of the table's means: 0 the worst action, 1 the best.

    On the reference bandits this is (mean reward - (.5 - gap/2)) / gap; 1 where all are equal.
    """
    means_K: Floats = play.means_TK.mean(axis=-2)
    low: Floats = means_K.min(axis=-1)
    width = means_K.max(axis=-1) - low
    equal = width <= TIE
    above = earned_T(play).mean(axis=-1) - low
    return np.where(equal, 1.0, above / np.where(equal, 1.0, width))


def best_share(play: PlayArrays, kind: RegretKind) -> Floats:
    """Share of rounds on the best action."""
    return chose_best(play, kind).mean(axis=-1)


def switch_delays(play: PlayArrays) -> list[int]:
    """For each change of the best action: rounds until a best one is chosen.

    0 means at once, and the stretch's length never.
    """
    starts = changes(play.means_TK)
    if not starts:
        return []
    best_T = chose_best(play, "dynamic")
    delays: list[int] = []
    for start, end in pairwise([*starts, len(best_T)]):
        hits = np.flatnonzero(best_T[start:end])
        delays.append(int(hits[0]) if hits.size else end - start)
    return delays


def valid(play: PlayArrays) -> Floats:
    """Share of rounds whose reply could be read."""
    return (play.actions_T != UNREAD).mean(axis=-1)


def answer_entropy(plays: Sequence[PlayArrays]) -> float:
    """Entropy of the positions answered, all plays of one K together, over its largest value.

    Where the best action's position is drawn, a model that reads its task has a high one. Several K
    are weighted by their rounds.
    """
    answers: defaultdict[int, list[Ints]] = defaultdict(list)
    for play in plays:
        answers[play.rewards_TK.shape[1]].append(_read(play))
    counts = [np.bincount(np.concatenate(a), minlength=K) for K, a in answers.items()]
    rounds = sum(int(count_K.sum()) for count_K in counts)
    if rounds == 0:
        return 0.0
    return sum(_entropy(count_K) * int(count_K.sum()) for count_K in counts) / rounds


def chose_best(play: PlayArrays, kind: RegretKind) -> Bools:
    """In which rounds the best action was chosen; equals are all best."""
    judged_TK = play.means_TK
    if kind not in ("dynamic", "reference"):
        judged_TK = np.broadcast_to(judged_TK.mean(axis=-2, keepdims=True), judged_TK.shape)
    return _at(best_of(judged_TK), play)


def collapses(before: Measures, after: Measures, drop: Interval) -> list[str]:
    """What got worse about exploration while regret fell (docs/method.md 3); else empty.

    `drop` is the paired fall of regret from `before` to `after`. Where that may be chance, or rests
    on too few scenarios to say, nothing is claimed.
    """
    if not drop.known or drop.low <= 0:
        return []
    warnings: list[str] = []
    fails, failed = after.suff_fail_freq, before.suff_fail_freq
    if fails is not None and failed is not None and fails > failed + 0.05:
        change = f"{failed:.2f} to {fails:.2f}"
        warnings.append(
            f"SuffFailFreq rose from {change} while regret fell: play commits too early"
        )
    if after.k_min_frac < before.k_min_frac / 2:
        change = f"{before.k_min_frac:.2f} to {after.k_min_frac:.2f}"
        warnings.append(f"K x MinFrac fell from {change} while regret fell: actions go untried")
    return warnings


def unread_warning(valid: float) -> str:
    """What a regret is worth of which only this share of replies could be read.

    Empty where nearly all could. Where few could, regret is the price of silence: every reply that
    cannot be read counts as the worst action.
    """
    if valid >= MOSTLY_READ:
        return ""
    says = "nothing" if valid < 0.1 else "little" if valid < 0.5 else "less"
    share = "none" if valid == 0 else f"only {valid:.1%}"
    return (
        f"{share} of the replies could be read, and each other one counts as the worst action: "
        f"this regret says {says} about decisions"
    )


def _stacked(
    plays: Sequence[PlayArrays], kinds: Sequence[RegretKind]
) -> list[tuple[PlayArrays, RegretKind]]:
    """Plays of one shape and kind together: each measure is worked out for all of them at once."""
    groups: defaultdict[tuple[RegretKind, tuple[int, ...]], list[PlayArrays]] = defaultdict(list)
    for play, kind in zip(plays, kinds, strict=True):
        groups[kind, play.rewards_TK.shape].append(play)
    return [
        (stack(group[first : first + TOGETHER]), kind)
        for (kind, _), group in groups.items()
        for first in range(0, len(group), TOGETHER)
    ]


def _mean(groups: Sequence[Floats | Bools]) -> float:
    return float(np.concatenate([np.asarray(group, dtype=np.float64) for group in groups]).mean())


def _read(play: PlayArrays) -> Ints:
    return play.actions_T[play.actions_T != UNREAD]


def _chosen(play: PlayArrays) -> Floats:
    """1 where an action was executed; rows of 0 where the reply could not be read."""
    K = int(play.rewards_TK.shape[-1])
    return np.equal(play.actions_T[..., None], np.arange(K)).astype(np.float64)


def _at(facts_TK: Bools, play: PlayArrays) -> Bools:
    """The fact of each round's action; False where there was none."""
    facts: Bools = np.take_along_axis(facts_TK, play.actions_T[..., None], axis=-1)
    return facts[..., 0] & (play.actions_T != UNREAD)


def _entropy(counts_K: Ints) -> float:
    shares_K = counts_K[counts_K > 0] / max(int(counts_K.sum()), 1)
    return float(-(shares_K * np.log(shares_K)).sum() / np.log(len(counts_K)))
