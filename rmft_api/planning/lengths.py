"""Whether an example can be short enough for its provider, looked at before anything is played."""

from collections.abc import Iterator

import numpy as np

from rmft_api import seating, tokens
from rmft_api.config import RunConfig
from rmft_api.planning.bounds import LONG_WORD
from rmft_api.planning.player import answer_of
from rmft_api.prices import most_tokens
from rmft_api.prompts import PromptSet
from rmft_api.providers.profiles import Profile
from rmft_api.records import Message
from rmft_api.rollouts import Seat

_ANSWER = 8
"""Tokens that are left for the answer after the reasoning."""


def limit_of(config: RunConfig, training: Profile) -> int | None:
    """The most tokens that an example may have; None: not known."""
    traits = training.training
    return config.dataset.tokens_per_example or (traits.tokens_per_example if traits else None)


def too_long(config: RunConfig, prompts: PromptSet, training: Profile) -> str | None:
    """Why a dataset of this run would be refused; None where it can be short enough.

    A scenario of each kind is played to its last round by whoever takes one action again and again
    and thinks for half of `sampling.max_tokens`. Other play is told in about as many words.
    """
    limit = limit_of(config, training)
    if limit is None:
        return None
    for seat in _kinds(config, prompts):
        if all(most_tokens(chat) > limit for chat in _examples(config, seat)):
            # Only now, for no token is shorter than a byte and vocabularies take time to load.
            counter = tokens.counter_for(config.model.base)
            shortest = min(map(counter.chat, _examples(config, seat)))
            if shortest > limit:
                return _told(config, seat, shortest, limit)
    return None


def _kinds(config: RunConfig, prompts: PromptSet) -> Iterator[Seat]:
    """A seat of each problem and story, of the first scenarios to be played."""
    problems = seating.problems_of(config, "train")
    known: set[tuple[int, str]] = set()
    for seat in seating.seats(config, prompts, "train", 1):
        story = seating.wording_of(config, prompts, problems, "train", 1, seat.index)
        if (kind := (seat.index % len(problems), story)) not in known:
            known.add(kind)
            yield seat


def _examples(config: RunConfig, seat: Seat) -> Iterator[tuple[Message, ...]]:
    """The last round's example, for each action that may be taken throughout."""
    even = np.full(seat.scenario.K, 1 / seat.scenario.K)
    for action in range(seat.scenario.K):
        answer = answer_of(seat.names, action, config.prompts.output)
        reply = _reply(config, answer)
        telling = seat.telling()
        for t in range(seat.scenario.T - 1):
            telling.heard(reply, action, tuple(seat.scenario.face(t, even).tolist()))
        words = config.dataset.content == "full" and config.prompts.reasons == "own"
        yield (*telling.chat(), Message("assistant", reply if words else answer))


def _reply(config: RunConfig, answer: str) -> str:
    if config.prompts.reasoning == "none":
        return answer
    room = config.sampling.max_tokens // 2 - _ANSWER
    return f"{LONG_WORD * room}\n{answer}" if room > 0 else answer


def _told(config: RunConfig, seat: Seat, shortest: int, limit: int) -> str:
    thought = "" if config.prompts.reasoning == "none" else ", replies half as long as they may be"
    return (
        f"an example of T={seat.scenario.T}, K={seat.scenario.K} has about {shortest} tokens"
        f"{thought}, and {limit} are allowed; lower T or sampling.max_tokens, use prompts.history "
        "= 'summary' or single_turn chats, or raise dataset.tokens_per_example"
    )
