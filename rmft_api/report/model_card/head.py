"""The YAML head of a card, as the Hugging Face Hub reads it.

Values are written as JSON, which YAML reads: no name can break out of its line.
"""

import json
from collections.abc import Iterator
from typing import Any

from rmft_api.config.schema import RunConfig
from rmft_api.evaluation.scoring import Evaluated, Results

TAGS = ("rmft-api", "decision-making", "bandits", "regret-minimization", "arxiv:2511.04393")


def of_champion(config: RunConfig, results: Results) -> str:
    """The head; measures of the test split, where the champion was tested."""
    best = champion_of(results)
    found: dict[str, Any] = {
        "base_model": config.model.base,
        "library_name": "rmft-api",
        "pipeline_tag": "text-generation",
        "tags": list(TAGS),
    }
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in found.items()]
    return "\n".join(["---", *lines, *_index(config, results, best), "---"])


def champion_of(results: Results) -> Evaluated:
    """The champion's figures."""
    return next(one for one in results.iterations if one.index == results.champion.index)


def _index(config: RunConfig, results: Results, best: Evaluated) -> Iterator[str]:
    """Its measured figures as the Hub's model-index."""
    figures = best.test or best.validation
    split = "test" if best.test else "validation"
    metrics = {
        "Regret per trajectory": figures.regret.mean,
        "Paired drop of regret to the base": figures.paired_drop and figures.paired_drop.mean,
        "SuffFailFreq": figures.suff_fail_freq,
        "K x MinFrac": figures.k_min_frac,
        "Share of readable replies": figures.valid,
    }
    yield "model-index:"
    yield f"- name: {json.dumps(results.champion.model)}"
    yield "  results:"
    yield '  - task: {"type": "reinforcement-learning", "name": "decision problems in words"}'
    name = f"held-out {split} scenarios of run {config.name}"
    yield f'    dataset: {{"type": "rmft-api", "name": {json.dumps(name)}, "split": "{split}"}}'
    yield "    metrics:"
    for title, value in metrics.items():
        if value is not None:
            kind = title.lower().replace(" ", "_")
            yield f'    - {{"type": "{kind}", "value": {value:.6g}, "name": "{title}"}}'
