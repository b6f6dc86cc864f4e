"""Deterministic replies: what a model says is a function of what it is and what it was asked.

A model of generation g (base 0) looks at the history it is told and takes the best action so far
with probability 1 - 0.6^g, another one otherwise, so that regret falls from job to job.
"""

import re
from typing import Any

from tests.fake_provider.store import Model, digest

LINE = re.compile(r"^\s*(?:[-*]\s*)?([^\n:]{1,40}?)\s*:\s*(.*)$", re.MULTILINE)
MEAN = re.compile(r"(?:mean|average)[^\d\n-]{0,20}(-?\d+(?:\.\d+)?)")
OFFER = re.compile(r":\s*([^:.;\n]+(?:,\s*[^:.;\n,]+)+)")
WORDS_PER_TOKEN = 6
"""Characters a token is counted as: fewer tokens than any real vocabulary would make of English,
so that a client's own upper bound always holds."""


def tokens(text: str) -> int:
    """Exact by definition: this provider's tokens are six characters long."""
    return -(-len(text) // WORDS_PER_TOKEN)


def prompt_tokens(messages: list[dict[str, Any]]) -> int:
    """Three tokens around each message, as on the real wire, and three that begin the reply."""
    return sum(3 + tokens(str(message.get("content") or "")) for message in messages) + 3


def answer(model: Model, body: dict[str, Any], index: int) -> str:
    """What choice `index` says."""
    chance = int(digest(model.lineage, body["messages"], body.get("seed"), index), 16)
    text = "\n".join(str(message.get("content") or "") for message in body["messages"])
    names = offered(text)
    greedy = chance % 1000 / 1000 < 1 - 0.6**model.generation
    best = best_so_far(text, names)
    name = best if greedy and best else names[(chance // 1000) % len(names)]
    return f"I choose {name}. <Answer>{name}</Answer>"


def offered(text: str) -> list[str]:
    """The action names of the first list in the prompt: `: A, B, C.` or `: A, B and C.`."""
    for found in OFFER.finditer(text):
        names = re.split(r",\s*(?:and\s+)?|\s+and\s+", found.group(1).strip())
        names = [name.strip(" '\"") for name in names]
        if len(names) > 1 and all(0 < len(name) <= 40 for name in names):
            return names
    return ["A"]


def best_so_far(text: str, names: list[str]) -> str | None:
    """The action with the highest mean that the prompt tells, None before any is told."""
    means: dict[str, float] = {}
    for name, told in LINE.findall(text):
        mean = MEAN.search(told)
        if name in names and mean:
            means[name] = float(mean.group(1))
    return max(means, key=lambda name: means[name]) if means else None
