"""Decision problems: names, alternatives, and scenarios drawn from addressed chance.

bandit (MAB), nonstationary (NS-MAB), online_learning (FOL), contextual; inventory and pricing have
state. docs/method.md 2.
"""

from typing import TYPE_CHECKING

from rmft_api.environments.registry import (
    ConcreteProblem,
    divisions,
    draw,
    expand,
    files,
    make,
    names,
    references,
)
from rmft_api.environments.scenario import Divided, Environment, Extremes, Scenario
from rmft_api.environments.worlds import StatefulEnvironment

if TYPE_CHECKING:
    from rmft_api.environments import (
        bandit,
        best,
        loading,
        log_reader,
        logs,
        options,
        registry,
        reward_models,
        scenario,
        worlds,
    )

__all__ = [
    "ConcreteProblem",
    "Divided",
    "Environment",
    "Extremes",
    "Scenario",
    "StatefulEnvironment",
    "bandit",
    "best",
    "divisions",
    "draw",
    "expand",
    "files",
    "loading",
    "log_reader",
    "logs",
    "make",
    "names",
    "options",
    "references",
    "registry",
    "reward_models",
    "scenario",
    "worlds",
]
