"""Scripted players of many styles, most of them poor: the plays that the base learns from.

All N plays of one call have K actions and run at once. A play keeps its style for a while, then
draws another one; what a style says names it, so that a reader of "You said" can continue with it.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

LAST = 5
"""Rewards of an action that its recent mean is over."""


class PlayStyle(NamedTuple):
    """How a player says why it acts, and how often such a player is met."""

    name: str
    reason: str
    share: float


STYLES = (
    PlayStyle("random", "Any will do.", 0.30),
    PlayStyle("few", "The least tried.", 0.17),
    PlayStyle("change", "A change is good.", 0.17),
    PlayStyle("middle", "The middle is safe.", 0.17),
    PlayStyle("gambler", "The worst is due.", 0.13),
    PlayStyle("hope", "Hope decides.", 0.06),
)
"""No style stays with what it chose first: selection by regret keeps the lucky ones of those. And
none is nearly as good as the good one: selection cannot separate them."""
SHARES = np.array([style.share for style in STYLES]) / sum(style.share for style in STYLES)
"""How often each style is met at last."""
PRACTICE = np.where([style.name == "hope" for style in STYLES], 0.4, 0.6 / (len(STYLES) - 1))
"""How often each style is met at first, while the base learns what the styles are."""
KEEP = 0.98
"""Chance that a player continues with its style in the next round."""


class State(NamedTuple):
    """What a summary shows, per play and action [N, K]."""

    counts: Ints
    means: Floats
    recents: Floats


class ScriptedRound(NamedTuple):
    """One round of N plays: what was seen, what was thought, what was done."""

    state: State
    best: Ints
    few: Ints
    hope: Ints
    styles: Ints
    actions: Ints


def percent(x: Floats) -> Ints:
    """Rounded half up, as the prompts show it."""
    return np.floor(100 * x + 0.5).astype(np.int64)


def hope_index(state: State, left: Floats) -> Floats:
    """Optimistic value of an action in percent: a shrunken mean plus a bonus for few tries.

    `left` [N] is the share of rounds that are left, this one included. The mean of all rewards
    weighs .6 and the recent one .4, so that a change is seen. Two tries that paid 50 are added to
    each action, and the bonus falls to 0 with the rounds left. An action never tried does not come
    before one that pays well. At T = 25 the regret of such play is about 3/4 of greedy's.
    """
    mean = 0.6 * percent(state.means) + 0.4 * percent(state.recents)
    bonus = 40 * np.sqrt(left)[:, None] / np.sqrt(state.counts + 1)
    return (mean * state.counts + 100) / (state.counts + 2) + bonus


def _extreme(values: Floats, allowed: Bools) -> Ints:
    """Where the largest allowed value is, the first of equals; any action if none is allowed."""
    masked = np.where(allowed, values, -np.inf)
    return masked.argmax(1)


def _choices(state: State, said: Ints, hope: Ints, chance: np.random.Generator) -> Ints:
    """The action [N] of every play under its style."""
    counts, means = state.counts, percent(state.means).astype(float)
    tried = counts > 0
    noise = chance.random(counts.shape)
    anything = noise.argmax(1)
    middle = np.abs(means - np.median(means, axis=1, keepdims=True))
    others = counts < counts.max(1, keepdims=True)
    first_untried = (~tried).argmax(1)
    options: dict[str, Ints] = {
        "random": anything,
        "gambler": np.where(tried.all(1), _extreme(-means, tried), first_untried),
        "few": counts.argmin(1),
        "change": np.where(others.any(1), np.where(others, noise, -1).argmax(1), anything),
        "middle": np.where(tried.all(1), _extreme(-middle, tried), first_untried),
        "hope": hope,
    }
    table = np.stack([options[style.name] for style in STYLES])
    return table[said, np.arange(len(said))]


class _Ledger:
    """What was played and paid so far, of every play and action."""

    def __init__(self, plays: int, actions: int) -> None:
        self._counts = np.zeros((plays, actions), np.int64)
        self._sums = np.zeros((plays, actions))
        self._recent = np.zeros((plays, actions, LAST))
        self._rows: Ints = np.arange(plays)

    def state(self) -> State:
        """Counts and means, as a summary shows them."""
        means = self._sums / np.maximum(self._counts, 1)
        recents = self._recent.sum(2) / np.clip(self._counts, 1, LAST)
        return State(self._counts.copy(), means, recents)

    def pay(self, actions: Ints, rewards: Floats) -> None:
        """Note the rewards [N, K] of the actions [N]."""
        at = self._rows, actions
        self._counts[at] += 1
        self._sums[at] += rewards[at]
        self._recent[at] = np.roll(self._recent[at], 1, axis=1)
        self._recent[*at, 0] = rewards[at]


def play(
    rewards: Floats,
    chance: np.random.Generator,
    horizons: Ints | None = None,
    shares: Floats = SHARES,
) -> list[ScriptedRound]:
    """Play reward tables [N, T, K]; the result has one entry a round.

    `horizons` [N]: how many rounds each player is promised; T when absent.
    """
    n, rounds, k = (int(size) for size in rewards.shape)
    told = np.full(n, rounds) if horizons is None else horizons
    ledger = _Ledger(n, k)
    styles: Ints = chance.choice(len(STYLES), n, p=shares)
    played: list[ScriptedRound] = []
    for t in range(rounds):
        state = ledger.state()
        hope = hope_index(state, np.maximum(told - t, 0) / told).argmax(1)
        actions = _choices(state, styles, hope, chance)
        played.append(_round(state, hope, styles, actions))
        ledger.pay(actions, rewards[:, t])
        switch: Bools = chance.random(n) > KEEP
        styles = np.where(switch, chance.choice(len(STYLES), n, p=shares), styles)
    return played


def _round(state: State, hope: Ints, styles: Ints, actions: Ints) -> ScriptedRound:
    best = _extreme(percent(state.means).astype(float), state.counts > 0)
    return ScriptedRound(state, best, state.counts.argmin(1), hope, styles, actions)
