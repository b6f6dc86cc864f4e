"""Chats of scripted players, written with the same prompt templates that the tool uses."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from string import Template
from typing import NamedTuple

import numpy as np

from rmft_api.local_server.engine import ChatMessage
from rmft_api.local_server.tiny import scripted

Chat = tuple[ChatMessage, ChatMessage, ChatMessage]
SCENARIOS = ("buttons", "adverts", "doors")
ROUNDS = range(10, 61)
ACTIONS = range(2, 7)
CHANGING = 0.15
"""Share of plays whose action means are drawn again once, in the middle of the play."""
SILENT = 0.04
"""Share of chats that ask for no reasoning and get none."""
SUGGESTIVE = 0.15
REINFORCED = 0.10
FORGETFUL = 0.06
"""Share of later rounds that are not shown what was said before."""


def fill(template: str, fields: dict[str, str | int]) -> str:
    """A filled template; lines that end up empty are dropped."""
    lines = Template(template).substitute(fields).split("\n")
    return "\n".join(line for line in lines if line.strip())


class Templates:
    """The templates of one directory, read once each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._texts: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        if name not in self._texts:
            self._texts[name] = (self._folder / name).read_text("utf-8").rstrip("\n")
        return self._texts[name]

    @cached_property
    def letters(self) -> list[str]:
        """Action names; every scenario of the set has the same."""
        return self[f"scenarios/{SCENARIOS[0]}/actions.txt"].split("\n")


class SystemMessageKey(NamedTuple):
    """What a play's system message depends on."""

    scenario: str
    framing: str
    reasoning: str
    k: int
    rounds: int


def system_text(prompts: Templates, asked: SystemMessageKey) -> str:
    """The task and how to answer."""
    names = ", ".join(prompts.letters[: asked.k])
    task = {"K": asked.k, "T": asked.rounds, "actions": names}
    return fill(
        prompts["system.md"],
        {
            "task": fill(prompts[f"scenarios/{asked.scenario}/task.md"], task),
            "framing": prompts[f"framings/{asked.framing}.md"],
            "reasoning": prompts[f"reasonings/{asked.reasoning}.md"],
            "output": prompts["outputs/action.md"],
        },
    )


def history_text(prompts: Templates, state: scripted.State, play: int) -> str:
    """The summary of one play: a line per action."""
    means, recents = scripted.percent(state.means[play]), scripted.percent(state.recents[play])
    lines: list[str] = []
    for n, count in enumerate(state.counts[play].tolist()):
        fields: dict[str, str | int] = {"action": prompts.letters[n], "count": count}
        if count:
            fields |= {"mean_percent": int(means[n]), "recent_percent": int(recents[n])}
        name = "line" if count else "untried"
        lines.append(fill(prompts[f"histories/summary/{name}.md"], fields))
    return fill(prompts["histories/summary/all.md"], {"lines": "\n".join(lines)})


def reason_text(style: int, letter: str) -> str:
    """The line that says why."""
    return scripted.STYLES[style].reason.format(letter)


def answer_text(prompts: Templates, seen: scripted.ScriptedRound, play: int, silent: bool) -> str:
    """Read-outs, reason and action; the action alone when no reasoning was asked for."""
    best, few, hope, action = (
        prompts.letters[int(one[play])] for one in (seen.best, seen.few, seen.hope, seen.actions)
    )
    answer = f"<Answer>{action}</Answer>"
    if silent:
        return answer
    reason = reason_text(int(seen.styles[play]), action)
    return f"Best {best}, few {few}, hope {hope}.\n{reason} {answer}"


def user_text(
    prompts: Templates,
    asked: SystemMessageKey,
    seen: scripted.ScriptedRound,
    number: int,
    play: int,
    said: str,
) -> str:
    """What is shown in round `number`, counted from 1."""
    return fill(
        prompts["user.md"],
        {
            "round": number,
            "T": asked.rounds,
            "left": asked.rounds - number + 1,
            "context": "",  # its problems have none
            "history": history_text(prompts, seen.state, play),
            "said": fill(prompts["said.md"], {"reason": said}) if said else "",
        },
    )


def _two_means(n: int, k: int, chance: np.random.Generator) -> scripted.Floats:
    """Half the plays have one better action among equals, half have means of all sizes."""
    gap = chance.uniform(0.15, 0.5, (n, 1))
    best = np.arange(k) == chance.integers(0, k, (n, 1))
    return np.where(
        chance.random((n, 1)) < 0.5,
        np.where(best, 0.5 + gap / 2, 0.5 - gap / 2),
        chance.uniform(0.1, 0.9, (n, k)),
    )


def reward_tables(n: int, k: int, rounds: int, chance: np.random.Generator) -> scripted.Floats:
    """Bernoulli, clipped Gaussian and uniform-interval rewards [n, rounds, k] in equal shares."""
    change = np.where(chance.random(n) < CHANGING, chance.integers(5, rounds - 5, n), rounds)
    before, after = (_two_means(n, k, chance)[:, None] for _ in range(2))
    means = np.where(np.arange(rounds)[:, None] < change[:, None, None], before, after)
    noise = chance.standard_normal((n, rounds, k))
    uniform = chance.random((n, rounds, k))
    interval = 0.8 * np.minimum(means, 1 - means) * (2 * uniform - 1)
    kinds = (uniform < means) * 1.0, np.clip(means + 0.2 * noise, 0, 1), means + interval
    return np.choose(chance.integers(0, 3, (n, 1, 1)), kinds).astype(np.float64)


def _asked(k: int, rounds: int, chance: np.random.Generator) -> SystemMessageKey:
    draw = chance.random(3)
    reasoning = "none" if draw[0] < SILENT else "reinforced" if draw[1] < REINFORCED else "free"
    framing = "suggestive" if draw[2] < SUGGESTIVE else "neutral"
    return SystemMessageKey(
        SCENARIOS[chance.integers(len(SCENARIOS))], framing, reasoning, k, rounds
    )


def chats(
    prompts: Templates,
    plays: int,
    picks: int,
    chance: np.random.Generator,
    shares: scripted.Floats = scripted.SHARES,
) -> Iterator[Chat]:
    """For each K, `plays` plays, and of each the first round and `picks` - 1 later ones.

    `shares`: how often each style is met.
    """
    for k in ACTIONS:
        horizons = chance.integers(ROUNDS[0], ROUNDS[-1] + 1, plays)
        tables = reward_tables(plays, k, ROUNDS[-1], chance)
        played = scripted.play(tables, chance, horizons, shares)
        for play in range(plays):
            asked = _asked(k, int(horizons[play]), chance)
            system = ChatMessage("system", system_text(prompts, asked))
            later = chance.choice(np.arange(2, asked.rounds + 1), picks - 1, replace=False)
            for number in (1, *later.tolist()):
                yield _chat(prompts, asked, system, played, number, play, chance.random())


def _chat(
    prompts: Templates,
    asked: SystemMessageKey,
    system: ChatMessage,
    played: list[scripted.ScriptedRound],
    number: int,
    play: int,
    draw: float,
) -> Chat:
    seen, silent = played[number - 1], asked.reasoning == "none"
    said = ""
    if number > 1 and not silent and draw >= FORGETFUL:
        before = played[number - 2]
        letter = prompts.letters[int(before.actions[play])]
        said = reason_text(int(before.styles[play]), letter)
    user = ChatMessage("user", user_text(prompts, asked, seen, number, play, said))
    return system, user, ChatMessage("assistant", answer_text(prompts, seen, play, silent))
