"""How much of what is possible a model has gained: (base - model) / (base - limit).

The limit is that of `baselines/limit.py`, where one is known. All three are means over the same
scenarios, those of the problems that it is known for.
"""

import numpy as np

from rmft_api import statistics
from rmft_api.baselines import limit
from rmft_api.core.records import Interval
from rmft_api.evaluation import scoring
from rmft_api.evaluation.scoring import Performance, ScenarioSet
from rmft_api.selection.regret import Floats


def performance(course: ScenarioSet) -> Performance | None:
    """The limit on those of the scenarios that it is known for; None where it is for none."""
    mine = known(course)
    return scoring.of_limit(mine) if mine.scenarios else None


def notes(course: ScenarioSet) -> tuple[str, ...]:
    """For which problems no limit is known, and why: a line each reason."""
    reasons: dict[str, list[str]] = {}
    for problem in course.problems:
        if why := limit.why_not(problem):
            labels = reasons.setdefault(why, [])
            labels += [] if problem.label in labels else [problem.label]
    return tuple(
        f"no limit of {labels[0]}{f' and {len(labels) - 1} more' if labels[1:] else ''}: {why}"
        for why, labels in reasons.items()
    )


def share_of_possible(
    base: Performance,
    model: Performance,
    least: Performance | None,
    level: float = statistics.LEVEL,
) -> Interval | None:
    """Of the way from the base's regret to the limit, with its interval.

    None where no limit is known, or the base is not clearly above it.
    """
    if least is None:
        return None
    numbers = sorted(set(base.numbers) & set(model.numbers) & set(least.numbers))
    base_M, model_M, least_M = (_at(one, numbers) for one in (base, model, least))
    if not numbers:
        return None
    return statistics.share_of(base_M - model_M, base_M - least_M, level)


def known(course: ScenarioSet) -> ScenarioSet:
    """The scenarios of those problems that it is known for."""
    return course.among(
        number
        for place, number in enumerate(course.numbers)
        if not limit.why_not(course.problem_of(place))
    )


def _at(one: Performance, numbers: list[int]) -> Floats:
    places = {number: place for place, number in enumerate(one.numbers)}
    return one.regret_M[np.array([places[number] for number in numbers], dtype=np.int64)]
