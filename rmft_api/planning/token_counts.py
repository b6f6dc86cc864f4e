"""Sums over requests: what one scenario takes, and what a sample of scenarios stands for."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class TokenCounts:
    """What some plays take. Not whole numbers where a sample was scaled up."""

    calls: float = 0
    prompt: float = 0
    """Prompt tokens."""
    cached: float = 0
    """Prompt tokens of messages that were sent before, where the provider would charge less."""
    shared: float = 0
    """Prompt tokens that coalescing did not send again."""
    output: float = 0
    """Tokens of replies."""
    least_output: float = 0
    """Tokens of the replies' bare answers."""
    examples: float = 0
    example_tokens: float = 0
    """Of one epoch."""
    least_example_tokens: float = 0
    """The same, were every reply its bare answer."""
    pairs: float = 0
    """Lines of preferences."""
    pair_tokens: float = 0
    """Of both chats of each, of one epoch."""
    least_pair_tokens: float = 0
    replies: float = 0
    """Choices of the calls."""

    def __add__(self, other: Self) -> "TokenCounts":
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return TokenCounts(*(a + b for a, b in pairs))

    def __mul__(self, factor: float) -> "TokenCounts":
        return TokenCounts(*(value * factor for value in vars(self).values()))


@dataclass(frozen=True)
class LongestPlay:
    """The most that one trajectory of a scenario can take."""

    prompt_bound: int = 0
    """Prompt tokens as the budget bounds them before a request is sent (`prices.most_tokens`)."""
    last_prompt_bound: int = 0
    """The same of its longest request alone."""
    example_tokens: int = 0
    """Tokens of all its examples."""
    longest_example: int = 0
    """Tokens of the longest of them."""
    round_tokens: int = 0
    """Tokens of the chats of all its rounds, each with its longest reply."""
