"""Resumes what stands in a folder: a run, an evaluation, or a family of seeds."""

from contextlib import closing
from pathlib import Path

from rmft_api.evaluation.comparison import ComparisonResults
from rmft_api.evaluation.family import FamilyResults
from rmft_api.evaluation.scoring import Results
from rmft_api.journal import Journal
from rmft_api.session import comparisons, families, runs
from rmft_api.session.reporting import QUIET, Reporting
from rmft_api.session.resume_options import UNCHANGED, ResumeOptions
from rmft_api.session.run_directories import is_family


async def resume(
    directory: Path, options: ResumeOptions = UNCHANGED, reporting: Reporting = QUIET
) -> Results | ComparisonResults | FamilyResults:
    """Continue to the end. Raises as `runs`, `comparisons` and `families` do.

    One seed of a family continues within what the family's budget leaves it.
    """
    if is_family(directory):
        return await families.resume(directory, options, reporting)
    with closing(Journal.read(directory)) as journal:
        is_comparison = comparisons.is_comparison(journal)
    if is_comparison:
        return await comparisons.resume(directory, options, reporting)
    with families.one_seed(directory, options) as mine:
        return await runs.resume(directory, mine, reporting)
