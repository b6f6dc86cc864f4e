"""Resumes what stands in a folder: a run, or an evaluation."""

from contextlib import closing
from pathlib import Path

from rmft_api.evaluation.comparison import ComparisonResults
from rmft_api.evaluation.scoring import Results
from rmft_api.journal import Journal
from rmft_api.session import comparisons, runs
from rmft_api.session.reporting import QUIET, Reporting
from rmft_api.session.resume_options import UNCHANGED, ResumeOptions


async def resume(
    directory: Path, options: ResumeOptions = UNCHANGED, reporting: Reporting = QUIET
) -> Results | ComparisonResults:
    """Continue to the end. Raises as `runs.resume` and `comparisons.resume` do."""
    with closing(Journal.read(directory)) as journal:
        is_comparison = comparisons.is_comparison(journal)
    if is_comparison:
        return await comparisons.resume(directory, options, reporting)
    return await runs.resume(directory, options, reporting)
