"""The story says what the journal and the results say, and no more."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from rmft_api.core.records import Interval
from rmft_api.evaluation.scoring import Results
from rmft_api.journal import Journal
from rmft_api.planning import Spending
from rmft_api.report import headlines
from rmft_api.report.data import PlayerFigures, ReportData
from rmft_api.report.trajectory_index import TrajectoryIndex
from tests.loop_world import config
from tests.report.conftest import played
from tests.report.reading import told, unpacked

EMPTY = Spending((), None, 0, 0, None, None)


@pytest.fixture(scope="module")
def story_and_results(finished: Path) -> tuple[ReportData, Results]:
    story, _, results, _ = told(finished)
    assert results is not None
    return story, results


def test_models_have_the_figures_of_the_results(
    story_and_results: tuple[ReportData, Results],
) -> None:
    story, results = story_and_results
    shown = {(one.split, one.index): one for one in story.players if one.index is not None}
    for one in results.iterations:
        for split, figures in (("validation", one.validation), ("test", one.test)):
            assert figures is not None
            player = shown[split, one.index]
            assert player.regret == figures.regret
            assert player.paired_drop == figures.paired_drop
            assert player.measures["regret"].mean == pytest.approx(figures.regret.mean)
            assert player.measures["suff_fail_freq"].mean == pytest.approx(figures.suff_fail_freq)
            assert player.measures["k_min_frac"].mean == pytest.approx(figures.k_min_frac)
            assert player.position_shares == figures.measures.position_shares
            assert player.own == figures.own
            assert player.curves[0].mean[-1] == pytest.approx(figures.regret.mean, abs=1e-4)
    assert story.champion == results.champion.index


def test_what_regret_is_against_is_one_fact_for_each_reference(
    story_and_results: tuple[ReportData, Results],
) -> None:
    _, results = story_and_results
    optimum = "the exact optimum (it knows the chances, not the draws)"
    lines = [f"{name}: regret is against {optimum}" for name in ("inventory", "pricing")]
    lines.append("gym: regret is against the best of hold 0, hold 1")
    found = msgspec.structs.replace(results, references=tuple(lines))
    facts = headlines.facts((), None, 1, EMPTY, found)
    assert [(f.value, f.note) for f in facts if f.label == "Regret against"] == [
        ("optimum", f"inventory, pricing: {optimum}"),
        ("reference", "gym: the best of hold 0, hold 1"),
    ]


def test_the_limit_is_a_reference_and_no_rival(
    story_and_results: tuple[ReportData, Results],
) -> None:
    story, results = story_and_results
    assert results.limit is not None
    (line,) = [one for one in story.players if one.reference]
    assert (line.name, line.split, line.index) == ("limit", "test", None)
    assert line.regret == results.limit.regret
    assert line.curves
    assert "limit" not in {one.other for one in story.differences}
    assert not any(fact.note.startswith("limit;") for fact in story.facts)
    share = results.iterations[results.champion.index].share_of_possible
    told = [fact.value for fact in story.facts if fact.label == "Of the possible"]
    assert told == ([] if share is None else [f"{share.mean:.0%}"])


def test_baselines_play_the_test_scenarios(story_and_results: tuple[ReportData, Results]) -> None:
    story, results = story_and_results
    rivals = {one.name: one for one in story.players if one.index is None and not one.reference}
    assert rivals.keys() == results.baselines.keys()
    for name, player in rivals.items():
        regret = results.baselines[name].regret
        assert player.regret == regret
        assert player.curves[0].mean[-1] == pytest.approx(regret.mean, abs=1e-4)


def test_the_champion_is_compared_with_the_base_and_every_baseline(
    story_and_results: tuple[ReportData, Results],
) -> None:
    story, results = story_and_results
    against = {one.other: one for one in story.differences if one.family == "champion"}
    assert {"the base", *results.baselines} <= against.keys()
    best = next(one for one in results.iterations if one.index == results.champion.index)
    assert best.test is not None
    drop = best.test.paired_drop
    assert drop is not None
    assert against["the base"].drop.mean == pytest.approx(drop.mean)
    assert all(one.p_holm >= one.p for one in story.differences)


def test_what_was_selected_stands_beside_all(story_and_results: tuple[ReportData, Results]) -> None:
    story, results = story_and_results
    assert [one.iteration for one in story.makeups] == [1, 2, 3]
    for mine, one in zip(story.makeups, results.iterations[1:], strict=True):
        assert one.made_from is not None
        assert mine.reasons == one.made_from.verdicts
        assert mine.kept == 6
        assert mine.of_kept["regret"].mean < mine.of_all["regret"].mean


def test_the_chain_of_models_is_told(story_and_results: tuple[ReportData, Results]) -> None:
    story, _ = story_and_results
    assert [(one.start, one.model, one.job) for one in story.steps] == [
        ("skill-0.2", "skill-0.5", "job-1"),
        ("skill-0.5", "skill-0.9", "job-2"),
        ("skill-0.9", "skill-0.6", "job-3"),
    ]
    assert all(len(one.dataset) == 64 for one in story.steps)
    assert story.settings["rollouts.problems[1].environment"] == "bandit"


@pytest.mark.parametrize("requests", [3, 110])
def test_a_run_stopped_early_tells_what_there_is(tmp_path: Path, requests: int) -> None:
    story, book, _, _ = told(played(tmp_path / "loop", end_after=requests))
    assert story.headline == headlines.NOTHING
    assert story.champion is None
    assert sum(len(group["regret"]) for group in book.index) == sum(
        one.trajectories for one in story.players
    )


def test_a_run_that_has_only_begun_has_a_story_without_secrets(tmp_path: Path) -> None:
    told_of = {"prompts": "ab12", "python": "3.11.9", "source": "/home/somebody/run.toml"}
    Journal.create(tmp_path / "loop", config().model_dump_json(), told_of).close()
    story, book, _, _ = told(tmp_path / "loop")
    assert book.index == []
    assert story.players == ()
    assert story.origin["prompts, SHA-256"] == "ab12"
    assert "somebody" not in msgspec.json.encode(story).decode()


def player(index: int, mean: float, drop: Interval | None, split: str = "test") -> PlayerFigures:
    return msgspec.convert(
        {
            "name": f"m{index}",
            "split": split,
            "index": index,
            "trajectories": 1,
            "of": 1,
            "scenarios": 9,
            "regret": {"mean": mean, "low": mean - 1, "high": mean + 1},
            "paired_drop": drop and msgspec.to_builtins(drop),
            "measures": {},
            "curves": [],
        },
        PlayerFigures,
    )


@pytest.mark.parametrize(
    ("drop", "title", "sure"),
    [
        (Interval(2.0, 1.0, 3.0), "Regret fell by 40%", True),
        (Interval(2.0, -1.0, 5.0), "No sure change of regret", False),
        (Interval(-1.0, -1.5, -0.5), "Regret rose by 20%", True),
    ],
)
def test_the_headline_says_no_more_than_the_interval(
    drop: Interval, title: str, sure: bool
) -> None:
    found = headlines.headline([player(0, 5.0, None), player(2, 3.0, drop)], 2)
    assert (found.title, found.sure) == (title, sure)
    assert ("Regret fell by 40%, which may be chance. From 5.00" in found.text) == (not sure)


def test_without_test_figures_the_headline_says_that_validation_chose() -> None:
    drop = Interval(2.0, 1.0, 3.0)
    told_of = [player(0, 5.0, None, "validation"), player(1, 3.0, drop, "validation")]
    assert "also chose this model" in headlines.headline(told_of, 1).text
    assert headlines.headline(told_of, 0) == headlines.NO_GAIN
    assert headlines.headline(told_of[:1], 0) == headlines.ALONE


PROBLEMS = {
    "bandit": {"environment": "bandit", "T": [4, 6]},
    "moving": {"environment": "nonstationary", "T": 6},
    "full": {"environment": "online_learning", "T": 6, "options": {"process": "gaussian"}},
    "adversary": {"environment": "online_learning", "T": 6, "options": {"process": "adaptive"}},
    "contextual": {"environment": "contextual", "T": 6},
}


@pytest.mark.parametrize("problem", PROBLEMS)
def test_every_kind_of_problem_has_a_page(tmp_path: Path, problem: str) -> None:
    path = played(
        tmp_path / "loop",
        iterations=1,
        rollouts={"scenarios": 4, "trajectories": 3, "problems": [PROBLEMS[problem]]},
        validation={"scenarios": 4},
        test={"scenarios": 4},
        prompts={"output": "distribution" if problem == "adversary" else "action"},
    )
    story, book, results, _ = told(path)
    assert results is not None
    base = next(one for one in story.players if one.split == "test" and one.index == 0)
    figures = results.iterations[0].test
    assert figures is not None
    assert base.regret == figures.regret
    assert sorted(curve.T for curve in base.curves) == ([4, 6] if problem == "bandit" else [6])
    for group in book.index:
        plays = [play for _, number in group["chapters"] for play in _plays(book, number)]
        for play, regret in zip(plays, group["regret"], strict=True):
            assert play["curve"][-1] == pytest.approx(regret, abs=2e-4)
            assert ("rewards" in play) == (problem == "adversary")


def _plays(book: TrajectoryIndex, number: int) -> list[dict[str, Any]]:
    return unpacked(book.chapters[number])["plays"]


def test_where_only_the_ends_were_tested_the_steps_are_told_by_validation(tmp_path: Path) -> None:
    story, _, results, _ = told(played(tmp_path / "loop", test_models="ends"))
    assert results is not None
    champion = [one for one in story.differences if one.family == "champion"]
    steps = [one for one in story.differences if one.family == "step"]
    assert {one.split for one in champion} == {"test"}
    assert {one.other for one in champion} == {"the base", *results.baselines}
    assert [(one.split, one.ours) for one in steps] == [
        ("validation", f"iteration {index}") for index in (1, 2, 3)
    ]
