"""A run that starts from the model of another run, whose own server trained it on this machine.

`model.base = "run:NAME@3"` becomes the id of that model, and what its server keeps of its job is
copied into the new run's folder: the new run does not need the other one any more.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec

from rmft_api.config.schema import ModelConfig, RunConfig
from rmft_api.core.errors import ConfigError
from rmft_api.core.names import ALL, RUN
from rmft_api.evaluation import outcome
from rmft_api.journal import open_to_read
from rmft_api.providers import profiles
from rmft_api.session.embedded_server import is_embedded
from rmft_api.session.recorded_config import recorded_config
from rmft_api.session.run_directories import existing_run

Furnish = Callable[[Path], None]
"""Puts into a run's directory what it needs before it begins."""


def resolved(config: RunConfig, runs: Path) -> RunConfig:
    """The settings with the id of the model that `run:NAME` means. Raises ConfigError, UsageError.

    Without such a word they stay as they are.
    """
    word = config.model.base
    if not word.startswith(RUN):
        return config
    from rmft_api.session.players import chosen  # comparisons: few runs need them

    name, _, which = word.removeprefix(RUN).partition("@")
    _check(config, word, name, which)
    with open_to_read(existing_run(runs, name)) as journal:
        theirs = recorded_config(journal)
        (index,) = chosen(word, which or "champion", theirs, journal)
        model = outcome.models(journal)[index]
    if not _own_server(theirs):
        raise ConfigError(
            f"model.base = {word!r}: run {name!r} trained at {theirs.model.profile!r}, where its "
            f"models are; set model.base = {model!r}"
        )
    return config.model_copy(update={"model": _model(config.model, theirs, model, index)})


def furnishing(config: RunConfig, runs: Path) -> Furnish:
    """Copies the weights that the run starts from; nothing where it starts from none."""
    if config.model.from_run is None or config.model.base == config.model.served_base:
        return lambda directory: None
    name = config.model.from_run.partition("@")[0]
    jobs = existing_run(runs, name) / "server" / "jobs"
    found = next((path for path in sorted(jobs.glob("*/job.json")) if _made(path, config)), None)
    if found is None or not any(found.parent.glob("weights/*.safetensors")):
        raise ConfigError(
            f"model.base: the weights of {config.model.base!r} are not in {str(jobs)!r} any more; "
            "start from another model of that run, or train it again"
        )
    return lambda directory: _copy(found.parent, directory / "server" / "jobs" / found.parent.name)


def _check(config: RunConfig, word: str, name: str, which: str) -> None:
    if name == config.name:
        raise ConfigError(f"model.base = {word!r}: a run cannot start from itself")
    if which == ALL:
        raise ConfigError(f"model.base = {word!r} means several models; name one: run:{name}@3")
    if not _own_server(config):
        raise ConfigError(
            f"model.base = {word!r}: only a server that the run starts itself can be given the "
            f"weights of another run; name the model by its id at {config.model.profile!r}"
        )


def _own_server(config: RunConfig) -> bool:
    """Whether the run starts the server that answers and trains."""
    names = {config.model.profile, config.model.training_profile or config.model.profile}
    return all(is_embedded(profiles.load(name)) for name in names)


def _model(mine: ModelConfig, theirs: RunConfig, model: str, index: int) -> ModelConfig:
    other = theirs.model
    if mine.checkpoint not in (None, other.checkpoint):
        raise ConfigError(
            f"model.checkpoint = {mine.checkpoint!r}, and run {theirs.name!r} trained "
            f"{other.checkpoint!r}; leave it out: the run's own is taken"
        )
    return mine.model_copy(
        update={
            "base": model,
            "checkpoint": other.checkpoint,
            "engine": {**other.engine, **mine.engine},
            "from_run": f"{theirs.name}@{index}",
        }
    )


class _Job(msgspec.Struct):
    target: str
    fine_tuned: bool = False


def _made(path: Path, config: RunConfig) -> bool:
    """Whether a job of a server made the model."""
    try:
        job = msgspec.json.decode(path.read_bytes(), type=_Job)
    except (OSError, msgspec.MsgspecError):
        return False
    return job.fine_tuned and job.target == config.model.base


def _copy(job: Path, to: Path) -> None:
    """All or nothing: a folder that is there is whole."""
    if to.exists():
        return
    draft = to.with_name(f".{to.name}.copying")
    shutil.rmtree(draft, ignore_errors=True)
    shutil.copytree(job, draft, ignore=shutil.ignore_patterns("*.lock", "*.log"))
    draft.rename(to)
