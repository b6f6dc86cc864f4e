"""Words for Gymnasium's text games: what actions are called, and what a player sees."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rmft_api.environments.worlds import Policy

_NAMES: Mapping[str, tuple[str, ...]] = {
    "Blackjack": ("stick", "hit"),
    "CliffWalking": ("up", "right", "down", "left"),
    "FrozenLake": ("left", "down", "right", "up"),
    "FrozenLake8x8": ("left", "down", "right", "up"),
    "Taxi": ("south", "north", "east", "west", "pick up", "drop off"),
}
_STOPS = ("red", "green", "yellow", "blue")


def names(id_: str) -> tuple[str, ...] | None:
    """What the actions of a known game are called."""
    return _NAMES.get(_game(id_))


def policies(id_: str) -> Mapping[str, Policy]:
    """Policies that are known to be good."""
    return {"basic_strategy": _basic} if _game(id_) == "Blackjack" else {}


def describe(id_: str, env: Any, state: Any) -> str:
    """What a player sees; the observation's numbers where the game is not known."""
    game = _game(id_)
    if game == "Blackjack":
        return _cards(state)
    if game.startswith("FrozenLake"):
        return _lake(env.unwrapped.desc, int(state))
    if game == "Taxi":
        return _taxi(env.unwrapped.decode(int(state)), env.unwrapped.locs)
    if game == "CliffWalking":
        row, column = divmod(int(state), 12)
        return (
            f"You are in row {row + 1}, column {column + 1} of 4 rows and 12 columns. The goal is "
            "in row 4, column 12; row 4, columns 2 to 11, is the cliff."
        )
    numbers = np.asarray(state, dtype=np.float64).ravel().tolist()
    if len(numbers) == 1:
        return f"state {numbers[0]:g}"
    return ", ".join(f"x{i}={x:.3g}" for i, x in enumerate(numbers, start=1))


def _game(id_: str) -> str:
    return id_.rpartition(":")[2].partition("-")[0]


def _cards(state: Any) -> str:
    total, dealer, ace = (int(one) for one in state)
    card = "an ace" if dealer == 1 else str(dealer)
    usable = ", with an ace that counts 11" if ace else ""
    return f"Your cards are worth {total}{usable}. The dealer shows {card}."


def _lake(desc: Any, state: int) -> str:
    rows = [[cell.decode() for cell in row] for row in desc]
    row, column = divmod(state, len(rows[0]))
    holes = ", ".join(f"{r}/{c}" for r, c in _cells(rows, "H")) or "none"
    goal = _cells(rows, "G")[0]
    return (
        f"You are in row {row + 1}, column {column + 1} of {len(rows)} x {len(rows[0])}. The goal "
        f"is in row {goal[0]}, column {goal[1]}. Holes (row/column): {holes}."
    )


def _cells(rows: list[list[str]], kind: str) -> list[tuple[int, int]]:
    """Rows and columns, from 1."""
    return [
        (r, c)
        for r, row in enumerate(rows, start=1)
        for c, cell in enumerate(row, start=1)
        if cell == kind
    ]


def _taxi(decoded: Any, stops: Any) -> str:
    row, column, passenger, target = (int(one) for one in decoded)
    where = "in the taxi" if passenger == 4 else f"at {_stop(passenger, stops)}"
    return (
        f"The taxi is in row {row + 1}, column {column + 1} of 5 x 5. The passenger is {where} and "
        f"wants to go to {_stop(target, stops)}."
    )


def _stop(number: int, stops: Any) -> str:
    row, column = stops[number]
    return f"{_STOPS[number]} (row {int(row) + 1}, column {int(column) + 1})"


def _basic(state: Any, t: int) -> int:
    """Blackjack's optimal policy (Sutton and Barto, "Reinforcement Learning", figure 5.2)."""
    total, dealer, ace = (int(one) for one in state)
    if ace:
        return int(total <= 17 or (total == 18 and dealer in (1, 9, 10)))
    if total >= 17:
        return 0
    if total <= 11:
        return 1
    return int(not (4 <= dealer <= 6 if total == 12 else 2 <= dealer <= 6))
