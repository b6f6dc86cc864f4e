"""Fine-tuning the tiny model: deterministic, chained, and only on what it is told to learn."""

from pathlib import Path

import pytest

from rmft_api.local_server.engine import (
    ChatMessage,
    ExampleError,
    JobHyperparameters,
    Prompt,
    TrainingStep,
)
from rmft_api.local_server.tiny.engine import BASE, TinyEngine

ASKED = ChatMessage("user", "Round 1 of 25.\nA: untried\nB: untried")
SAID = ChatMessage("assistant", "Best B, few B, hope B.\nHope decides. <Answer>B</Answer>")
QUICK = JobHyperparameters(n_epochs=2, batch_size=4, learning_rate_multiplier=1.0)


def train(
    folder: Path, start: Path | None = None, seed: int = 1, count: int = 24
) -> tuple[list[Path], list[TrainingStep]]:
    folder.mkdir(exist_ok=True)
    saved: list[Path] = []
    steps: list[TrainingStep] = []

    def checkpoint(step: int) -> Path:
        saved.append(folder / f"{step}.safetensors")
        return saved[-1]

    TinyEngine().train(BASE, start, [(ASKED, SAID)] * count, QUICK, seed, checkpoint, steps.append)
    return saved, steps


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path):
    first, _ = train(tmp_path / "a")
    second, _ = train(tmp_path / "b")
    assert first[-1].read_bytes() == second[-1].read_bytes()


def test_every_step_and_every_epoch_is_reported(tmp_path: Path):
    saved, steps = train(tmp_path / "a", count=10)
    assert [step.step for step in steps] == [1, 2, 3, 4, 5, 6]
    assert [step.epoch for step in steps] == [0, 0, 1, 1, 1, 2]
    assert {step.total_steps for step in steps} == {6}
    assert [path.name for path in saved] == ["3.safetensors", "6.safetensors"]


def test_training_learns_and_chains(tmp_path: Path):
    first, steps = train(tmp_path / "a")
    _, more = train(tmp_path / "b", start=first[-1])
    assert steps[-1].train_loss < steps[0].train_loss
    assert more[0].train_loss < steps[0].train_loss


def test_a_fine_tune_says_what_it_learned(tmp_path: Path):
    saved, _ = train(tmp_path / "a", count=64)
    model = TinyEngine().load(BASE, saved[-1])
    answers = model.complete([Prompt((ASKED,), seed=n) for n in range(16)])
    assert sum(answer.text == SAID.content for answer in answers) >= 14


def test_trained_tokens_are_counted(tmp_path: Path):
    engine = TinyEngine()
    chats = [(ASKED, SAID)] * 3
    path = tmp_path / "x.safetensors"
    tokens = engine.train(BASE, None, chats, QUICK, 1, lambda _: path, lambda _: None)
    assert tokens == 2 * 3 * engine.check((ASKED, SAID))


def test_an_answer_of_weight_0_is_not_learned():
    with pytest.raises(ExampleError, match="weight 1"):
        TinyEngine().check((ASKED, SAID._replace(weight=0)))


def test_a_chat_beyond_the_context_cannot_be_trained_on():
    with pytest.raises(ExampleError, match="maximum context length is 512 tokens"):
        TinyEngine().check((ASKED, SAID._replace(content="é" * 300)))


def test_auto_is_resolved():
    found = TinyEngine().resolve(JobHyperparameters(), examples=1000)
    assert None not in (found.n_epochs, found.batch_size, found.learning_rate_multiplier)


def test_an_unknown_base_is_refused():
    with pytest.raises(ValueError, match="rmft-tiny"):
        TinyEngine().load("other", None)
