"""The players of a comparison play its suite, one after another, on the same scenarios."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from rmft_api.config.schema import RunConfig
from rmft_api.core.paths import NAMED
from rmft_api.core.ports import ChatModel, Console
from rmft_api.evaluation.comparison.results import ComparisonResults, comparison_results
from rmft_api.evaluation.comparison.settings import ComparisonConfig, ComparisonPlayer
from rmft_api.journal import Journal
from rmft_api.prompts import PromptSet
from rmft_api.rollouts import log_policy, splits


@dataclass(frozen=True)
class ComparisonContext:
    """What one player plays with; implements `splits.PlayContext`."""

    config: RunConfig
    journal: Journal
    prompts: PromptSet
    chat: ChatModel
    largest_n: int
    console: Console


ContextOf = Callable[[ComparisonPlayer], Awaitable[ComparisonContext]]
"""Connects a player's endpoint when its turn comes."""


async def play_all(
    config: ComparisonConfig, journal: Journal, prompts: PromptSet, context_of: ContextOf
) -> ComparisonResults:
    """Every player plays what it still owes; a finished comparison sends nothing."""
    whole = config.run.test.scenarios * config.run.test.trajectories
    for index, player in enumerate(config.players):
        played = sum(1 for _ in journal.plays("test", index)) == whole
        asks = config.run.origin.rules >= NAMED  # earlier versions asked about no log's rows
        if played and (not asks or log_policy.is_asked(config.run, journal, index)):
            continue
        await journal.ledger.enter_iteration(index)
        context = await context_of(player)
        await splits.play(context, "test", index, player.model, f"{player.label}: playing")
        if asks:
            await log_policy.ask(context, index, player.model)
    found = comparison_results(config, journal, prompts)
    await journal.put("standings", "", found)
    return found
