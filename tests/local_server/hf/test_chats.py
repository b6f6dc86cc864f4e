"""Chats in tokens: what is learned is what will be sampled."""

import shutil
from pathlib import Path

import pytest

from rmft_api.core.errors import ConfigError
from rmft_api.local_server.engine import (
    ChatMessage,
    ChatPair,
    ContextLengthError,
    ExampleError,
)
from rmft_api.local_server.hf.chats import UNLEARNED, ChatTokenizer, TokenizedExample
from rmft_api.local_server.hf.checkpoint import CheckpointFolder
from rmft_api.local_server.hf.engine import HfEngine
from rmft_api.open_models.settings import HfSettings

pytest.importorskip("trl", reason="pip install 'rmft-api[open]'")

ASK, AGAIN = ChatMessage("user", "Which button?"), ChatMessage("user", "And now?")
BLUE, RED = ChatMessage("assistant", "blue"), ChatMessage("assistant", "red")
SYSTEM = ChatMessage("system", "Be brief.")

NO_SYSTEM = (
    "{% for m in messages %}"
    "{% if m['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "<|start|>{{ m['role'] }}\n{{ m['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)
FORGETFUL = (  # earlier answers lose their thoughts, as with Qwen3
    "{% for m in messages %}<|start|>{{ m['role'] }}\n"
    "{% if m['role'] == 'assistant' and loop.last %}<think></think>{% endif %}"
    "{{ m['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n<think></think>{% endif %}"
)


def chats_of(folder: Path, max_length: int = 512) -> ChatTokenizer:
    return ChatTokenizer(
        CheckpointFolder(HfSettings(checkpoint=str(folder), max_length=max_length))
    )


@pytest.fixture(scope="module")
def chats(checkpoint: Path) -> ChatTokenizer:
    return chats_of(checkpoint)


def with_template(checkpoint: Path, folder: Path, template: str) -> ChatTokenizer:
    shutil.copytree(checkpoint, folder)
    (folder / "chat_template.jinja").write_text(template)
    return chats_of(folder)


def learned(chats: ChatTokenizer, row: TokenizedExample) -> str:
    return str(chats.tokenizer.decode([label for label in row.labels if label != UNLEARNED]))


def test_answers_and_their_ends_are_learned_and_nothing_else(chats: ChatTokenizer) -> None:
    (row,) = chats.sequences([SYSTEM, ASK, BLUE, AGAIN, RED])
    assert learned(chats, row) == "blue<|end|>red<|end|>"
    assert [label for label in row.labels if label != UNLEARNED] == [
        token for token, label in zip(*row, strict=True) if label != UNLEARNED
    ]


def test_an_answer_of_weight_0_is_read_but_not_learned(chats: ChatTokenizer) -> None:
    (row,) = chats.sequences([ASK, BLUE._replace(weight=0), AGAIN, RED])
    assert learned(chats, row) == "red<|end|>"
    assert "blue" in chats.text(row.tokens)


def test_what_stands_before_a_learned_answer_is_the_prompt_it_will_be_sampled_after(
    chats: ChatTokenizer,
) -> None:
    asked = (SYSTEM, ASK)
    (row,) = chats.sequences([*asked, BLUE])
    prompt = chats.prompt(asked)
    assert tuple(row.tokens[: len(prompt)]) == prompt
    assert row.labels[: len(prompt)] == [UNLEARNED] * len(prompt)
    assert UNLEARNED not in row.labels[len(prompt) :]


def test_a_template_without_a_system_turn_gets_it_in_the_users_first(
    checkpoint: Path, tmp_path: Path
) -> None:
    chats = with_template(checkpoint, tmp_path / "c", NO_SYSTEM)
    assert (
        chats.text(chats.prompt((SYSTEM, ASK))) == "user\nBe brief.\n\nWhich button?\nassistant\n"
    )


def test_a_template_that_tells_earlier_answers_otherwise_gets_a_row_for_each(
    checkpoint: Path, tmp_path: Path
) -> None:
    chats = with_template(checkpoint, tmp_path / "c", FORGETFUL)
    rows = chats.sequences([ASK, BLUE, AGAIN, RED])
    assert [learned(chats, row) for row in rows] == ["blue<|end|>", "red<|end|>"]
    prompt = chats.prompt((ASK, BLUE, AGAIN))
    assert tuple(rows[1].tokens[: len(prompt)]) == prompt


def test_a_chat_that_the_template_refuses_is_refused_in_its_words(
    checkpoint: Path, tmp_path: Path
) -> None:
    chats = with_template(checkpoint, tmp_path / "c", NO_SYSTEM)
    with pytest.raises(ExampleError, match="System role not supported"):
        chats.prompt((ASK, BLUE, SYSTEM))


def test_a_chat_longer_than_the_context_is_refused(checkpoint: Path) -> None:
    chats = chats_of(checkpoint, max_length=16)
    with pytest.raises(ContextLengthError, match="context length is 16 tokens"):
        chats.prompt((ChatMessage("user", "word " * 50),))
    with pytest.raises(ContextLengthError, match="context length is 16 tokens"):
        chats.sequences([ASK, ChatMessage("assistant", "blue " * 50)])


def test_a_preference_is_one_prompt_and_two_answers_that_end(chats: ChatTokenizer) -> None:
    pair = chats.pair(ChatPair((SYSTEM, ASK), "blue", "red"))
    assert tuple(pair.prompt) == chats.prompt((SYSTEM, ASK))
    assert chats.tokenizer.decode(pair.chosen) == "blue<|end|>"
    assert chats.tokenizer.decode(pair.rejected) == "red<|end|>"


def test_a_chat_without_an_answer_to_learn_is_refused(chats: ChatTokenizer) -> None:
    with pytest.raises(ExampleError, match="weight 1"):
        chats.sequences([ASK, BLUE._replace(weight=0)])
    with pytest.raises(ExampleError, match="begins with the assistant"):
        chats.sequences([BLUE])


def test_a_checkpoint_without_a_template_is_no_chat_model(checkpoint: Path, tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    shutil.copytree(checkpoint, folder)
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(ConfigError, match="has no chat template"):
        HfEngine(HfSettings(checkpoint=str(folder)))


def test_a_folder_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no config\.json"):
        HfEngine(HfSettings(checkpoint=str(tmp_path)))


def test_a_damaged_tokenizer_is_told_in_one_line(checkpoint: Path, tmp_path: Path) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(checkpoint, folder)
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(ConfigError, match=r"tokenizer of 'damaged' cannot be read") as refused:
        HfEngine(HfSettings(checkpoint=str(folder)))
    assert "\n" not in str(refused.value)


def test_the_fingerprint_tells_weights_of_one_shape_apart(checkpoint: Path, tmp_path: Path) -> None:
    from rmft_api.local_server.hf import example_checkpoint

    example_checkpoint.make(tmp_path / "other", 1, 0, lambda line: None)
    names = {
        CheckpointFolder(HfSettings(checkpoint=str(folder))).fingerprint
        for folder in (checkpoint, checkpoint, tmp_path / "other")
    }
    assert len(names) == 2
