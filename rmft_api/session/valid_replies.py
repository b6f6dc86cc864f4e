"""What `resume` may say about a split that was stopped because its replies could not be read."""

from typing import cast

from rmft_api.config.schema import RunConfig
from rmft_api.core.errors import UsageError
from rmft_api.core.records import Record, Split
from rmft_api.journal import Journal
from rmft_api.rollouts.splits import key_of
from rmft_api.rollouts.validity import STOPPED, Stopped
from rmft_api.rollouts.warm_up import BEFORE

_KIND = "min_valid"


class OnStopped(Record, frozen=True):
    """How to continue a stopped split."""

    min_valid: float | None = None
    """The least share of valid replies of every split from now on; None: as said before."""
    ask_again: bool = False
    """Ask for all replies of the stopped split again."""


AS_BEFORE = OnStopped()


def eased(journal: Journal, config: RunConfig, wanted: OnStopped) -> RunConfig:
    """The settings with the floor of valid replies asked for now, or else last."""
    kept = journal.get(_KIND, "", float)
    least = kept if wanted.min_valid is None else wanted.min_valid
    if least is None:
        return config
    splits = ("rollouts", "validation", "test")
    changed = {one: getattr(config, one).model_copy(update={"min_valid": least}) for one in splits}
    return config.model_copy(update=changed)


async def keep(journal: Journal, config: RunConfig, wanted: OnStopped) -> None:
    """Keep what was asked for. Raises UsageError where nothing can be asked again."""
    if wanted.ask_again:
        await _set_aside(journal, config)
    if wanted.min_valid is not None:
        await journal.put(_KIND, "", wanted.min_valid)


async def _set_aside(journal: Journal, config: RunConfig) -> None:
    before = key_of("validation", BEFORE)  # its base stops no run, so it is not asked again
    stopped = [one for one in journal.all(STOPPED, Stopped) if one[0] != before]
    if not stopped:
        raise UsageError(
            f"nothing to ask again: {config.name!r} was not stopped by replies that cannot be "
            f"read; `rmft-api resume {config.name}` continues"
        )
    if config.requests.transport == "batch":
        raise UsageError(
            "a batch cannot be asked again; --min-valid 0 continues and scores replies that cannot "
            "be read as the worst action, and --set name=OTHER begins another run"
        )
    for key, _ in stopped:
        split, _, iteration = key.partition("/")
        await journal.set_aside(cast(Split, split), int(iteration))
        await journal.forget(STOPPED, key)
