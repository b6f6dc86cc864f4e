"""Rebuild the base model from nothing: `python -m rmft_api.local_server.tiny.pretraining`.

The base is a stand-in with a knowing-doing gap that was put in on purpose. It is taught scripted
play: each answer first reads three facts out of the prompt (the action of the highest mean, the
least tried one, the one of the highest optimistic value) and then follows the style of a player.
Nine players in ten are poor: they pick at random, stay with one action, lock onto the first good
one, bet on the worst. So the base knows what good play looks like and seldom plays it. It shows
that the whole loop of the tool works, on any machine and for nothing; it is no evidence about
large language models.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from rmft_api.core.resources import prompts_dir
from rmft_api.local_server.tiny import corpus, scripted, tokenizer, training, vocabulary
from rmft_api.local_server.tiny.network import WIDTH, TinyNetwork, save

CHUNKS = 18
"""The chats are made in this many portions, each shuffled for itself."""
PRACTICE_CHUNKS = 12
"""The first portions, in which good play is frequent: the base learns how it is done. In the others
it learns how seldom it is met."""
PLAYS = 1_050
"""Plays in a portion for each number of actions."""
PICKS = 6
"""Rounds taken of each play."""
BATCH = 64
PEAK_RATE = 3e-3
WAVES = 12
"""Smooth functions that the embeddings of number tokens start from."""
REPORT_EVERY = 100


def _in_order(values: int, chance: torch.Generator) -> torch.Tensor:
    """Embeddings [values, WIDTH] in which near numbers are near: smooth waves, mixed at random."""
    place = torch.arange(values)[:, None] / values
    waves = torch.cos(torch.pi * place * torch.arange(WAVES))
    return waves @ torch.randn(WAVES, WIDTH, generator=chance) * (0.5 / WAVES / WIDTH) ** 0.5


def initialise(network: TinyNetwork, seed: int) -> None:
    """Small random weights, and number tokens laid out in order."""
    chance = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weights in network.named_parameters():
            scale = 0.5 if "embedding" in name or "out" in name else 1.0
            weights.normal_(0, scale * weights.shape[1] ** -0.5, generator=chance)
        for family in vocabulary.NUMBER_PHRASES:
            ids = [tokenizer.piece_id(family.template.format(n)) for n in family.values]
            network.embedding.weight[ids] = _in_order(len(ids), chance)


def batches(prompts: corpus.Templates, seed: int) -> Iterator[training.TokenBatch]:
    """Every chat once; chats of like length stand together, batches are shuffled."""
    for chunk in range(CHUNKS):
        chance = np.random.default_rng((seed, chunk))
        shares = scripted.PRACTICE if chunk < PRACTICE_CHUNKS else scripted.SHARES
        chats = corpus.chats(prompts, PLAYS, PICKS, chance, shares)
        examples = [training.as_example(chat) for chat in chats]
        shuffled = [examples[int(n)] for n in chance.permutation(len(examples))]
        shuffled.sort(key=lambda example: len(example.tokens))
        for batch in chance.permutation(len(shuffled) // BATCH):
            at = int(batch) * BATCH
            yield training.as_batch(shuffled[at : at + BATCH])


def pretrain(prompts: corpus.Templates, seed: int) -> TinyNetwork:
    """The base model; prints its loss on stderr from time to time."""
    network = TinyNetwork()
    initialise(network, seed)
    adam = training.optimiser(network)
    steps = CHUNKS * (PLAYS * PICKS * len(corpus.ACTIONS) // BATCH)
    schedule = training.Schedule(PEAK_RATE, steps, warmup=100, final=0.02)
    for step, batch in enumerate(batches(prompts, seed)):
        progress = training.update(network, adam, batch, schedule.rate(step))
        if step % REPORT_EVERY == 0:
            sys.stderr.write(f"step {step} of {steps}: loss {progress.loss:.3f}\n")
    return network


def main() -> None:
    """Read the command line, train, save."""
    parser = argparse.ArgumentParser(description="Rebuild the tiny base model from nothing.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="safetensors file to write")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads; changes the bits")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    prompts = corpus.Templates(prompts_dir() / "compact")
    save(pretrain(prompts, arguments.seed), arguments.out)


if __name__ == "__main__":
    main()
