"""Why there is no model: what a refused file or a failed job says to its reader."""

import re

from rmft_api.core.errors import DataError, FaultKind, ProviderFault
from rmft_api.core.records import Job, UploadedFile
from rmft_api.finetuning.job_spec import JobSpec
from rmft_api.finetuning.polling import stage_of
from rmft_api.finetuning.results import JOB_DATA, JOB_MONEY, JobFailure
from rmft_api.providers.error_rules import is_money

_PROVIDERS_FAULT = (
    "server_error",
    "internal",
    "error while running moderation",
    "rate_limit",
    "rate limit",
    "resource_exhausted",
    "overloaded",
    "unavailable",
    "capacity",
)
_UNSAFE = ("moderation", "safety")
_DATA_CODES = ("invalid_training_file", "invalid_file_format", "invalid_file")
"""Whatever such an error says more, it is about the file: its words may quote an example."""
_LINE = re.compile(r"\b(?:line|example|row)s? #?([0-9]{1,9})", re.IGNORECASE)


def rejected(fault: ProviderFault, wanted: JobSpec) -> Exception:
    """A refused file is the data's fault: say which trajectory stands in the line it names."""
    if fault.kind is not FaultKind.REJECTED:
        return fault
    return DataError(f"{wanted.filename}: {fault}{_source(str(fault), wanted)}")


def unprocessed(file: UploadedFile, wanted: JobSpec) -> DataError:
    """A file that was taken and then found to be of no use."""
    why = f": {file.detail}{_source(file.detail, wanted)}" if file.detail else ""
    return DataError(f"{file.filename}: the provider cannot process it as {file.id}{why}")


def failure(job: Job, wanted: JobSpec) -> JobFailure:
    """Of a job that failed or was cancelled."""
    reason = job.error or "no reason given"
    anew = f"`rmft-api resume {wanted.run} --again` orders it again"
    if stage_of(job) == "cancelled":
        said = f"job {job.id} was cancelled ({reason}); find out who did it, then {anew}"
        return JobFailure(said, "job_cancelled")
    said = reason.lower()
    of_the_data = said.startswith(_DATA_CODES) or _LINE.search(reason)
    if not of_the_data and is_money(reason):
        return JobFailure(
            f"job {job.id} failed for money: {reason}; add credit or raise the spend "
            f"limit, then {anew}",
            JOB_MONEY,
        )
    if not of_the_data and any(word in said for word in _PROVIDERS_FAULT):
        return JobFailure(f"job {job.id} failed at the provider: {reason}; {anew}", "job_failed")
    if any(word in said for word in _UNSAFE):
        said = f"job {job.id}: the provider's safety checks block its model: {reason}; the job's"
        return JobFailure(f"{said} events name the categories; {anew}", "job_blocked")
    return JobFailure(f"job {job.id} failed: {reason}{_source(reason, wanted)}; {anew}", JOB_DATA)


def _source(text: str, wanted: JobSpec) -> str:
    found = _LINE.search(text)
    return f"; that is {wanted.data.source_of_line(int(found[1]))}" if found else ""
