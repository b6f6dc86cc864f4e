"""Results as programs read them: the promised shape of `report RUN --json`."""

from typing import Any

import msgspec

from rmft_api.core.records import Interval
from rmft_api.evaluation.measures import NO_BEST
from rmft_api.evaluation.scoring import Evaluated, Figures, GroupFigures, Results, WarmUp
from rmft_api.planning import Spending
from rmft_api.report.text.off_policy import off_policy_json, other_logs_json
from rmft_api.report.text.spending import spending_data
from rmft_api.statistics import Decisions


def results_json(results: Results, money: Spending) -> str:
    """One JSON object; figures are those of the test split, validation's stand beside them.

    `spending` is planned against actual by phase, in US dollars; null is "unknown".
    """
    return msgspec.json.encode(
        {
            "run": results.run,
            "iterations": [_iteration(one) for one in results.iterations],
            "baselines": {name: _baseline(one) for name, one in results.baselines.items()},
            "limit": None if results.limit is None else _baseline(results.limit),
            "limit_notes": results.limit_notes,
            "data": results.data,
            "off_policy": off_policy_json(results),
            "other_logs": other_logs_json(results),
            "stopped": results.stopped or None,
            "extended": msgspec.to_builtins(results.extended),
            "warm_up": _warm_up(results.warm_up),
            "references": results.references,
            "champion": {"index": results.champion.index, "model": results.champion.model},
            "spending": spending_data(money),
        }
    ).decode()


def _iteration(one: Evaluated) -> dict[str, Any]:
    shown = one.test or one.validation
    return {
        "index": one.index,
        "model": one.model,
        "split": "test" if one.test else "validation",
        **_figures(shown),
        "validation": _figures(one.validation),
        "share_of_possible": _interval(one.share_of_possible),
        "made_from": msgspec.to_builtins(one.made_from),
        "warnings": one.warnings,
        "gate": one.gate and {**msgspec.to_builtins(one.gate), "drop": _interval(one.gate.drop)},
    }


def _warm_up(found: WarmUp | None) -> dict[str, Any] | None:
    """What the base was taught before iteration 1; `before` are its validation figures."""
    if found is None:
        return None
    before = None if found.before is None else _figures(found.before)
    return {**msgspec.structs.asdict(found), "before": before}


def _baseline(figures: Figures) -> dict[str, Any]:
    """`only`: the problems that it can play, where those are not all; else empty."""
    return {**_figures(figures), "only": figures.only}


def _figures(figures: Figures) -> dict[str, Any]:
    return {
        "regret": _interval(figures.regret),
        "paired_drop": _interval(figures.paired_drop),
        "suff_fail_freq": figures.suff_fail_freq,
        "suff_fail_reason": NO_BEST if figures.suff_fail_freq is None else None,
        "k_min_frac": figures.k_min_frac,
        "valid": figures.valid,
        "scenarios": figures.scenarios,
        "own_measures": {name: _interval(one) for name, one in figures.own.items()},
        "measures": msgspec.to_builtins(figures.measures),
        "over_time": {horizon: _over_time(one) for horizon, one in figures.over_time.items()},
        "groups": {name: _group(group) for name, group in figures.groups.items()},
    }


def _over_time(found: Decisions) -> dict[str, Any]:
    """Whether regret is sublinear, and whether play locks in."""
    return {
        "scenarios": found.scenarios,
        "growth": _interval(found.growth),
        "halves": _interval(found.halves),
        "last_quarter": _interval(found.last_quarter),
        "locked": _interval(found.locked),
        "learns": found.learns,
        "locks_in": found.locks_in,
    }


def _group(group: GroupFigures) -> dict[str, Any]:
    return {
        "scenarios": group.scenarios,
        "regret": _interval(group.regret),
        "paired_drop": _interval(group.paired_drop),
        "suff_fail_freq": group.suff_fail_freq,
        "k_min_frac": group.k_min_frac,
        "valid": group.valid,
    }


def _interval(interval: Interval | None) -> dict[str, Any] | None:
    if interval is None:
        return None
    if not interval.known:
        return {"mean": interval.mean, "ci95": None, "reason": "too few scenarios"}
    return {"mean": interval.mean, "ci95": [interval.low, interval.high]}
