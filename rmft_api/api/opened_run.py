"""A run, opened to read: the numbers of `rmft-api report`, as objects and as pandas frames."""

import html
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rmft_api.api import arguments
from rmft_api.config.schema import RunConfig
from rmft_api.core.errors import UsageError
from rmft_api.core.records import Scored, Split, Trajectory
from rmft_api.evaluation.comparison import ComparisonResults
from rmft_api.evaluation.scoring import Results
from rmft_api.journal import Journal, open_to_read
from rmft_api.planning import Spending, spending
from rmft_api.session import comparisons, exports, pages
from rmft_api.session.exports import Table
from rmft_api.session.progress import RunStatus, status_of
from rmft_api.session.recorded_config import recorded_config
from rmft_api.session.run_directories import existing_page, existing_run, is_run, run_names

if TYPE_CHECKING:
    import pandas as pd

    from rmft_api.api.decider import Decider

_PAGE = "report.html"


@dataclass(frozen=True)
class TunedModel:
    """One model of a run: its base, or a fine-tune of it."""

    index: int
    """The iteration that made it; 0 is the base."""
    model: str
    """What requests name."""
    directory: Path
    """The run's folder."""

    def decider(self, **options: Any) -> "Decider":
        """Ask this model for decisions, in the very words in which it was trained.

        `options` are those of `Decider`. Raises ConfigError where the run's prompt files have
        changed since.
        """
        from rmft_api.api.decider import Decider

        return Decider.of_run(self.directory, self.index, **options)


