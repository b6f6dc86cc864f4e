from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from rmft_api.core.records import Feedback
from rmft_api.environments.scenario import Floats, Scenario

SET = {
    "system.md": "$task\n$framing\n\n$reasoning\n$output",
    "user.md": "$history\n\n$said\n$context\nRound $round of $T, $left left",
    "next.md": "$outcome\n$said\n$context\nRound $round",
    "silent.md": "(silence)",
    "outcome.md": "$action: $reward",
    "outcome_full.md": "$action: $reward ($rewards)",
    "said.md": "You said: $reason",
    "unread.md": "Round $round was not read.",
    "context.md": "You see $context.",
    "scenarios/doors/task.md": "$K doors: $actions",
    "scenarios/doors/full.md": "$K open doors: $actions",
    "scenarios/doors/actions.txt": "A\nB\nC\nD\n",
    "scenarios/gates/task.md": "$K gates: $actions",
    "scenarios/gates/actions.txt": "north\nsouth\n",
    "framings/neutral.md": "",
    "framings/suggestive.md": "Explore.",
    "reasonings/none.md": "",
    "reasonings/free.md": "Think.",
    "outputs/action.md": "Name one.",
    "outputs/distribution.md": "Like $example",
    "outputs/policy.md": "Like $example",
    "histories/summary/all.md": "So far:\n$lines",
    "histories/summary/line.md": "$action $count $mean $recent $mean_percent $recent_percent",
    "histories/summary/untried.md": "$action new",
    "histories/raw/all.md": "So far:\n$lines",
    "histories/raw/empty.md": "Nothing yet.",
    "histories/raw/line.md": "$round $action $reward $reward_percent",
    "histories/raw/line_full.md": "$round $action $reward | $rewards | $rewards_percent",
    "histories/raw/line_context.md": "$round $context $action $reward",
    "histories/raw/unread.md": "$round not read",
}

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a small complete set called `mine`, changed: None drops a file."""

    def write(changes: Mapping[str, str | None] = {}, **more: str) -> Path:
        for name, text in {**SET, **changes, **more}.items():
            if text is not None:
                path = tmp_path / "mine" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text + "\n", encoding="utf-8")
        return tmp_path

    return write


@pytest.fixture
def scenario() -> Callable[..., Scenario]:
    """A scenario of given K, T and feedback; its table tells nothing."""

    def scenario(
        K: int = 3,
        T: int = 5,
        feedback: Feedback = "bandit",
        contexts: tuple[str, ...] | None = None,
    ) -> Scenario:
        table: Floats = np.zeros((T, K))
        return Scenario(table, table, feedback, "pseudo", contexts)

    return scenario
