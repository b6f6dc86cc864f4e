"""A plan counts an open model's tokens as its own server does."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from rmft_api.config.schema import ModelConfig
from rmft_api.datasets import checkpoint_tokens
from rmft_api.datasets.tokens import TokenCounter
from rmft_api.local_server.engine import ChatMessage
from rmft_api.local_server.hf.chats import ChatTokenizer
from rmft_api.local_server.hf.checkpoint import CheckpointFolder
from rmft_api.open_models.settings import HfSettings
from rmft_api.providers import profiles
from rmft_api.session.token_counters import counter_at

pytest.importorskip("trl", reason="pip install 'rmft-api[open]'")

CHATS = [
    [("user", "Which button?")],
    [("system", "2 buttons: A, B."), ("user", "Round 1 of 8.\nA: 3 plays, mean 47, last 100")],
    [("user", "Which?"), ("assistant", "<Answer>A</Answer>"), ("user", "And 1234.5 now?")],
    [("system", "Be brief."), ("user", "Which?"), ("assistant", "<Answer>B</Answer>")],
    [("user", "Which?"), ("assistant", "A"), ("user", "Now?"), ("assistant", "Grüße, B")],
]
NO_SYSTEM = (
    "{% for m in messages %}"
    "{% if m['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "<|start|>{{ m['role'] }}\n{{ m['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)


def counts(folder: Path) -> tuple[TokenCounter | None, ChatTokenizer]:
    chats = ChatTokenizer(CheckpointFolder(HfSettings(checkpoint=str(folder))))
    model = ModelConfig(base="mine", checkpoint=str(folder))
    return counter_at(profiles.load("local"), model), chats


@pytest.mark.parametrize("template", [None, NO_SYSTEM])
def test_every_chat_has_as_many_tokens_as_for_the_server(
    checkpoint: Path, tmp_path: Path, template: str | None
) -> None:
    folder = tmp_path / "specimen"
    shutil.copytree(checkpoint, folder)
    if template is not None:
        (folder / "chat_template.jinja").write_text(template)
    counter, chats = counts(folder)
    assert counter is not None
    assert (counter.error, counter.basis) == (0, "the tokenizer of specimen")
    for told in CHATS:
        messages = tuple(ChatMessage(role, text) for role, text in told)
        if told[-1][0] != "assistant":
            assert counter.chat(messages) == len(chats.prompt(messages))
            continue
        learned = (*(one._replace(weight=0) for one in messages[:-1]), messages[-1])
        assert counter.chat(messages) == sum(len(row.tokens) for row in chats.sequences(learned))


@pytest.mark.parametrize("damage", ["tokenizer.json", "tokenizer_config.json"])
def test_files_that_do_not_tell_leave_the_estimate(
    checkpoint: Path, tmp_path: Path, damage: str
) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(checkpoint, folder)
    (folder / damage).write_text("{")
    assert checkpoint_tokens.counter_of(folder) is None
    model = ModelConfig(base="mine", checkpoint=str(folder))
    assert not counter_at(profiles.load("local"), model).exact


def test_a_checkpoint_without_a_template_leaves_the_estimate(
    checkpoint: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "plain"
    shutil.copytree(checkpoint, folder)
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    told: dict[str, Any] = json.loads((folder / "tokenizer_config.json").read_text())
    told.pop("chat_template", None)
    (folder / "tokenizer_config.json").write_text(json.dumps(told))
    assert checkpoint_tokens.counter_of(folder) is None
