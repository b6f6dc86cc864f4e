"""A run's chain trained again at another endpoint, and both chains compared."""

from collections.abc import Callable
from pathlib import Path

from rmft_api.config.schema import RunConfig
from rmft_api.core.errors import ConfigError
from rmft_api.core.records import Record
from rmft_api.evaluation.scoring import Results
from rmft_api.providers import connect, profiles
from rmft_api.session.budgets import Budgets
from rmft_api.session.chains import Chain, RetrainOptions, chain_of, described, fitted
from rmft_api.session.reporting import QUIET, Reporting
from rmft_api.session.resume_options import ResumeOptions
from rmft_api.session.retrain_comparison import ChainComparison, side_by_side
from rmft_api.session.run_directories import run_directory
from rmft_api.session.run_identity import recorded_identity
from rmft_api.session.runs import begin, resume


class Retrained(Record, frozen=True):
    """What came of it."""

    results: Results
    sides: ChainComparison


def chain_and_settings(
    directory: Path, wanted: RetrainOptions, say: Callable[[str], None]
) -> tuple[Chain, RunConfig]:
    """The chain of the run in a directory, as it can be trained there, and the new run's settings.

    Raises UsageError where nothing was trained yet, ConfigError, and DataError for files that do
    not fit. `say` takes what will differ.
    """
    chain = fitted(chain_of(directory), wanted.profile, say)
    return chain, described(chain, wanted, say)


async def retrained(
    chain: Chain,
    config: RunConfig,
    runs: Path,
    reporting: Reporting = QUIET,
) -> Retrained:
    """Begin the run that trains the chain again, or continue it, and compare.

    Raises ConfigError where a run of its name exists with other settings.
    """
    directory = run_directory(runs, config.name)
    recorded = recorded_identity(directory)
    if recorded is None:
        await _check_files(chain, config)
        results = await begin(config, runs, None, chain.furnish, reporting=reporting)
    else:
        _refuse_another(recorded, config)
        results = await resume(
            directory, ResumeOptions(caps=Budgets(run_usd=config.budget_usd)), reporting
        )
    return Retrained(results, side_by_side(directory, chain.directory))


async def _check_files(chain: Chain, config: RunConfig) -> None:
    """Raise DataError for a file that the wire there cannot take, before anything is played."""
    profile = profiles.load(config.model.training_profile or config.model.profile)
    if profile.wire == "openai":
        return
    async with connect(profile) as connection:
        chain.check_files(connection.tuner.stored)


def _refuse_another(recorded: RunConfig, config: RunConfig) -> None:
    if recorded.model_copy(update={"budget_usd": config.budget_usd}) != config:
        raise ConfigError(
            f"run {config.name!r} exists with other settings; --name gives this one another name"
        )
