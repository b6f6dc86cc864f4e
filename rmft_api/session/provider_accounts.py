"""The account that a run continues with: another one sees other jobs, and would pay again."""

from rmft_api.core.errors import ConfigError
from rmft_api.journal import Journal
from rmft_api.session.prepare import PreparedRun

_KIND = "accounts"
Accounts = dict[str, str]
"""Profile -> what distinguishes its key and project from others, as a salted hash."""


def check_accounts(journal: Journal, prepared: PreparedRun) -> None:
    """Raise ConfigError where a profile's key or project is another than the run knows."""
    known = journal.get(_KIND, "", Accounts) or {}
    name = prepared.config.name
    for profile, account in _accounts(journal, prepared).items():
        if known.get(profile, account) != account:
            raise ConfigError(
                f"profile {profile!r} has another key or project than run {name!r} knows, and may "
                f"not see its jobs; restore it, or, if both belong to one project, "
                f"`rmft-api resume {name} --new-key`"
            )


async def keep_accounts(journal: Journal, prepared: PreparedRun) -> None:
    """Remember whose keys the run continues with."""
    accounts = _accounts(journal, prepared)
    if accounts != journal.get(_KIND, "", Accounts):
        await journal.put(_KIND, "", accounts)


def _accounts(journal: Journal, prepared: PreparedRun) -> Accounts:
    salt = f"{journal.run_dir.name} {journal.run.created}"
    return {one.name: one.account(salt) for one in (prepared.chats, prepared.trains)}
