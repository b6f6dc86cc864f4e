"""Decision problems: names, alternatives, and scenarios drawn from addressed chance.

bandit (MAB), nonstationary (NS-MAB), online_learning (FOL), contextual; docs/method.md 2.
"""

from rmft_api.environments.registry import (
    ConcreteProblem,
    divisions,
    draw,
    expand,
    files,
    make,
    names,
)
from rmft_api.environments.scenario import Divided, Environment, Extremes, Scenario

__all__ = [
    "ConcreteProblem",
    "Divided",
    "Environment",
    "Extremes",
    "Scenario",
    "divisions",
    "draw",
    "expand",
    "files",
    "make",
    "names",
]
