"""Which trajectories are learnt from: the k best of each scenario (docs/method.md 1 and 3).

Pure: the verdicts depend on the scored trajectories alone, not on the order they come in. Random
ranking, the control that must not improve, draws by address.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from rmft_api.config.schema import SelectionConfig
from rmft_api.core import seeds
from rmft_api.core.errors import ConfigError, DataError
from rmft_api.core.records import Address, Record, Scored
from rmft_api.environments import loading

RULES = ("regret", "reward", "random")
GROUP = "rmft_api.selection_rules"
"""The entry-point group that other packages name their rules in."""
_Key = tuple[str, int, int, int]
_Why = Literal["kept", "rank", "floor", "valid"]


class Selected(Record, frozen=True):
    """What selection made of one trajectory."""

    address: Address
    cost: float
    """What it was ranked by, lowest first: regret, reward with its sign turned, or chance."""
    rank: int | None
    """From 1, among the trajectories it competed with; None where it was not ranked."""
    why: _Why
    """Kept; or ranked below the k kept; or not ranked: too little tried, too often unreadable."""

    @property
    def kept(self) -> bool:
        """Whether it is learnt from."""
        return self.why == "kept"


def select(
    scored: Iterable[Scored], config: SelectionConfig, seed: int, iteration: int
) -> tuple[Address, ...]:
    """Addresses of the kept trajectories, in order of address."""
    return tuple(
        verdict.address for verdict in rank(scored, config, seed, iteration) if verdict.kept
    )


def rank(
    scored: Iterable[Scored],
    config: SelectionConfig,
    seed: int,
    iteration: int,
    folder: Path | None = None,
) -> tuple[Selected, ...]:
    """A verdict on every trajectory, in order of address.

    Each scenario keeps its k lowest costs, or all that are eligible where those are fewer.
    `config.scope="global"` keeps as many, but lowest of all. Equal costs go by address.
    A rule of one's own is looked for in `folder` first. Raises DataError for a cost that is not
    finite and for an address that comes twice.
    """
    own = own_rule(config, folder)
    ordered = sorted(scored, key=lambda one: _key(one.address))
    _check_addresses(ordered)
    costs = {
        one.address: _own_cost(own, config.rank_by, one)
        if own
        else _cost(one, config, seed, iteration)
        for one in ordered
    }
    barred: dict[Address, _Why] = {}
    for one in ordered:
        if why := _bar(one, config):
            barred[one.address] = why
    ranks: dict[Address, int] = {}
    whys = dict(barred)
    for rivals, keep in _rivals(ordered, config):
        able = sorted((a for a in rivals if a not in barred), key=lambda a: (costs[a], _key(a)))
        for rank, address in enumerate(able, start=1):
            ranks[address] = rank
            whys[address] = "kept" if rank <= keep else "rank"
    return tuple(Selected(a, costs[a], ranks.get(a), whys[a]) for a in costs)


def opposed(selected: Iterable[Selected], rivals: int) -> tuple[tuple[Address, Address], ...]:
    """Each kept trajectory against the last ranked ones of its scenario, `rivals` at most.

    Lower cost first, in order of address. Trajectories that were not ranked oppose nobody, nor do
    those of equal cost.
    """
    scenarios: defaultdict[_Key, list[Selected]] = defaultdict(list)
    for verdict in selected:
        if verdict.rank is not None:
            a = verdict.address
            scenarios[(a.split, a.iteration, a.scenario, 0)].append(verdict)
    return tuple(
        (mine.address, theirs.address)
        for ranked in scenarios.values()
        for mine in sorted(ranked, key=lambda one: _key(one.address))
        if mine.kept
        for theirs in _last(ranked, rivals)
        if theirs.cost > mine.cost
    )


def _last(ranked: Sequence[Selected], rivals: int) -> list[Selected]:
    """Those of highest cost that were not kept, the highest first."""
    others = [one for one in ranked if not one.kept]
    return sorted(others, key=lambda one: (-one.cost, _key(one.address)))[:rivals]


def _key(address: Address) -> _Key:
    return (address.split, address.iteration, address.scenario, address.trajectory)


def _rivals(ordered: Sequence[Scored], config: SelectionConfig) -> list[tuple[list[Address], int]]:
    """The groups that are ranked apart, each with the number it keeps."""
    scenarios: defaultdict[_Key, list[Address]] = defaultdict(list)
    for one in ordered:
        a = one.address
        scenarios[(a.split, a.iteration, a.scenario, 0)].append(a)
    if config.scope == "global":
        return [([one.address for one in ordered], config.k * len(scenarios))]
    return [(rivals, config.k) for rivals in scenarios.values()]


def _bar(one: Scored, config: SelectionConfig) -> _Why | None:
    """Why the trajectory is not ranked at all."""
    if one.valid < config.min_valid:
        return "valid"
    return "floor" if min(one.pulls) < config.min_pulls else None


def own_rule(config: SelectionConfig, folder: Path | None) -> Callable[[Scored], Any] | None:
    """The function that `rank_by` names; None for a built-in rule. Raises ConfigError."""
    if config.rank_by in RULES:
        return None
    rule = loading.own("selection rule", GROUP, config.rank_by, folder, RULES)
    if not callable(rule):
        raise ConfigError(f"selection rule {config.rank_by!r} is {rule!r}, not a function")
    return rule


def _own_cost(rule: Callable[[Scored], Any], name: str, one: Scored) -> float:
    """A trajectory's cost by a rule of one's own. Raises DataError that names what it returned."""
    place = _place(one.address)
    try:
        found = rule(one)
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
        raise DataError(f"selection rule {name} raised {problem} for {place}") from error
    cost: Any = cast("Any", found).item() if isinstance(found, np.generic) else found
    if isinstance(cost, bool) or not isinstance(cost, int | float) or not math.isfinite(cost):
        raise DataError(
            f"selection rule {name} returned {cost!r} for {place}; a finite number expected"
        )
    return float(cost)


def _cost(one: Scored, config: SelectionConfig, seed: int, iteration: int) -> float:
    if config.rank_by == "random":
        address = one.address
        place = (address.split, address.iteration, address.scenario, address.trajectory)
        return float(seeds.rng(seed, "selection", iteration, *place).random())
    cost = -one.reward if config.rank_by == "reward" else _regret(one, config)
    if not math.isfinite(cost):
        raise DataError(f"{config.rank_by} of {_place(one.address)} is {cost}; it must be finite")
    return cost


def _regret(one: Scored, config: SelectionConfig) -> float:
    """Expected: what the policy earns on average. Realised: what was in fact drawn."""
    if config.regret_form == "expected":
        return one.regret
    return one.regrets.static_realised if one.kind == "static" else one.regrets.realised


def _check_addresses(ordered: Sequence[Scored]) -> None:
    for before, after in pairwise(ordered):
        if before.address == after.address:
            raise DataError(f"{_place(after.address)} was scored twice")


def _place(address: Address) -> str:
    return (
        f"{address.split} iteration {address.iteration}, scenario {address.scenario}, "
        f"trajectory {address.trajectory}"
    )
