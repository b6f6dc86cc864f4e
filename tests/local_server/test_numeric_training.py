"""Fine-tuning the numeric models: deterministic, chained, towards what they are shown."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from rmft_api.local_server.engine import (
    ChatMessage,
    JobHyperparameters,
    Model,
    Prompt,
    TrainingStep,
)
from rmft_api.local_server.numeric import chats, weights
from rmft_api.local_server.numeric.engine import BASES, NumericEngine, NumericModel
from rmft_api.local_server.numeric.family import Encoded
from rmft_api.local_server.numeric.linear_attention import LinearAttention
from rmft_api.local_server.numeric.matrix_attention import parts
from rmft_api.local_server.numeric.simplex import Floats
from rmft_api.local_server.numeric.transformer import Transformer
from rmft_api.local_server.numeric.transformer_network import (
    bias,
    forward,
    padded,
    seen,
)

ENGINE = NumericEngine()
WORST, TRANSFORMER = "rmft-linear-attention-worst", "rmft-transformer"
Chat = list[ChatMessage]


def question(rewards_tK: Floats) -> ChatMessage:
    K = rewards_tK.shape[1]
    return ChatMessage("user", f'{{"K":{K},"rewards":{rewards_tK.tolist()}}}')


def played(a: float, count: int, seed: int = 0) -> list[Chat]:
    """Chats of a player with this `a`: what it answers to random rewards."""
    rng = np.random.default_rng(seed)
    model = NumericModel(LinearAttention(), LinearAttention().follows(a))
    asked = [question(rng.random((n % 12, 3 + n % 2))) for n in range(count)]
    answers = model.complete([Prompt((one,), seed=0, temperature=0) for one in asked])
    return [[one, ChatMessage("assistant", a.text)] for one, a in zip(asked, answers, strict=True)]


def train(
    base: str,
    examples: Sequence[Chat],
    folder: Path,
    start: Path | None = None,
    wanted: JobHyperparameters | None = None,
) -> tuple[list[Path], list[TrainingStep], int]:
    saved: list[Path] = []
    steps: list[TrainingStep] = []

    def checkpoint(step: int) -> Path:
        saved.append(folder / f"{step}.safetensors")
        return saved[-1]

    wanted = wanted or JobHyperparameters()
    tokens = ENGINE.train(base, start, examples, wanted, 3, checkpoint, steps.append)
    return saved, steps, tokens


def a_of(path: Path) -> float:
    family, first = BASES[WORST]
    return float(weights.load(path, family.name, first)["a"])


@pytest.mark.parametrize("base", [WORST, "rmft-matrix-attention", TRANSFORMER])
def test_the_same_inputs_give_the_same_bytes(base: str, tmp_path: Path):
    examples, wanted = played(1.0, 40), JobHyperparameters(2, 10)
    first, _, _ = train(base, examples, tmp_path / "a", wanted=wanted)
    second, _, _ = train(base, examples, tmp_path / "b", wanted=wanted)
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_linear_attention_becomes_the_player_that_it_is_shown(tmp_path: Path):
    examples = played(1.0, 400)
    first, steps, _ = train(WORST, examples, tmp_path / "a")
    second, _, _ = train(WORST, examples, tmp_path / "b", start=first[-1])
    assert -1 < a_of(first[-1]) < a_of(second[-1]) < 1.1
    assert a_of(second[-1]) == pytest.approx(1, abs=0.1)
    assert steps[-1].train_loss < 0.1 * steps[0].train_loss
    assert steps[-1].train_mean_token_accuracy > steps[0].train_mean_token_accuracy


def test_a_free_matrix_becomes_the_one_that_treats_all_actions_alike(tmp_path: Path):
    base = "rmft-matrix-attention-2"
    family, start = BASES[base]
    assert parts(start["V"][:3, :3])[2] > 0.5
    saved, _, _ = train(base, played(1.0, 400), tmp_path, wanted=JobHyperparameters(30, 100))
    V = weights.load(saved[-1], family.name, start)["V"]
    a, _, left = parts(V[:3, :3])
    assert a == pytest.approx(1, abs=0.1)
    assert left < 0.05
    assert (V[4:] == start["V"][4:]).all()  # no example has a fifth action


def test_the_parts_of_a_matrix_are_its_own():
    alike = 1.5 * np.eye(3) + 0.2
    assert parts(alike) == pytest.approx((1.5, 0.2, 0.0))
    assert parts(alike + np.diag([0.3, -0.3, 0.0])) == pytest.approx((1.5, 0.2, 0.0942809))


def test_the_transformer_learns_what_it_is_shown(tmp_path: Path):
    examples, unseen = played(1.0, 300), played(1.0, 60, seed=1)
    saved, steps, _ = train(TRANSFORMER, examples, tmp_path, wanted=JobHyperparameters(6, 32))
    assert steps[-1].train_loss < 0.4 * steps[0].train_loss
    assert distance(ENGINE.load(TRANSFORMER, saved[-1]), unseen) < 0.5 * distance(
        ENGINE.load(TRANSFORMER, None), unseen
    )


def distance(model: Model, examples: Sequence[Chat]) -> float:
    """Mean distance of the model's policies to the examples'."""
    answers = model.complete([Prompt((chat[0],), 0, temperature=0) for chat in examples])
    pairs = zip(answers, examples, strict=True)
    apart = [policy(answer.text) - policy(chat[1].content) for answer, chat in pairs]
    return float(np.mean([np.abs(one).sum() for one in apart]))


def policy(text: str) -> Floats:
    return chats.read_policy(text, text.count(",") + 1)


def test_every_step_and_every_epoch_is_reported(tmp_path: Path):
    examples = played(1.0, 12)  # K = 3 and K = 4 by turns, never in one batch
    saved, steps, tokens = train(WORST, examples, tmp_path, wanted=JobHyperparameters(2, 4))
    assert [step.step for step in steps] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [step.epoch for step in steps] == [0, 0, 0, 1, 1, 1, 1, 2]
    assert {step.total_steps for step in steps} == {8}
    assert [path.name for path in saved] == ["4.safetensors", "8.safetensors"]
    assert tokens == 2 * sum(ENGINE.check(chat) for chat in examples)


def test_the_learning_rate_multiplier_is_obeyed(tmp_path: Path):
    examples = played(1.0, 40)
    slow, _, _ = train(WORST, examples, tmp_path / "a", wanted=JobHyperparameters(1, 8, 0.01))
    fast, _, _ = train(WORST, examples, tmp_path / "b", wanted=JobHyperparameters(1, 8, 1.0))
    assert -1 < a_of(slow[-1]) < -0.99
    assert a_of(fast[-1]) > -0.9


def test_answers_of_weight_0_teach_nothing(tmp_path: Path):
    examples = played(1.0, 20)
    muted = [[*chat[:-1], chat[-1]._replace(weight=0), *chat] for chat in examples]
    plain, _, _ = train(WORST, examples, tmp_path / "a")
    same, _, _ = train(WORST, muted, tmp_path / "b")
    assert plain[-1].read_bytes() == same[-1].read_bytes()


def test_torch_and_numpy_run_the_same_network_and_padding_is_not_seen():
    family = Transformer()
    tensors = family.start(4)
    rng = np.random.default_rng(0)
    lessons = [Encoded(family.encode(rng.random((t, 3))), np.ones(3) / 3) for t in (0, 3, 9)]
    tokens, look = padded(lessons), seen([lesson.inputs for lesson in lessons])
    arrays = (tokens, bias(tokens.shape[1]), look)
    in_torch = forward(
        torch,
        {name: torch.as_tensor(tensor) for name, tensor in tensors.items()},
        *(torch.as_tensor(array) for array in arrays),
    )
    alone = np.stack([family.logits(tensors, lesson.inputs) for lesson in lessons])
    assert in_torch.numpy() == pytest.approx(alone, abs=1e-9)
