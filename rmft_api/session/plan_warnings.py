"""What a plan warns of: printed before a run spends anything, and each thing once."""

import asyncio
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from rmft_api.core.errors import ConfigError
from rmft_api.journal import Journal
from rmft_api.planning import RunPlan, spending
from rmft_api.planning.plan_vs_actual import PLAN
from rmft_api.report.text.columns import paragraph
from rmft_api.session.prepare import PreparedRun, drawn_up

Say = Callable[[str], None]
_KIND = "warned"
_MOVING = re.compile(r", (?:in|since) \d+ days?\b|(?<= on )[0-9]{4}-[0-9]{2}-[0-9]{2}(?=, but )")
"""What moves in a warning from day to day, though it says the same."""


async def plan_and_warn(
    prepared: PreparedRun, say: Say, *, accept_shutdown: bool
) -> RunPlan | None:
    """Print the plan of a run in short, with its warnings.

    None for runs of the built-in models: their plan is worth no second of waiting. Raises
    ConfigError where the run would end after its model, unless that is accepted.
    """
    paid = prepared.chats.paid or prepared.trains.paid
    if not paid and prepared.config.model.checkpoint is None:
        return None
    from rmft_api.report.text.plan import in_short

    plan = await asyncio.to_thread(drawn_up, prepared)
    if plan.refusal and not accept_shutdown:
        raise ConfigError(plan.refusal)
    for line in (*([in_short(plan)] if paid else ()), *map(_warning, plan.against_it())):
        say(paragraph(line))
    return plan


async def keep_plan(journal: Journal, plan: RunPlan) -> None:
    """Keep a plan that was printed, to compare the run's costs with it."""
    await journal.put(PLAN, "", plan)
    await journal.put(_KIND, "", [_gist(one) for one in plan.against_it()])


async def keep_and_warn(journal: Journal, plan: RunPlan, say: Say) -> None:
    """Keep a plan that was made beside the run, and print its warnings."""
    await journal.put(PLAN, "", plan)
    await _say_new(journal, plan.against_it(), say)


async def warn_of_news(journal: Journal, prepared: PreparedRun, plan: RunPlan, say: Say) -> None:
    """Print what speaks against the rest of a run and was not printed before."""
    from rmft_api.planning import of_the_rest

    if journal.get(_KIND, "", list[str]) is None:
        await keep_plan(journal, plan)
    profiles = prepared.chats, prepared.trains
    now = datetime.now(UTC)
    rest = of_the_rest(prepared.config, *profiles, plan, spending(journal), now)
    await _say_new(journal, rest, say)


async def _say_new(journal: Journal, found: Iterable[str], say: Say) -> None:
    lines = journal.get(_KIND, "", list[str]) or []
    news = {_gist(one): one for one in found if _gist(one) not in lines}
    for one in news.values():
        say(_warning(one))
    await journal.put(_KIND, "", [*lines, *news])


def _gist(warning: str) -> str:
    return _MOVING.sub("", warning)


def _warning(text: str) -> str:
    return f"warning: {text}"
