"""A chat checkpoint made on the spot: `rmft-api make-checkpoint FOLDER`.

Random weights of a Llama of some hundred thousand parameters, a byte-level tokenizer trained on
chats of scripted players and a chat template, saved in Hugging Face's format. A short schooling on
such chats teaches it to answer in form and nothing about playing well. It shows that the path of
open models works, on any machine and for nothing; it is no evidence about large models.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from rmft_api.core.resources import prompts_dir
from rmft_api.local_server.engine import ChatMessage
from rmft_api.local_server.hf.chats import UNLEARNED, ChatTokenizer, TokenizedExample
from rmft_api.local_server.hf.checkpoint import CheckpointFolder
from rmft_api.local_server.hf.packages import package
from rmft_api.local_server.tiny import corpus, scripted
from rmft_api.open_models.settings import HfSettings

VOCABULARY = 768
CONTEXT = 512
SHAPE = {
    "hidden_size": 96,
    "intermediate_size": 256,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "num_key_value_heads": 1,
}
PLAYS = 40
"""Plays of each number of actions in one portion of chats."""
PICKS = 3
ROUNDS = 25
BATCH = 16
PEAK_RATE = 4e-3
PAD, START, END = "<pad>", "<|start|>", "<|end|>"
TEMPLATE = (
    "{% for message in messages %}"
    "<|start|>{{ message['role'] }}\n{{ message['content'] }}<|end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)

Chat = tuple[ChatMessage, ...]
Report = Callable[[str], None]


def make(folder: Path, seed: int, steps: int, report: Report) -> int:
    """Write the checkpoint; the number of its parameters. Raises OSError."""
    transformers = package("transformers")
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    torch.manual_seed(seed)  # pyright: ignore[reportUnknownMemberType]
    tokenizer = _tokenizer(seed)
    tokenizer.save_pretrained(str(folder))
    ids = cast("dict[str, int]", tokenizer.get_vocab())
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=ids[END],
        pad_token_id=ids[PAD],
        **SHAPE,
    )
    network: Any = transformers.LlamaForCausalLM(config)
    network.save_pretrained(str(folder))
    if steps:
        chats = ChatTokenizer(CheckpointFolder(HfSettings(checkpoint=str(folder))))
        _school(network, chats, seed, steps, report)
        network.save_pretrained(str(folder))
    return int(network.num_parameters())


def portion(seed: int, number: int) -> list[Chat]:
    """Chats of scripted players who say their action and no more, in no order."""
    chance = np.random.default_rng((seed, number))
    prompts = corpus.Templates(prompts_dir() / "compact")
    found = [
        _chat(prompts, played, play, chance)
        for k in corpus.ACTIONS
        for played in [scripted.play(corpus.reward_tables(PLAYS, k, ROUNDS, chance), chance)]
        for play in range(PLAYS)
        for _ in range(PICKS)
    ]
    return [found[place] for place in chance.permutation(len(found)).tolist()]


def _chat(
    prompts: corpus.Templates,
    played: Sequence[scripted.ScriptedRound],
    play: int,
    chance: np.random.Generator,
) -> Chat:
    number = int(chance.integers(1, ROUNDS + 1))
    seen = played[number - 1]
    scenario = corpus.SCENARIOS[chance.integers(len(corpus.SCENARIOS))]
    k = seen.state.counts.shape[1]
    asked = corpus.SystemMessageKey(scenario, "neutral", "none", k, ROUNDS)
    return (
        ChatMessage("system", corpus.system_text(prompts, asked)),
        ChatMessage("user", corpus.user_text(prompts, asked, seen, number, play, "")),
        ChatMessage("assistant", corpus.answer_text(prompts, seen, play, silent=True)),
    )


def _tokenizer(seed: int) -> Any:
    parts = package("tokenizers")
    bytes_ = parts.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained = parts.Tokenizer(parts.models.BPE())
    trained.pre_tokenizer = parts.pre_tokenizers.Sequence([parts.pre_tokenizers.Digits(), bytes_])
    trained.decoder = parts.decoders.ByteLevel()
    trainer = parts.trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PAD, START, END],
        initial_alphabet=bytes_.alphabet(),
        show_progress=False,
    )
    texts = (message.content for chat in portion(seed, 0) for message in chat)
    trained.train_from_iterator(texts, trainer)
    tokenizer = package("transformers").PreTrainedTokenizerFast(
        tokenizer_object=trained, pad_token=PAD, eos_token=END, model_max_length=CONTEXT
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def _school(network: Any, chats: ChatTokenizer, seed: int, steps: int, report: Report) -> None:
    """Plain supervised training of all weights."""
    adam = torch.optim.AdamW(network.parameters(), lr=PEAK_RATE, betas=(0.9, 0.98), fused=True)
    rates = torch.optim.lr_scheduler.OneCycleLR(adam, PEAK_RATE, total_steps=steps)
    for step, batch in zip(range(steps), _batches(chats, seed), strict=False):
        loss = _loss(network, batch)
        adam.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        adam.step()  # pyright: ignore[reportUnknownMemberType]
        rates.step()
        if step % 20 == 0 or step == steps - 1:
            report(f"step {step + 1} of {steps}: loss {loss.item():.3f}")


def _batches(chats: ChatTokenizer, seed: int) -> Iterator[Sequence[TokenizedExample]]:
    number = 0
    while True:
        number += 1
        rows = [row for chat in portion(seed, number) for row in chats.sequences(chat)]
        for at in range(0, len(rows) - BATCH + 1, BATCH):
            yield rows[at : at + BATCH]


def _loss(network: Any, batch: Sequence[TokenizedExample]) -> torch.Tensor:
    """Of the answers; they alone are run through the output layer."""
    width = max(len(row.tokens) for row in batch)
    tokens = torch.zeros((len(batch), width), dtype=torch.long)
    labels = torch.full((len(batch), width), UNLEARNED)
    for place, row in enumerate(batch):
        tokens[place, : len(row.tokens)] = torch.tensor(row.tokens)
        labels[place, : len(row.labels)] = torch.tensor(row.labels)
    wanted = labels[:, 1:] != UNLEARNED
    hidden = network.model(input_ids=tokens).last_hidden_state[:, :-1][wanted]
    return torch.nn.functional.cross_entropy(network.lm_head(hidden), labels[:, 1:][wanted])


def print_stderr(line: str) -> None:
    """Progress for a person."""
    sys.stderr.write(f"{line}\n")
