"""Several examples as one row: what is learned is what separate rows teach."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl", reason="pip install 'rmft-api[open]'")

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rmft_api.local_server.engine import ChatMessage
from rmft_api.local_server.hf import packed_rows
from rmft_api.local_server.hf.chats import UNLEARNED
from rmft_api.local_server.hf.engine import HfEngine
from rmft_api.local_server.hf.packed_rows import TrainingRow

pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::UserWarning"
)  # what peft and trl tell each other
ROWS = st.lists(
    st.tuples(st.lists(st.integers(0, 3), min_size=1, max_size=6), st.integers(1, 4)),
    min_size=1,
    max_size=5,
)


def row(prompt: list[int], answers: int) -> TrainingRow:
    answer = list(range(answers))
    return {"input_ids": prompt + answer, "labels": [UNLEARNED] * len(prompt) + answer}


def listed(part: torch.Tensor) -> list[int]:
    return [int(number) for number in part[0]]


def chats(engine: Any) -> list[TrainingRow]:
    asked = [(f"green {n}, blue {9 - n}", f"press {n % 2}") for n in (1, 2, 3, 3)]
    return [
        {"input_ids": one.tokens, "labels": one.labels}
        for user, reply in asked
        for one in engine._chats.sequences(
            [
                ChatMessage("system", "Two buttons."),
                ChatMessage("user", user),
                ChatMessage("assistant", reply),
            ]
        )
    ]


@given(ROWS)
@settings(max_examples=150, deadline=None)
def test_every_token_sees_its_own_example_and_no_other(shapes: list[tuple[list[int], int]]) -> None:
    rows = [row(prompt, answers) for prompt, answers in shapes]
    packed = packed_rows.pack(rows)
    ids, positions, labels = (listed(packed[at]) for at in (0, 2, 1))
    seen = [
        [ids[at] for at in range(len(ids)) if packed.attention_mask[0, 0, token, at]]
        for token in range(len(ids))
    ]
    assert len(ids) == packed_rows.packed_length(rows)
    assert [len(tokens) - 1 for tokens in seen] == positions
    shared, at = packed_rows.shared_tokens(rows), packed_rows.shared_tokens(rows)
    for one in rows:
        at += len(one["input_ids"]) - shared
        assert seen[at - 1] == one["input_ids"]
    learned = [label for one in rows for label in one["labels"] if label != UNLEARNED]
    assert [label for label in labels if label != UNLEARNED] == learned


def test_the_token_before_an_answer_is_in_its_own_example() -> None:
    rows = [row([1, 2, 3], 2), row([1, 2, 3], 2)]
    assert packed_rows.shared_tokens(rows) == 2
    assert packed_rows.shared_tokens([row([], 3), row([], 3)]) == 0


def test_loss_and_gradient_are_those_of_separate_rows(engine: HfEngine) -> None:
    sampled: Any = engine._base  # pyright: ignore[reportPrivateUsage]
    sampled._merged.drop()  # after answers its layers may multiply by other weights
    network: Any = sampled._network
    rows = chats(engine)
    weight = next(part for name, part in network.named_parameters() if "q_proj" in name)
    weight.requires_grad_(True)
    learned = sum(label != UNLEARNED for one in rows for label in one["labels"])
    found: list[tuple[float, torch.Tensor]] = []
    for batches in ([rows], [[one] for one in rows]):
        losses: list[torch.Tensor] = []
        for batch in batches:
            packed = packed_rows.pack(batch)
            next_tokens = packed.labels[0, 1:]
            places = (next_tokens != UNLEARNED).nonzero()[:, 0]
            logits = packed_rows._logits(network, packed, places)  # pyright: ignore[reportPrivateUsage]
            entropy = torch.nn.functional.cross_entropy
            losses.append(entropy(logits, next_tokens[places], reduction="sum") / learned)
        loss = torch.stack(losses).sum()
        (slope,) = torch.autograd.grad(loss, [weight])
        found.append((float(loss.detach()), slope))
    (together, slope), (apart, other) = found
    assert together == pytest.approx(apart, rel=1e-5)
    assert torch.allclose(slope, other, atol=1e-6) and float(slope.abs().max()) > 1e-4


def test_a_network_that_reads_packed_rows_otherwise_is_found(engine: HfEngine) -> None:
    network: Any = engine._base._network  # pyright: ignore[reportPrivateUsage]
    rows = chats(engine)

    class ForgetsTheMask(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, **given: Any) -> Any:
            return network(**{**given, "attention_mask": None})

    class Refuses(ForgetsTheMask):
        def forward(self, **given: Any) -> Any:
            raise ValueError("no such mask")

    assert packed_rows.reads_packed_rows(network, rows)
    assert not packed_rows.reads_packed_rows(ForgetsTheMask(), rows)
    assert not packed_rows.reads_packed_rows(Refuses(), rows)


def test_a_small_checkpoint_trains_on_packed_rows(checkpoint: Path) -> None:
    """The gain is there by default, not only where somebody asks for it."""
    from rmft_api.local_server.hf import tuning
    from rmft_api.local_server.hf.adapter_recipe import AdapterRecipe
    from rmft_api.local_server.hf.packed_rows import PackedTrainer
    from rmft_api.open_models.settings import HfSettings

    engine: Any = HfEngine(HfSettings(checkpoint=str(checkpoint)))
    from rmft_api.local_server.engine import JobHyperparameters

    recipe = AdapterRecipe(None, chats(engine), JobHyperparameters(1, 4, 1.0), 1)
    scratch = checkpoint.parent / "packed"
    scratch.mkdir()
    trainer = tuning.Tuning(engine._checkpoint, engine._chats, recipe, scratch)._trainer()  # pyright: ignore[reportPrivateUsage]
    assert isinstance(trainer, PackedTrainer)
