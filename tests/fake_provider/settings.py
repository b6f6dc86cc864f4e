"""What kind of provider this is today."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fake_provider.rules import Rules


@dataclass(frozen=True)
class Prices:
    """Micro-dollars a token, which is dollars a million tokens."""

    input: float = 2
    output: float = 8
    tuned_input: float = 3
    tuned_output: float = 12
    train: float = 25
    cached: float | None = None
    """Of prompt tokens that the cache answers; as `input` where absent."""
    tuned_cached: float | None = None


@dataclass(frozen=True)
class Settings:
    """Everything but the faults."""

    unit: str = "six"
    """What tokens are: "six" characters, or those of a vocabulary, e.g. "o200k_base"."""
    cache_from: int | None = None
    """Prompts of at least so many tokens are answered from a cache where they begin alike; needs a
    vocabulary."""
    reply_tokens: int | None = None
    """Mean length of replies that give reasons; 0: bare answers; absent: one short sentence."""
    speaker: str = ""
    """`module:function` of (model, body, index) that says what choices say, in place of the rule
    of `answers`."""
    base_models: tuple[str, ...] = ("gpt-4.1-2025-04-14",)
    api_key: str | None = None
    """The only key let in; any where absent."""
    prices: Prices = field(default_factory=Prices)
    latency_s: float = 0.0
    """Of every reply."""
    list_lag_s: float = 0.0
    """A created file or job is missing from lists for so long."""
    tick_s: float = 0.0
    """A job moves on one tick each so many seconds; 0: each time that it is looked at."""
    validating_ticks: int = 1
    queued_ticks: int = 1
    running_ticks: int = 2
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    batch_ticks: int = 1
    """Looks at a batch before it goes on to its next state."""
    batch_share: float = 0.5
    """Of the price, for chats in batches."""
    batch_fates: tuple[str, ...] = ()
    """What becomes of the first batches, in order (`batches`)."""
    max_choices: int = 128
    least_examples: int = 10


def read(path: Path | None) -> tuple[Settings, Rules]:
    """Both halves of a script file, `{"settings": {..}, "rules": [..]}`."""
    raw: dict[str, Any] = json.loads(path.read_text()) if path else {}
    given: dict[str, Any] = dict(raw.get("settings", {}))
    if "prices" in given:
        given["prices"] = Prices(**given["prices"])
    if "base_models" in given:
        given["base_models"] = tuple(given["base_models"])
    given["batch_fates"] = tuple(given.get("batch_fates", ()))
    return Settings(**given), Rules.read(raw.get("rules", []))
