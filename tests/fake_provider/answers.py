"""Deterministic replies: what a model says is a function of what it is and what it was asked.

A model of generation g (base 0) looks at the history it is told and takes the best action so far
with probability 1 - 0.6^g, another one otherwise, so that regret falls from job to job.
"""

import re
from importlib import import_module
from typing import Any

from tests.fake_provider.settings import Settings
from tests.fake_provider.store import Model, digest

LINE = re.compile(r"^\s*(?:[-*]\s*)?([^\n:]{1,40}?)\s*:\s*(.*)$", re.MULTILINE)
MEAN = re.compile(r"(?:mean|average)[^\d\n-]{0,20}(-?\d+(?:\.\d+)?)")
OFFER = re.compile(r":\s*([^:.;\n]+(?:,\s*[^:.;\n,]+)+)")
TALK = (
    "so far the averages lie close together and some of them rest on very few rounds which means "
    "that one more look could still change the order while enough rounds are left to make use of "
    "what it would show and that is why this choice seems the right one to make now "
)
"""Words of one token each, after which the next sentence begins with the first."""
SPREAD = 0.5
"""Replies are so much shorter or longer than their mean, evenly."""


def answer(settings: Settings, model: Model, body: dict[str, Any], index: int) -> str:
    """What choice `index` says."""
    if settings.speaker:
        module, _, function = settings.speaker.partition(":")
        said: str = getattr(import_module(module), function)(model, body, index)
        return said
    chance = int(digest(model.lineage, body["messages"], body.get("seed"), index), 16)
    text = "\n".join(str(message.get("content") or "") for message in body["messages"])
    names = offered(text)
    greedy = chance % 1000 / 1000 < 1 - 0.6**model.generation
    best = best_so_far(text, names)
    name = best if greedy and best else names[(chance // 1000) % len(names)]
    if settings.reply_tokens is None:
        return f"I choose {name}. <Answer>{name}</Answer>"
    if settings.reply_tokens == 0:
        return f"<Answer>{name}</Answer>"
    return f"{reasons(settings.reply_tokens, chance)}\n<Answer>{name}</Answer>"


def reasons(mean: int, chance: int) -> str:
    """Reasoning that makes replies `mean` tokens long on average, an answer of six included."""
    length = mean * (1 - SPREAD + 2 * SPREAD * (chance // 10**6 % 1001) / 1000)
    words = max(1, round(length) - 7)
    talk = TALK.split()
    start = chance // 10**9 % len(talk)
    return " ".join(talk[(start + i) % len(talk)] for i in range(words))


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
