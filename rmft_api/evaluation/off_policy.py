"""What models and algorithms would have earned on held-out rows of a log, beside simulated regret.

The model's policy there is in the journal (`rollouts/log_policy.py`); estimates and intervals are
of `statistics/off_policy.py`. Nothing here is simulated: that is what makes it a second opinion.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rmft_api import baselines
from rmft_api.config.schema import RunConfig
from rmft_api.core.records import Interval, Record
from rmft_api.environments import Scenario, reward_models
from rmft_api.environments.reward_models import Ints
from rmft_api.environments.scenario import Floats
from rmft_api.journal import Journal
from rmft_api.rollouts import log_policy
from rmft_api.rollouts.log_policy import KIND, LogPolicy, LogQuestions
from rmft_api.statistics import off_policy as estimators
from rmft_api.statistics.off_policy import Estimate, EvaluatedPolicy, LoggedRows

LEAST_PROPENSITY = 0.005
"""Estimated ones are not below it: a weight of more than 200 says nothing."""
FEW = 50
"""Effective rows below which a policy's value is doubtful."""
OFF = 0.2
"""Mean weights further from 1 than this say that propensities are wrong, or actions missing."""


class PolicyValue(Record, frozen=True):
    """One policy on the held-out rows. Values are mean rewards for each decision."""

    name: str
    index: int | None
    """The iteration that made the model, 0 for the base; None where it is no model."""
    ips: Interval
    snips: Interval
    dr: Interval
    """Doubly robust: the one to read first."""
    over_base: Interval | None
    """Doubly robust, less the base's on the same rows; None for the base."""
    effective_rows: float
    largest_weight: float
    valid: float | None = None
    """Share of the model's replies that could be read; the others earn nothing."""


class OffPolicyResults(Record, frozen=True):
    """The log's own opinion of a run."""

    file: str
    rows: int
    """Held-out rows that the values are of."""
    prompts: int
    histories: int
    rounds: int
    """T: each row is asked in the last of so many rounds."""
    players: tuple[PolicyValue, ...]
    notes: tuple[str, ...]
    """What is evaluated, where propensities come from, and what to be warned of."""
    problem: str = ""
    """What the scenarios of this log are called; empty in records of earlier versions."""


class _World(NamedTuple):
    """What every policy is held against."""

    asked: LogQuestions
    rows: LoggedRows
    estimated: bool
    """Whether the propensities are."""


@dataclass(frozen=True, eq=False)
class _Policy:
    name: str
    index: int | None
    policy: EvaluatedPolicy
    valid: float | None = None


def results(
    config: RunConfig, journal: Journal, called: Mapping[int, str] | None = None
) -> tuple[OffPolicyResults, ...]:
    """A table for each log whose rows a model was asked about.

    `called`: what models are called, by number; absent: their ids.
    """
    if next(iter(journal.all(KIND, LogPolicy)), None) is None:
        return ()
    every = [(asked, log_policy.stored(journal, asked)) for asked in log_policy.questions(config)]
    return tuple(_of_log(config, asked, known, called or {}) for asked, known in every if known)


def _of_log(
    config: RunConfig,
    asked: LogQuestions,
    stored: Mapping[int, LogPolicy],
    called: Mapping[int, str],
) -> OffPolicyResults:
    world = _world(asked)
    policies = [*_models(asked, stored, called), *_known(config, world)]
    base = next((one for one in policies if one.index == 0), None)
    values = tuple(_value(world.rows, one, base) for one in policies)
    return OffPolicyResults(
        file=asked.log.table.path.name,
        rows=len(asked.rows_N),
        prompts=len(asked.questions),
        histories=len(asked.histories),
        rounds=asked.problem.T,
        players=values,
        notes=(*_notes(world), *_warnings(values, world)),
        problem=asked.problem.label,
    )


