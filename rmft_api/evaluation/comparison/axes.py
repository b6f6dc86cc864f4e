"""The axes along which a suite's scenarios differ, and what a run was trained on along each.

A model that was trained on some values of an axis is tested on those and on others: the two kinds
of rows side by side are a generalisation table.
"""

from collections.abc import Iterator, Mapping, Sequence

from rmft_api.environments import ConcreteProblem

NAMES = ("problem", "K", "T", "noise", "context")
_KINDS = ("instance", "process")
_NOISES = ("reward", "sd")


def of_scenario(problem: ConcreteProblem, story: str) -> dict[str, str]:
    """Axis -> value; an axis that says nothing of this scenario is missing."""
    return {**of_problem(problem), "context": domain(story)}


def of_problem(problem: ConcreteProblem) -> dict[str, str]:
    """The axes that do not depend on how it is shown."""
    options = problem.options
    kinds = [str(options[name]) for name in _KINDS if name in options]
    gaps = [f"gap {options['gap']}"] if "gap" in options else []
    noises = [_noise(name, options[name]) for name in _NOISES if name in options]
    found = {
        "problem": " ".join([problem.environment, *kinds, *gaps]),
        "K": str(problem.K),
        "T": str(problem.T),
    }
    return {**found, "noise": " ".join(noises)} if noises else found


def domain(story: str) -> str:
    """The domain of a context; any other story stands for itself."""
    return story.rpartition("/")[0] or story


def trained_on(
    problems: Sequence[ConcreteProblem], stories: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Axis -> every value among the problems and stories of a training."""
    found: dict[str, dict[str, None]] = {"context": dict.fromkeys(map(domain, stories))}
    for problem in problems:
        for axis, value in of_problem(problem).items():
            found.setdefault(axis, {})[value] = None
    return {axis: tuple(values) for axis, values in found.items()}


def lines(marked: Sequence[Mapping[str, str]]) -> Iterator[tuple[str, str, list[int]]]:
    """(axis, value, indices of its scenarios), for every axis along which scenarios differ."""
    for axis in NAMES:
        values = dict.fromkeys(marks[axis] for marks in marked if axis in marks)
        if len(values) < 2:
            continue
        for value in sorted(values, key=_order):
            yield axis, value, [i for i, marks in enumerate(marked) if marks.get(axis) == value]


def _order(value: str) -> tuple[int, str]:
    """Numbers by size, words by the alphabet."""
    return (int(value), "") if value.isdigit() else (0, value)


def _noise(name: str, value: object) -> str:
    return str(value) if name == "reward" else f"{name}={value}"
