"""Checks of what a run file may say to an environment. Every one raises ValueError.

TOML can write `nan`, `inf` and `true` where a number is meant, so nothing is taken on trust.
"""

import difflib
import math
from collections.abc import Iterable
from typing import Any


def one_of(option: str, value: Any, known: Iterable[str]) -> None:
    """Refuse a word that is not among `known`, naming the nearest."""
    words = list(known)
    if value not in words:
        raise ValueError(f"{option}={value!r} is unknown{nearest(str(value), words)}")


def number(option: str, value: Any, low: float = -math.inf, high: float = math.inf) -> None:
    """Refuse anything but a finite number in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{option}={value!r} is not a finite number")
    if not low <= value <= high:
        raise ValueError(f"{option}={value!r} is outside {low:g} to {high:g}")


def truth(option: str, value: Any) -> None:
    """Refuse anything but true and false."""
    if not isinstance(value, bool):
        raise ValueError(f"{option}={value!r} is not true or false")


def text(option: str, value: Any) -> None:
    """Refuse anything but text."""
    if not isinstance(value, str):
        raise ValueError(f'{option}={value!r} is not a text; name columns as "a, b, c"')


def whole(option: str, value: Any, low: int) -> None:
    """Refuse anything but a whole number of at least `low`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{option}={value!r} is not a whole number")
    if value < low:
        raise ValueError(f"{option}={value!r} is too small; use {option} >= {low}")


def numbers(option: str, value: Any, count: int, low: float, high: float) -> None:
    """Refuse anything but a list of `count` finite numbers in [low, high]."""
    if not isinstance(value, list | tuple):
        raise ValueError(
            f"{option}={value!r} is not a list; a run file lists alternatives, so one list of "
            f"{count} numbers is written {option} = [[...]]"
        )
    items: list[Any] = list(value)  # pyright: ignore[reportUnknownArgumentType]
    if len(items) != count:
        raise ValueError(f"{option} has {len(items)} numbers for K={count} actions")
    for item in items:
        number(option, item, low, high)


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown word: the nearest known one, then all of them."""
    words = sorted(known)
    near = difflib.get_close_matches(word, words, n=5, cutoff=0.6)
    near.sort(key=lambda one: len(one) != len(word))  # a mistyped letter rather than a missing one
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{hint} (known: {', '.join(words)})"
