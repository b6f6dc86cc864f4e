"""What would make a run cheaper, and what it costs elsewhere: each a whole plan, nothing chosen."""

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

import rmft_api
from rmft_api.cli.main import app
from rmft_api.config import schema
from rmft_api.config.changes import Change, changed
from rmft_api.config.schema import RunConfig
from rmft_api.core.errors import UsageError
from rmft_api.planning.alternatives import CheaperPlan
from rmft_api.report.text import alternatives as texts
from rmft_api.session import alternatives
from rmft_api.session.plans import plan_of

SMALL: dict[str, Any] = {
    "name": "small",
    "iterations": 2,
    "model": {"profile": "openai", "base": "gpt-4.1-mini-2025-04-14"},
    "prompts": {"set": "standard", "reasoning": "free"},
    "rollouts": {
        "scenarios": 6,
        "trajectories": 4,
        "problems": [{"environment": "bandit", "K": 3, "T": 4}],
    },
    "selection": {"k": 2},
    "finetuning": {"n_epochs": 2},
    "validation": {"scenarios": 4},
    "test": {"scenarios": 30, "first_look": 10},
}


def config(**changes: Any) -> RunConfig:
    raw: dict[str, Any] = json.loads(json.dumps(SMALL))
    changed(raw, [Change(key.replace("__", "."), value) for key, value in changes.items()])
    return schema.parse(raw, "small")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> CheaperPlan:
    """Planned once for all tests."""
    return asyncio.run(alternatives.cheaper(config(), tmp_path_factory.mktemp("runs")))


def test_every_lever_is_the_plan_of_the_changed_file_and_the_largest_saving_is_first(
    found: CheaperPlan, tmp_path: Path
) -> None:
    names = [option.name for option in found.options]
    assert {"shorter prompts", "1 epoch, not 2", "batches"} <= set(names)
    assert "growing chats, one example a trajectory" in names
    saves = [option.saves for option in found.options if option.saves is not None]
    assert len(saves) == len(names)
    assert saves == sorted(saves, reverse=True)
    for option in found.options[:3]:
        if not option.at_most:
            plan = asyncio.run(
                plan_of(alternatives.with_changes(config(), option.changes), tmp_path)
            )
            assert plan.total == option.total
            assert found.total.expected is not None
            assert option.saves == found.total.expected - (plan.total.expected or 0)
    assert found.training_share is not None
    assert found.training_share > 0.5
    assert "every round of a trajectory repeats its prompt" in texts.cheaper_table(found).replace(
        "\n  ", " "
    )


def test_what_goes_together_is_planned_together(found: CheaperPlan, tmp_path: Path) -> None:
    assert found.together is not None
    both = asyncio.run(
        plan_of(alternatives.with_changes(config(), found.together.changes), tmp_path)
    )
    assert both.total == found.together.total
    best = max(option.saves or 0 for option in found.options)
    assert (found.together.saves or 0) > best


def test_early_ends_are_an_upper_bound_and_name_a_width_to_choose(found: CheaperPlan) -> None:
    (early,) = (option for option in found.options if option.at_most)
    assert early.changes == {"test.half_width": None}
    assert early.total.worst == found.total.worst
    assert 0 < (early.saves or 0) < (found.total.expected or 0)
    assert "up to " in texts.cheaper_table(found)


def test_a_run_that_is_not_billed_says_so(tmp_path: Path) -> None:
    free = config(
        model={"profile": "local", "base": "rmft-tiny"},
        prompts__set="compact",
        sampling={"max_tokens": 40},
    )
    text = texts.cheaper_table(asyncio.run(alternatives.cheaper(free, tmp_path)))
    assert text == "run small: nothing is billed, so nothing makes it cheaper"


def test_one_run_file_is_planned_at_each_endpoint_the_cheapest_first(tmp_path: Path) -> None:
    names = ["azure", "bedrock:amazon.nova-micro-v1:0", "bedrock-mantle"]
    found = asyncio.run(alternatives.compared(config(), names, tmp_path))
    assert [one.profile for one in found.quotes][-1] == "bedrock"  # its training has no price
    assert {one.profile for one in found.quotes} == {"azure", "openai", "bedrock"}
    azure = next(one for one in found.quotes if one.profile == "azure")
    assert (azure.hosting.expected or 0) > 0
    assert azure.last_day is not None
    (line,) = found.impossible
    assert line.startswith("bedrock-mantle: ")
    text = texts.endpoints_table(found)
    assert "cannot be planned at bedrock-mantle" in text
    raw = json.loads(texts.endpoints_json(found))
    assert [one["profile"] for one in raw["quotes"]] == [one.profile for one in found.quotes]
    assert raw["quotes"][-1]["total_usd"]["expected"] is None


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (["nowhere"], "no profile 'nowhere'"),
        (["azure", "azure"], "named twice"),
        (["azure:"], "'azure:' names no model"),
        (["azure,gemini:gemini-3.5-flash"], "names several endpoints"),
    ],
)
def test_an_unknown_or_repeated_endpoint_is_refused(
    names: list[str], why: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=why):
        asyncio.run(alternatives.compared(config(), names, tmp_path))


def test_python_gets_the_same(tmp_path: Path) -> None:
    plan = rmft_api.plan(
        "gpt-4.1-mini",
        {"iterations": 1, "rollouts.scenarios": 4, "rollouts.problems.T": 3, "test.scenarios": 4},
        runs=tmp_path,
    )
    found = plan.compare("azure")
    assert {one.profile for one in found.record.quotes} == {"openai", "azure"}
    assert json.loads(found.to_json())["quotes"]
    assert "days left" in str(found)
    with pytest.raises(UsageError, match="only the plan of a run file"):
        rmft_api.Plan(plan.record).cheaper()


def test_the_command_line_says_what_python_says(tmp_path: Path) -> None:
    changes = {
        "iterations": 1,
        "rollouts.scenarios": 4,
        "rollouts.problems.T": 3,
        "test.scenarios": 4,
    }
    words = [word for key, value in changes.items() for word in ("--set", f"{key}={value}")]
    ask = ["plan", "gpt-4.1-mini", "--runs", str(tmp_path), *words]
    shown = CliRunner().invoke(app, [*ask, "--compare", "azure", "--json"])
    plan = rmft_api.plan("gpt-4.1-mini", changes, runs=tmp_path)
    assert json.loads(shown.stdout) == json.loads(plan.compare("azure").to_json())
    both = CliRunner().invoke(app, [*ask, "--compare", "azure", "--cheaper"])
    assert isinstance(both.exception, UsageError)


def test_a_run_that_would_not_start_is_marked(found: CheaperPlan) -> None:
    late = msgspec.structs.replace(found, refusal="its model ends before")
    assert "would not start as it is: its model ends before" in texts.cheaper_table(late)
    assert "would not start" not in texts.cheaper_table(found)
    assert json.loads(texts.cheaper_json(late))["refusal"] == "its model ends before"
