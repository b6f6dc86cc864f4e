"""Supervised fine-tuning: cross-entropy on the answers of chats, deterministic on one machine."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from rmft_api.local_server.engine import ChatMessage, ExampleError
from rmft_api.local_server.tiny import tokenizer
from rmft_api.local_server.tiny.network import TinyNetwork


class TokenExample(NamedTuple):
    """Tokens of a chat, and for each whether it is learned (an answer's text and its end)."""

    tokens: tuple[int, ...]
    learned: tuple[bool, ...]


class TokenBatch(NamedTuple):
    """Right-padded chats: inputs [R, S], which of them are scored [R, S], their targets [N]."""

    inputs: Tensor
    wanted: Tensor
    targets: Tensor


class BatchProgress(NamedTuple):
    """Loss and accuracy of one step, before its update."""

    loss: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Schedule:
    """Linear warm-up, then a cosine from `peak` down to `final` times the peak."""

    peak: float
    steps: int
    warmup: int
    final: float

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        if step < self.warmup:
            return self.peak * (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.peak * (self.final + (1 - self.final) * (1 + np.cos(np.pi * done)) / 2)


def as_example(messages: Sequence[ChatMessage]) -> TokenExample:
    """Tokenise a chat. Raises ExampleError when there is nothing to learn or no room."""
    tokens: list[int] = []
    learned: list[bool] = []
    for message in messages:
        turn = tokenizer.encode_turn(message)
        scored = message.role == "assistant" and message.weight > 0
        tokens += turn
        learned += [False] + [scored] * (len(turn) - 1)
    if not any(learned):
        raise ExampleError("the chat has no assistant message with weight 1 to learn from")
    tokenizer.require_room(len(tokens))
    return TokenExample(tuple(tokens), tuple(learned))


def as_batch(examples: Sequence[TokenExample]) -> TokenBatch:
    """Pad on the right; causal attention keeps padding from being seen."""
    shape = (len(examples), max(len(example.tokens) for example in examples))
    tokens = np.full(shape, tokenizer.END)
    learned = np.zeros(shape, bool)
    for row, example in enumerate(examples):
        tokens[row, : len(example.tokens)] = example.tokens
        learned[row, : len(example.learned)] = example.learned
    wanted = torch.as_tensor(learned[:, 1:].copy())
    nexts = torch.as_tensor(tokens[:, 1:].copy())
    return TokenBatch(torch.as_tensor(tokens[:, :-1].copy()), wanted, nexts[wanted])


def optimiser(network: TinyNetwork) -> torch.optim.AdamW:
    """A fresh AdamW; its rate is set before every step."""
    return torch.optim.AdamW(network.parameters(), betas=(0.9, 0.98), weight_decay=0.01, fused=True)


def update(
    network: TinyNetwork, adam: torch.optim.AdamW, batch: TokenBatch, rate: float
) -> BatchProgress:
    """One optimiser step."""
    logits = network(batch.inputs, batch.wanted)
    loss = functional.cross_entropy(logits, batch.targets)
    descend(network, adam, loss, rate)
    right = (logits.detach().argmax(-1) == batch.targets).double().mean()
    return BatchProgress(loss.item(), right.item())


def descend(network: TinyNetwork, adam: torch.optim.AdamW, loss: Tensor, rate: float) -> None:
    """Follow the loss's gradient, clipped, for one step."""
    adam.zero_grad()
    torch.autograd.backward(loss)
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    for group in adam.param_groups:
        group["lr"] = rate
    adam.step()  # pyright: ignore[reportUnknownMemberType]


def orders(examples: int, epochs: int, seed: int) -> Iterator[list[int]]:
    """A fresh shuffle for every epoch."""
    for epoch in range(epochs):
        yield np.random.default_rng((seed, epoch)).permutation(examples).tolist()


class FineTuning:
    """One job: a network, a fresh optimiser, and the steps done so far."""

    def __init__(self, network: TinyNetwork, schedule: Schedule, batch_size: int) -> None:
        self.network = network
        self.step = 0
        self._schedule = schedule
        self._batch_size = batch_size
        self._adam = optimiser(network)

    def epoch(
        self,
        examples: Sequence[TokenExample],
        order: Sequence[int],
        report: Callable[[int, BatchProgress], None],
    ) -> None:
        """Learn from every example once, in the given order."""
        for at in range(0, len(order), self._batch_size):
            batch = as_batch([examples[n] for n in order[at : at + self._batch_size]])
            rate = self._schedule.rate(self.step)
            progress = update(self.network, self._adam, batch, rate)
            self.step += 1
            report(self.step, progress)
