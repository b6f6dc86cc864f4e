"""Decision problems: names, alternatives, and scenarios drawn from addressed chance.

bandit (MAB), nonstationary (NS-MAB), online_learning (FOL), contextual; docs/method.md 2.
"""

from rmft_api.environments.registry import ConcreteProblem, draw, expand, make, names
from rmft_api.environments.scenario import Environment, Scenario

__all__ = ["ConcreteProblem", "Environment", "Scenario", "draw", "expand", "make", "names"]
