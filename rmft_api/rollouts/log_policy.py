"""What a model does in the contexts of held-out rows of a log, so that its policy can be evaluated.

A model has a history, so its policy is: what it answers in the last of T rounds, after T - 1 rounds
that are training rows of the log as they were shown (one action each, with what it earned). A few
such histories are drawn once for all models; a held-out row is asked after one of them. Rows whose
chats are identical are one prompt, asked several times; shares of its answers are the policy.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rmft_api.config.schema import RunConfig
from rmft_api.core import seeds
from rmft_api.core.errors import FaultKind, ProviderFault, ResumableError
from rmft_api.core.paths import NAMED
from rmft_api.core.ports import PromptBuilder
from rmft_api.core.records import Address, ChatRequest, Choice, Record, Sampling
from rmft_api.core.scripted_players import is_scripted
from rmft_api.environments import ConcreteProblem, Scenario
from rmft_api.environments.registry import log_of
from rmft_api.journal import Journal
from rmft_api.prompts import PromptSet, reader
from rmft_api.rollouts import engine, preparation
from rmft_api.rollouts.splits import PlayContext
from rmft_api.selection.regret import Ints

if TYPE_CHECKING:
    from rmft_api.environments.log_reader import ShownLog
    from rmft_api.environments.logs import LoggedFeedback

KIND = "off_policy"
"""Of the journal's records, and what the keys of these chats begin with."""
MOST_SAMPLES = 64
"""Answers that one prompt is asked for, however many rows share it."""
ASKED_AGAIN = (FaultKind.AMBIGUOUS, FaultKind.NO_ANSWER)


class LogPolicy(Record, frozen=True):
    """What one model does on the held-out rows."""

    model: str
    prompts: int
    replies: int
    shares: tuple[tuple[float, ...], ...]
    """Of each prompt: how often each action of the log was chosen. The rest could not be read."""
    samples: tuple[int, ...]
    """Replies to each prompt."""
    valid: float
    """Share of replies that could be read."""


class LogHistory(NamedTuple):
    """Training rows as the rounds before the one that is asked."""

    rows: Ints
    """T - 1 of them."""
    order: tuple[int, ...]
    """The action of the log that each place stands for."""
    number: int


class Wording(NamedTuple):
    """How a history is worded."""

    story: str
    names: tuple[str, ...]


class Question(NamedTuple):
    """One prompt."""

    number: int
    history: LogHistory
    row: int
    """The first held-out row that it is of."""
    samples: int


@dataclass(frozen=True, eq=False)
class LogQuestions:
    """All that is asked of a model about the held-out rows of a log."""

    problem: ConcreteProblem
    environment: "LoggedFeedback"
    log: "ShownLog"
    rows_N: Ints
    """Held-out rows that are evaluated on."""
    prompts_N: Ints
    """The prompt of each."""
    histories: tuple[LogHistory, ...]
    histories_N: Ints
    questions: tuple[Question, ...]
    number: int = 0
    """Which of the logs that are evaluated on, from 0."""

    def key(self, index: int) -> str:
        """Of the journal's record of what model `index` does there."""
        return f"{index:02}" if not self.number else f"{index:02}/{self.number}"

    @property
    def place(self) -> tuple[str, ...]:
        """In the keys of chats: the first log has none, as where it is the only one."""
        return () if not self.number else (f"log{self.number}",)


def stored(journal: Journal, asked: LogQuestions) -> dict[int, LogPolicy]:
    """What each model that was asked does there, by its number."""
    found = dict[int, LogPolicy]()
    for key, policy in journal.all(KIND, LogPolicy):
        index, _, number = key.partition("/")
        if int(number or 0) == asked.number:
            found[int(index)] = policy
    return found


def problems_of(config: RunConfig) -> tuple[ConcreteProblem, ...]:
    """The problems of logs that models are evaluated on: those whose actions are all offered."""
    found = tuple(problem for problem, log in _of_logs(config).values() if log.A == problem.K)
    return found if config.origin.rules >= NAMED else found[:1]  # as a run began


def not_evaluated(config: RunConfig) -> tuple[str, ...]:
    """The problems of logs whose held-out rows no model is asked about, and why, a line each."""
    if not config.off_policy.rows:
        return ()
    taken = problems_of(config)
    left = [(problem, log) for problem, log in _of_logs(config).values() if problem not in taken]
    return tuple(dict.fromkeys(_why_not(problem, log) for problem, log in left))


def _why_not(problem: ConcreteProblem, log: "ShownLog") -> str:
    which = f"{log.table.path.name} with K={problem.K}, T={problem.T} has no off-policy values"
    if log.A == problem.K:
        return f"{which}: this run was started by an earlier version, which evaluated one log"
    return (
        f"{which}: they need every action offered, and the log has {log.A}; set K = {log.A}, or "
        f"name {problem.K} of them in the option actions"
    )


