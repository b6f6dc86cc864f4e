"""A batch of training rows as one row, in which what they begin with stands once.

Single-turn examples of one problem share their system message, which is half of them or more. A
row is: the common beginning, then the rest of each example. A mask lets each rest see the
beginning and itself alone, and each token gets its own position, so the loss and its gradient
are those of the separate rows; only nothing is computed for padding or twice, and odds over the
vocabulary only where an answer is learned.
"""

from collections.abc import Sequence
from itertools import takewhile
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rmft_api.local_server.hf.chats import UNLEARNED
from rmft_api.local_server.hf.packages import package

LONGEST = 1024
"""Tokens of a packed row. Attention costs their square, so longer ones gain nothing on a CPU."""
TOLERANCE, HALF_TOLERANCE = 1e-2, 0.5
"""Of a logit, between both ways of reading the same tokens; the other of 16-bit weights."""

trl = package("trl")
TrainingRow = dict[str, list[int]]
"""input_ids and labels of one example."""


class PackedRow(NamedTuple):
    """N tokens of several examples; all but the mask are [1, N]."""

    input_ids: Tensor
    labels: Tensor
    position_ids: Tensor
    attention_mask: Tensor
    """What each token sees: [1, 1, N, N] of booleans."""


def pack(rows: Sequence[TrainingRow]) -> PackedRow:
    """One row of several."""
    shared = shared_tokens(rows)
    ids, labels = list(rows[0]["input_ids"][:shared]), [UNLEARNED] * shared
    positions, owners = list(range(shared)), [0] * shared
    for owner, row in enumerate(rows, 1):
        ids += row["input_ids"][shared:]
        labels += row["labels"][shared:]
        positions += range(shared, len(row["input_ids"]))
        owners += [owner] * (len(row["input_ids"]) - shared)
    owner = torch.tensor(owners)
    seen = (owner[:, None] == owner[None]) | (owner[None] == 0)
    return PackedRow(
        torch.tensor([ids]),
        torch.tensor([labels]),
        torch.tensor([positions]),
        seen.tril()[None, None],
    )


def shared_tokens(rows: Sequence[TrainingRow]) -> int:
    """First tokens that rows have in common; what predicts a learned token is never among them."""
    most = max(0, min(_first_learned(row["labels"]) - 1 for row in rows))
    columns = zip(*(row["input_ids"][:most] for row in rows), strict=True)
    return sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, columns))


def _first_learned(labels: Sequence[int]) -> int:
    return next(place for place, label in enumerate(labels) if label != UNLEARNED)


def packed_length(rows: Sequence[TrainingRow]) -> int:
    """Tokens of the packed row."""
    shared = shared_tokens(rows)
    return shared + sum(len(row["input_ids"]) - shared for row in rows)


def reads_packed_rows(network: Any, rows: Sequence[TrainingRow]) -> bool:
    """Whether a network reads rows packed as it reads them alone: tried on the first two.

    Windows of attention, layers with a state and masks of their own kind do not.
    """
    pair = list(rows[:2])
    begin = shared_tokens(pair)
    is_single = next(network.parameters()).dtype == torch.float32
    most = TOLERANCE if is_single else HALF_TOLERANCE
    with torch.no_grad():
        try:
            together = _logits(network, pack(pair))
        except (TypeError, ValueError, RuntimeError, IndexError):
            return False
        for row in pair:
            alone = _logits(network, pack([row]))
            rest = len(row["input_ids"]) - shared_tokens(pair)
            part = together[begin : begin + rest]
            if not float((part - alone[-rest:]).abs().max()) < most:
                return False
            begin += rest
    return True


def _logits(network: Any, packed: PackedRow, keep: Tensor | int = 0) -> Tensor:
    """Of the tokens at `keep`, or of all: [tokens, vocabulary]."""
    output = network(
        input_ids=packed.input_ids,
        position_ids=packed.position_ids,
        attention_mask=packed.attention_mask,
        logits_to_keep=keep,
        use_cache=False,
    )
    return output.logits[0].float()


def collate(rows: Sequence[TrainingRow]) -> dict[str, Tensor]:
    """The packed row, as a trainer takes a batch."""
    return pack(rows)._asdict()


class PackedTrainer(trl.SFTTrainer):
    """TRL's, over packed rows: the same loss, and odds only of the tokens that are learned."""

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Tensor:
        """The mean over the learned tokens of the whole batch. It never returns outputs."""
        next_tokens = inputs["labels"][0, 1:]
        places = (next_tokens != UNLEARNED).nonzero()[:, 0]
        logits = _logits(model, PackedRow(**inputs), places)
        wanted = next_tokens[places]
        right = (logits.detach().argmax(-1) == wanted).float().mean()
        self._metrics["train"]["mean_token_accuracy"].append(float(right))
        loss = torch.nn.functional.cross_entropy(logits, wanted, reduction="sum")
        return loss / (len(wanted) if num_items_in_batch is None else num_items_in_batch)
