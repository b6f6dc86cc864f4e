"""Draw tokens from logits; every row by its own prompt's settings and its own uniform number."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from rmft_api.local_server.engine import Prompt, TokenLogprob
from rmft_api.local_server.hf.chats import ChatTokenizer

COLDEST = 1e-4
"""Below this temperature the most likely token is taken."""


class SamplingSettings(NamedTuple):
    """Sampling settings of R rows, each [R]."""

    temperatures: Tensor
    top_ps: Tensor

    def keep(self, rows: Tensor) -> "SamplingSettings":
        """The settings of some rows."""
        return SamplingSettings(self.temperatures[rows], self.top_ps[rows])


def temper(prompts: Sequence[Prompt], device: torch.device) -> SamplingSettings:
    """The settings of some prompts."""
    return SamplingSettings(
        torch.tensor([prompt.temperature for prompt in prompts], device=device),
        torch.tensor([prompt.top_p for prompt in prompts], device=device),
    )


def pick(logits: Tensor, temper: SamplingSettings, uniforms: Tensor) -> Tensor:
    """A token for each row of logits [R, V]; `uniforms` [R] are in [0, 1)."""
    warm = temper.temperatures.clamp_min(COLDEST)[:, None]
    chances = torch.softmax(logits / warm, -1)
    if bool((temper.top_ps < 1).any()):
        chances = _nucleus(chances, temper.top_ps)
    sums = chances.double().cumsum(-1)
    goals = uniforms[:, None] * sums[:, -1:]
    drawn = torch.searchsorted(sums, goals, right=True)[:, 0].clamp_max(logits.shape[1] - 1)
    cold = temper.temperatures < COLDEST
    return torch.where(cold, logits.argmax(-1), drawn) if bool(cold.any()) else drawn


def _nucleus(chances: Tensor, top_ps: Tensor) -> Tensor:
    """Keep the fewest most likely tokens of each row that reach its `top_p` together."""
    ordered, places = torch.sort(chances, dim=-1, descending=True, stable=True)
    before = ordered.cumsum(-1) - ordered
    kept = torch.where((before < top_ps[:, None]) | (top_ps[:, None] >= 1), ordered, 0)
    kept[:, 0] = ordered[:, 0]
    return torch.zeros_like(chances).scatter_(-1, places, kept)


def logprob(logits: Tensor, token: int, rivals: int, chats: ChatTokenizer) -> TokenLogprob:
    """Natural-log probabilities at temperature 1 of a token and its likeliest rivals."""
    chances = torch.log_softmax(logits, -1)
    values, indices = torch.topk(chances, rivals)
    top = zip(indices, values, strict=True)
    names = tuple((token_text(chats, int(rival)), float(value)) for rival, value in top)
    return TokenLogprob(token_text(chats, token), float(chances[token]), names)


def token_text(chats: ChatTokenizer, token: int) -> str:
    """A token as logprobs name it; one without text of its own by its name in the vocabulary."""
    return chats.text([token]) or str(chats.tokenizer.convert_ids_to_tokens(token))
