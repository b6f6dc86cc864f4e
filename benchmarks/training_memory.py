"""The memory plan of an open model held against a real training: on a CPU, nothing downloaded.

    python benchmarks/training_memory.py [--family llama] [--tokens 256] [--steps 3]

Makes a checkpoint of random weights (some 90 M parameters), trains LoRA on it in a process of its
own for every way to train, and tells beside the plan what was in use at the peak (freed memory
given back to the system at once) and how large the process grew as it is.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rmft_api.open_models import memory, shapes
from rmft_api.open_models.memory import MIB, Memory, Pass
from rmft_api.open_models.settings import HfSettings

VOCABULARY, CONTEXT = 16_000, 2048
SIZES = {
    "hidden_size": 768,
    "intermediate_size": 2048,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "num_key_value_heads": 4,
    "head_dim": 64,
}
EXAMPLES = 4
"""Of one forward pass."""


class Way(NamedTuple):
    """How to train."""

    name: str
    checkpointing: bool = False
    pairs: bool = False

    def settings(self, folder: Path) -> HfSettings:
        """Of the engine."""
        return HfSettings(
            checkpoint=str(folder),
            micro_batch=EXAMPLES,
            gradient_checkpointing=self.checkpointing,
            save_every_s=1e9,
            threads=1,
        )

    def planned(self, folder: Path, tokens: int) -> Memory:
        """What the plan says."""
        found = shapes.known(str(folder))
        assert found is not None
        one = Pass(EXAMPLES, tokens, 2 if self.pairs else 1)
        return memory.training(found.shape, self.settings(folder), one, on_cpu=True)


WAYS = (
    Way("supervised"),
    Way("supervised, gradient_checkpointing", checkpointing=True),
    Way("preferences", pairs=True),
)


def make(folder: Path, family: str, sizes: Mapping[str, int] = SIZES) -> int:
    """A checkpoint of random weights; its parameters."""
    from rmft_api.local_server.hf import example_checkpoint
    from rmft_api.local_server.hf.packages import package

    example_checkpoint.make(folder, 0, 0, lambda line: None)  # for its tokenizer and template
    transformers = package("transformers")
    told = json.loads((folder / "config.json").read_text())
    ends = {name: told[name] for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    config = transformers.AutoConfig.for_model(
        family,
        **sizes,
        **ends,
        vocab_size=VOCABULARY,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
    )
    network: Any = transformers.AutoModelForCausalLM.from_config(config)
    network.save_pretrained(str(folder))
    return int(network.num_parameters())


def peak_mib() -> float:
    """Of this process since it began."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("this system does not tell a process's peak; run it on Linux")


def train(folder: Path, way: Way, tokens: int, steps: int) -> None:
    """In this process; prints its peak before anything was loaded, and at the end."""
    from rmft_api.local_server.engine import JobHyperparameters
    from rmft_api.local_server.hf.adapter_recipe import AdapterRecipe
    from rmft_api.local_server.hf.chats import ChatTokenizer
    from rmft_api.local_server.hf.checkpoint import CheckpointFolder
    from rmft_api.local_server.hf.tuning import Tuning

    checkpoint = CheckpointFolder(way.settings(folder))
    words = [3 + n % 500 for n in range(tokens)]
    half = tokens // 2
    row = (
        {"prompt_ids": words[:half], "chosen_ids": words[half:], "rejected_ids": words[half:][::-1]}
        if way.pairs
        else {"input_ids": words, "labels": words}
    )
    lesson = AdapterRecipe(
        None,
        [row] * EXAMPLES * steps,
        JobHyperparameters(1, EXAMPLES, 1.0),
        seed=0,
        beta=0.1 if way.pairs else None,
    )
    with tempfile.TemporaryDirectory() as scratch:
        tuning = Tuning(checkpoint, ChatTokenizer(checkpoint), lesson, Path(scratch))
        bare = peak_mib()
        tuning.run(lambda step: Path(scratch) / f"{step}.safetensors", lambda step: None)
    print(json.dumps([bare, peak_mib()]))


class Peak(NamedTuple):
    """MiB of one process."""

    before: float
    """When everything was imported and nothing loaded."""
    whole: float

    @property
    def training(self) -> float:
        """What the training took."""
        return self.whole - self.before


def measured(folder: Path, way: Way, tokens: int, steps: int, *, returned: bool) -> Peak:
    """Train in a process of its own; `returned`: what is freed goes back to the system at once."""
    command = [sys.executable, __file__, "--tokens", str(tokens), "--steps", str(steps)]
    command += ["--folder", str(folder), "--way", str(WAYS.index(way))]
    environment = {**os.environ, **({"MALLOC_MMAP_THRESHOLD_": "65536"} if returned else {})}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return Peak(*json.loads(done.stdout.splitlines()[-1]))


def compare(folder: Path, way: Way, tokens: int, steps: int) -> None:
    """One way beside its plan."""
    plan = way.planned(folder, tokens)
    held = sum(part.bytes for part in plan.parts[:-1]) / MIB
    parts = ", ".join(f"{part.name} {part.bytes / MIB:.0f}" for part in plan.parts)
    live = measured(folder, way, tokens, steps, returned=True).training
    peak = measured(folder, way, tokens, steps, returned=False)
    print(f"{way.name}: {parts} MiB")
    print(f"  in use {live:.0f}, planned without the reserve {held:.0f}: {held / live:.2f} times")
    print(
        f"  the process {peak.whole:.0f} ({peak.before:.0f} before loading), planned "
        f"{plan.total / MIB:.0f}: {plan.total / MIB / peak.whole:.2f} times",
        flush=True,
    )


def main() -> None:
    """Measure every way, or one in this process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", default="llama", help="llama, qwen3, phi3 or gemma2")
    parser.add_argument("--tokens", type=int, default=256, help="of one chat")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--way", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.folder is not None:
        number: int = asked.way
        train(asked.folder, WAYS[number], asked.tokens, asked.steps)
        return
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "model"
        print(f"{asked.family}: {make(folder, asked.family):,} parameters", flush=True)
        for way in WAYS:
            compare(folder, way, asked.tokens, asked.steps)


if __name__ == "__main__":
    main()
