"""Runs that differ in their seed alone, started, resumed and reported as one, under one budget.

Each seed is an ordinary run beside its family, `NAME-seed-3`, which every command knows by that
name. The family's own folder `NAME` has one small record: the seeds, the settings, the budget. So a
seed that failed is resumed alone, and whatever is paid for once by a run is paid for once here.
"""

import asyncio
import os
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec

from rmft_api.config import schema
from rmft_api.config.schema import RunConfig
from rmft_api.core import locks, serialization
from rmft_api.core.errors import (
    BudgetError,
    InterruptedRunError,
    LockedError,
    RmftError,
    SeedFailedError,
    StorageError,
    UsageError,
)
from rmft_api.core.files import make_directory, replace_file
from rmft_api.core.paths import Origin
from rmft_api.core.records import Record
from rmft_api.evaluation.family import (
    FamilyResults,
    FinishedSeed,
    family_results,
    finished_seed,
)
from rmft_api.evaluation.scoring import Results
from rmft_api.journal import Journal, open_to_read
from rmft_api.planning import GridPlan, PlannedGridRun, plan_grid
from rmft_api.planning.plan_vs_actual import RESULTS
from rmft_api.session import plans, runs
from rmft_api.session.budgets import Budgets, left_of
from rmft_api.session.progress import status_of
from rmft_api.session.recorded_config import recorded_config
from rmft_api.session.reporting import QUIET, Reporting
from rmft_api.session.resume_options import UNCHANGED, ResumeOptions
from rmft_api.session.run_directories import FAMILY, is_family, is_run, run_directory
from rmft_api.session.run_identity import described_by, has_begun, refuse_changed_file

SEED = "-seed-"
"""Between a family's name and a seed, in the name of its run."""
MOST_SEEDS = 100
_LOCK = "family.lock"


class FamilyRecord(Record, frozen=True):
    """What a family was started with."""

    name: str
    seeds: tuple[int, ...]
    config_json: str
    """The settings of every seed, less seed and name."""
    folder: str
    """Where its files lie."""
    rules: int
    file: dict[str, str]
    """Its run file and what that said (`run_identity.described_by`); empty: none."""
    budget_usd: float | None
    """The most that all seeds may spend together."""

    def run_of(self, seed: int) -> str:
        """The name of a seed's run."""
        return run_name(self.name, seed)

    def config_of(self, seed: int) -> RunConfig:
        """The settings of a seed's run."""
        raw = {**msgspec.json.decode(self.config_json), "seed": seed, "name": self.run_of(seed)}
        where = f"the record of family {self.name!r}"
        return schema.parse(raw, where, Origin(Path(self.folder), self.rules))


class SeedStatus(Record, frozen=True):
    """How far one seed is. Money is micro-dollars."""

    seed: int
    run: str
    state: str
    """That of its run, or "not started"."""
    stage: str
    spent: int
    reserved: int


def run_name(family: str, seed: int) -> str:
    """The name of a seed's run, cut to what a name may have."""
    end = f"{SEED}{seed}"
    return f"{family[: 64 - len(end)]}{end}"


def seeds_of(config: RunConfig, count: int) -> tuple[int, ...]:
    """So many seeds from the run file's own one on. Raises UsageError."""
    if not 2 <= count <= MOST_SEEDS:
        raise UsageError(f"--seeds {count}: a family has 2 to {MOST_SEEDS} seeds")
    return tuple(range(config.seed, config.seed + count))


def configs_of(config: RunConfig, count: int) -> list[RunConfig]:
    """The settings of every seed's run."""
    return [
        config.model_copy(update={"seed": seed, "name": run_name(config.name, seed)})
        for seed in seeds_of(config, count)
    ]


async def plan_of(
    config: RunConfig,
    count: int,
    folder: Path,
    reply_tokens: int | None = None,
    *,
    measure: bool = False,
) -> GridPlan:
    """What all seeds will do and cost together. Asks nobody; raises as `plans.plan_of` does.

    The budget is compared with their total, not with each seed's part of it.
    """
    planned: list[PlannedGridRun] = []
    for one in configs_of(config.model_copy(update={"budget_usd": None}), count):
        plan = await plans.plan_of(
            one, folder, reply_tokens, measure=measure and one.seed == config.seed
        )
        planned.append(PlannedGridRun("", one.seed, {"seed": one.seed}, plan))
    return plan_grid(planned, config.budget_usd)


def plan_now(
    config: RunConfig,
    count: int,
    folder: Path,
    reply_tokens: int | None = None,
    *,
    measure: bool = False,
) -> GridPlan:
    """As `plan_of`, where no event loop runs."""
    return asyncio.run(plan_of(config, count, folder, reply_tokens, measure=measure))


