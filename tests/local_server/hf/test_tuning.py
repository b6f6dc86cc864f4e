"""LoRA training: what is learned, where it is saved, how it goes on."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from rmft_api.local_server.engine import (
    ChatMessage,
    ChatPair,
    EngineError,
    JobHyperparameters,
    Prompt,
    TrainingStep,
)
from rmft_api.local_server.hf import adapters, training_checkpoints
from rmft_api.local_server.hf.engine import HfEngine
from rmft_api.open_models.settings import HfSettings

pytest.importorskip("trl", reason="pip install 'rmft-api[open]'")

pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::UserWarning"
)  # what peft and trl tell each other
ASK = (ChatMessage("user", "Which button?"),)
CHATS = [(*ASK, ChatMessage("assistant", f"press {n % 2}")) for n in range(12)]
NUMBERS = JobHyperparameters(n_epochs=2, batch_size=4, learning_rate_multiplier=1.0)


class KilledError(Exception):
    """Stands for kill -9."""


class Training:
    """One job's folder, and what was reported."""

    def __init__(self, engine: HfEngine, folder: Path) -> None:
        self.engine, self.folder = engine, folder
        self.steps: list[TrainingStep] = []
        self.scratch = folder / "scratch"
        self.scratch.mkdir(parents=True)

    def place(self, step: int) -> Path:
        return self.folder / f"step-{step}.safetensors"

    def run(
        self,
        die_at: int | None = None,
        start: Path | None = None,
        pairs: list[ChatPair] | None = None,
    ) -> int:
        def report(step: TrainingStep) -> None:
            self.steps.append(step)
            if step.step == die_at:
                raise KilledError

        engine, told = self.engine.keeping(self.scratch), (self.place, report)
        if pairs is None:
            return engine.train("specimen", start, CHATS, NUMBERS, 5, *told)
        return engine.prefer("specimen", start, pairs, NUMBERS, 0.1, 5, *told)

    def result(self) -> bytes:
        return self.place(6).read_bytes()


Begin = Callable[[str], Training]


@pytest.fixture
def begin(checkpoint: Path, tmp_path: Path) -> Begin:
    settings = HfSettings(
        checkpoint=str(checkpoint), lora_rank=4, learning_rate=5e-3, save_every_s=0
    )
    return lambda name: Training(HfEngine(settings), tmp_path / name)


def likelihood(engine: HfEngine, weights: Path | None, text: str) -> float:
    """Log-odds of an answer's first token being the likeliest, as far as the odds told go."""
    prompt = Prompt(ASK, seed=0, temperature=0, max_tokens=1, top_logprobs=20)
    (answer,) = engine.load("specimen", weights).complete([prompt])
    assert answer.logprobs is not None
    return dict(answer.logprobs[0].top).get(text, -20.0)


def test_training_reports_every_step_and_saves_every_epoch(begin: Begin) -> None:
    training = begin("one")
    tokens = training.run()
    assert [(step.step, step.total_steps, step.epoch) for step in training.steps] == [
        *((1, 6, 0), (2, 6, 0), (3, 6, 1), (4, 6, 1), (5, 6, 1), (6, 6, 2))
    ]
    assert training.steps[0].train_loss > training.steps[-1].train_loss
    assert training.place(3).exists() and training.place(6).exists()
    assert tokens == 2 * sum(training.engine.check(chat) for chat in CHATS)
    before = likelihood(training.engine, None, "p")
    assert likelihood(training.engine, training.place(6), "p") > before + 1


def test_a_killed_training_goes_on_and_makes_the_same_bytes(begin: Begin) -> None:
    whole, killed = begin("whole"), begin("killed")
    whole.run()
    with pytest.raises(KilledError):
        killed.run(die_at=5)
    torn = training_checkpoints.folder(killed.scratch, 5)
    torn.mkdir()  # a checkpoint that was being written
    assert killed.engine.resumes_at(killed.scratch) == 4
    killed.run()
    assert [step.step for step in killed.steps] == [1, 2, 3, 4, 5, 5, 6]
    assert killed.result() == whole.result()