def verdict(found: OffPolicyResults, champion: int, simulated: Interval | None) -> str:
    """Whether the log's rows agree with the simulation; `simulated`: the champion's fall of regret.

    Empty where there is nothing to compare.
    """
    mine = next((one for one in found.players if one.index == champion), None)
    if not champion or mine is None or mine.over_base is None or simulated is None:
        return ""
    above = mine.over_base
    if not above.known:
        return "the log's held-out rows are too few to say whether the champion is better"
    warning = (
        f"the log's held-out rows put the champion {above.mean:.3f} [{above.low:.3f}, "
        f"{above.high:.3f}] above the base per decision"
    )
    says, logs = _side(simulated), _side(mine.over_base)
    if says == logs:
        return f"{warning}: {_AGREE[says]}"
    if logs == 0:
        return f"{warning}: too unsure to confirm or to refute what the simulation says"
    if says == 0:
        return (
            f"{warning}, where the simulation is unsure: the log sees a difference that it does not"
        )
    return (
        f"{warning}: THE LOG AND THE SIMULATION DISAGREE; believe the log first, and look at the "
        "reward model's calibration, at the features and at the overlap before you use the model"
    )


_AGREE = {
    1: "the simulation and the log agree that it is better",
    -1: "the simulation and the log agree that it is worse",
    0: "neither the simulation nor the log sees a difference",
}


def _side(interval: Interval) -> int:
    """1 where it lies above 0, -1 below, 0 where it holds 0."""
    return int(interval.low > 0) - int(interval.high < 0)


def _world(asked: LogQuestions) -> _World:
    log, rows_N = asked.log, asked.rows_N
    estimated = log.propensities_N is None
    given_N = _estimated(asked) if log.propensities_N is None else log.propensities_N[rows_N]
    rows = LoggedRows(
        actions_N=log.actions_N[rows_N],
        rewards_N=log.rewards_N[rows_N],
        propensities_N=given_N,
        expected_NA=asked.environment.expected()[rows_N],
        users_N=log.users_N[rows_N],
    )
    return _World(asked, rows, estimated)


def _estimated(asked: LogQuestions) -> Floats:
    """How probably each row's action was shown, learnt from training rows."""
    log, rows_N = asked.log, asked.rows_N
    if log.features_Nd is None:
        counts_A = log.counts("train")
        shares_N = (counts_A / counts_A.sum())[log.actions_N[rows_N]]
    else:
        part = log.parts["train"]
        shown_NA = reward_models.shown_probabilities(
            log.features_Nd[part], log.actions_N[part], log.features_Nd[rows_N], log.A
        )
        shares_N = shown_NA[np.arange(len(rows_N)), log.actions_N[rows_N]]
    return np.maximum(shares_N, LEAST_PROPENSITY)


def _models(
    asked: LogQuestions, stored: Mapping[int, LogPolicy], called: Mapping[int, str]
) -> Iterator[_Policy]:
    for index, one in sorted(stored.items()):
        if one.prompts != len(asked.questions):  # the file has changed, and that is said elsewhere
            continue
        shares_NA = np.array(one.shares)[asked.prompts_N]
        samples_N = np.array(one.samples)[asked.prompts_N]
        policy = EvaluatedPolicy(shares_NA, asked.prompts_N, samples_N)
        yield _Policy(called.get(index, one.model), index, policy, one.valid)


def _random(world: _World) -> _Policy:
    shape = (len(world.rows.rewards_N), world.asked.log.A)
    return _Policy("random", None, EvaluatedPolicy(np.full(shape, 1.0 / shape[1])))


def _known(config: RunConfig, world: _World) -> Iterator[_Policy]:
    """Policies that need no request."""
    log, rows = world.asked.log, world.rows
    N, A = len(rows.rewards_N), log.A
    yield _random(world)
    best = int(log.means("train").argmax())
    yield _Policy(f"always {log.actions[best]}", None, EvaluatedPolicy(np.eye(A)[[best] * N]))
    if log.features_Nd is not None:
        chosen_N = rows.expected_NA.argmax(axis=1)
        yield _Policy("reward model's best", None, EvaluatedPolicy(np.eye(A)[chosen_N]))
    scenarios = _scenarios(world.asked)
    histories = np.stack([one.rows for one in world.asked.histories])[world.asked.histories_N]
    for name in baselines.OF_ANY_HISTORY:
        if name in baselines.suitable(scenarios[0]):
            shares_NA = baselines.after_history(
                name, scenarios, log.actions_N[histories], log.rewards_N[histories], config.seed
            )
            yield _Policy(f"{name}, same histories", None, EvaluatedPolicy(shares_NA))


