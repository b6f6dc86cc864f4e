"""CPU time of an open model's answers in the rounds of `runs/open-smollm2.toml`, with an adapter.

    python benchmarks/open_model_rounds.py --checkpoint smollm2-135m --adapter WEIGHTS

WEIGHTS is a file `server/jobs/*/weights/*.safetensors` of a run. The fifth round of an iteration's
training rollouts, as a random player meets it: 48 scenarios, 16 trajectories each, so 768 answers
in three batches and few different prompts. Three times, with the adapter beside its base
(`merged_mb=0`) and added to it, in turn; the same answers must come out.
"""

import argparse
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from rmft_api.config.schema import PromptConfig
from rmft_api.core import resources
from rmft_api.environments import Scenario
from rmft_api.local_server.engine import ChatMessage, Prompt
from rmft_api.local_server.hf.engine import HfEngine
from rmft_api.open_models.settings import HfSettings
from rmft_api.prompts import load

SCENARIOS, TRAJECTORIES, T, ROUND, ROWS = 48, 16, 8, 4, 256
PROMPTS = PromptConfig(
    set="short", history="averages", reasoning="none", name_order="round", story="buttons"
)


def chats() -> list[tuple[ChatMessage, ...]]:
    """What every trajectory asks in that round."""
    told = load(PROMPTS, [resources.prompts_dir()])
    rng = np.random.default_rng(0)
    found: list[tuple[ChatMessage, ...]] = []
    for _ in range(SCENARIOS):
        means = np.full((T, 2), 0.1)
        means[:, rng.integers(2)] = 0.9
        rewards = (rng.random((T, 2)) < means).astype(float)
        for _ in range(TRAJECTORIES):
            builder = told.prompt_builder(
                told.wordings[0], Scenario(rewards, means, "bandit", "pseudo")
            )
            for t in range(ROUND):
                builder.observe("", int(rng.integers(2)), tuple(rewards[t].tolist()))
            found.append(tuple(ChatMessage(m.role, m.content) for m in builder.messages()))
    return found


def answered(model: Any, asked: list[tuple[ChatMessage, ...]]) -> tuple[float, list[str]]:
    """CPU milliseconds an answer, and the answers."""
    texts: list[str] = []
    begun = time.process_time()
    for at in range(0, len(asked), ROWS):
        batch = [
            Prompt(chat, seed=n, max_tokens=10) for n, chat in enumerate(asked[at : at + ROWS], at)
        ]
        texts += [answer.text for answer in model.complete(batch)]
    return 1000 * (time.process_time() - begun) / len(asked), texts


def main() -> None:
    """Print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--adapter", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    asked = chats()
    models: dict[str, Any] = {}
    for name, most in (("beside its base", 0), ("added to it", 1024)):
        settings = HfSettings(
            checkpoint=given.checkpoint, threads=1, rows=ROWS, max_length=512, merged_mb=most
        )
        engine = HfEngine(settings)
        models[name] = engine.load(engine.bases[0], given.adapter)
        answered(models[name], asked)
    taken: dict[str, list[float]] = {name: [] for name in models}
    texts: list[list[str]] = []
    for _ in range(3):
        for name, model in models.items():
            spent, said = answered(model, asked)
            taken[name].append(spent)
            texts.append(said)
    print(f"{len(asked)} answers to {len(set(asked))} different prompts, CPU ms an answer")
    for name, spent in taken.items():
        print(f"the adapter {name:16} {median(spent):6.2f}")
    print("the same answers:", all(one == texts[0] for one in texts))


if __name__ == "__main__":
    main()