def _of_logs(config: RunConfig) -> dict[str, tuple[ConcreteProblem, "ShownLog"]]:
    """Every problem of a log, once, by what it is called; empty where no rows are wanted."""
    found: dict[str, tuple[ConcreteProblem, ShownLog]] = {}
    for problem in preparation.problems_of(config, "test") if config.off_policy.rows else ():
        environment = log_of(problem)
        if environment is not None:
            found.setdefault(problem.label, (problem, environment.shown()))
    return found


def questions(config: RunConfig) -> tuple[LogQuestions, ...]:
    """What is asked, log by log: the same for every model."""
    return tuple(
        _of_problem(config, problem, number) for number, problem in enumerate(problems_of(config))
    )


def _of_problem(config: RunConfig, problem: ConcreteProblem, number: int) -> LogQuestions:
    environment = log_of(problem)
    assert environment is not None
    log = environment.shown()
    rows_N = _rows(config, log)
    histories = tuple(
        _history(config, problem, log, number)
        for number in range(min(config.off_policy.histories, len(rows_N)))
    )
    histories_N = np.arange(len(rows_N)) % len(histories)
    prompts_N = _prompts(log, rows_N, histories_N)
    firsts = np.unique(prompts_N, return_index=True, return_counts=True)
    asked = tuple(
        Question(
            place,
            histories[int(histories_N[first])],
            int(rows_N[first]),
            min(MOST_SAMPLES, config.off_policy.samples * count),
        )
        for place, first, count in zip(*(one.tolist() for one in firsts), strict=True)
    )
    return LogQuestions(
        problem, environment, log, rows_N, prompts_N, histories, histories_N, asked, number
    )


def requests(
    config: RunConfig, prompts: PromptSet, asked: LogQuestions, index: int, model: str, most: int
) -> Iterator[tuple[Question, ChatRequest]]:
    """The chats of every question; `most`: choices that one of them may ask for."""
    sampling = Sampling(
        temperature=config.temperature("test", 0),
        top_p=config.sampling.top_p,
        max_tokens=config.sampling.max_tokens,
    )
    worded = wordings(config, prompts, asked)
    form, reasoned = config.prompts.answer_form, config.prompts.reasoning != "none"
    for question in asked.questions:
        wording = worded[question.history.number]
        builder = _builder(config, prompts, asked, question, wording)
        visible = None
        if is_scripted(model):
            rounds = list(_shown_rounds(asked.log, question.history))
            visible = engine.visible_state(
                wording.names, form, rounds, full=False, reasoned=reasoned
            )
        for start in range(0, question.samples, most):
            place = (*asked.place, question.number, start)
            yield (
                question,
                ChatRequest(
                    key="/".join(map(str, (KIND, index, *place))),
                    model=model,
                    messages=builder.messages(),
                    n=min(most, question.samples - start),
                    seed=seeds.number(config.seed, "off-policy reply", *place),
                    sampling=sampling,
                    stats=builder.stats(),
                    visible_state=visible,
                    answer=engine.answer_format(form, wording.names, reasoned=reasoned),
                ),
            )


def is_asked(config: RunConfig, journal: Journal, index: int) -> bool:
    """Whether model `index` was asked about the rows of every log."""
    return all(
        journal.get(KIND, asked.key(index), LogPolicy) is not None for asked in questions(config)
    )


async def ask(at: PlayContext, index: int, model: str) -> None:
    """Ask the model of iteration `index` about held-out rows, and keep what it does there."""
    for asked in questions(at.config):
        if at.journal.get(KIND, asked.key(index), LogPolicy) is None:
            await at.journal.put(KIND, asked.key(index), await _answered(at, asked, index, model))


async def _answered(at: PlayContext, asked: LogQuestions, index: int, model: str) -> LogPolicy:
    found = _Answers(asked, wordings(at.config, at.prompts, asked), at.config.prompts.answer_form)
    waiting = requests(at.config, at.prompts, asked, index, model, at.largest_n)
    title = f"iteration {index}: held-out rows of {asked.log.table.path.name}"
    with at.console.playing(title, sum(one.samples for one in asked.questions)) as tick:

        async def work() -> None:
            for question, request in waiting:
                reply = await engine.model_reply(at.chat, request)
                for choice in reply.choices:
                    found.add(question, choice)
                tick(len(reply.choices))

        await _together(work, _at_once(at.config, asked))
    return found.policy(model)


def _at_once(config: RunConfig, asked: LogQuestions) -> int:
    """Requests under way: all of them where they are a batch."""
    if config.requests.transport == "batch":
        return sum(one.samples for one in asked.questions)
    return config.requests.concurrency


async def _together(work: Callable[[], Coroutine[None, None, None]], count: int) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(work())
    except BaseExceptionGroup as errors:
        first = errors.exceptions[0]
        if isinstance(first, ProviderFault) and first.kind in ASKED_AGAIN:
            raise ResumableError(
                f"a request stayed without an answer: {first}; `rmft-api resume` asks again"
            ) from None
        raise first from None