def _scenarios(asked: LogQuestions) -> list[Scenario]:
    """What an algorithm knows of each row: its features, after those of its history."""
    log = asked.log
    binary = bool(np.isin(log.rewards_N, (0.0, 1.0)).all())
    table = np.full((asked.problem.T, log.A), 0.0 if binary else 0.5)
    before: list[Ints] = [history.rows for history in asked.histories]
    rows_NT = np.column_stack([np.stack(before)[asked.histories_N], asked.rows_N])
    return [
        Scenario(
            table,
            table,
            "bandit",
            "pseudo" if log.features_Nd is None else "dynamic",
            features=None if log.features_Nd is None else log.features_Nd[rows_T],
        )
        for rows_T in rows_NT
    ]


def _value(rows: LoggedRows, one: _Policy, base: _Policy | None) -> PolicyValue:
    def found(policy: EvaluatedPolicy) -> Estimate:
        return estimators.estimate("dr", rows, policy)

    intervals = {
        name: estimators.interval(rows, one.policy, estimators.estimate(name, rows, one.policy))
        for name in ("ips", "snips", "dr")
    }
    above = None
    if base is not None and one.index != 0:
        mine, theirs = (one.policy, found(one.policy)), (base.policy, found(base.policy))
        above = estimators.difference(rows, mine, theirs)
    overlap = estimators.overlap(rows, one.policy)
    return PolicyValue(
        name=one.name,
        index=one.index,
        ips=intervals["ips"],
        snips=intervals["snips"],
        dr=intervals["dr"],
        over_base=above,
        effective_rows=overlap.effective,
        largest_weight=overlap.largest,
        valid=one.valid,
    )


def _notes(world: _World) -> Iterator[str]:
    asked, rows = world.asked, world.rows
    log = asked.log
    shown = rows.rewards_N.mean()
    yield (
        f"a model's policy is what it answers in round {asked.problem.T}, after one of "
        f"{len(asked.histories)} histories of {asked.problem.T - 1} training rows as they were "
        f"shown; {len(asked.questions):,} different prompts for {len(asked.rows_N):,} rows; the "
        f"log's own policy earned {shown:.4g} on them"
    )
    low = float(rows.propensities_N.min())
    if world.estimated:
        how = "by logistic regression" if log.features_Nd is not None else "as shares of the rows"
        yield (
            f"the log has no propensities: they are estimated on its training rows, {how} (least "
            f"{low:.3g}), and the intervals do not hold that error; log them where you can"
        )
    else:
        yield f"propensities are the log's own (column {log.columns.propensity}, least {low:.3g})"


def _warnings(values: tuple[PolicyValue, ...], world: _World) -> Iterator[str]:
    uniform, N = estimators.overlap(world.rows, _random(world).policy), len(world.rows.rewards_N)
    error = uniform.mean * math.sqrt(max(N / uniform.effective - 1, 0) / N)
    if abs(uniform.mean - 1.0) > max(OFF, 4 * error):
        yield (
            f"the weights of random play have the mean {uniform.mean:.3g}, and 1 is expected: "
            "propensities are wrong, or some actions are never shown in some contexts; believe "
            "none of these values before that is explained"
        )
    for one in values:
        if one.index is None:
            continue
        if one.effective_rows < FEW:
            yield (
                f"{one.name}: the rows are worth {one.effective_rows:.0f} of its own only: the log "
                "rarely shows what it does, so its value is doubtful"
            )
        if one.snips.known and not _meet(one.snips, one.dr):
            yield (
                f"{one.name}: SNIPS and DR exclude each other, so propensities or the reward model "
                "are wrong"
            )


def _meet(one: Interval, other: Interval) -> bool:
    return one.low <= other.high and other.low <= one.high
