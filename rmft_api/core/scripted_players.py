"""Models that are algorithms: free players that rehearse a run without a key.

The local server answers for them; they read the `VisibleState` of a request, not its words.
"""

from functools import lru_cache

ALGORITHMS = ("random", "greedy", "ucb1", "thompson")
PREFIX = "scripted-"
BASES = tuple(PREFIX + name for name in ALGORITHMS)


@lru_cache(maxsize=1024)
def is_scripted(model: str) -> bool:
    """Whether the model, or the base that it is a fine-tune of, is a scripted player."""
    parts = model.split(":")
    return (parts[1] if parts[0] == "ft" and len(parts) > 1 else model) in BASES
