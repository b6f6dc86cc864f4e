"""Finished trajectories as the journal keeps them: the play, and its words beside it.

Most readers want the figures of thousands of plays and the words of a few, and words are most of a
trajectory. So they stand in a column of their own, prompts in shorthand.
"""

import math
import sqlite3
import zlib
from collections.abc import Callable, Container, Iterator
from typing import TypeVar

import msgspec

from rmft_api.core import serialization
from rmft_api.core.records import Address, Scored, Split, Trajectory
from rmft_api.core.transcripts import StoredTrajectory
from rmft_api.journal.writer import RowStatement

Played = tuple[Trajectory, Scored]
Place = tuple[str, int, int, int]
"""Split, iteration, scenario, trajectory."""
Row = tuple[str, int, int, int, bytes, bytes]
T = TypeVar("T")
TOGETHER = 256
"""Rows read at once."""
_WINDOW, _MEMORY = 13, 6
"""Of zlib, as powers of two: by its own measure it asks for 256 kB each time, which costs more than
packing ten."""

_SAVE = """INSERT INTO trajectories (split, iteration, scenario, trajectory, play, words)
  VALUES {rows} ON CONFLICT (split, iteration, scenario, trajectory)
  DO UPDATE SET play = excluded.play, words = excluded.words"""
_ROW = "(?, ?, ?, ?, ?, ?)"
SAVE = RowStatement(_SAVE.format(rows=_ROW), _SAVE, _ROW)
_AFTER = """SELECT split, iteration, scenario, trajectory, play, {words} FROM trajectories
  WHERE (split, iteration, scenario, trajectory) > (?, ?, ?, ?) AND {where}
  ORDER BY split, iteration, scenario, trajectory LIMIT ?"""
_WITH, _WITHOUT = "words", "NULL"
_FIRST: Place = ("", -1, -1, -1)


_plays = msgspec.json.Decoder(Played)
_encode = msgspec.json.Encoder().encode


def row(kept: StoredTrajectory, scored: Scored) -> Row:
    """A trajectory as a row."""
    place = kept.figures.address
    key = (place.split, place.iteration, place.scenario, place.trajectory)
    return (*key, _packed(_play((kept.figures, scored))), _packed(kept.transcript))


def _play(played: Played) -> bytes:
    """As JSON. A reward or a policy that is not finite makes a regret so: no need to search all."""
    finite = math.isfinite(sum(msgspec.structs.astuple(played[1].regrets), played[1].reward))
    return _encode(played) if finite else serialization.encode(played)


def _decoded(packed: bytes) -> Played:
    raw = zlib.decompress(packed)
    try:
        return _plays.decode(raw)
    except msgspec.ValidationError:
        return serialization.decode(raw, Played)


class TrajectoryReader:
    """Reads trajectories in their order, a few hundred rows at a time."""

    def __init__(self, query: Callable[[Callable[[sqlite3.Connection], list[Row]]], list[Row]]):
        self._query = query

    def whole(
        self,
        split: Split | None = None,
        iteration: int = 0,
        among: Container[Address] | None = None,
    ) -> Iterator[Played]:
        """The trajectories of an iteration, or all there are; those `among` some, where given."""
        for *_, play, words in self._rows(_WITH, split, iteration):
            bare, scored = _decoded(play)
            if among is not None and bare.address not in among:
                continue
            yield StoredTrajectory(bare, zlib.decompress(words)).whole(), scored

    def silent(self, split: Split, iteration: int) -> Iterator[Played]:
        """The same without a word: prompts and replies are empty."""
        for *_, play, _ in self._rows(_WITHOUT, split, iteration):
            yield _decoded(play)

    def _rows(self, words: str, split: Split | None, iteration: int) -> Iterator[Row]:
        """Rows are of one moment each: what is saved meanwhile may or may not be among them."""
        where = "split = ? AND iteration = ?" if split else "TRUE"
        of = (split, iteration) if split else ()
        sql, last = _AFTER.format(words=words, where=where), _FIRST
        while True:
            values = (*last, *of, TOGETHER)
            rows = self._query(
                lambda connection, values=values: connection.execute(sql, values).fetchall()
            )
            yield from rows
            if len(rows) < TOGETHER:
                return
            last = rows[-1][:4]


def _packed(what: bytes) -> bytes:
    packing = zlib.compressobj(1, zlib.DEFLATED, _WINDOW, _MEMORY)
    return packing.compress(what) + packing.flush()
