"""Chats of numbers: rewards in a user message, a policy in an assistant message.

A token is a number: a question has one for K and one for each reward, an answer has K.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from rmft_api.local_server.engine import ChatMessage, ExampleError

Floats = NDArray[np.float64]

MOST_ACTIONS = 1024
LARGEST_REWARD = 1e6
UNITS = 10_000
"""A probability is written in this many parts of 1, and K of them sum to 1 exactly."""
_SUM_TOLERANCE = 1e-3
"""How far the probabilities of a policy may be from 1 in sum, for their rounding."""


class NumericExample(NamedTuple):
    """A question and the policy to learn as its answer."""

    rewards_tK: Floats
    policy_K: Floats


class _Question(msgspec.Struct, forbid_unknown_fields=True):
    K: Annotated[int, msgspec.Meta(ge=2, le=MOST_ACTIONS)]
    rewards: list[list[float]]


class _Answer(msgspec.Struct, forbid_unknown_fields=True):
    policy: list[float]


_QUESTION = msgspec.json.Decoder(_Question)
_ANSWER = msgspec.json.Decoder(_Answer)


def asked(messages: Sequence[ChatMessage]) -> str:
    """The text of the question that a chat ends with. Raises ExampleError."""
    if not messages or messages[-1].role != "user":
        raise ExampleError("the chat must end with a user message of reward rows")
    return messages[-1].content


def read_question(text: str) -> Floats:
    """The rewards so far, rounds x K (no rows in the first round). Raises ExampleError."""
    question = _decoded(_QUESTION, text, '{"K":3,"rewards":[[0.1,0.2,0.3]]}')
    K, rows = question.K, question.rewards
    for number, row in enumerate(rows, 1):
        if len(row) != K:
            raise ExampleError(f"rewards row {number} has {len(row)} numbers, K is {K}")
    rewards_tK = np.array(rows, dtype=np.float64).reshape(len(rows), K)
    if not (np.abs(rewards_tK) <= LARGEST_REWARD).all():
        raise ExampleError(f"a reward is beyond {LARGEST_REWARD:g}; scale rewards to [0, 1]")
    return rewards_tK


def read_policy(text: str, K: int) -> Floats:
    """K probabilities, made to sum to 1 exactly. Raises ExampleError."""
    policy = _decoded(_ANSWER, text, '{"policy":[0.5,0.3,0.2]}').policy
    if len(policy) != K:
        raise ExampleError(f"the policy has {len(policy)} numbers, K is {K}")
    if min(policy) < 0:
        raise ExampleError(f"the policy {text:.80} has a negative probability")
    total = sum(policy)
    if not abs(total - 1) <= _SUM_TOLERANCE:
        raise ExampleError(f"the policy {text:.80} is not a distribution: it sums to {total:g}")
    return np.array(policy) / total


def examples(messages: Sequence[ChatMessage]) -> Iterator[NumericExample]:
    """Every answer of weight 1 with the question before it. Raises ExampleError."""
    for before, message in zip((None, *messages), messages, strict=False):
        if message.role != "assistant":
            continue
        if before is None or before.role != "user":
            raise ExampleError("an assistant message must answer a user message")
        rewards_tK = read_question(before.content)
        policy_K = read_policy(message.content, rewards_tK.shape[1])
        if message.weight:
            yield NumericExample(rewards_tK, policy_K)


def question_tokens(rewards_tK: Floats) -> int:
    """Tokens of a question."""
    return 1 + rewards_tK.size


def example_tokens(example: NumericExample) -> int:
    """Tokens of a question and its answer."""
    return question_tokens(example.rewards_tK) + example.policy_K.size


def pieces(units: Sequence[int]) -> tuple[str, ...]:
    """An answer's tokens, from probabilities in parts of `UNITS`."""
    numbers = [f"{unit / UNITS:g}" for unit in units]
    first, *rest = numbers
    return (f'{{"policy":[{first}', *(f",{number}" for number in rest[:-1]), f",{rest[-1]}]}}")


def _decoded(decoder: msgspec.json.Decoder[Any], text: str, form: str) -> Any:
    try:
        return decoder.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ExampleError(f"{text:.80} is not of the form {form}: {error}") from None
