"""What surrounds runs, from Python; what `rmft-api doctor, cleanup, profiles, init` do."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from rmft_api.api import arguments
from rmft_api.api.arguments import RunFile
from rmft_api.api.event_loop import run_now
from rmft_api.config import starter
from rmft_api.providers import profiles
from rmft_api.providers.profile_choices import ProfileChoice, choices
from rmft_api.providers.profiles import Profile
from rmft_api.session import doctor_checks
from rmft_api.session.environment_checks import Finding
from rmft_api.session.leftovers import Leftover, leftovers


async def adoctor(
    file: RunFile | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    profile: str | None = None,
    online: bool = False,
    runs: str | Path = "runs",
) -> list[Finding]:
    """Check whether a run could begin here, spending nothing; `.verdict` "fail" speaks against it.

    Args:
        file: A run file; see `RunFile`. None: the quick start, or `profile` alone.
        overrides: Dotted keys to change, with their values.
        profile: An endpoint to check in place of a run file.
        online: Try each way of a run's requests too; costs nothing. Else nothing is sent.
        runs: The folder of runs.

    Raises:
        UsageError: For both a file and a profile.
        ConfigError: For what cannot be followed.

    """
    folder, name = arguments.folder(runs), arguments.text_or_none(profile, "profile")
    config = None
    if file is not None or name is None:
        config, _ = arguments.settings("quickstart" if file is None else file, overrides)
    subject = doctor_checks.subject_of(config, name, folder)
    found = list(doctor_checks.findings(subject))
    return found + (await doctor_checks.online(subject) if online else [])


def doctor(
    file: RunFile | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    profile: str | None = None,
    online: bool = False,
    runs: str | Path = "runs",
) -> list[Finding]:
    """As `adoctor`, where no event loop runs."""
    work = partial(adoctor, file, overrides, profile=profile, online=online, runs=runs)
    return run_now(work, "adoctor")


async def acleanup(
    profile: str = "azure", *, remove: bool = False, runs: str | Path = "runs"
) -> list[Leftover]:
    """List deployments that runs have left at an endpoint, with what each costs an hour.

    With `remove`, take them away, except those of runs at work in the folder `runs`.

    Raises UsageError where nothing is ever deployed, RmftError where the provider does not answer.
    """
    known = profiles.load(arguments.text(profile, "profile"))
    return await leftovers(known, arguments.folder(runs), remove=remove)


def cleanup(
    profile: str = "azure", *, remove: bool = False, runs: str | Path = "runs"
) -> list[Leftover]:
    """As `acleanup`, where no event loop runs."""
    return run_now(partial(acleanup, profile, remove=remove, runs=runs), "acleanup")


def list_profiles() -> list[Profile]:
    """The endpoints that a run file may name, and what they need."""
    return list(profiles.load_all().values())


def compare_profiles() -> list[ProfileChoice]:
    """The endpoints side by side: what they train, need and cost, and when they end."""
    return list(choices())


def init(name: str | Path, like: str = "quickstart") -> Path:
    """Write a commented run file to start from; its path. A file that exists is not overwritten.

    `like` is the shipped run file to start from. Raises UsageError, ConfigError.
    """
    return starter.write(arguments.text(name, "name"), arguments.text(like, "like"))