class Run:
    """A run that finished, was interrupted, or is under way; read only.

    Every property reads the journal again, so a run under way shows how far it is. Where a
    process works on the run, a copy of the journal is read.

    Example:
        >>> import rmft_api
        >>> run = rmft_api.open_run("quickstart")  # doctest: +SKIP
        >>> run.results.champion.model  # doctest: +SKIP
        >>> run.trajectories(split="test").groupby("model").regret.mean()  # doctest: +SKIP

    """

    def __init__(self, directory: Path) -> None:
        """Use `open_run`."""
        self.directory = directory

    @property
    def name(self) -> str:
        """The run's name: that of its folder."""
        return self.directory.name

    @property
    def config(self) -> RunConfig:
        """The settings that it began with."""
        with closing(Journal.read(self.directory)) as journal:
            return recorded_config(journal)

    @property
    def status(self) -> RunStatus | None:
        """How far it is, by its own last word; None for a run that never wrote one."""
        return status_of(self.directory)

    @property
    def results(self) -> Results:
        """What it came to so far. Raises UsageError before the base has been evaluated."""
        with open_to_read(self.directory) as journal:
            if comparisons.is_comparison(journal):
                raise UsageError(f"{self.name!r} is an evaluation; `.comparison` has its figures")
            return self._evaluated(pages.results_so_far(journal))

    def _evaluated(self, found: Results | None) -> Results:
        if found is None:
            raise UsageError(
                f"run {self.name!r} has evaluated no model yet; `rmft_api.resume({self.name!r})` "
                "continues it"
            )
        return found

    @property
    def comparison(self) -> ComparisonResults:
        """What an evaluation came to so far. Raises UsageError for a run of training."""
        with open_to_read(self.directory) as journal:
            if not comparisons.is_comparison(journal):
                raise UsageError(f"{self.name!r} is no evaluation; `.results` has its figures")
            return comparisons.results_so_far(journal)

    @property
    def champion(self) -> TunedModel:
        """The model with the lowest validation regret. Raises UsageError as `results` does."""
        best = self.results.champion
        return TunedModel(best.index, best.model, self.directory)

    @property
    def models(self) -> list[TunedModel]:
        """Every model that was evaluated; the first is the base. Raises as `results` does."""
        found = self.results.iterations
        return [TunedModel(one.index, one.model, self.directory) for one in found]

    @property
    def spending(self) -> Spending:
        """Requests, tokens and money by phase, planned beside actual. Money is micro-dollars."""
        with open_to_read(self.directory) as journal:
            return spending(journal)

    def trajectories(
        self, split: Split | None = None, iteration: int | None = None
    ) -> "pd.DataFrame":
        """One row per finished trajectory: address, model, K, T, regrets, reward, valid share.

        `split` is "train", "validation" or "test"; None takes all of them, as does `iteration`.
        """
        from rmft_api.report.frames import trajectories_df

        return trajectories_df(self._played(split, iteration))

    def rounds(self, split: Split | None = None, iteration: int | None = None) -> "pd.DataFrame":
        """One row per decision: prompt, reply, status, action, reward, best reward."""
        from rmft_api.report.frames import rounds_df

        return rounds_df(self._played(split, iteration))

    def selections(self) -> "pd.DataFrame":
        """What each iteration was trained on beside all that it was selected from, with measures.

        Two rows per iteration: `trajectories` is "all" or "selected". Raises as `results` does.
        """
        from rmft_api.report.frames import selections_df

        return selections_df(self.results)

    def standings(self) -> "pd.DataFrame":
        """The figures of an evaluation: one row per player, over all and by each axis of the suite.

        Raises UsageError for a run of training.
        """
        from rmft_api.report.frames import standings_df

        return standings_df(self.comparison)

    @asynccontextmanager
    async def live_report(self, port: int = 0) -> AsyncGenerator[str]:
        """Serve the page on this machine while the block lasts, updated as the run proceeds.

        Port 0 takes a free one. Raises ConfigError for a port in use.

        Example:
            >>> async with run.live_report() as url:  # doctest: +SKIP
            ...     print(url)

        """
        listened = arguments.whole(port, "port", 0)
        from rmft_api.session import live_pages, page_sources

        show = live_pages.of_source(page_sources.of_place(self.directory))
        async with live_pages.live_page(show, listened) as url:
            yield url

    def report(self, path: str | Path | None = None, *, svg: str | Path | None = None) -> Path:
        """Write the run or evaluation as one HTML page that needs no network; where it lies.

        Without `path`, `report.html` in the run's folder. `svg` also draws regret by iteration.
        Raises UsageError for a figure of an evaluation, or before the base has been evaluated;
        StorageError.
        """
        to = self.directory / _PAGE if path is None else arguments.folder(path, "path")
        drawn = None if svg is None else arguments.folder(svg, "svg")
        with open_to_read(self.directory) as journal:
            if comparisons.is_comparison(journal):
                comparisons.refuse_pages(self.name, {"report(svg=...)": drawn})
                evaluated = comparisons.results_so_far(journal)
                pages.write_evaluation_page(to, journal, evaluated, self.directory)
                return to
            found, state = pages.results_so_far(journal), pages.run_state(self.directory)
            if drawn is not None:
                pages.draw(drawn, self._evaluated(found))
            pages.write_page(to, recorded_config(journal), journal, found, state)
        return to

    def export(self, path: str | Path, table: str = "trajectories") -> int:
        """Write the run's trajectories for other tools; how many rows were written.

        `table` is "trajectories" or "rounds" (a .csv, .jsonl or .parquet file with a row each),
        "datasets" (a folder that Hugging Face's datasets loads), or "messages",
        "prompt-completion", "preference" (the selected training data, as TRL takes it).

        Raises UsageError for a name that does not fit, and where nothing was selected yet.
        """
        if table not in list(Table):
            known = ", ".join(Table)
            raise UsageError(f"no table {table!r}; there are {known}")
        return exports.export(self.directory, arguments.folder(path, "path"), Table(table))

    def figures(
        self,
        to: str | Path | None = None,
        *,
        formats: Sequence[str] = ("svg", "pdf", "png"),
        columns: int = 1,
        tables: Sequence[str] = (),
    ) -> list[Path]:
        """Draw the run or evaluation for a paper; the files. As `rmft_api.figures` of this run.

        Example:
            >>> run.figures("paper", columns=2, tables=["latex"])  # doctest: +SKIP

        """
        return figures([self], to, formats=formats, columns=columns, tables=tables)

    def card(self, path: str | Path | None = None) -> Path:
        """Write a model card of the champion, Markdown with the Hub's YAML head; where it lies.

        Without `path`, `MODEL_CARD.md` in the run's folder. Raises UsageError for an evaluation,
        and before the base has been evaluated; StorageError.
        """
        from rmft_api.session import cards

        return cards.write(self.directory, None if path is None else arguments.folder(path, "path"))

    def _played(
        self, split: Split | None, iteration: int | None
    ) -> Iterator[tuple[Trajectory, Scored]]:
        with open_to_read(self.directory) as journal:
            for trajectory, scored in journal.all_trajectories():
                at = trajectory.address
                if split in (None, at.split) and iteration in (None, at.iteration):
                    yield trajectory, scored

    def __repr__(self) -> str:
        """The run in one line."""
        status = self.status
        state = status.state if status else "no status"
        return f"<Run {self.name!r}: {state}, {self.directory}>"

    def _repr_html_(self) -> str:
        from rmft_api.report.text.results import results_table

        try:
            shown = results_table(self.results)
        except UsageError as error:
            shown = str(error)
        return f"<pre>{html.escape(repr(self))}\n\n{html.escape(shown)}</pre>"


def open_run(name: str | Path, runs: str | Path = "runs") -> Run:
    """Open a run by its name in the folder `runs`, by its run file's name, or by its own path.

    Raises UsageError, with the names that are there, where there is no such run.
    """
    folder, path = arguments.folder(runs), arguments.folder(name, "name")
    if is_run(path):
        return Run(path)
    return Run(existing_run(folder, str(name)))


