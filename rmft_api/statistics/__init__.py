"""What may be believed: intervals, comparisons, tests of no regret, rules (docs/method.md 5).

Pure: figures in, records out; what is resampled is drawn from a seed.
"""

from typing import TYPE_CHECKING

from rmft_api.statistics.exchange import rise, rise_by_chance
from rmft_api.statistics.intervals import (
    LEVEL,
    Comparison,
    averaged,
    bootstrap_interval,
    by_scenario,
    compare,
    holm,
    mean_interval,
    paired_drop,
    paired_p,
    share_interval,
)
from rmft_api.statistics.no_regret import (
    FEWEST_DECIDED,
    Decisions,
    Slope,
    decide,
    growth,
    regression,
    trend,
)
from rmft_api.statistics.rules import Gate, Look, StoppingRule, doubling, gate
from rmft_api.statistics.seeds import (
    FEWEST_SEEDS,
    outlying_seeds,
    pooled_interval,
    pooled_p,
    pooled_share,
    unseen_share,
)
from rmft_api.statistics.skewed import drop_interval, regret_interval, share_of
from rmft_api.statistics.verdicts import Outcome, Verdict, outcome_of, verdict_of

if TYPE_CHECKING:
    from rmft_api.statistics import (
        off_policy,
    )

__all__ = [
    "FEWEST_DECIDED",
    "FEWEST_SEEDS",
    "LEVEL",
    "Comparison",
    "Decisions",
    "Gate",
    "Look",
    "Outcome",
    "Slope",
    "StoppingRule",
    "Verdict",
    "averaged",
    "bootstrap_interval",
    "by_scenario",
    "compare",
    "decide",
    "doubling",
    "drop_interval",
    "gate",
    "growth",
    "holm",
    "mean_interval",
    "off_policy",
    "outcome_of",
    "outlying_seeds",
    "paired_drop",
    "paired_p",
    "pooled_interval",
    "pooled_p",
    "pooled_share",
    "regression",
    "regret_interval",
    "rise",
    "rise_by_chance",
    "share_interval",
    "share_of",
    "trend",
    "unseen_share",
    "verdict_of",
]
