"""The network: a small causal Transformer with rotary positions and tied embeddings.

Axes are suffixes: R rows (chats), S tokens of a row, H heads, D numbers of a head, W width.
Normalisation has no weights of its own, linear maps have no bias.
"""

from pathlib import Path

import torch
from safetensors.torch import (
    load_file,  # pyright: ignore[reportUnknownVariableType]
    save_file,  # pyright: ignore[reportUnknownVariableType]
)
from torch import Tensor, nn
from torch.nn import functional

from rmft_api.local_server.tiny import tokenizer

WIDTH = 96
LAYERS = 3
HEADS = 4
HEAD = WIDTH // HEADS
HIDDEN = 4 * WIDTH
ROTARY_BASE = 1000.0


def normalise(x: Tensor) -> Tensor:
    """Zero mean and unit variance over the width."""
    return torch.layer_norm(x, (WIDTH,))


def rotary_tables(length: int) -> tuple[Tensor, Tensor]:
    """Cosines and signed sines [length, HEAD] of positions 0..length-1."""
    half = HEAD // 2
    frequencies = ROTARY_BASE ** (-torch.arange(half, dtype=torch.float64) / half)
    angles = torch.arange(length, dtype=torch.float64)[:, None] * frequencies
    cosines, sines = angles.cos(), angles.sin()
    return torch.cat((cosines, cosines), 1).float(), torch.cat((-sines, sines), 1).float()


def rotate(x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Turn queries or keys [..., HEAD] to their positions."""
    half = HEAD // 2
    swapped = torch.cat((x[..., half:], x[..., :half]), -1)
    return x * cosines + swapped * sines


class Block(nn.Module):
    """Attention, then a two-layer perceptron, each added to its input."""

    def __init__(self) -> None:
        super().__init__()
        self.attention_in = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.attention_out = nn.Linear(WIDTH, WIDTH, bias=False)
        self.hidden_in = nn.Linear(WIDTH, HIDDEN, bias=False)
        self.hidden_out = nn.Linear(HIDDEN, WIDTH, bias=False)

    def attend(self, x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
        """What each token of [R, S, W] gathers from itself and those before it."""
        rows, length, _ = x.shape
        split = self.attention_in(normalise(x)).view(rows, length, 3 * HEADS, HEAD).transpose(1, 2)
        turned = rotate(split[:, : 2 * HEADS], cosines, sines)
        queries, keys, values = turned[:, :HEADS], turned[:, HEADS:], split[:, 2 * HEADS :]
        gathered = functional.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        return gathered.transpose(1, 2).reshape(rows, length, WIDTH)

    def finish(self, x: Tensor, gathered: Tensor) -> Tensor:
        """Add what was gathered, and the perceptron's view of it."""
        x = x + self.attention_out(gathered)
        return x + self.hidden_out(functional.relu(self.hidden_in(normalise(x))))


class TinyNetwork(nn.Module):
    """Token ids to the logits of the next token."""

    cosines: Tensor
    sines: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(tokenizer.SIZE, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        cosines, sines = rotary_tables(tokenizer.CONTEXT)
        self.register_buffer("cosines", cosines, persistent=False)
        self.register_buffer("sines", sines, persistent=False)

    @property
    def layers(self) -> list[Block]:
        """The blocks, first to last."""
        return [block for block in self.blocks if isinstance(block, Block)]

    def forward(self, tokens_RS: Tensor, wanted_RS: Tensor) -> Tensor:
        """Logits [N, SIZE] after the N wanted tokens; only they pass the last perceptron."""
        length = tokens_RS.shape[1]
        cosines, sines = self.cosines[:length], self.sines[:length]
        x = self.embedding(tokens_RS)
        *firsts, last = self.layers
        for block in firsts:
            x = block.finish(x, block.attend(x, cosines, sines))
        gathered = last.attend(x, cosines, sines)
        x = last.finish(x[wanted_RS], gathered[wanted_RS])
        return functional.linear(normalise(x), self.embedding.weight)


def load(path: Path) -> TinyNetwork:
    """A network from a safetensors file, in float32 whatever the file's precision."""
    network = TinyNetwork()
    network.load_state_dict({name: t.float() for name, t in load_file(path).items()})
    return network


def save(network: TinyNetwork, path: Path) -> None:
    """Write the weights; the same weights give the same bytes."""
    state = {name: t.detach().contiguous() for name, t in network.state_dict().items()}
    save_file(state, path)
