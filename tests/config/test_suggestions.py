"""A key that a mistake suggests is one that `--set` takes, over the whole schema of a run file."""

from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import BaseModel

from rmft_api.config import schema, validation_errors
from rmft_api.config.schema import RunConfig
from rmft_api.core.errors import ConfigError

FILE = """
[model]
base = "rmft-tiny"
[rollouts]
trajectories = 8
[[rollouts.problems]]
environment = "bandit"
[[rollouts.problems]]
environment = "contextual"
[validation]
scenarios = 10
"""
VALUES: dict[str, str] = {
    "test.baselines": '["random"]',
    "rollouts.problems": '[{ environment = "bandit" }]',
    "validation.problems": '[{ environment = "bandit" }]',
    "test.problems": '[{ environment = "bandit" }]',
    "gate.stop_after": "2",
    "budget_usd": "3.5",
    "iteration_budget_usd": "3.5",
    "dataset.tokens_per_example": "100",
    "teacher.algorithm": "ucb1",
    "tracking.to": "mlflow",
    "tracking.uri": "sqlite:///here.db",
    "model.training_profile": "local",
    "model.checkpoint": "org/model",
    "model.accelerator": "a100-80gb",
    "model.engine": "{ lora_rank = 8 }",
    "model.from_run": "other@1",
    "rollouts.problems.story": "medicine",
    "rollouts.problems.environment": "bandit",
    "rollouts.problems.options": "{ gap = 0.2 }",
    "finetuning.suffix": "mine",
    "prompts.examples": "2",
    "prompts.examples_file": "rounds.jsonl",
}
"""A value for each key whose default is none or no value of its own."""


def every_key(model: type[BaseModel] = RunConfig, prefix: str = "") -> list[str]:
    found: list[str] = []
    for name, field in model.model_fields.items():
        found.append(f"{prefix}{name}")
        for inner in validation_errors._sections(field.annotation):  # pyright: ignore[reportPrivateUsage]
            found += every_key(inner, f"{prefix}{name}.")
    return found


def misspelt(key: str) -> set[str]:
    """What somebody may type who means this key."""
    head, _, leaf = key.rpartition(".")
    section = f"{head}." if head else ""
    wrong = {leaf, f"{section}{leaf}s", f"{section}{leaf.upper()}", f"run.{leaf}"}
    wrong |= {f"{section}{leaf[:i]}{leaf[i + 1 :]}" for i in range(1, len(leaf)) if len(leaf) > 3}
    if head:
        wrong |= {f"{head[:-1]}.{leaf}", f"{head}s.{leaf}", f"{head.upper()}.{leaf}"}
    return wrong - {""}


def suggested(path: Path, key: str) -> str | None:
    """The key that a refusal of `--set KEY=1` names; None where it is not refused as unknown."""
    try:
        schema.load(path, [f"{key}=1"])
    except ConfigError as error:
        if "did you mean '" in str(error):
            return str(error).rpartition("did you mean '")[2].removesuffix("'?")
    return None


def value_for(key: str, defaults: dict[str, Any]) -> str:
    if key in VALUES:
        return VALUES[key]
    default: Any = defaults
    for part in key.split("."):
        table = cast("list[Any]", default)[0] if isinstance(default, list) else default
        default = table[part]
    if default is None:  # a positive number, in any of its sections
        return "0.5"
    return str(default).lower() if isinstance(default, bool) else str(default)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files") / "small.toml"
    path.write_text(FILE)
    return path


def test_every_suggested_key_is_taken(path: Path) -> None:
    defaults = schema.load(path, ["warm_up=true"]).model_dump(mode="json")
    found = {
        key: one for real in every_key() for key in misspelt(real) if (one := suggested(path, key))
    }
    assert len(found) > 500
    assert len(set(found.values())) > 60
    for key in set(found.values()):
        value = value_for(key, defaults)
        value = "2" if value == "0.5" and _whole(key) else value
        taken = schema.load(path, [f"{key}={value}"])
        assert isinstance(taken, RunConfig)


def _whole(key: str) -> bool:
    return key.rpartition(".")[2] in ("batch_size", "n_epochs")


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("K", "rollouts.problems.K"),
        ("rollouts.K", "rollouts.problems.K"),
        ("rollouts.problems.k", "rollouts.problems.K"),
        ("temperature", "sampling.temperature"),
        ("rollout.scenarios", "rollouts.scenarios"),
        ("validaton.scenarios", "validation.scenarios"),
        ("algorithm", "teacher.algorithm"),
        ("n_epoch", "finetuning.n_epochs"),
        ("beta", "finetuning.dpo.beta"),
    ],
)
def test_the_suggested_key_is_the_one_that_was_meant(path: Path, wrong: str, right: str) -> None:
    assert suggested(path, wrong) == right


def test_a_key_of_all_problems_or_of_one_can_be_set(path: Path) -> None:
    both = schema.load(path, ["rollouts.problems.K=[2,5]"])
    assert [problem.K for problem in both.rollouts.problems] == [(2, 5), (2, 5)]
    one = schema.load(path, ["rollouts.problems.1.T=7", "rollouts.problems.0.options.gap=0.1"])
    assert [problem.T for problem in one.rollouts.problems] == [25, 7]
    assert [dict(problem.options) for problem in one.rollouts.problems] == [{"gap": 0.1}, {}]


@pytest.mark.parametrize(
    ("key", "why"),
    [("rollouts.problems.2.K", "has 2 entries"), ("rollouts.trajectories.x", "is not a section")],
)
def test_a_key_that_leads_nowhere_is_refused(path: Path, key: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        schema.load(path, [f"{key}=3"])
