"""`rmft-api preview`: the messages that a run will send. Sends nothing and needs no key."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from rmft_api.cli.options import RUNS, Overrides, RunFile, RunsDir, described, run_file

if TYPE_CHECKING:
    from rmft_api.core.records import Split


class SplitName(StrEnum):
    """Whose scenarios are shown."""

    train = "train"
    validation = "validation"
    test = "test"


def preview(
    file: RunFile = None,
    overrides: Overrides = None,
    split: Annotated[SplitName, typer.Option(help="Whose scenarios.")] = SplitName.train,
    scenario: Annotated[int, typer.Option(help="Which of them, from 0.", min=0)] = 0,
    rounds: Annotated[
        list[int] | None,
        typer.Option(
            "--round",
            metavar="N",
            help="A round to show, from 1; repeatable. Absent: first, middle and last.",
        ),
    ] = None,
    replies: Annotated[
        list[str] | None,
        typer.Option("--reply", metavar="TEXT", help="Say how this reply is read; repeatable."),
    ] = None,
    runs: RunsDir = RUNS,
    as_json: Annotated[bool, typer.Option("--json", help="The same, for programs.")] = False,
) -> None:
    """Show the messages of a run before anything is paid. Sends, spends and writes nothing.

    Earlier rounds are played as in a plan: actions drawn evenly, replies of the assumed length.
    """
    from rmft_api.cli.console import clean
    from rmft_api.planning.previews import PreviewOptions
    from rmft_api.report.text.preview import preview_json, preview_text
    from rmft_api.session.previews import preview_now

    config = described(run_file(file), overrides, None)
    chosen: Split = split.value
    options = PreviewOptions(chosen, scenario, tuple(rounds or ()), tuple(replies or ()))
    shown = preview_now(config, options, runs)
    print(preview_json(shown) if as_json else clean(preview_text(shown)))  # noqa: T201
