"""Tokens that an open model reads and writes in a second of one CPU core, and seconds of a step.

    python benchmarks/open_model_speed.py --checkpoint smollm2-135m [--rows 64] [--mixed]

Three ways in one run, in turn, so that load meets all alike: the engine as it is (`ours`), the
engine without its ways to be fast (`plain products`: MKL, one portion, nothing shared), and
transformers' own `generate` on the same prompts in one padded batch. Every round has prompts of its
own, in the middle of a bandit trajectory; nothing is known beforehand. They are of one story and
two actions, or with `--mixed` of three stories and two to six actions: these share less. CPU time.
"""

import argparse
import time
from collections.abc import Callable
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch

from rmft_api.config.schema import PromptConfig
from rmft_api.core import resources, seeds
from rmft_api.environments import Scenario
from rmft_api.local_server.engine import ChatMessage, JobHyperparameters, Prompt
from rmft_api.local_server.hf import prefixes, products, reading
from rmft_api.local_server.hf.engine import HfEngine
from rmft_api.open_models.settings import HfSettings
from rmft_api.prompts import load

T = 8
STORIES = ("buttons", "doors", "adverts")
ANSWER = "<Answer>blue</Answer>"


class Workload:
    """Chats in the middle of trajectories of their own."""

    def __init__(self, mixed: bool) -> None:
        stories, self._most = (STORIES, 6) if mixed else (STORIES[:1], 2)
        self._told = [
            load(
                PromptConfig(set="compact", story=story, reasoning="none"),
                [resources.prompts_dir()],
            )
            for story in stories
        ]

    def chats(self, count: int, round_: int) -> list[tuple[ChatMessage, ...]]:
        """Of a round."""
        found: list[tuple[ChatMessage, ...]] = []
        for number in range(count):
            rng = seeds.rng(round_, "speed", number)
            told = self._told[int(rng.integers(len(self._told)))]
            K = int(rng.integers(2, self._most + 1))
            table = rng.random((T, K))
            scenario = Scenario(table, table, "bandit", "pseudo")
            builder = told.prompt_builder(told.wordings[0], scenario)
            for t in range(int(rng.integers(1, T))):
                builder.observe("", int(rng.integers(K)), tuple(table[t].tolist()))
            found.append(tuple(ChatMessage(m.role, m.content) for m in builder.messages()))
        return found


@contextmanager
def plain_products() -> Any:
    """The engine without its ways to be fast."""
    kept = products.is_slow_in_mkl, reading.PORTION, prefixes.WORTH
    products.is_slow_in_mkl, reading.PORTION, prefixes.WORTH = (lambda: False), 2**20, 2**20
    try:
        yield
    finally:
        products.is_slow_in_mkl, reading.PORTION, prefixes.WORTH = kept


def answered(model: Any, work: Workload) -> Callable[[int, int, int], int]:
    """Tokens that the engine writes to prompts of a round."""

    def ask(rows: int, round_: int, tokens: int) -> int:
        prompts = [
            Prompt(chat, seed=n, max_tokens=tokens)
            for n, chat in enumerate(work.chats(rows, round_))
        ]
        return sum(answer.completion_tokens for answer in model.complete(prompts))

    return ask


def generated(folder: Path, work: Workload) -> Callable[[int, int, int], int]:
    """The same by transformers, all rows to the last token."""
    import transformers

    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder, padding_side="left")
    network: Any = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)

    def ask(rows: int, round_: int, tokens: int) -> int:
        said = [[m._asdict() for m in chat] for chat in work.chats(rows, round_)]
        batch = tokenizer.apply_chat_template(
            said, add_generation_prompt=True, return_tensors="pt", return_dict=True, padding=True
        )
        options = {
            "do_sample": True,
            "top_k": 0,
            "max_new_tokens": tokens,
            "min_new_tokens": tokens,
        }
        with torch.inference_mode():
            return int(network.generate(**batch, **options).shape[0]) * tokens

    return ask


def read_tokens(engine: HfEngine, work: Workload, rows: int, round_: int) -> int:
    """Tokens of a round's prompts."""
    tokenizer = engine._chats
    return sum(len(tokenizer.prompt(chat)) for chat in work.chats(rows, round_))


def steps(engine: HfEngine) -> float:
    """CPU seconds of a step of 8 examples, the median of three."""
    examples = [(*chat, ChatMessage("assistant", ANSWER)) for chat in Workload(False).chats(32, 99)]
    ends = [time.process_time()]
    with TemporaryDirectory() as folder:
        engine.train(
            engine.bases[0],
            None,
            examples,
            JobHyperparameters(1, 8, 1.0),
            0,
            lambda step: Path(folder, f"{step}.safetensors"),
            lambda step: ends.append(time.process_time()),
        )
    return median(b - a for a, b in pairwise(ends[1:]))


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--train", action="store_true", help="a training step as well")
    parser.add_argument("--mixed", action="store_true", help="prompts that share little")
    asked = parser.parse_args()
    work = Workload(asked.mixed)
    torch.set_num_threads(1)
    options = {"threads": 1, "prefix_mb": 0, "micro_batch": 8, "lora_rank": 8, "lora_alpha": 16}
    engine = HfEngine(HfSettings(checkpoint=str(asked.checkpoint), **options))
    ways = {"ours": answered(engine.load(engine.bases[0], None), work)}
    with plain_products():
        slow = HfEngine(HfSettings(checkpoint=str(asked.checkpoint), **options))
        ways["plain products"] = answered(slow.load(slow.bases[0], None), work)
    ways["transformers.generate"] = generated(asked.checkpoint, work)
    low = HfSettings(checkpoint=str(asked.checkpoint), sampling_dtype="bfloat16", **options)
    half = HfEngine(low)
    ways["ours, bfloat16"] = answered(half.load(half.bases[0], None), work)
    for ask in ways.values():  # weights are prepared at a second batch
        ask(4, -1, 1)
        ask(4, -2, 1)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for round_ in range(asked.rounds):
        tokens = read_tokens(engine, work, asked.rows, round_)
        for name, ask in ways.items():
            with plain_products() if name == "plain products" else _as_it_is():
                begun = time.process_time()
                ask(asked.rows, round_, 1)
                read = time.process_time()
                written = ask(asked.rows, round_, 1 + asked.tokens) - asked.rows
                answer = time.process_time() - read - (read - begun)
            found[name].append((tokens / (read - begun), written / answer))
            rates = ", ".join(f"{rate:.0f}" for rate in found[name][-1])
            print(f"round {round_ + 1}, {name}: read, written {rates}", flush=True)
    print(f"{asked.rows} rows, {tokens / asked.rows:.0f} tokens a prompt, tokens a CPU second")
    base = [median(one[side] for one in found["transformers.generate"]) for side in (0, 1)]
    for name, rates in found.items():
        read, written = (median(one[side] for one in rates) for side in (0, 1))
        print(
            f"{name:24} read {read:7.0f} ({read / base[0]:.2f} x)   "
            f"written {written:7.0f} ({written / base[1]:.2f} x)"
        )
    if asked.train:
        with plain_products():
            print(f"a step of 8 examples: {steps(slow):.2f} CPU seconds with plain products")
        print(f"a step of 8 examples: {steps(engine):.2f} CPU seconds")


@contextmanager
def _as_it_is() -> Any:
    yield


if __name__ == "__main__":
    main()
