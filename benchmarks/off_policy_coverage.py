"""How often the intervals of off-policy evaluation hold the value that is known.

    python -m benchmarks.off_policy_coverage [--logs 1000]

Logs are simulated from known policies and known click rates, so that the true value of every
evaluated policy is known. A family fails where an interval holds less than 93 % of the time.
"""

import argparse
from collections.abc import Iterator
from typing import NamedTuple, get_args

import numpy as np

from rmft_api.statistics import off_policy
from rmft_api.statistics.off_policy import Estimator, EvaluatedPolicy, LoggedRows

LEAST = 0.93
CONTEXTS = 6


class Family(NamedTuple):
    """Logs that are alike."""

    rows: int
    actions: int
    clicks: float
    """Mean click rate."""
    skew: float
    """How unevenly the log shows actions: the least propensity is (1 - skew) / actions."""
    model: str
    """The reward model: right, flat (one number), wrong."""
    samples: int
    """Answers by which the evaluated policy is known, for each prompt; 0: it is known."""


def families() -> Iterator[Family]:
    """What logs are like."""
    for rows in (300, 1000, 4000):
        for actions, clicks, skew in ((3, 0.2, 0.0), (3, 0.2, 0.7), (10, 0.1, 0.5), (3, 0.05, 0.7)):
            for model in ("right", "flat", "wrong"):
                yield Family(rows, actions, clicks, skew, model, 0)
            yield Family(rows, actions, clicks, skew, "flat", 16)


def coverage(family: Family, logs: int, seed: int = 0) -> dict[Estimator, float]:
    """Share of simulated logs whose interval holds the true value."""
    rng = np.random.default_rng([seed, *map(ord, str(family))])
    held: dict[Estimator, int] = dict.fromkeys(get_args(Estimator), 0)
    for _ in range(logs):
        truth, rows, policy = simulated(family, rng)
        for name in held:
            found = off_policy.interval(rows, policy, off_policy.estimate(name, rows, policy))
            held[name] += found.low <= truth <= found.high
    return {name: count / logs for name, count in held.items()}


def simulated(
    family: Family, rng: np.random.Generator
) -> tuple[float, LoggedRows, EvaluatedPolicy]:
    """The true value of a policy, a log, and what is known of the policy."""
    N, A = family.rows, family.actions
    rates_CA = rng.beta(2.0, 2.0 / family.clicks - 2.0, (CONTEXTS, A))
    lean_CA = rng.dirichlet(np.ones(A), CONTEXTS)
    shown_CA = (1 - family.skew) / A + family.skew * lean_CA
    wanted_CA = rng.dirichlet(np.full(A, 0.7), CONTEXTS)
    contexts_N = rng.integers(CONTEXTS, size=N)
    actions_N = (shown_CA[contexts_N].cumsum(axis=1) < rng.random((N, 1))).sum(axis=1)
    actions_N = np.minimum(actions_N, A - 1)
    rewards_N = (rng.random(N) < rates_CA[contexts_N, actions_N]).astype(np.float64)
    model_CA = {
        "right": rates_CA,
        "flat": np.full((CONTEXTS, A), family.clicks),
        "wrong": 1.0 - rates_CA,
    }[family.model]
    rows = LoggedRows(
        actions_N,
        rewards_N,
        shown_CA[contexts_N, actions_N],
        model_CA[contexts_N],
        np.arange(N),
    )
    truth = float((wanted_CA * rates_CA).sum(axis=1).mean())
    if not family.samples:
        return truth, rows, EvaluatedPolicy(wanted_CA[contexts_N])
    drawn_CA = np.stack([rng.multinomial(family.samples, one) for one in wanted_CA])
    samples_N = np.full(N, family.samples)
    return (
        truth,
        rows,
        EvaluatedPolicy((drawn_CA / family.samples)[contexts_N], contexts_N, samples_N),
    )


def main() -> int:
    """Print the table; 1 where an interval holds too rarely."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--logs", type=int, default=1000)
    logs = parser.parse_args().logs
    least: dict[Estimator, float] = dict.fromkeys(get_args(Estimator), 1.0)
    print("rows  actions  clicks  skew  model  samples   ips    snips  dr")
    for family in families():
        found = coverage(family, logs)
        least = {name: min(least[name], found[name]) for name in least}
        told = "  ".join(f"{share:.1%}" for share in found.values())
        print(*family, told, sep="  ")
    print("least:", ", ".join(f"{n} {s:.1%}" for n, s in least.items()))
    return int(min(least.values()) < LEAST)


if __name__ == "__main__":
    raise SystemExit(main())
