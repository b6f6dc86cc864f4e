"""Which request a fault meets. Read from JSON, so that a test case is data.

{"script": "rst_before_headers", "endpoint": "chat", "nth": 5, "count": 2, "executions": 1}
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from tests.fake_provider.catalogue import script
from tests.fake_provider.scripts import Endpoint, Script


@dataclass(frozen=True)
class Rule:
    """One fault for some requests of one endpoint."""

    script: str
    endpoint: Endpoint
    nth: int = 1
    """The first request that meets it, from 1."""
    count: int = 1
    """How many in a row."""
    every: int = 0
    """Meets it again each so many requests; 0: never again."""
    executions: int | None = None
    """How often the work is done (0: before, 1: after, 2: a gateway sent it twice)."""
    model: str = ""
    """Only requests whose body names a model that begins like this are counted."""
    delay_s: float = 0.0
    """Wait so long before the reply."""
    outage_s: float = 1.0
    """How long a port stays shut."""

    def meets(self, occurrence: int) -> bool:
        """Whether the rule's `occurrence`-th request (from 1) is struck."""
        since = occurrence - self.nth
        if since >= 0 and self.every:
            since %= self.every
        return 0 <= since < self.count


@dataclass(frozen=True)
class Strike:
    """A rule that met a request."""

    rule: Rule
    script: Script

    @property
    def executions(self) -> int:
        """How often the work is done."""
        given = self.rule.executions
        return int(self.script.executed) if given is None else given


class Rules:
    """All rules, and how many requests each has seen."""

    def __init__(self, rules: tuple[Rule, ...] = ()) -> None:
        self._rules = rules
        self._seen: Counter[int] = Counter()

    @classmethod
    def read(cls, raw: list[dict[str, Any]]) -> "Rules":
        """From parsed JSON. An unknown field, script or endpoint raises."""
        for one in raw:
            script(one["script"])
        return cls(tuple(_rule(**one) for one in raw))

    def strike(self, endpoint: Endpoint, model: str) -> Strike | None:
        """What happens to this request; the first rule that meets it wins, all count it."""
        met = [rule for i, rule in enumerate(self._rules) if self._meets(i, endpoint, model)]
        return Strike(met[0], script(met[0].script)) if met else None

    def _meets(self, i: int, endpoint: Endpoint, model: str) -> bool:
        rule = self._rules[i]
        if rule.endpoint is not endpoint or not model.startswith(rule.model):
            return False
        self._seen[i] += 1
        return rule.meets(self._seen[i])


def _rule(*, endpoint: str, **rest: Any) -> Rule:
    return Rule(endpoint=Endpoint(endpoint), **rest)
