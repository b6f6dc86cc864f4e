"""Answers to many prompts at once, each a function of its own prompt alone."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rmft_api.local_server.engine import ExampleError, Prompt, SampledText
from rmft_api.local_server.tiny import (
    inference,
    random_numbers,
    reading,
    token_sampling,
    tokenizer,
)
from rmft_api.local_server.tiny.answer import TinyAnswer
from rmft_api.local_server.tiny.inference import FEWEST
from rmft_api.local_server.tiny.network import HEADS, TinyNetwork
from rmft_api.local_server.tiny.reading import Span

ROWS = 64
"""Rows that are sampled together."""
BLOCK = 48
"""A prompt takes a multiple of this many cache slots; summaries of 6 actions take one."""
GROWTH = 16
"""Slots that are added for the answer at a time."""
PREFIXES = 256
"""System messages whose keys and values are kept."""


class PromptTokens(NamedTuple):
    """A prompt in tokens."""

    tokens: tuple[int, ...]
    prefix: int
    """Tokens of the system message, which many prompts share."""

    @property
    def order(self) -> tuple[int, int]:
        """Prompts that are read together best stand together: like blocks, then like lengths."""
        return self.block, len(self.tokens) - self.prefix

    @property
    def block(self) -> int:
        """Slots that the prompt takes."""
        return -(-len(self.tokens) // BLOCK) * BLOCK


def as_asked(prompt: Prompt) -> PromptTokens:
    """Tokenise a prompt. Raises ExampleError when it is empty or too long."""
    if not prompt.messages:
        raise ExampleError("the chat has no messages")
    turns = [tokenizer.encode_turn(message) for message in prompt.messages]
    tokens = [token for turn in turns for token in turn]
    tokenizer.require_room(len(tokens) + 2)
    shared = len(turns[0]) if turns[0][0] == tokenizer.SYSTEM and len(turns) > 1 else 0
    prefix = shared if shared >= FEWEST else 0
    return PromptTokens((*tokens, tokenizer.ASSISTANT), prefix)


class AnswerRows:
    """Answers in the making; all have the same block."""

    def __init__(
        self, cache: Tensor, logits: Tensor, asked: Sequence[PromptTokens], block: int
    ) -> None:
        self.cache = cache
        self.logits = logits
        self.block = block
        self.lengths = torch.tensor([len(one.tokens) for one in asked])
        self.slots = cache.shape[4]
        self.mask = self._mask()

    def _mask(self) -> Tensor:
        """[R * HEADS, 1, E]: the prompt may be looked at, and of the answer nothing yet."""
        slot = torch.arange(self.slots)
        hidden = (slot >= self.lengths[:, None]) & (slot < self.block)
        hidden |= slot >= self.slots - GROWTH
        mask = torch.zeros(hidden.shape).masked_fill_(hidden, -torch.inf)
        return mask.repeat_interleave(HEADS, 0)[:, None]

    def grow(self) -> None:
        """Make room for more tokens of the answers."""
        wider = inference.new_cache(self.cache.shape[2], self.slots + GROWTH)
        wider[..., : self.slots, :] = self.cache
        self.cache = wider
        self.slots += GROWTH
        self.mask = self._mask()

    def keep(self, rows: Tensor) -> None:
        """Continue with some rows only."""
        self.cache = self.cache.index_select(2, rows)
        self.lengths = self.lengths[rows]
        self.mask = self.mask.view(-1, HEADS, 1, self.slots)[rows].flatten(0, 1)

    def step(self, weights: inference.Weights, tokens: Tensor, index: int) -> None:
        """Feed token `index` of every answer."""
        slot = self.block + index
        if slot == self.slots:
            self.grow()
        self.mask[:, :, slot] = 0
        positions = self.lengths + index
        self.logits = inference.step(weights, self.cache, self.mask, tokens, positions, slot)


class TinySampler:
    """Weights ready to answer."""

    def __init__(self, network: TinyNetwork) -> None:
        self._weights = inference.prepare(network)
        self._prefixes: OrderedDict[tuple[int, ...], Tensor] = OrderedDict()

    @torch.inference_mode()
    def complete(self, prompts: Sequence[Prompt]) -> list[SampledText]:
        """Sample every prompt, in order."""
        asked = [as_asked(prompt) for prompt in prompts]
        order = sorted(range(len(asked)), key=lambda n: asked[n].order)
        answers: dict[int, TinyAnswer] = {}
        while order:
            block = asked[order[0]].block
            chunk = [n for n in order[:ROWS] if asked[n].block == block]
            order = order[len(chunk) :]
            filled = (chunk * FEWEST)[: max(FEWEST, len(chunk))]
            found = self._answer([prompts[n] for n in filled], [asked[n] for n in filled], block)
            answers |= dict(zip(chunk, found, strict=False))
        return [answers[n].completion() for n in range(len(asked))]

    def _answer(
        self, prompts: list[Prompt], asked: list[PromptTokens], block: int
    ) -> list[TinyAnswer]:
        rows = self._read(asked, block)
        answers = [
            TinyAnswer(prompt, len(one.tokens)) for prompt, one in zip(prompts, asked, strict=True)
        ]
        seeds = random_numbers.addresses([prompt.seed for prompt in prompts])
        temper = token_sampling.temper(prompts)
        alive = np.arange(len(prompts))
        for index in range(tokenizer.CONTEXT):
            tokens = token_sampling.pick(rows.logits, temper, random_numbers.uniforms(seeds, index))
            growing = [answers[row] for row in alive.tolist()]
            for place, (answer, token) in enumerate(zip(growing, tokens.tolist(), strict=True)):
                answer.add(token, rows.logits, place)
            ended = np.array([answer.reason is not None for answer in growing])
            if ended.all():
                break
            if 2 * max(FEWEST, int((~ended).sum())) <= len(alive):
                places = _going_first(ended)
                alive, tokens, seeds = alive[places], tokens[places], seeds[places]
                temper = token_sampling.temper([prompts[int(row)] for row in alive])
                rows.keep(torch.as_tensor(places))
            rows.step(self._weights, torch.as_tensor(tokens), index)
        return answers

    def _read(self, asked: Sequence[PromptTokens], block: int) -> AnswerRows:
        """Read each different prompt once."""
        different = list(dict.fromkeys(asked))
        read = (different * FEWEST)[: max(FEWEST, len(different))]
        cache = inference.new_cache(len(read), block + GROWTH)
        for row, one in enumerate(read):
            if one.prefix:
                cache[:, :, row, :, : one.prefix] = self._prefix(one.tokens[: one.prefix])
        spans = [Span(one.tokens[one.prefix :], one.prefix) for one in read]
        found = reading.extend(self._weights, cache, spans, block)
        logits = inference.logits(self._weights, found)
        if len(different) == len(asked):
            return AnswerRows(cache, logits, asked, block)
        place = {one: n for n, one in enumerate(different)}
        rows = torch.tensor([place[one] for one in asked])
        return AnswerRows(cache.index_select(2, rows), logits[rows], asked, block)

    def _prefix(self, tokens: tuple[int, ...]) -> Tensor:
        """Keys and values of a system message, always computed alone."""
        if tokens not in self._prefixes:
            cache = inference.new_cache(1, len(tokens))
            reading.extend(self._weights, cache, [Span(tokens, 0)], len(tokens))
            self._prefixes[tokens] = cache[:, :, 0]
            if len(self._prefixes) > PREFIXES:
                self._prefixes.popitem(last=False)
        return self._prefixes[tokens]


def _going_first(ended: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Places of the rows to continue with; ended ones fill up when too few are left."""
    return np.argsort(ended, kind="stable")[: max(FEWEST, int((~ended).sum()))]
