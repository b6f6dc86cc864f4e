"""What asking a model about held-out rows of a log takes: the prompts are known to the token."""

from typing import NamedTuple

from rmft_api.config.schema import RunConfig
from rmft_api.datasets.tokens import TokenCounter
from rmft_api.planning.cost import WorstCase
from rmft_api.planning.simulated_model import answer_of
from rmft_api.planning.token_counts import TokenCounts
from rmft_api.prompts import PromptSet
from rmft_api.providers.capabilities import ChatCapabilities
from rmft_api.providers.prices import most_of_form, most_tokens
from rmft_api.rollouts import log_policy
from rmft_api.rollouts.log_policy import LogQuestions


class AskedOnLog(NamedTuple):
    """Of one model."""

    tally: TokenCounts
    most: WorstCase


def asked_on_log(
    config: RunConfig,
    prompts: PromptSet,
    counter: TokenCounter,
    reply_tokens: int,
    chat: ChatCapabilities,
) -> AskedOnLog | None:
    """None where no log is evaluated on."""
    every = log_policy.questions(config)
    if not every:
        return None
    counts, bounds = TokenCounts(), 0
    for asked in every:
        found, bound = _of_log(config, prompts, counter, reply_tokens, asked, chat)
        counts, bounds = counts + found, bounds + bound
    replies = round(counts.replies) * config.sampling.max_tokens
    return AskedOnLog(counts, WorstCase(round(counts.calls), bounds, replies))


def _of_log(
    config: RunConfig,
    prompts: PromptSet,
    counter: TokenCounter,
    reply_tokens: int,
    asked: LogQuestions,
    chat: ChatCapabilities,
) -> tuple[TokenCounts, int]:
    """What one log's chats take, and the most tokens that their prompts can have."""
    names = log_policy.wordings(config, prompts, asked)[0].names
    least = counter.text(answer_of(names, 0, config.prompts.answer_form))
    length = min(max(reply_tokens, least), config.sampling.max_tokens)
    counts, bounds = TokenCounts(), 0
    for _, request in log_policy.requests(config, prompts, asked, 0, config.model.base, chat.n):
        prompt = counter.chat(request.messages) + counter.form(chat.charges(request.answer))
        bounds += most_tokens(request.messages)
        if request.answer is not None:
            bounds += most_of_form(request.answer, len(request.messages))
        counts += TokenCounts(
            calls=1,
            prompt=prompt,
            shared=prompt * (request.n - 1),
            output=length * request.n,
            least_output=least * request.n,
            replies=request.n,
        )
    return counts, bounds
