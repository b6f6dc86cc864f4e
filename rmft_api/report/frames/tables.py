"""A table is a typed function of finished trajectories; columns come from attributes."""

from collections.abc import Iterable
from typing import Any

import msgspec
import pandas as pd

from rmft_api.core.records import Address, Scored, Trajectory

Played = tuple[Trajectory, Scored]


def trajectories_df(played: Iterable[Played]) -> pd.DataFrame:
    """One row per trajectory: its address, model, regret in every form, reward, valid share."""
    return pd.DataFrame([_trajectory(trajectory, scored) for trajectory, scored in played])


def rounds_df(played: Iterable[Played]) -> pd.DataFrame:
    """One row per round: what was shown, what came back, what was done, what it earned."""
    return pd.DataFrame([row for trajectory, _ in played for row in _rounds(trajectory)])


def as_text(frame: pd.DataFrame, suffix: str) -> str:
    """The frame as ".csv" with a header, or as ".jsonl", an object a line, with all digits.

    In JSON null is "no finite value"; CSV has pandas' own inf, -inf and nothing for NaN.
    """
    if suffix == ".csv":
        return frame.to_csv(index=False)
    rows: list[dict[str, Any]] = frame.to_dict("records")  # pyright: ignore[reportAssignmentType]
    return "".join(f"{msgspec.json.encode(row).decode()}\n" for row in rows)  # to_json cuts digits


def _trajectory(trajectory: Trajectory, scored: Scored) -> dict[str, Any]:
    return {
        **place(trajectory.address),
        "model": trajectory.model,
        "K": len(trajectory.names),
        "T": len(trajectory.rounds),
        "kind": scored.kind,
        "regret": scored.regret,
        **{f"regret_{k}": v for k, v in msgspec.structs.asdict(scored.regrets).items()},
        "reward": scored.reward,
        "valid": scored.valid,
        "least_pulls": min(scored.pulls),
    }


def _rounds(trajectory: Trajectory) -> Iterable[dict[str, Any]]:
    for t, record in enumerate(trajectory.rounds, start=1):
        yield {
            **place(trajectory.address),
            "round": t,
            "prompt": "\n\n".join(message.content for message in record.prompt),
            "reply": record.reply,
            "status": record.status,
            "action": trajectory.names[record.action] if record.action is not None else None,
            "reward": record.rewards[record.action] if record.action is not None else None,
            "best_reward": max(record.rewards),
        }


def place(address: Address) -> dict[str, Any]:
    """Where a trajectory stands in its run, a column for each part."""
    return msgspec.structs.asdict(address)