async def begin(
    config: RunConfig,
    count: int,
    folder: Path,
    source: Path | None,
    reporting: Reporting = QUIET,
    *,
    accept_shutdown: bool = True,
) -> FamilyResults:
    """Begin a family, and take every seed to its end, one after the other.

    Raises UsageError where a run or family of its name exists, SeedFailedError for seeds that
    failed, once all others have ended.
    """
    record = _new(config, count, folder, source)
    directory = folder / record.name
    with _alone(directory):
        _keep(directory, record)
        try:
            return await _walk(
                record, folder, UNCHANGED, reporting, accept_shutdown=accept_shutdown
            )
        except RmftError:
            if not any(has_begun(folder / record.run_of(seed)) for seed in record.seeds):
                (directory / FAMILY).unlink()  # nothing has started: it can be corrected
            raise


async def resume(
    directory: Path, options: ResumeOptions = UNCHANGED, reporting: Reporting = QUIET
) -> FamilyResults:
    """Take every seed that has not finished to its end; finished ones are left as they are.

    `options.caps.run_usd` is a new budget for all seeds together. Raises as `begin` does.
    """
    with _alone(directory):
        record = record_of(directory)
        if not options.as_recorded and record.file:
            refuse_changed_file(record.file, record.name, options.iterations)
        if options.caps.run_usd is not None:
            record = msgspec.structs.replace(record, budget_usd=options.caps.run_usd)
            _keep(directory, record)
        return await _walk(record, directory.parent, options, reporting, accept_shutdown=True)


@contextmanager
def one_seed(directory: Path, options: ResumeOptions) -> Generator[ResumeOptions]:
    """Options to resume one seed's run alone with: within what its family's budget leaves it.

    Unchanged for a run of no family. Raises LockedError while the family is at work.
    """
    family = family_of(directory)
    if family is None:
        yield options
        return
    with _alone(family):
        record = record_of(family)
        with _with_its_budget(record, directory):
            yield _within_budget(record, directory, options)


def family_of(directory: Path) -> Path | None:
    """The folder of the family that a run is a seed of; None where it is of none."""
    for found in directory.parent.glob(f"*/{FAMILY}"):
        record = record_of(found.parent)
        if directory.name in map(record.run_of, record.seeds):
            return found.parent
    return None


def record_of(directory: Path) -> FamilyRecord:
    """The record of a family. Raises StorageError for one that cannot be read."""
    path = directory / FAMILY
    try:
        return serialization.decode(path.read_bytes(), FamilyRecord)
    except (OSError, msgspec.MsgspecError) as error:
        raise StorageError(f"{path} cannot be read ({error}); restore it") from error


def results_of(directory: Path) -> FamilyResults:
    """What the seeds that have finished came to, and how far the others are.

    Raises ConfigError where their settings differ in more than the seed.
    """
    record, states = record_of(directory), {one.seed: one for one in statuses(directory)}
    finished = [seed for seed in record.seeds if states[seed].state == "finished"]
    read = [_read(directory.parent / record.run_of(seed)) for seed in finished]
    others = {seed: one.state for seed, one in states.items() if seed not in finished}
    return family_results(record.name, read, others)


def statuses(directory: Path) -> list[SeedStatus]:
    """How far every seed is."""
    record = record_of(directory)
    return [_status(record, directory.parent, seed) for seed in record.seeds]


def _status(record: FamilyRecord, folder: Path, seed: int) -> SeedStatus:
    name = record.run_of(seed)
    found = status_of(folder / name)
    if found is None:
        state = "interrupted" if has_begun(folder / name) else "not started"
        return SeedStatus(seed, name, state, "", 0, 0)
    return SeedStatus(seed, name, found.state, found.stage, found.spent, found.reserved)


def _read(directory: Path) -> FinishedSeed:
    with open_to_read(directory) as journal:
        return finished_seed(recorded_config(journal), journal)


def _new(config: RunConfig, count: int, folder: Path, source: Path | None) -> FamilyRecord:
    """The record of a new family. Raises UsageError where a name that it needs is taken."""
    seeds = seeds_of(config, count)
    directory = run_directory(folder, config.name)
    if is_run(directory) or is_family(directory):
        kind = "family" if is_family(directory) else "run"
        raise UsageError(
            f"{kind} {config.name!r} exists; `rmft-api resume {config.name}` continues it, "
            "--set name=OTHER begins another"
        )
    for name in (run_name(config.name, seed) for seed in seeds):
        if has_begun(folder / name):
            raise UsageError(f"run {name!r} exists; --set name=OTHER begins another family")
    return FamilyRecord(
        name=config.name,
        seeds=seeds,
        config_json=config.model_copy(update={"budget_usd": None}).model_dump_json(),
        folder=os.path.realpath(config.origin.folder),
        rules=config.origin.rules,
        file={} if source is None else described_by(source),
        budget_usd=config.budget_usd,
    )


