"""Draw tokens from logits; every row by its own prompt's settings and its own uniform number."""

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor

from rmft_api.local_server.engine import Prompt, TokenLogprob
from rmft_api.local_server.hf.chats import ChatTokenizer

COLDEST = 1e-4
"""Below this temperature the most likely token is taken."""


class SamplingSettings(NamedTuple):
    """How a row draws."""

    temperature: float
    top_p: float


def settings_of(prompt: Prompt) -> SamplingSettings:
    """How answers to a prompt are drawn."""
    return SamplingSettings(prompt.temperature, prompt.top_p)


def pick(
    logits: Tensor,
    slots: Sequence[int],
    settings: Sequence[SamplingSettings],
    uniforms: Sequence[float],
) -> list[int]:
    """A token for each row, which reads one of the slots of logits [S, V].

    `uniforms` are in [0, 1). Rows that share slot and settings share their odds: over a whole
    vocabulary, to make odds costs more than to draw by them.
    """
    groups: dict[tuple[int, SamplingSettings], list[int]] = {}
    for row, key in enumerate(zip(slots, settings, strict=True)):
        groups.setdefault(key, []).append(row)
    numbers = [[uniforms[row] for row in rows] for rows in groups.values()]
    read = logits[torch.tensor([slot for slot, _ in groups], device=logits.device)]
    drawn = _drawn(read, [setting for _, setting in groups], numbers)
    tokens = [0] * len(slots)
    for rows, found in zip(groups.values(), drawn, strict=True):
        for row, token in zip(rows, found, strict=False):
            tokens[row] = token
    return tokens


def _drawn(
    logits: Tensor, settings: Sequence[SamplingSettings], numbers: Sequence[Sequence[float]]
) -> list[list[int]]:
    """Tokens for the numbers of each row of logits; rows of fewer numbers are filled up."""
    device = logits.device
    heats = torch.tensor([setting.temperature for setting in settings], device=device)[:, None]
    top_ps = torch.tensor([setting.top_p for setting in settings], device=device)
    chances = torch.softmax(logits / heats.clamp_min(COLDEST), -1)
    if bool((top_ps < 1).any()):
        chances = _nucleus(chances, top_ps)
    sums = chances.double().cumsum(-1)
    most = max(map(len, numbers))
    filled = [[*one, *[0.0] * (most - len(one))] for one in numbers]
    goals = torch.tensor(filled, dtype=torch.float64, device=device) * sums[:, -1:]
    found = torch.searchsorted(sums, goals, right=True).clamp_max(logits.shape[1] - 1)
    cold = heats < COLDEST
    if bool(cold.any()):
        found = torch.where(cold, logits.argmax(-1, keepdim=True), found)
    return cast("list[list[int]]", found.tolist())  # pyright: ignore[reportUnknownMemberType]


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
