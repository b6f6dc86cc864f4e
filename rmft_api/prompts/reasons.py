"""Hand-written reasoning: a template that states what the rounds before showed.

A teacher says it, it stands in the place of what a model itself thought, or a worked example has it
(docs/method.md 1).
"""

import math
from collections.abc import Sequence

import numpy as np

from rmft_api.environments.scenario import Floats
from rmft_api.prompts.templates import Fields, Template

FIELDS: Fields = frozenset({"best", "few", "hope", "action"})
OPTIMISM = 0.5
"""Of `hope`: mean + OPTIMISM sqrt(ln t / n)."""


def reason(
    template: Template, names: Sequence[str], rewards_tK: Floats, shown_tK: Floats, action: int
) -> str:
    """The template after t rounds. `shown_tK` is 1 where a reward was shown, else 0.

    $best: highest mean; $few: shown least; $hope: highest optimistic value, one that was never
    shown first; $action: what is done now. Equals go by their place.
    """
    counts_K = shown_tK.sum(axis=0)
    sums_K = (rewards_tK * shown_tK).sum(axis=0)
    means_K = np.where(counts_K > 0, sums_K / np.maximum(counts_K, 1), -np.inf)
    t = max(1, len(shown_tK))
    bonus_K = OPTIMISM * np.sqrt(math.log(t) / np.maximum(counts_K, 1))
    hopes_K = np.where(counts_K > 0, means_K + bonus_K, np.inf)
    chosen = (means_K.argmax(), counts_K.argmin(), hopes_K.argmax(), action)
    fields = ("best", "few", "hope", "action")
    return template.fill({f: names[int(a)] for f, a in zip(fields, chosen, strict=True)})
