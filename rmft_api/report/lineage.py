"""Where every model of a run comes from: enough to follow, check or repeat the chain."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, cast

from rmft_api.config import renamed_keys
from rmft_api.config.schema import RunConfig
from rmft_api.evaluation import outcome
from rmft_api.evaluation.scoring import GateDecision, extended_in_words, gate_in_words
from rmft_api.finetuning import FineTuned
from rmft_api.journal import Journal
from rmft_api.report.data import LineageStep

PROVENANCE = {"rmft_api": "rmft-api", "python": "Python", "prompts": "prompts, SHA-256"}
"""What is shown of a run's provenance, and its labels; no path of a machine is among it."""


def steps(journal: Journal) -> Iterator[LineageStep]:
    """One step for each model that was trained."""
    gates = dict(journal.all("gate", GateDecision))
    for key, made in journal.all("trained", FineTuned):
        yield LineageStep(
            iteration=int(key.partition("/")[0]),
            start=made.start,
            model=made.model,
            dataset=made.dataset,
            job=made.job.id,
            file=made.job.training_file,
            trained_tokens=made.trained_tokens,
            hyperparameters=made.hyperparameters,
            seed=made.seed,
            gate=_decision(gates.get(key)),
        )


def _decision(gate: GateDecision | None) -> str:
    return "" if gate is None or gate.decision == "continue" else gate_in_words(gate)


def origin(config: RunConfig, journal: Journal) -> dict[str, str]:
    """What the whole run rests on."""
    recorded = journal.run.provenance
    return {
        "base model": config.model.base,
        **({"starts from run": config.model.from_run} if config.model.from_run else {}),
        "profile": config.model.profile,
        "seed": str(config.seed),
        **({"extended": text} if (text := extended_in_words(outcome.extensions(journal))) else {}),
        **{word: recorded[key] for key, word in PROVENANCE.items() if key in recorded},
    }


def settings(journal: Journal) -> dict[str, str]:
    """The recorded settings by today's keys."""
    found = renamed_keys.translated(json.loads(journal.run.config_json))
    if extended := outcome.extensions(journal):
        found = {**found, "iterations": extended[-1].after}
    return dict(_leaves(found, ""))


def _leaves(value: Any, prefix: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, inner in cast("Mapping[str, Any]", value).items():
            yield from _leaves(inner, f"{prefix}.{key}" if prefix else key)
    elif isinstance(value, list) and any(isinstance(one, dict) for one in cast("list[Any]", value)):
        for number, inner in enumerate(cast("list[Any]", value), start=1):
            yield from _leaves(inner, f"{prefix}[{number}]")
    elif value is not None:
        yield prefix, value if isinstance(value, str) else json.dumps(value)