async def _walk(
    record: FamilyRecord,
    folder: Path,
    options: ResumeOptions,
    reporting: Reporting,
    *,
    accept_shutdown: bool,
) -> FamilyResults:
    """Take each seed to its end. What stops one seed alone does not stop the others."""
    failed: dict[int, RmftError] = {}
    for place, seed in enumerate(record.seeds, start=1):
        directory = folder / record.run_of(seed)
        if _has_ended(directory, options):
            continue
        reporting.say(f"seed {seed} ({place} of {len(record.seeds)}): run {directory.name}")
        try:
            await _one(record, directory, seed, options, reporting, accept_shutdown=accept_shutdown)
        except (BudgetError, InterruptedRunError, LockedError) as error:
            error.hint = f"`rmft-api resume {record.name}` continues the family"
            raise
        except RmftError as error:
            if not has_begun(directory):
                raise  # refused before anything was sent: so would all others be
            failed[seed] = error
            reporting.say(f"seed {seed} failed: {error}")
    if failed:
        raise _failure(record, failed)
    return results_of(folder / record.name)


async def _one(
    record: FamilyRecord,
    directory: Path,
    seed: int,
    options: ResumeOptions,
    reporting: Reporting,
    *,
    accept_shutdown: bool,
) -> Results:
    """Begin or resume one seed within what the others have left of the budget."""
    mine = _within_budget(record, directory, options)
    if has_begun(directory):
        with _with_its_budget(record, directory):
            return await runs.resume(directory, mine, reporting)
    config = record.config_of(seed)
    changes = {"budget_usd": mine.caps.run_usd}
    if options.iterations is not None:
        changes["iterations"] = options.iterations
    source = Path(record.file["source"]) if record.file else None
    with _with_its_budget(record, directory):
        return await runs.begin(
            config.model_copy(update=changes),
            directory.parent,
            source if source is not None and source.exists() else None,
            reporting=reporting,
            accept_shutdown=accept_shutdown,
        )


@contextmanager
def _with_its_budget(record: FamilyRecord, directory: Path) -> Generator[None]:
    """Where one seed meets the budget, it is the family's: the advice names that."""
    try:
        yield
    except BudgetError as error:
        if record.budget_usd is None:
            raise
        raise BudgetError(
            f"{error} (that is what the ${record.budget_usd:.2f} of family {record.name!r} leave "
            f"{directory.name}; `rmft-api resume {record.name} --budget USD` raises them)"
        ) from error


def _within_budget(record: FamilyRecord, directory: Path, options: ResumeOptions) -> ResumeOptions:
    """The options with the cap that the other seeds leave. Raises BudgetError where that is 0."""
    if record.budget_usd is None:
        return options
    each = (directory.parent / record.run_of(seed) for seed in record.seeds)
    left = left_of(record.budget_usd, (one for one in each if one != directory))
    if left <= 0.0:
        raise BudgetError(
            f"the other seeds of family {record.name!r} have taken ${record.budget_usd - left:.2f} "
            f"of its ${record.budget_usd:.2f}; "
            f"`rmft-api resume {record.name} --budget USD` raises it"
        )
    asked = options.caps.run_usd
    cap = left if asked is None else min(asked, left)
    return replace(options, caps=Budgets(cap, options.caps.iteration_usd))


def _has_ended(directory: Path, options: ResumeOptions) -> bool:
    if not has_begun(directory):
        return False
    with closing(Journal.read(directory)) as journal:
        ended = bool(journal.all(RESULTS, object))
        asked = options.iterations
        return ended and (asked is None or recorded_config(journal).iterations == asked)


def _failure(record: FamilyRecord, failed: dict[int, RmftError]) -> SeedFailedError:
    each = "; ".join(f"seed {seed} ({record.run_of(seed)}): {one}" for seed, one in failed.items())
    kept = len(record.seeds) - len(failed)
    return SeedFailedError(
        f"{len(failed)} of {len(record.seeds)} seeds failed: {each}. The other {kept} are kept; "
        f"once that is fixed, `rmft-api resume {record.name}` continues what failed alone"
    )


def _keep(directory: Path, record: FamilyRecord) -> None:
    make_directory(directory)
    replace_file(directory / FAMILY, serialization.encode(record))


@contextmanager
def _alone(directory: Path) -> Generator[None]:
    """Hold the family's lock: two processes at once could pass its budget."""
    make_directory(directory)
    with (directory / _LOCK).open("ab") as file:
        try:
            locks.exclusive(file.fileno(), directory)
        except BlockingIOError:
            raise LockedError(
                f"family {directory.name!r} is at work in another process; wait for it"
            ) from None
        yield
