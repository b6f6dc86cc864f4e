"""Answers to many prompts at once. What is alike, prompts and answers so far, is computed once.

An answer is drawn by its own seed, token by token. Sums of floating-point numbers differ in their
last bits between batches of different shapes, so an answer repeats exactly only as far as no draw
falls on such a bit: as good as always in float32, mostly in bfloat16.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from rmft_api.local_server.engine import Prompt, SampledText
from rmft_api.local_server.hf import token_sampling
from rmft_api.local_server.hf.answers import SampledAnswer
from rmft_api.local_server.hf.branches import Branches
from rmft_api.local_server.hf.chats import ChatTokenizer
from rmft_api.local_server.hf.prefixes import (
    WORTH,
    Layers,
    PrefixStore,
    common_beginnings,
    first,
    length_of,
)
from rmft_api.local_server.hf.reading import CachedRows
from rmft_api.local_server.tiny import random_numbers

Tokens = tuple[int, ...]


class Sampler:
    """A network that reads and answers; whose adapter is at work in it, the caller sees to."""

    def __init__(
        self, network: Any, chats: ChatTokenizer, store: PrefixStore, rows: int, window: int | None
    ) -> None:
        self._network = network
        self._chats = chats
        self._store = store
        self._rows = rows
        self._window = window
        self._device = torch.device(network.device)
        self._vocabulary = len(chats.tokenizer)

    @torch.inference_mode()
    def complete(self, owner: str, prompts: Sequence[Prompt]) -> list[SampledText]:
        """Answer every prompt, in order; `owner` names the weights. Raises ExampleError."""
        asked = [self._chats.prompt(prompt.messages) for prompt in prompts]
        order = sorted(range(len(asked)), key=lambda n: (len(asked[n]), asked[n]))
        found: dict[int, SampledText] = {}
        for at in range(0, len(order), self._rows):
            chunk = order[at : at + self._rows]
            answers = self._answer(owner, [prompts[n] for n in chunk], [asked[n] for n in chunk])
            found |= dict(zip(chunk, answers, strict=True))
        return [found[n] for n in range(len(asked))]

    def _answer(self, owner: str, prompts: list[Prompt], asked: list[Tokens]) -> list[SampledText]:
        batch, logits, branches = self._read(owner, prompts, asked)
        answers = [
            SampledAnswer(prompt, len(tokens), self._chats)
            for prompt, tokens in zip(prompts, asked, strict=True)
        ]
        seeds = random_numbers.addresses([prompt.seed for prompt in prompts])
        settings = [token_sampling.settings_of(prompt) for prompt in prompts]
        alive = list(range(len(prompts)))
        for index in range(self._chats.context):
            numbers = random_numbers.uniforms(seeds[alive], index).tolist()
            kinds = [settings[row] for row in alive]
            tokens = token_sampling.pick(logits, branches.slots, kinds, numbers)
            self._add(answers, alive, tokens, [logits[slot] for slot in branches.slots])
            going = [place for place, row in enumerate(alive) if answers[row].reason is None]
            if not going:
                break
            sources, fed = branches.grow(going, [tokens[place] for place in going])
            alive = [alive[place] for place in going]
            if sources is not None:
                batch.keep(self._places(sources))
            logits = self._odds(batch.step(self._places(fed)))
        return [answer.completion() for answer in answers]

    def _places(self, places: Sequence[int]) -> Tensor:
        return torch.tensor(places, device=self._device)

    def _add(
        self,
        answers: list[SampledAnswer],
        alive: Sequence[int],
        tokens: Sequence[int],
        logits: Sequence[Tensor],
    ) -> None:
        for row, token, odds in zip(alive, tokens, logits, strict=True):
            rivals = answers[row].rivals
            shown = (
                None if rivals is None else token_sampling.logprob(odds, token, rivals, self._chats)
            )
            answers[row].add(token, shown)

    def _odds(self, logits: Tensor) -> Tensor:
        """Without the columns that some checkpoints have beyond their vocabulary."""
        return logits[:, : self._vocabulary]

    def _read(
        self, owner: str, prompts: Sequence[Prompt], asked: Sequence[Tokens]
    ) -> tuple[CachedRows, Tensor, Branches]:
        """Read each different prompt once, and of it only what was not read before."""
        different = list(dict.fromkeys(asked))
        room = max(prompt.max_tokens for prompt in prompts)
        known = self._known(owner, different, room)
        batch = CachedRows(self._network, self._device)
        logits = self._odds(batch.read(different, known))
        place = dict(zip(different, batch.places, strict=True))
        for tokens, row in place.items():
            if self._store.has_room:
                self._store.keep(owner, tokens, batch.layers(row))
        return batch, logits, Branches([place[tokens] for tokens in asked])

    def _known(self, owner: str, different: Sequence[Tokens], room: int) -> list[Layers | None]:
        """What was read before; nothing where a sliding layer would count padding as tokens."""
        slots = 2 * max(map(len, different)) + room
        if self._window is not None and slots > self._window:
            return [None] * len(different)
        known: list[Layers | None] = []
        for tokens in different:
            length, layers = self._store.find(owner, tokens)
            known.append(None if layers is None else first(layers, length))
        self._read_common(owner, different, known)
        return known

    def _read_common(
        self, owner: str, different: Sequence[Tokens], known: list[Layers | None]
    ) -> None:
        """Read once what several prompts begin with, and note it as known to them."""
        for length, group in common_beginnings(different):
            fewest = min(length_of(known[row]) for row in group)
            if length - fewest < WORTH:
                continue
            longest = max(group, key=lambda row: min(length - 1, length_of(known[row])))
            before = known[longest]
            before = None if before is None else first(before, length - 1)
            common = different[group[0]][:length]
            batch = CachedRows(self._network, self._device)
            batch.read([common], [before])
            layers = batch.layers(0)
            self._store.keep(owner, common, layers)
            for row in group:
                if length_of(known[row]) < length:
                    known[row] = layers
