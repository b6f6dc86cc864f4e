"""The longest chats that a scenario can lead to, whatever is replied.

Every outcome of a round (each action, unreadable words, silence, a reply that is as long as may be)
is played all through. What a round can add to a chat is at most what it adds in one of these plays,
and every outcome can be new once; so the sums of the largest additions bound every mixture.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rmft_api.config.schema import RunConfig
from rmft_api.datasets.tokens import TokenCounter
from rmft_api.environments.scenario import Scenario
from rmft_api.planning.simulated_model import answer_of
from rmft_api.planning.token_counts import LongestPlay
from rmft_api.providers.capabilities import ChatCapabilities
from rmft_api.providers.prices import most_of_form, most_tokens
from rmft_api.rollouts.engine import PreparedScenario, answer_format

LONGEST_WORD = " because"
"""One token of eight bytes: the longest replies are made of it. Prose has four or five bytes."""
_ANY_WORD = " 10"
"""One token where the other is spelled in several."""
SPARE = 1.05
"""For digits that scenarios of the same kind have more than the one that was looked at."""
_LABEL_FRAME = 8
"""Tokens around a label, at most."""
Ints = NDArray[np.int64]


class _Outcome(NamedTuple):
    """One way that every round of a play may end."""

    reply: str
    action: int | None


def long_word(counter: TokenCounter) -> str:
    """What the longest replies are made of: so many of it are so many tokens."""
    return LONGEST_WORD if counter.text(LONGEST_WORD * 100) < 200 else _ANY_WORD


def longest(
    config: RunConfig, prepared: PreparedScenario, counter: TokenCounter, chat: ChatCapabilities
) -> LongestPlay:
    """The most that one trajectory takes."""
    bound_T, tokens_T = _bounds_2T(config, prepared, counter)
    bound_more, tokens_more = _of_form(config, prepared, counter, chat)
    bound_T, tokens_T = bound_T + bound_more, tokens_T + tokens_more
    examples_T = tokens_T + config.sampling.max_tokens + _LABEL_FRAME
    if config.dataset.example == "trajectory":
        examples_T = examples_T[-1:]
    return LongestPlay(
        prompt_bound=int(bound_T.sum()),
        last_prompt_bound=int(bound_T.max()),
        example_tokens=int(examples_T.sum()),
        longest_example=int(examples_T.max()),
        round_tokens=int((tokens_T + config.sampling.max_tokens + _LABEL_FRAME).sum()),
    )


def _of_form(
    config: RunConfig, prepared: PreparedScenario, counter: TokenCounter, chat: ChatCapabilities
) -> tuple[int, int]:
    """What the form of an answer adds to a chat at most: as it is reserved for, and in tokens."""
    reasoned = config.prompts.reasoning != "none"
    form = answer_format(config.prompts.answer_form, prepared.names, reasoned=reasoned)
    if form is None:
        return 0, 0
    return most_of_form(form, 2 * prepared.scenario.T + 2), counter.form(chat.charges(form))


def _bounds_2T(config: RunConfig, prepared: PreparedScenario, counter: TokenCounter) -> Ints:
    """What the chat of each round weighs at most: as it is reserved for, and in tokens."""
    plays = [
        list(_play(prepared, outcome, counter)) for outcome in _outcomes(config, prepared, counter)
    ]
    weights_2OT = np.moveaxis(np.array(plays, dtype=np.int64), -1, 0)
    added_2OT = np.maximum(np.diff(weights_2OT, axis=-1, prepend=weights_2OT[..., :1]), 0)
    bound_2T = weights_2OT[:, 0, :1] + np.cumsum(added_2OT.max(axis=1), axis=-1)
    bound_2T[:, 1:] += _news(prepared.scenario, added_2OT)[:, None]
    return np.ceil(bound_2T * SPARE).astype(np.int64)


def _news(scenario: Scenario, added_2OT: Ints) -> Ints:
    """What outcomes can add by being new, whenever that is."""
    first_2O = added_2OT[..., 1:2].sum(axis=-1)
    return first_2O.max(axis=-1) if scenario.feedback == "full" else first_2O.sum(axis=-1)


def _outcomes(
    config: RunConfig, prepared: PreparedScenario, counter: TokenCounter
) -> Iterator[_Outcome]:
    words = long_word(counter) * config.sampling.max_tokens
    dearest = max(range(len(prepared.names)), key=lambda a: len(prepared.names[a].encode()))
    for action in range(len(prepared.names)):
        yield _Outcome(answer_of(prepared.names, action, config.prompts.answer_form), action)
    talk = f"{words}\n{answer_of(prepared.names, dearest, config.prompts.answer_form)}"
    yield _Outcome(talk, dearest)
    yield _Outcome(words, None)
    yield _Outcome("", None)


def _play(
    prepared: PreparedScenario, outcome: _Outcome, counter: TokenCounter
) -> Iterator[tuple[int, int]]:
    trial = prepared.begin()
    for t in range(prepared.scenario.T):
        chat = trial.prompt.messages()
        yield most_tokens(chat), counter.chat(chat)
        trial.observe(prepared.scenario, t, outcome.reply, outcome.action)
