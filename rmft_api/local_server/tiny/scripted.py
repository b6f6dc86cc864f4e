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
    PlayStyle("random", "Any will do.", 0.19),
    PlayStyle("stay", "I stay with {}.", 0.14),
    PlayStyle("lock", "The best so far.", 0.16),
    PlayStyle("gambler", "The worst is due.", 0.12),
    PlayStyle("few", "The least tried.", 0.10),
    PlayStyle("change", "A change is good.", 0.07),
    PlayStyle("middle", "The middle is safe.", 0.06),
    PlayStyle("mostly", "Mostly the best.", 0.05),
    PlayStyle("greedy", "Try each, then the best.", 0.03),
    PlayStyle("twice", "Each twice, then the best.", 0.03),
    PlayStyle("hope", "Hope decides.", 0.05),
)
SHARES = np.array([style.share for style in STYLES]) / sum(style.share for style in STYLES)
KEEP = 0.94
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


def hope_index(state: State) -> Floats:
    """Optimistic value of an action in percent: a shrunken mean plus a bonus for few tries.

    The mean of all rewards and the recent one weigh the same, at most five tries count, and an
    action never tried comes first. At T = 25 it is about as good as greedy, better than UCB1 and
    Thompson sampling, and better than all three where means change.
    """
    tries = np.minimum(state.counts, LAST)
    mean = (percent(state.means) + percent(state.recents)) / 2
    index = (mean * tries + 50) / (tries + 1) + 40 / np.sqrt(tries + 1)
    return np.where(state.counts == 0, np.inf, index)


def _extreme(values: Floats, allowed: Bools) -> Ints:
    """Where the largest allowed value is, the first of equals; any action if none is allowed."""
    masked = np.where(allowed, values, -np.inf)
    return masked.argmax(1)


def _choices(state: State, said: Ints, kept_choice: Ints, chance: np.random.Generator) -> Ints:
    """The action [N] of every play under its style."""
    counts, means = state.counts, percent(state.means).astype(float)
    tried = counts > 0
    noise = chance.random(counts.shape)
    anything = noise.argmax(1)
    best = _extreme(means, tried)
    started = tried.any(1)
    middle = np.abs(means - np.median(means, axis=1, keepdims=True))
    others = counts < counts.max(1, keepdims=True)
    first_untried = (~tried).argmax(1)
    second = np.where((counts >= 2).all(1), best, (counts < 2).argmax(1))
    options: dict[str, Ints] = {
        "random": anything,
        "stay": kept_choice,
        "lock": np.where(started, best, anything),
        "gambler": np.where(tried.all(1), _extreme(-means, tried), first_untried),
        "few": counts.argmin(1),
        "change": np.where(others.any(1), np.where(others, noise, -1).argmax(1), anything),
        "middle": np.where(tried.all(1), _extreme(-middle, tried), first_untried),
        "mostly": np.where(started & (chance.random(len(said)) < 0.7), best, anything),
        "greedy": np.where(tried.all(1), best, first_untried),
        "twice": second,
        "hope": hope_index(state).argmax(1),
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


def _draw_styles(n: int, chance: np.random.Generator) -> Ints:
    return chance.choice(len(STYLES), n, p=SHARES)


def play(rewards: Floats, chance: np.random.Generator) -> list[ScriptedRound]:
    """Play reward tables [N, T, K]; the result has one entry a round."""
    n, rounds, k = (int(size) for size in rewards.shape)
    ledger = _Ledger(n, k)
    styles = _draw_styles(n, chance)
    kept_choice: Ints = chance.integers(0, k, n)
    played: list[ScriptedRound] = []
    for t in range(rounds):
        state = ledger.state()
        actions = _choices(state, styles, kept_choice, chance)
        played.append(_round(state, styles, actions))
        ledger.pay(actions, rewards[:, t])
        switch: Bools = chance.random(n) > KEEP
        styles = np.where(switch, _draw_styles(n, chance), styles)
        kept_choice = np.where(switch, chance.integers(0, k, n), kept_choice)
    return played


def _round(state: State, styles: Ints, actions: Ints) -> ScriptedRound:
    best = _extreme(percent(state.means).astype(float), state.counts > 0)
    hope = hope_index(state).argmax(1)
    return ScriptedRound(state, best, state.counts.argmin(1), hope, styles, actions)
