"""Every trajectory comes out of the book as it went in."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmft_api.journal import Journal
from rmft_api.report import page
from rmft_api.report.play_groups import PlayGroup, groups
from rmft_api.report.trajectory_index import TrajectoryIndex, packed
from tests.loop_world import config
from tests.report.reading import TOLD, told, unpacked

TEXT = st.text(st.characters(codec=None, categories=None, exclude_categories=()))


@given(TEXT)
def test_any_text_survives_lone_surrogates_too(text: str) -> None:
    block = packed({"texts": [text]})
    assert unpacked(block) == {"texts": [text]}
    assert block.isascii()
    assert "<" not in block


def all_groups(run_dir: Path) -> list[PlayGroup]:
    journal = Journal.read(run_dir)
    try:
        return list(groups(config(), journal))
    finally:
        journal.close()


def play_in(book: TrajectoryIndex, group: Any, place: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The chapter that a trajectory stands in, and its play."""
    start, number = [one for one in group["chapters"] if one[0] <= place][-1]
    chapter: dict[str, Any] = unpacked(book.chapters[int(number)])
    return chapter, chapter["plays"][place - start]


def test_a_trajectory_comes_out_as_it_went_in(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "rmft_api.report.trajectory_index.CHAPTER", 5_000
    )  # so that there are several
    book = TrajectoryIndex()
    found = all_groups(finished)
    for group in found:
        book.add(group)
    assert len(book.chapters) > len(found)
    for group, columns in zip(found, book.index, strict=True):
        for place, (trajectory, scored) in enumerate(group.played):
            chapter, play = play_in(book, columns, place)
            assert columns["regret"][place] == pytest.approx(scored.regret, abs=1e-4)
            assert play["curve"][-1] == pytest.approx(scored.regret, abs=1e-4)
            table = chapter["tables"][str(trajectory.address.scenario)]
            assert np.allclose(table["rewards"], [one.rewards for one in trajectory.rounds])
            for one, (status, action, reply, prompt, _) in zip(
                trajectory.rounds, play["rounds"], strict=True
            ):
                assert (status, action) == (one.status, one.action)
                assert chapter["texts"][reply] == one.reply
                said = [(role, chapter["texts"][text]) for role, text in prompt]
                assert said == [(message.role, message.content) for message in one.prompt]


def test_the_strip_is_dark_where_regret_came(finished: Path) -> None:
    book = TrajectoryIndex()
    for group in all_groups(finished):
        book.add(group)
    for columns in book.index:
        for strip, regret in zip(columns["strip"], columns["regret"], strict=True):
            assert len(strip) == 8
            assert (set(strip) == {"0"}) == (regret == 0)


def test_a_full_page_leaves_texts_out_and_keeps_the_ends(finished: Path) -> None:
    _, whole, results_, settings = told(finished)
    journal = Journal.read(finished)
    try:
        _, book = page.read(settings, journal, results_, TOLD, limit=whole.size // 2)
    finally:
        journal.close()
    assert book.size <= whole.size // 2
    train = next(one for one in book.index if one["split"] == "train")
    kept = [place for place, told_of in enumerate(train["told"]) if told_of]
    assert 0 < len(kept) < len(train["told"])
    first = [p for p in range(len(train["told"])) if train["scenario"][p] == 0]
    best = min(first, key=lambda place: train["regret"][place])
    assert best in kept
    missing = next(place for place, told_of in enumerate(train["told"]) if not told_of)
    _, play = play_in(book, train, missing)
    assert all(reply == -1 and prompt == [] for _, _, reply, prompt, _ in play["rounds"])
    assert play["curve"]


def test_figures_that_are_not_finite_become_null(finished: Path) -> None:
    story, book, _, _ = told(finished)
    assert msgspec.json.encode(page.data(story, book))
    entropies = [one.measures["answer_entropy"] for one in story.players if one.measures]
    assert entropies
    shown = page.data(story, book)["story"]["players"]
    assert shown[0]["measures"]["answer_entropy"]["low"] is None
