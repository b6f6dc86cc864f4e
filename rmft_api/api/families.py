"""Runs that differ in their seed alone, as one family; what `rmft-api run --seeds` does."""

from functools import partial
from pathlib import Path

from rmft_api.api import arguments
from rmft_api.api.event_loop import reporting, run_now
from rmft_api.api.opened_run import Run
from rmft_api.core.errors import UsageError
from rmft_api.evaluation.family import FamilyResults
from rmft_api.report.text.family import family_json, family_table
from rmft_api.session import families
from rmft_api.session.budgets import Budgets
from rmft_api.session.families import SeedStatus
from rmft_api.session.resume_options import ResumeOptions
from rmft_api.session.run_directories import existing_place, family_names, is_family, is_run

PAGE = "report.html"


class Family:
    """A family of runs that finished, was interrupted, or is running.

    Example:
        >>> import rmft_api
        >>> family = rmft_api.run("quickstart", seeds=5)  # doctest: +SKIP
        >>> family.results.players[1].above_champion  # doctest: +SKIP

    """

    def __init__(self, directory: Path) -> None:
        """Use `open_family`."""
        self.directory = directory

    @property
    def name(self) -> str:
        """The family's name: that of its folder."""
        return self.directory.name

    @property
    def runs(self) -> dict[int, Run]:
        """Seed -> run, of those that have started."""
        found = ((one.seed, self.directory.parent / one.run) for one in self.status)
        return {seed: Run(directory) for seed, directory in found if is_run(directory)}

    @property
    def status(self) -> list[SeedStatus]:
        """How far every seed is."""
        return families.statuses(self.directory)

    @property
    def results(self) -> FamilyResults:
        """What the seeds that have finished came to together.

        Raises ConfigError where their settings differ in more than the seed.
        """
        return families.results_of(self.directory)

    def report(self, path: str | Path | None = None) -> Path:
        """Write the family as one HTML page that needs no network; where it lies.

        Without `path`, `report.html` in the family's folder. Raises StorageError.
        """
        from rmft_api.session import page_sources, side_by_side

        to = self.directory / PAGE if path is None else arguments.folder(path, "path")
        side_by_side.write_page(page_sources.of_place(self.directory), to)
        return to

    def to_json(self) -> str:
        """What `rmft-api report FAMILY --json` prints."""
        return family_json(self.results)

    def __str__(self) -> str:
        """The table that `rmft-api report FAMILY` prints."""
        return family_table(self.results)

    async def aresume(
        self,
        *,
        budget_usd: float | None = None,
        iterations: int | None = None,
        again: bool = False,
        as_recorded: bool = False,
        progress: bool = False,
    ) -> "Family":
        """Take every seed that has not finished to its end; the others are left as they are.

        Args:
            budget_usd: A new cap for all seeds together, in US dollars.
            iterations: How many every run is to have from now on; finished ones are extended.
            again: Order once more the job that failed, was cancelled or was refused.
            as_recorded: Continue under the recorded settings though the run file has changed.
            progress: Show on stderr what the command line shows.

        Raises:
            SeedFailedError: For seeds that failed, once all others have ended.
            LockedError: Where another process works on the family.

        """
        options = ResumeOptions(
            caps=Budgets(arguments.dollars(budget_usd, "budget_usd")),
            iterations=arguments.whole_or_none(iterations, "iterations"),
            again=again,
            as_recorded=as_recorded,
        )
        await families.resume(self.directory, options, reporting(progress))
        return self

    def resume(
        self,
        *,
        budget_usd: float | None = None,
        iterations: int | None = None,
        again: bool = False,
        as_recorded: bool = False,
        progress: bool = False,
    ) -> "Family":
        """As `aresume`, where no event loop runs."""
        work = partial(
            self.aresume,
            budget_usd=budget_usd,
            iterations=iterations,
            again=again,
            as_recorded=as_recorded,
            progress=progress,
        )
        return run_now(work, "Family.aresume")


def open_family(name: str | Path, runs: str | Path = "runs") -> Family:
    """Open a family by its name in the folder `runs`, by its run file's name, or by its own path.

    Raises UsageError where there is none.
    """
    folder, path = arguments.folder(runs), arguments.folder(name, "name")
    found = path if is_family(path) else existing_place(folder, str(name))
    if not is_family(found):
        raise UsageError(f"{str(name)!r} is one run; rmft_api.open_run({str(name)!r}) opens it")
    return Family(found)


def list_families(runs: str | Path = "runs") -> list[Family]:
    """The families in a folder, by name."""
    folder = arguments.folder(runs)
    return [Family(folder / name) for name in family_names(folder)]
