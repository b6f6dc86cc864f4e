"""Every trajectory in little room: an index that the page reads at once, chapters that it opens.

A chapter holds the texts of some trajectories in a row, each distinct text once, deflated: prompts
of one scenario differ in a few words, so they cost a few bytes. The page inflates a chapter when
one of its trajectories is looked at, so that opening a page costs the index alone.
"""

import base64
import json
import math
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from rmft_api.core.records import RegretKind, Round, Trajectory
from rmft_api.report.play_groups import PlayGroup, ScoredPlay, scenarios_of
from rmft_api.selection.ranking import Selected
from rmft_api.selection.regret import Floats, Ints, PlayArrays, per_round, play_in, regret_curve

CHAPTER = 750_000
"""Characters of text after which a chapter ends: one takes milliseconds to open."""
BINS = 50
"""Cells of the strip that shows a trajectory's regret in the list."""
DIGITS = 4
WITHOUT = -1
"""The place of a text that was left out."""
REPLY, PROMPT = 2, 3
"""Where they stand in a round of a chapter."""


class TrajectoryIndex:
    """Takes group after group; `chapters` and `index` are ready at any time."""

    def __init__(self) -> None:
        self.chapters: list[str] = []
        self._groups: list[dict[str, Any]] = []

    @property
    def size(self) -> int:
        """Characters of all chapters."""
        return sum(len(chapter) for chapter in self.chapters)

    @property
    def index(self) -> list[dict[str, Any]]:
        """The columns of every group."""
        return self._groups

    def add(
        self,
        group: PlayGroup,
        selected: Sequence[Selected] = (),
        *,
        name: str = "",
        course: str = "",
    ) -> None:
        """Add a group.

        `name` is who played, where an iteration does not say it. Groups of one split and `course`
        have the same scenarios.
        """
        curves = scenarios_of(group.sittings, regret_curve)
        starts: list[list[int]] = []
        for start, chapter in _chapters(group, curves):
            starts.append([start, len(self.chapters)])
            self.chapters.append(chapter)
        told = [1] * len(group.played)
        self._groups.append({**_columns(group, selected), "told": told, "chapters": starts})
        if name:
            self._groups[-1] |= {"name": name, "course": course}

    def shrink(self, limit: int) -> None:
        """Leave out texts until all chapters have at most `limit` characters.

        The best and the worst trajectory of each scenario keep theirs longest. Actions, rewards and
        regrets are kept of all.
        """
        share = 1.0
        while self.size > limit and share > 0.001:
            share *= 0.95 * limit / self.size
            for group in self._groups:
                group["told"] = _told(group["scenario"], group["regret"], share)
                starts: list[list[int]] = group["chapters"]
                for start, number in starts:
                    self.chapters[number] = _without(self.chapters[number], group["told"][start:])


def packed(value: Any) -> str:
    """JSON, deflated, in base64. ASCII before it is deflated: any text at all survives."""
    squeeze = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    raw = json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")
    return base64.b64encode(squeeze.compress(raw) + squeeze.flush()).decode("ascii")


def _columns(group: PlayGroup, selected: Sequence[Selected]) -> dict[str, Any]:
    """What the list shows and sorts by."""
    judged = {verdict.address: verdict for verdict in selected}
    scores = [scored for _, scored in group.played]
    found = [judged.get(scored.address) for scored in scores]
    return {
        "split": group.split,
        "iteration": group.iteration,
        "model": group.model,
        "problems": group.problems,
        "scenario": [scored.address.scenario for scored in scores],
        "trajectory": [scored.address.trajectory for scored in scores],
        "regret": [_short(scored.regret) for scored in scores],
        "reward": [_short(scored.reward) for scored in scores],
        "valid": [_short(scored.valid) for scored in scores],
        "why": [verdict.why if verdict else "" for verdict in found],
        "rank": [verdict.rank if verdict else None for verdict in found],
        "strip": _strips(group.sittings),
    }


def _told(scenarios: Sequence[int], regrets: Sequence[float | None], share: float) -> list[int]:
    """1 where a trajectory's texts are kept: in each scenario best, worst, second best ..."""
    turns = _turns(scenarios, regrets)
    order = sorted(range(len(turns)), key=turns.__getitem__)
    chosen = set(order[: int(share * len(order))])
    return [int(place in chosen) for place in range(len(order))]


def _turns(scenarios: Sequence[int], regrets: Sequence[float | None]) -> list[int]:
    """How late the texts of each trajectory are chosen: by its place from either end."""
    places_of: defaultdict[int, list[int]] = defaultdict(list)
    for place, scenario in enumerate(scenarios):
        places_of[scenario].append(place)
    turns = [0] * len(scenarios)
    for places in places_of.values():
        ranked = sorted(places, key=lambda place: regrets[place] or 0.0)
        for rank, place in enumerate(ranked):
            turns[place] = min(2 * rank, 2 * (len(ranked) - 1 - rank) + 1)
    return turns