class _Answers:
    """What was answered, prompt by prompt."""

    def __init__(
        self, asked: LogQuestions, words: Sequence[Wording], output: reader.Output
    ) -> None:
        self._words = words
        self._output: reader.Output = output
        self._sums: defaultdict[int, list[float]] = defaultdict(lambda: [0.0] * asked.log.A)
        self._replies: defaultdict[int, int] = defaultdict(int)
        self._prompts = len(asked.questions)
        self._read = 0

    def add(self, question: Question, choice: Choice) -> None:
        """One more reply."""
        self._replies[question.number] += 1
        answer = reader.read(
            choice.content,
            choice.finish_reason,
            choice.refusal,
            self._words[question.history.number].names,
            self._output,
            choice.thoughts,
        )
        if isinstance(answer, reader.UnreadableReply):
            return
        self._read += 1
        sums = self._sums[question.number]
        whole = sum(answer.policy)
        for place, share in enumerate(answer.policy):
            sums[question.history.order[place]] += share / whole

    def policy(self, model: str) -> LogPolicy:
        """What the model does."""
        samples = [self._replies[number] for number in range(self._prompts)]
        return LogPolicy(
            model=model,
            prompts=self._prompts,
            replies=sum(samples),
            shares=tuple(
                tuple(share / count for share in self._sums[number])
                for number, count in enumerate(samples)
            ),
            samples=tuple(samples),
            valid=self._read / sum(samples),
        )


def _rows(config: RunConfig, log: "ShownLog") -> Ints:
    """Test rows, all of them or a sample."""
    part = log.parts["test"]
    if len(part) <= config.off_policy.rows:
        return part
    rng = seeds.rng(config.seed, "off-policy rows")
    return np.sort(rng.choice(part, size=config.off_policy.rows, replace=False))


def _history(
    config: RunConfig, problem: ConcreteProblem, log: "ShownLog", number: int
) -> LogHistory:
    rng = seeds.rng(config.seed, "off-policy history", number)
    part, rounds = log.parts["train"], problem.T - 1
    rows = rng.choice(part, size=rounds, replace=len(part) < rounds)
    order: list[int] = rng.permutation(log.A).tolist()
    return LogHistory(rows, tuple(order), number)


def wordings(config: RunConfig, prompts: PromptSet, asked: LogQuestions) -> list[Wording]:
    """The story of each history, and the name of each place in it."""
    problem, found = asked.problem, list[Wording]()
    for history in asked.histories:
        address = Address("test", 0, history.number, 0)
        story = prompts.wording(config.seed, address, problem.contexts)
        bears = history.order if problem.options.get("shuffle") is False else None
        own = asked.environment.names_of(history.order) if config.origin.rules >= NAMED else None
        names = own or prompts.names(story, asked.log.A, config.seed, address, bears)
        found.append(Wording(story, names))
    return found


def _prompts(log: "ShownLog", rows_N: Ints, histories_N: Ints) -> Ints:
    """A number for each different chat: a history and what is shown before the choice."""
    known: dict[tuple[int, str], int] = {}
    found: list[int] = []
    rows: list[int] = rows_N.tolist()
    histories: list[int] = histories_N.tolist()
    for history, row in zip(histories, rows, strict=True):
        context = "" if log.contexts is None else log.contexts[row]
        found.append(known.setdefault((history, context), len(known)))
    return np.array(found, dtype=np.int64)


def _builder(
    config: RunConfig,
    prompts: PromptSet,
    asked: LogQuestions,
    question: Question,
    wording: Wording,
) -> PromptBuilder:
    """The chat, as it stands in the last round."""
    log, history = asked.log, question.history
    rows: list[int] = history.rows.tolist()
    nothing = np.zeros((len(rows) + 1, log.A))
    contexts = log.contexts and tuple(log.contexts[row] for row in (*rows, question.row))
    scenario = Scenario(
        nothing, nothing, "bandit", "pseudo" if contexts is None else "dynamic", contexts
    )
    builder = prompts.prompt_builder(wording.story, scenario, wording.names)
    for place, rewards in _shown_rounds(log, history):
        builder.observe(_said(config, place, wording.names), place, rewards)
    return builder


def _shown_rounds(log: "ShownLog", history: LogHistory) -> Iterator[tuple[int, tuple[float, ...]]]:
    """The place of the action that each row of a history showed, and what was earned there."""
    places = {action: place for place, action in enumerate(history.order)}
    rows: list[int] = history.rows.tolist()
    for row in rows:
        place = places[int(log.actions_N[row])]
        rewards = [0.0] * log.A
        rewards[place] = float(log.rewards_N[row])
        yield place, tuple(rewards)


def _said(config: RunConfig, place: int, names: Sequence[str]) -> str:
    """The reply a player would have given to what was shown."""
    policy = [float(other == place) for other in range(len(names))]
    return reader.render(place, policy, names, config.prompts.answer_form)
