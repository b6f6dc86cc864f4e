"""What a run was started with, compared with what is asked for now."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rmft_api.config import renamed_keys
from rmft_api.config import schema as configs
from rmft_api.config.schema import RunConfig
from rmft_api.core.errors import ConfigError, UsageError
from rmft_api.evaluation import outcome
from rmft_api.journal import Journal
from rmft_api.session.recorded_config import recorded_config


def described_by(source: Path) -> dict[str, str]:
    """Where a run file lies and what it says, for the journal."""
    return {"source": str(source.resolve()), "file": _canonical(configs.read(source))}


def recorded_identity(directory: Path) -> RunConfig | None:
    """The settings of the run that is there; None where none is, or none came to its beginning."""
    try:
        journal = Journal.read(directory)
    except UsageError:
        return None
    try:
        return recorded_config(journal)
    finally:
        journal.close()


def has_begun(directory: Path) -> bool:
    """Whether a run is there that came to its beginning: one killed before it has to begin."""
    return recorded_identity(directory) is not None


def exists(begun: RunConfig, config: RunConfig) -> Exception:
    """The error for a run that exists: how it differs, and how to continue."""
    changed = configs.differences(begun.model_dump(mode="json"), config.model_dump(mode="json"))
    name = config.name
    if changed:
        return ConfigError(
            f"run {name!r} exists and was started with other settings ({'; '.join(changed)}); "
            f"`rmft-api resume {name}` continues with its own, --set name=OTHER begins another"
        )
    return UsageError(
        f"run {name!r} exists; `rmft-api resume {name}` continues it, "
        f"`rmft-api report {name}` shows it, --set name=OTHER begins another"
    )


def refuse_changes(journal: Journal, iterations: int | None = None) -> None:
    """Refuse to continue when the run file says something else now than when the run began.

    It may say the number of `iterations` that the run was extended to.
    """
    refuse_changed_file(journal.run.provenance, journal.run_dir.name, iterations)


def refuse_changed_file(
    recorded: Mapping[str, str], name: str, iterations: int | None = None
) -> None:
    """The same from what `described_by` kept, for the run or family of this name."""
    source = None if "source" not in recorded else Path(recorded["source"])
    if source is None or not source.exists():
        return
    then = json.loads(recorded["file"])
    now = json.loads(_canonical(configs.read(source)))
    then, now = renamed_keys.translated(then), renamed_keys.translated(now)
    if iterations is not None and now.get("iterations") == iterations:
        then = {**then, "iterations": iterations}
    changed = configs.differences(then, now)
    if changed:
        raise ConfigError(
            f"{source.name} has changed since run {name!r} began: {'; '.join(changed)}; "
            f"restore it, or `rmft-api resume {name} --as-recorded`"
        )


def refuse_other_data(config: RunConfig, journal: Journal) -> None:
    """Refuse to continue on files with other content: their rows would be other scenarios."""
    if changed := outcome.changed_files(config, journal):
        raise ConfigError(
            f"{', '.join(changed)} changed since run {journal.run_dir.name!r} began, so its "
            "scenarios would be others; restore the file, or begin a run of another name"
        )


def _canonical(raw: dict[str, Any]) -> str:
    return json.dumps(raw, sort_keys=True, default=str)