def _without(chapter: str, told: Sequence[int]) -> str:
    """The chapter with the texts of those plays alone that are marked 1."""
    raw = json.loads(zlib.decompress(base64.b64decode(chapter), -zlib.MAX_WBITS))
    places: dict[int, int] = {}
    for play, keeps in zip(raw["plays"], told, strict=False):
        for one in play["rounds"]:
            if not keeps:
                one[REPLY], one[PROMPT] = WITHOUT, []
            elif one[REPLY] != WITHOUT:
                one[REPLY] = places.setdefault(one[REPLY], len(places))
                one[PROMPT] = [
                    [role, places.setdefault(text, len(places))] for role, text in one[PROMPT]
                ]
    return packed({**raw, "texts": [raw["texts"][text] for text in places]})


def _chapters(group: PlayGroup, curves: Sequence[Floats]) -> Iterator[tuple[int, str]]:
    """(place of the first trajectory, the chapter)."""
    first, chapter = 0, _Chapter(group)
    for place, (trajectory, _) in enumerate(group.played):
        if chapter.length > CHAPTER:
            yield first, chapter.packed()
            first, chapter = place, _Chapter(group)
        chapter.add(trajectory, curves[place])
    yield first, chapter.packed()


class _Chapter:
    """Trajectories in a row, each distinct text once, each scenario's tables once."""

    def __init__(self, group: PlayGroup) -> None:
        self._group = group
        self._texts: dict[str, int] = {}
        self._tables: dict[int, dict[str, Any]] = {}
        self._plays: list[dict[str, Any]] = []
        self.length = 0

    def add(self, trajectory: Trajectory, curve_T: Floats) -> None:
        index = trajectory.address.scenario
        scenario = self._group.scenarios[index]
        if index not in self._tables:
            means = scenario.means
            alike = bool((means == means[0]).all())
            self._tables[index] = {
                "rewards": _rounded(scenario.rewards),
                "means": _rounded(means[:1] if alike else means),
                "feedback": scenario.feedback,
            }
        play: dict[str, Any] = {
            "names": trajectory.names,
            "rounds": [self._round(one) for one in trajectory.rounds],
            "curve": _rounded(curve_T),
        }
        if scenario.world is not None:
            worth = play_in(scenario, trajectory.rounds).means_TK
            play["means"] = _rounded(worth - worth.max(axis=1, keepdims=True))
        if scenario.adversary is not None or scenario.world is not None:
            play["rewards"] = [_rounded(np.array(one.rewards)) for one in trajectory.rounds]
        self._plays.append(play)

    def _round(self, one: Round) -> list[Any]:
        """[status, action, reply, prompt, policy]; texts by their place."""
        policy = None
        if one.policy is not None and max(one.policy) < 1:
            policy = [_short(p) for p in one.policy]
        prompt = [[message.role, self._place(message.content)] for message in one.prompt]
        return [one.status, one.action, self._place(one.reply), prompt, policy]

    def _place(self, text: str) -> int:
        if text not in self._texts:
            self._texts[text] = len(self._texts)
            self.length += len(text)
        return self._texts[text]

    def packed(self) -> str:
        return packed(
            {"texts": list(self._texts), "tables": self._tables, "plays": self._plays},
        )


def _strips(sittings: Sequence[ScoredPlay]) -> list[str]:
    """Each play's regret over time: digits from 0 (none) to 9 (the worst action all along)."""
    return ["".join(map(str, digits)) for digits in scenarios_of(sittings, _digits)]


def _digits(plays: PlayArrays, kind: RegretKind) -> Ints:
    means_NTK = plays.means_TK
    worst_N = (means_NTK.max(axis=-1) - means_NTK.min(axis=-1)).max(axis=-1)
    cost_NT = per_round(plays, kind) / np.where(worst_N > 0, worst_N, 1.0)[:, None]
    T = cost_NT.shape[1]
    bins = min(T, BINS)
    starts = [T * i // bins for i in range(bins)]
    widths = np.diff([*starts, T])
    shares = np.add.reduceat(cost_NT, starts, axis=1) / widths
    return np.ceil(9 * shares.clip(0, 1)).astype(np.int64)


def _rounded(table: Floats) -> Any:
    return np.round(table, DIGITS).tolist()


def _short(value: float) -> float | None:
    return round(value, DIGITS) if math.isfinite(value) else None
