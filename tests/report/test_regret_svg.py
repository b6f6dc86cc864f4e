"""The picture shows one split's figures, all of them, and nothing that runs."""

import math
import xml.etree.ElementTree as ET

import msgspec

from rmft_api.core.records import Interval
from rmft_api.evaluation.measures import Measures
from rmft_api.evaluation.scoring import Champion, Evaluated, Figures, Results
from rmft_api.report.regret_svg import MODEL, regret_svg

SVG = "{http://www.w3.org/2000/svg}"


def figures(mean: float) -> Figures:
    measures = Measures(1, 0.0, 0.1, 0.5, 0.5, 0.5, 0.5, None, 1.0, 1.0)
    return Figures(1, Interval(mean, mean - 1, mean + 1), None, 0.0, 0.5, 1.0, measures, {}, {})


def results(*, all_tested: bool) -> Results:
    tests = [figures(5), figures(3) if all_tested else None, figures(2)]
    return Results(
        run="a<b>",
        iterations=tuple(
            Evaluated(i, f"m{i}", figures(9 - i), test) for i, test in enumerate(tests)
        ),
        baselines={"ucb1": figures(4)},
        champion=Champion(2, "m2"),
    )


def words(picture: str) -> list[str]:
    return [one.text or "" for one in ET.fromstring(picture).iter(f"{SVG}text")]


def test_test_figures_stand_beside_the_baselines() -> None:
    said = words(regret_svg(results(all_tested=True)))
    assert "ucb1 4.00" in said
    assert "champion 2.00" in said
    assert any(word.startswith("test regret") for word in said)


def test_figures_of_two_splits_never_stand_in_one_picture() -> None:
    said = words(regret_svg(results(all_tested=False)))
    assert "champion 7.00" in said
    assert not any("ucb1" in word for word in said)
    assert any(word.startswith("validation regret") for word in said)


def test_a_higher_regret_stands_higher() -> None:
    dots = list(ET.fromstring(regret_svg(results(all_tested=True))).iter(f"{SVG}circle"))
    heights = [float(dot.get("cy", "0")) for dot in dots[:3]]
    assert heights == sorted(heights)


def test_a_name_cannot_break_out_of_the_picture() -> None:
    picture = regret_svg(results(all_tested=True))
    assert "a&lt;b&gt;" in picture
    assert "<script" not in picture


def test_one_scenario_alone_has_no_whisker() -> None:
    whole, alone = results(all_tested=False), figures(7)
    alone = msgspec.structs.replace(alone, regret=Interval(7, -math.inf, math.inf))
    last = msgspec.structs.replace(whole.iterations[2], validation=alone)
    bare = msgspec.structs.replace(whole, iterations=(*whole.iterations[:2], last))
    lines = [regret_svg(each).count(f'stroke="{MODEL}"/>') for each in (whole, bare)]
    assert lines == [3, 2]