def test_a_tuned_model_is_the_base_of_the_next_training(begin: Begin) -> None:
    first, second = begin("first"), begin("second")
    first.run()
    second.run(start=first.place(6))
    assert second.steps[0].train_loss < first.steps[0].train_loss


def test_preferences_are_learned_against_the_model_that_training_starts_from(
    begin: Begin,
) -> None:
    first, second = begin("first"), begin("second")
    pairs = [ChatPair(ASK, "press 0", "go away") for _ in range(12)]
    first.run(pairs=pairs)
    second.run(pairs=pairs, start=first.place(6))
    for training in (first, second):
        assert math.isclose(training.steps[0].train_loss, math.log(2), abs_tol=1e-3)
        assert training.steps[-1].train_loss < 0.9 * math.log(2)


@pytest.mark.parametrize(("batch", "micro", "processes"), [(16, 4, 1), (5, 4, 1), (16, 4, 2)])
def test_a_batch_is_made_of_portions_exactly(batch: int, micro: int, processes: int) -> None:
    from rmft_api.local_server.hf.tuning import portions

    portion, passes = portions(batch, micro, processes)
    assert portion <= micro
    assert portion * passes * processes == batch


def test_an_adapter_of_another_base_is_refused(
    begin: Begin, engine: HfEngine, tmp_path: Path
) -> None:
    training = begin("one")
    training.run()
    found = adapters.load(training.place(6), _fingerprint(engine))
    adapters.save(found._replace(base="another"), tmp_path / "other.safetensors")
    with pytest.raises(EngineError, match="over other base weights") as refused:
        engine.load("specimen", tmp_path / "other.safetensors")
    assert refused.value.code == "adapter_of_another_base"
    with pytest.raises(EngineError, match="over other base weights"):
        begin("two").run(start=tmp_path / "other.safetensors")


def _fingerprint(engine: HfEngine) -> str:
    return engine._checkpoint.fingerprint  # pyright: ignore[reportPrivateUsage]


def test_a_damaged_adapter_is_refused(engine: HfEngine, tmp_path: Path) -> None:
    (tmp_path / "damaged.safetensors").write_bytes(b"weights")
    with pytest.raises(EngineError, match="cannot be read"):
        engine.load("specimen", tmp_path / "damaged.safetensors")


def test_an_adapter_unpacks_to_what_peft_reads(begin: Begin, tmp_path: Path) -> None:
    training = begin("one")
    training.run()
    adapters.unpack(training.place(6), _fingerprint(training.engine), tmp_path / "peft")
    config = json.loads((tmp_path / "peft" / "adapter_config.json").read_text())
    assert (config["peft_type"], config["r"]) == ("LORA", 4)
    assert (tmp_path / "peft" / "adapter_model.safetensors").stat().st_size > 1000


def test_memory_that_runs_out_is_told_with_a_setting_that_would_fit(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from rmft_api.local_server.hf import tuning

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(tuning.Tuning, "run", full)
    with pytest.raises(EngineError, match="micro_batch=1") as refused:
        begin("one").run()
    assert refused.value.code == "out_of_memory"


def test_the_learning_rate_rises_over_the_share_of_steps_that_is_set(
    checkpoint: Path, tmp_path: Path
) -> None:
    from rmft_api.local_server.hf import tuning
    from rmft_api.local_server.hf.adapter_recipe import AdapterRecipe

    rows = [{"input_ids": [1, 2, 3], "labels": [-100, -100, 3]}] * 40
    recipe = AdapterRecipe(None, rows, JobHyperparameters(1, 2, 1.0), 1)
    found: list[int] = []
    for share in (0.0, 0.5):
        engine = HfEngine(HfSettings(checkpoint=str(checkpoint), warmup_ratio=share))
        made = tuning.Tuning(engine._checkpoint, engine._chats, recipe, tmp_path)  # pyright: ignore[reportPrivateUsage]
        trainer = made._trainer()  # pyright: ignore[reportPrivateUsage]
        found.append(trainer.args.get_warmup_steps(20))
    assert found == [0, 10]
