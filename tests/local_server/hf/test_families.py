"""Gemma 2, Qwen3 and Phi-3.5: their architectures and the manners of their chat templates."""

from pathlib import Path
from typing import Any

import pytest

from rmft_api.local_server.engine import (
    ChatMessage,
    ExampleError,
    JobHyperparameters,
    Prompt,
    TokenLogprob,
    TrainingStep,
)
from rmft_api.local_server.hf.answers import SampledAnswer
from rmft_api.local_server.hf.chats import UNLEARNED, ChatTokenizer, TokenizedExample
from rmft_api.local_server.hf.checkpoint import CheckpointFolder
from rmft_api.local_server.hf.engine import HfEngine
from rmft_api.open_models import shapes
from rmft_api.open_models.settings import HfSettings
from tests.local_server.hf import families

pytest.importorskip("trl", reason="pip install 'rmft-api[open]'")

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
SYSTEM = ChatMessage("system", "Be brief.")
ASK, AGAIN = ChatMessage("user", "Which button?"), ChatMessage("user", "And now?")
BLUE, RED = ChatMessage("assistant", "blue"), ChatMessage("assistant", "red")
ENDS = {"gemma2": "<end_of_turn>", "qwen3": "<|im_end|>", "phi3": "<|end|>"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("families")
    return {family: families.make(family, root / family) for family in families.FAMILIES}


def settings(folder: Path, *, thinking: bool = False) -> HfSettings:
    return HfSettings(checkpoint=str(folder), lora_rank=4, learning_rate=5e-3, thinking=thinking)


def chats_of(folder: Path, *, thinking: bool = False) -> ChatTokenizer:
    return ChatTokenizer(CheckpointFolder(settings(folder, thinking=thinking)))


def shown(chats: ChatTokenizer, tokens: list[int] | tuple[int, ...]) -> str:
    return str(chats.tokenizer.decode(list(tokens)))


def learned(chats: ChatTokenizer, row: TokenizedExample) -> str:
    return shown(chats, [label for label in row.labels if label != UNLEARNED])


@pytest.mark.parametrize("family", sorted(ENDS))
def test_a_chat_with_a_system_turn_is_played_and_learned(
    family: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    engine, chats = HfEngine(settings(folders[family])), chats_of(folders[family])
    asked = (SYSTEM, ASK)
    (row,) = chats.sequences([*asked, BLUE])
    assert learned(chats, row) == f"blue{ENDS[family]}"
    assert tuple(row.tokens[: len(chats.prompt(asked))]) == chats.prompt(asked)
    assert "Be brief." in shown(chats, chats.prompt(asked))
    steps: list[TrainingStep] = []
    examples = [(*asked, BLUE)] * 12
    numbers = JobHyperparameters(n_epochs=8, batch_size=12, learning_rate_multiplier=4.0)
    engine.train(family, None, examples, numbers, 0, lambda n: tmp_path / f"{n}.st", steps.append)
    assert steps[-1].train_loss < steps[0].train_loss - 0.3
    model = engine.load(family, tmp_path / f"{steps[-1].step}.st")
    (before,) = engine.load(family, None).complete([Prompt(asked, seed=1, max_tokens=8)])
    assert len(before.pieces) <= 8
    taught = model.complete([Prompt(asked, seed=n, temperature=0, max_tokens=8) for n in range(2)])
    assert {answer.finish_reason for answer in taught} <= {"stop", "length"}
    assert all(ENDS[family] not in answer.text for answer in taught)


@pytest.mark.parametrize("family", sorted(ENDS))
def test_its_shape_is_known_exactly(family: str, folders: dict[str, Path]) -> None:
    known = shapes.known(str(folders[family]))
    assert known is not None
    files: Any = pytest.importorskip("safetensors.torch")
    weights: dict[str, Any] = files.load_file(folders[family] / "model.safetensors")
    assert known.shape.parameters() == sum(part.numel() for part in weights.values())


def test_gemma_gets_the_system_text_in_the_first_user_turn(folders: dict[str, Path]) -> None:
    chats = chats_of(folders["gemma2"])
    assert shown(chats, chats.prompt((SYSTEM, ASK, BLUE, AGAIN))) == (
        "<bos><start_of_turn>user\nBe brief.\n\nWhich button?<end_of_turn>\n"
        "<start_of_turn>model\nblue<end_of_turn>\n<start_of_turn>user\nAnd now?<end_of_turn>\n"
        "<start_of_turn>model\n"
    )


def test_gemma_ends_an_answer_with_its_turn_though_its_files_name_another_token(
    folders: dict[str, Path],
) -> None:
    chats = chats_of(folders["gemma2"])
    assert {shown(chats, [token]) for token in chats.ends} == {"<eos>", "<end_of_turn>"}


def test_gemma_refuses_turns_that_do_not_alternate_in_its_own_words(
    folders: dict[str, Path],
) -> None:
    with pytest.raises(ExampleError, match="roles must alternate"):
        chats_of(folders["gemma2"]).prompt((SYSTEM, ASK, AGAIN))


def test_qwen_is_asked_with_its_thoughts_closed_and_learns_no_thoughts(
    folders: dict[str, Path],
) -> None:
    chats = chats_of(folders["qwen3"])
    closed = "<|im_start|>assistant\n<think>\n\n</think>\n\n"
    assert shown(chats, chats.prompt((SYSTEM, ASK))).endswith(closed)
    rows = chats.sequences([ASK, BLUE, AGAIN, RED])
    assert [learned(chats, row) for row in rows] == ["blue<|im_end|>", "red<|im_end|>"]
    assert all("<think>" in shown(chats, row.tokens) for row in rows)


def test_qwen_may_think_where_it_is_told_to(folders: dict[str, Path]) -> None:
    chats = chats_of(folders["qwen3"], thinking=True)
    assert shown(chats, chats.prompt((SYSTEM, ASK))).endswith("<|im_start|>assistant\n")


def test_phi_ends_an_answer_with_any_of_its_ends(folders: dict[str, Path]) -> None:
    chats = chats_of(folders["phi3"])
    assert {shown(chats, [token]) for token in chats.ends} == {"<|endoftext|>", "<|end|>"}


@pytest.mark.parametrize(
    ("sampled", "told"),
    [
        ("blue it", "blue it"),
        ("<think>\nhm\n</think>\n\nblue\n it", "blue\n it"),
        ("<think></think>blue", "blue"),
        ("<think>for ever", ""),
        ("so <think>hm</think>", "so <think>hm</think>"),
    ],
)
def test_thoughts_cost_tokens_and_are_no_part_of_an_answer(
    sampled: str, told: str, folders: dict[str, Path]
) -> None:
    chats = chats_of(folders["qwen3"])
    tokens = chats.tokenizer(sampled, add_special_tokens=False)["input_ids"]
    answer = SampledAnswer(Prompt((ASK,), seed=0, max_tokens=len(tokens), top_logprobs=0), 5, chats)
    for token in tokens:
        answer.add(token, TokenLogprob(str(token), -1.0, ()))
    done = answer.completion()
    assert (done.text, done.finish_reason) == (told, "length")
    assert done.completion_tokens == len(tokens)
    assert done.logprobs is not None
    assert len(done.logprobs) == len(done.pieces)
