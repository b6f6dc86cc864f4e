"""Direct preference optimisation (arXiv 2305.18290): pairs of answers to one chat, and a reference.

The loss of a pair is -log sigmoid(beta (m - m_ref)), where m is the log-probability of the
preferred answer less that of the other. The reference is the network as it was at the start.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from rmft_api.local_server.engine import ChatPair
from rmft_api.local_server.tiny import training
from rmft_api.local_server.tiny.network import TinyNetwork
from rmft_api.local_server.tiny.training import BatchProgress, Schedule, TokenExample

TOGETHER = 64
"""Pairs whose reference is worked out at once."""


class TokenPair(NamedTuple):
    """Two chats that differ in their answer alone."""

    preferred: TokenExample
    rejected: TokenExample

    @property
    def tokens(self) -> int:
        """Of both chats."""
        return len(self.preferred.tokens) + len(self.rejected.tokens)


def as_pair(pair: ChatPair) -> TokenPair:
    """Tokenise a pair. Raises ExampleError when there is no room for it."""
    preferred, rejected = (training.as_example(chat) for chat in pair.chats())
    return TokenPair(preferred, rejected)


def margins(network: TinyNetwork, pairs: Sequence[TokenPair]) -> Tensor:
    """Log-probability of each preferred answer less that of the other, in nats: [pairs]."""
    rows = [pair.preferred for pair in pairs] + [pair.rejected for pair in pairs]
    batch = training.as_batch(rows)
    logits = network(batch.inputs, batch.wanted)
    each = -functional.cross_entropy(logits, batch.targets, reduction="none")
    owners = batch.wanted.nonzero()[:, 0]
    answers = torch.zeros(len(rows)).index_add(0, owners, each)
    return answers[: len(pairs)] - answers[len(pairs) :]


class PreferenceTuning:
    """One job: a network, what it was at the start, a fresh optimiser, the steps done so far."""

    def __init__(
        self,
        network: TinyNetwork,
        pairs: Sequence[TokenPair],
        beta: float,
        schedule: Schedule,
        batch_size: int,
    ) -> None:
        self.network = network
        self.step = 0
        self._pairs, self._beta = pairs, beta
        self._schedule, self._batch_size = schedule, batch_size
        self._adam = training.optimiser(network)
        with torch.no_grad():
            parts = range(0, len(pairs), TOGETHER)
            self._reference = torch.cat([margins(network, pairs[n : n + TOGETHER]) for n in parts])

    def epoch(self, order: Sequence[int], report: Callable[[int, BatchProgress], None]) -> None:
        """Learn from every pair once, in the given order."""
        for at in range(0, len(order), self._batch_size):
            progress = self._update(order[at : at + self._batch_size])
            self.step += 1
            report(self.step, progress)

    def _update(self, chosen: Sequence[int]) -> BatchProgress:
        """One optimiser step. Accuracy: pairs whose preferred answer has gained on the other."""
        found = margins(self.network, [self._pairs[n] for n in chosen])
        gained = found - self._reference[list(chosen)]
        loss = -functional.logsigmoid(self._beta * gained).mean()
        training.descend(self.network, self._adam, loss, self._schedule.rate(self.step))
        return BatchProgress(loss.item(), (gained.detach() > 0).double().mean().item())
