"""`rmft-api profiles`: the endpoints that a run file may name."""

from typing import Annotated

import typer


def profiles(
    as_json: Annotated[bool, typer.Option("--json", help="The table, for programs.")] = False,
) -> None:
    """List the endpoints (profiles) side by side."""
    from datetime import UTC, datetime

    from rmft_api.providers.profile_choices import choices
    from rmft_api.report.text.profiles import profiles_json, profiles_table

    found = choices()
    text = profiles_json(found) if as_json else profiles_table(found, datetime.now(UTC).date())
    print(text)  # noqa: T201