def list_runs(runs: str | Path = "runs") -> list[Run]:
    """The runs in a folder, by name."""
    folder = arguments.folder(runs)
    return [Run(folder / name) for name in run_names(folder)]


def side_by_side(runs: "Sequence[Run | str | Path]", path: str | Path) -> Path:
    """Write several runs as one HTML page; where it lies. What `rmft-api report RUN1 RUN2` does.

    Champions that played the same test scenarios are paired; what cannot be compared is said.
    Raises UsageError for an evaluation, StorageError.
    """
    from rmft_api.session import side_by_side as pages_of_several

    opened = [one if isinstance(one, Run) else open_run(one) for one in runs]
    to = arguments.folder(path, "path")
    pages_of_several.write([one.directory for one in opened], to)
    return to


def write_report(
    runs: "Sequence[Run | str | Path] | None" = None,
    path: str | Path | None = None,
    *,
    folder: str | Path = "runs",
) -> Path:
    """Write a page; where it lies. What `rmft-api report RUN...` and `report --all` do.

    Args:
        runs: One run, evaluation, family of seeds or ablation grid by name; several runs, side by
            side; None: an index of everything in `folder`, with a page of each.
        path: Where the page goes. None: `report.html` in its own folder; for several runs
            `side-by-side.html` and for the index `index.html` in `folder`.
        folder: The folder of runs.

    Raises:
        UsageError: For a name that is not there, and for an evaluation among several runs.
        StorageError: Where the page cannot be written.

    """
    from rmft_api.session import page_sources, run_index
    from rmft_api.session import side_by_side as pages_of_several

    to = None if path is None else arguments.folder(path, "path")
    place = arguments.folder(folder, "folder")
    if runs is None:
        to = to or place / run_index.FILE
        run_index.write(place, to, lambda line: None)
        return to
    if isinstance(runs, str | Path | Run):
        runs = [runs]
    if len(runs) == 1:
        directory = _page_place(runs[0], place)
        to = to or directory / _PAGE
        pages_of_several.write_page(page_sources.of_place(directory), to)
        return to
    opened = [one if isinstance(one, Run) else open_run(one, place) for one in runs]
    to = to or place / pages_of_several.FILE
    pages_of_several.write([one.directory for one in opened], to)
    return to


def _page_place(one: "Run | str | Path", folder: Path) -> Path:
    if isinstance(one, Run):
        return one.directory
    path = arguments.folder(one, "runs")
    return path if is_run(path) else existing_page(folder, str(one))


@asynccontextmanager
async def live_report(
    runs: "Sequence[Run | str | Path] | None" = None, port: int = 0, *, folder: str | Path = "runs"
) -> AsyncGenerator[str]:
    """Serve a page on this machine while the block lasts, updated as runs proceed; its address.

    What `rmft-api report RUN... --live` and `report --all --live` do; `runs` and `folder` are those
    of `write_report`, and port 0 takes a free one. Raises as `write_report` does, and ConfigError
    for a port in use.

    Example:
        >>> async with rmft_api.live_report() as url:  # doctest: +SKIP
        ...     print(url)

    """
    from rmft_api.session import live_pages, page_sources

    listened, place = arguments.whole(port, "port", 0), arguments.folder(folder, "folder")
    if isinstance(runs, str | Path | Run):
        runs = [runs]
    if runs is None:
        show = live_pages.of_folder(place)
    elif len(runs) == 1:
        show = live_pages.of_source(page_sources.of_place(_page_place(runs[0], place)))
    else:
        opened = [one if isinstance(one, Run) else open_run(one, place) for one in runs]
        show = live_pages.of_source(page_sources.of_several([one.directory for one in opened]))
    async with live_pages.live_page(show, listened) as url:
        yield url


def figures(
    runs: "Sequence[Run | str | Path]",
    to: str | Path | None = None,
    *,
    formats: Sequence[str] = ("svg", "pdf", "png"),
    columns: int = 1,
    tables: Sequence[str] = (),
) -> list[Path]:
    """Draw runs and evaluations for a paper, and write their tables; the paths of the files.

    Several runs have a folder each in `to`, and figures that hold all of them. Without `to`, the
    folder `figures` of the first run. `columns` is 1 (85 mm wide) or 2 (175 mm), `formats` are
    "svg", "pdf", "png" (none: tables alone), `tables` "latex", "markdown", "csv".

    Raises UsageError for a run that has evaluated no model yet, or an unknown format; ConfigError
    without matplotlib; StorageError.
    """
    from rmft_api.session import paper

    opened = [one if isinstance(one, Run) else open_run(one) for one in runs]
    if not opened:
        raise UsageError("figures of no run; name one")
    order = paper.PaperOrder(tuple(formats), columns, tuple(tables))  # pyright: ignore[reportArgumentType] - checked when it is made
    folder = opened[0].directory / paper.FOLDER if to is None else arguments.folder(to, "to")
    return paper.write([one.directory for one in opened], folder, order)
