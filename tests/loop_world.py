"""A run without any provider: models whose names say how well they play."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, cast

from rmft_api.config.schema import RunConfig
from rmft_api.core import resources, seeds
from rmft_api.core.errors import ResumableError
from rmft_api.core.records import (
    ChatRequest,
    ChatResponse,
    Choice,
    Hyperparameters,
    Job,
    Method,
    Split,
)
from rmft_api.core.waits import Wait
from rmft_api.datasets.tokens import counter_for
from rmft_api.deployments import Deployments
from rmft_api.environments import Scenario
from rmft_api.finetuning import FineTuned, Trainer, TrainingData
from rmft_api.journal import Journal
from rmft_api.loop import RunContext
from rmft_api.prompts import load, reader
from rmft_api.providers import profiles
from rmft_api.requests.retries import Retries
from rmft_api.rollouts import log_policy, preparation

NAMES = tuple(
    (resources.prompts_dir() / "standard/scenarios/buttons/actions.txt").read_text().split("\n")[:3]
)


def config(**changes: Any) -> RunConfig:
    """A small run; `changes` replace whole sections."""
    return RunConfig.model_validate(
        {
            "name": "loop",
            "seed": 5,
            "iterations": 3,
            "model": {"base": "skill-0.2"},
            "rollouts": {
                "scenarios": 3,
                "trajectories": 4,
                "problems": [{"environment": "bandit", "K": 3, "T": 8}],
            },
            "selection": {"k": 2},
            "validation": {"scenarios": 12},
            "test": {"scenarios": 6},
            **changes,
        }
    )


@dataclass
class Skilled:
    """A `ports.ChatModel`: model `skill-0.7` takes the best action in 70 % of rounds."""

    config: RunConfig
    asked: list[ChatRequest] = field(default_factory=list[ChatRequest])
    end_after: int | None = None
    """Raise ResumableError at this request: as a run is stopped."""

    async def reply(self, request: ChatRequest) -> ChatResponse:
        if self.end_after is not None and len(self.asked) >= self.end_after:
            raise ResumableError("stopped by the test")
        self.asked.append(request)
        said = [self._answer(self._action(request, i)) for i in range(request.n)]
        choices = tuple(Choice(f"I see.\n{answer}", "stop") for answer in said)
        return ChatResponse("r", request.model, choices, None)

    def _answer(self, action: int) -> str:
        if self.config.prompts.output == "action":
            return reader.render_action(action, NAMES)
        return reader.render_distribution([float(a == action) for a in range(3)], NAMES)

    def _action(self, request: ChatRequest, i: int) -> int:
        split, iteration, scenario, trajectory, t = request.key.split("/")
        table = self._scenarios(cast(Split, split), int(iteration))[int(scenario)]
        best = int(table.means.mean(axis=0).argmax())
        rng = seeds.rng(7, "skill", request.model, split, int(scenario), int(trajectory), int(t), i)
        lucky = rng.random() < float(request.model.removeprefix("skill-"))
        return best if lucky else int((best + 1 + rng.integers(2)) % 3)

    def _scenarios(self, split: Split, iteration: int) -> Sequence[Scenario]:
        return _drawn(self.config.model_dump_json(), split, iteration)


class Reads(Skilled):
    """Of a log, `skill-0.7` names the first action in 70 % of its answers, else the second."""

    def _action(self, request: ChatRequest, i: int) -> int:
        if not request.key.startswith(log_policy.KIND):
            return super()._action(request, i)
        rng = seeds.rng(9, "log", request.model, *request.key.split("/")[2:], i)
        return int(rng.random() >= float(request.model.removeprefix("skill-")))


@cache
def _drawn(config_json: str, split: Split, iteration: int) -> Sequence[Scenario]:
    return tuple(
        preparation.scenarios(RunConfig.model_validate_json(config_json), split, iteration)
    )


@dataclass
class Lines:
    """A console that keeps what it is told."""

    said: list[str] = field(default_factory=list[str])
    stages: list[str] = field(default_factory=list[str])

    def line(self, text: str) -> None:
        self.said.append(text)

    def stage(self, what: str) -> None:
        self.stages.append(what)

    def waiting(self, wait: Wait | None, is_news: bool) -> None:
        pass

    @contextmanager
    def playing(self, what: str, rounds: int) -> Generator[Callable[[int], None]]:
        yield lambda count: None


@dataclass(frozen=True)
class Scripted(Trainer):
    """Makes the models that the test names, job by job."""

    makes: Sequence[str] = ()
    started: list[str] = field(default_factory=list[str])
    """The models that were trained further."""
    learnt: list[tuple[Method, bytes]] = field(default_factory=list[tuple[Method, bytes]])

    async def train(
        self, iteration: int, start: str, data: TrainingData, method: Method = "supervised"
    ) -> FineTuned:
        model = self.makes[len(self.started)]
        self.started.append(start)
        self.learnt.append((method, data.content))
        job = Job(f"job-{iteration}", "succeeded", start, "file-1", 1, model)
        return FineTuned(model, start, data.sha256, job, None, Hyperparameters(), 1)


@dataclass
class World:
    """One run in a folder, that may be entered again as a resumed run is."""

    path: Path
    config: RunConfig
    makes: Sequence[str]
    chat: Skilled = field(init=False)
    console: Lines = field(default_factory=Lines)
    started: list[str] = field(default_factory=list[str])
    learnt: list[tuple[Method, bytes]] = field(default_factory=list[tuple[Method, bytes]])

    def __post_init__(self) -> None:
        self.chat = Skilled(self.config)

    def journal(self) -> Journal:
        if (self.path / "journal.sqlite").exists():
            return Journal.open(self.path)
        return Journal.create(self.path, self.config.model_dump_json(), {})

    def run(self, journal: Journal) -> RunContext:
        prompts = load(self.config.prompts, [resources.prompts_dir()])
        trainer = Scripted(
            profile=profiles.load("local"),
            connection=cast(Any, None),
            journal=journal,
            retries=Retries(),
            config=self.config,
            price=lambda model, tokens, epochs, method: 0,
            say=self.console.line,
            makes=self.makes,
            started=self.started,
            learnt=self.learnt,
        )
        hosting = Deployments(
            profile=profiles.load("local"),
            host=None,
            chat=self.chat,
            journal=journal,
            retries=Retries(),
            leaving=Retries(),
            rent=cast(Any, None),
            token=lambda request: 0,
            say=self.console.line,
        )
        return RunContext(
            config=self.config,
            directory=self.path,
            journal=journal,
            prompts=prompts,
            chat=self.chat,
            largest_n=8,
            counter=counter_for(self.config.model.base),
            trainer=trainer,
            deployments=hosting,
            console=self.console,
        )
