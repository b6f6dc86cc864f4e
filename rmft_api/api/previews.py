"""See from Python what a run will send; what `rmft-api preview` does."""

import html
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast, get_args

from rmft_api.api import arguments
from rmft_api.api.arguments import RunFile, settings
from rmft_api.api.event_loop import run_soon
from rmft_api.core.records import Split
from rmft_api.planning.previews import (
    ParsedPreview,
    PreviewedRound,
    PreviewedScenario,
    PreviewOptions,
)
from rmft_api.session import previews


class Preview:
    """The messages of chosen rounds of one scenario, and how replies to it are read."""

    def __init__(self, record: PreviewedScenario) -> None:
        """Use `preview`."""
        self.record = record

    @property
    def rounds(self) -> tuple[PreviewedRound, ...]:
        """Each with its `messages`, `prompt_tokens`, `reply_tokens` and `cost_usd`."""
        return self.record.rounds

    @property
    def replies(self) -> tuple[ParsedPreview, ...]:
        """Each with its `action`, its `policy`, or `why` it cannot be read."""
        return self.record.replies

    def __str__(self) -> str:
        """What `rmft-api preview` prints."""
        from rmft_api.report.text.preview import preview_text

        return preview_text(self.record)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


async def apreview(
    file: RunFile = "quickstart",
    overrides: Mapping[str, Any] | None = None,
    *,
    split: Split = "train",
    scenario: int = 0,
    rounds: Sequence[int] = (),
    replies: Sequence[str] = (),
    runs: str | Path = "runs",
) -> Preview:
    """Show what a run will send. Sends nothing, needs no key, writes nothing.

    Args:
        file: A run file; see `RunFile`.
        overrides: Dotted keys to change, with their values.
        split: "train", "validation" or "test".
        scenario: Which of its scenarios, from 0.
        rounds: Rounds to show, from 1; empty: the first, the middle and the last. Earlier ones are
            played as in a plan: actions drawn evenly, replies of the assumed length.
        replies: Replies to read as the run would.
        runs: The folder of runs, where `model.base = "run:NAME"` is looked for.

    Raises:
        ConfigError, DataError: For a run whose prompts cannot be written, in one line.
        UsageError: For a scenario or a round that it does not have.

    """
    config, _ = settings(file, overrides)
    options = PreviewOptions(
        cast("Split", arguments.one_of(split, "split", get_args(Split))),
        arguments.whole(scenario, "scenario", 0),
        arguments.whole_numbers(rounds, "rounds"),
        arguments.replies(replies, "replies"),
    )
    return Preview(await previews.preview_of(config, options, arguments.folder(runs)))


def preview(
    file: RunFile = "quickstart",
    overrides: Mapping[str, Any] | None = None,
    *,
    split: Split = "train",
    scenario: int = 0,
    rounds: Sequence[int] = (),
    replies: Sequence[str] = (),
    runs: str | Path = "runs",
) -> Preview:
    """As `apreview`. Works inside a running event loop too, as in a notebook."""
    work = partial(
        apreview,
        file,
        overrides,
        split=split,
        scenario=scenario,
        rounds=rounds,
        replies=replies,
        runs=runs,
    )
    return run_soon(work)
