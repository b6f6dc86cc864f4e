"""Rollouts: a model plays scenarios, many at once, and every finished trajectory is saved.

A *cohort* is a set of trajectories of one scenario that advance round by round together, so that
those whose chats are identical are asked as one request with `n` choices: the prompt is paid once
(docs/design.md 6). Without coalescing every cohort is one trajectory and waits for nobody.

Nothing here knows of money, retries or crashes: the `ChatModel` it is given answers from the
journal what was already paid for, so playing again from the start is how a run resumes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple, overload

import msgspec
import numpy as np

from rmft_api.core import seeds
from rmft_api.core.answer_forms import AnswerForm, is_own, way_of
from rmft_api.core.errors import FaultKind, ProviderFault, ResumableError
from rmft_api.core.ports import ChatModel, PromptBuilder
from rmft_api.core.records import (
    Address,
    AnswerFormat,
    ChatRequest,
    ChatResponse,
    Choice,
    Message,
    Round,
    Sampling,
    Split,
    VisibleState,
)
from rmft_api.core.scripted_players import is_scripted
from rmft_api.core.transcripts import StoredTrajectory, TranscriptRecorder
from rmft_api.environments.scenario import Floats, Scenario
from rmft_api.environments.worlds import Session
from rmft_api.prompts import own_forms, reader
from rmft_api.requests.retries import POISON
from rmft_api.rollouts.validity import Validity, Wave

Output = AnswerForm
OF_THE_SAMPLE: dict[str | None, str] = {
    "content_filter": "content_filter",
    "content_policy_violation": "content_filter",
    "invalid_prompt": "content_filter",
    "cyber_policy": "content_filter",
    "context_length_exceeded": "length",
    POISON: "lost",
}
"""Refusal codes that say something of one chat only -> the finish reason they stand for."""
_AT_A_TIME = 16
"""Trajectories that begin in one turn of the event loop."""


@dataclass(frozen=True)
class RolloutSettings:
    """Who plays, and by which rules."""

    split: Split
    iteration: int
    model: str
    seed: int
    trajectories: int
    """L: plays of each scenario."""
    sampling: Sampling
    output: Output
    largest_n: int = 1
    """Choices that one request may ask for; 1: no coalescing."""
    live: int = 128
    """Trajectories under way at once."""
    unreadable: Literal["worst", "end"] = "worst"
    """What an unreadable reply does: cost its round, or end the trajectory."""
    seed_block: int = 1
    """Rounds in a row that share one sampling seed."""
    reasoned: bool = False
    """Whether a reason is asked for before the answer."""

    @cached_property
    def scripted(self) -> bool:
        """Whether an algorithm plays, which gets what it may know as numbers."""
        return is_scripted(self.model)


@dataclass(frozen=True)
class PreparedScenario:
    """A scenario ready to be played: its index, its problem, its wording."""

    index: int
    scenario: Scenario
    names: tuple[str, ...]
    """The K action names shown."""
    prompt_builder: Callable[..., PromptBuilder]
    """A prompt builder for one trajectory; with state it takes its session's `contexts`."""
    order: Callable[[int, int], tuple[int, ...]] | None = None
    """In which the actions are listed, by trajectory and round (from 0); None: as `names`."""

    def begin(self) -> "StartedRollout":
        """One trajectory from its first round on."""
        world = self.scenario.world
        if world is None:
            return StartedRollout(self.prompt_builder(), None)
        session = world.start()
        return StartedRollout(
            self.prompt_builder(contexts=SessionContexts(session, self.names)), session
        )


class StartedRollout(NamedTuple):
    """What a trajectory is played with."""

    prompt: PromptBuilder
    session: Session | None
    """The trajectory's own world; None where no action changes anything."""

    def observe(self, scenario: Scenario, t: int, reply: str, action: int | None) -> None:
        """Continue to the next round as a player who takes `action`, or what is possible beside it.

        Against an adversary, as one who plays evenly.
        """
        if self.session is None:
            even = np.full(scenario.K, 1 / scenario.K)
            self.prompt.observe(reply, action, tuple(scenario.face(t, even).tolist()))
            return
        taken = None if action is None else self.session.nearest(action)
        self.prompt.observe(reply, taken, self.session.step(taken).rewards)


class SessionContexts(Sequence[str]):
    """What a session shows, with the names of the actions that are possible where some are not."""

    def __init__(self, session: Session, names: Sequence[str]) -> None:
        self._session, self._names = session, names

    def __len__(self) -> int:
        return len(self._session.observations)

    @overload
    def __getitem__(self, t: int) -> str: ...
    @overload
    def __getitem__(self, t: slice) -> Sequence[str]: ...
    def __getitem__(self, t: int | slice) -> str | Sequence[str]:
        if isinstance(t, slice):
            return [self[i] for i in range(*t.indices(len(self)))]
        possible = self._session.possible_T[t]
        if len(possible) == len(self._names):
            return self._session.observations[t]
        now = ", ".join(self._names[action] for action in possible)
        return f"{self._session.observations[t]} Possible now: {now}."


Save = Callable[[PreparedScenario, Sequence[StoredTrajectory]], Awaitable[None]]


async def play(
    settings: RolloutSettings,
    prepared_scenarios: Iterable[PreparedScenario],
    chat: ChatModel,
    save: Save,
    done: Callable[[int], frozenset[int]] = lambda index: frozenset(),
    tick: Callable[[int], None] = lambda rounds: None,
    validity: Validity | None = None,
) -> None:
    """Play every scenario L times, but for the trajectories that `done(index)` names.

    `save` is awaited for each finished cohort; `tick` counts decisions. A cohort whose request
    stays without an answer is set aside and the others continue; then ResumableError. Raises what
    else `chat` raises, and what `validity` does, after the other trajectories were stopped.
    """
    cohorts = _cohorts(settings, prepared_scenarios, done)
    unanswered: list[ProviderFault] = []

    async def work() -> None:
        for cohort in cohorts:
            try:
                await _play_cohort(settings, cohort, chat, tick, validity)
            except ProviderFault as fault:
                if fault.kind not in (FaultKind.AMBIGUOUS, FaultKind.NO_ANSWER):
                    raise
                unanswered.append(fault)
                if validity is not None:
                    for rollout in cohort.rollouts:
                        validity.ended(_number(settings, cohort.scenario, rollout))
            else:
                await save(
                    cohort.scenario, [p.stored(settings, cohort.scenario) for p in cohort.rollouts]
                )

    await _run_workers(work, max(1, settings.live // _together(settings)))
    if unanswered:
        raise ResumableError(
            f"{len(unanswered)} requests stayed without an answer, the first: {unanswered[0]}; "
            "their trajectories were set aside, and `rmft-api resume` asks again"
        )


async def _run_workers(work: Callable[[], Coroutine[Any, Any, None]], workers: int) -> None:
    """Run `work` in so many tasks at once. The first error stops them all and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for number in range(workers):
                group.create_task(work())
                if number % _AT_A_TIME == 0:  # the first requests go out meanwhile
                    await asyncio.sleep(0)
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


def wave(settings: RolloutSettings, horizons: Sequence[int]) -> Wave:
    """How scenarios of these horizons are played."""
    size = max(1, settings.live // _together(settings)) * _together(settings)
    return Wave(horizons, settings.trajectories, min(size, len(horizons) * settings.trajectories))


def _together(settings: RolloutSettings) -> int:
    """Trajectories of a cohort."""
    return settings.trajectories if settings.largest_n > 1 else 1


@dataclass
class Rollout:
    """One trajectory as it grows."""

    number: int
    prompt: PromptBuilder
    session: Session | None = None
    transcript: TranscriptRecorder = field(default_factory=TranscriptRecorder)
    over: bool = False

    def stored(self, settings: RolloutSettings, prepared: PreparedScenario) -> StoredTrajectory:
        """As the journal keeps it."""
        address = Address(settings.split, settings.iteration, prepared.index, self.number)
        return self.transcript.trajectory(address, settings.model, prepared.names)


@dataclass(frozen=True)
class _Cohort:
    scenario: PreparedScenario
    rollouts: tuple[Rollout, ...]


def _cohorts(
    settings: RolloutSettings,
    prepared_scenarios: Iterable[PreparedScenario],
    done: Callable[[int], frozenset[int]],
) -> Iterator[_Cohort]:
    for prepared in prepared_scenarios:
        finished = done(prepared.index)
        owed = [
            Rollout(number, *prepared.begin())
            for number in range(settings.trajectories)
            if number not in finished
        ]
        if settings.largest_n > 1:
            yield from [_Cohort(prepared, tuple(owed))] if owed else []
        else:
            yield from (_Cohort(prepared, (rollout,)) for rollout in owed)


async def _play_cohort(
    settings: RolloutSettings,
    cohort: _Cohort,
    chat: ChatModel,
    tick: Callable[[int], None],
    validity: Validity | None,
) -> None:
    prepared = cohort.scenario
    for t in range(prepared.scenario.T):
        if validity is not None:
            validity.check()
        if prepared.order is not None:
            for rollout in cohort.rollouts:
                rollout.prompt.show_in(prepared.order(rollout.number, t))
        groups = list(_groups(settings, cohort.rollouts))
        requests = [_ask(settings, prepared, t, group) for group in groups]
        for group, reply in zip(groups, await _replies(chat, requests), strict=True):
            for rollout, choice in zip(group, reply.choices, strict=True):
                unread = step(settings, prepared, rollout, t, choice)
                if validity is not None:
                    _observe(
                        validity,
                        _number(settings, prepared, rollout),
                        rollout,
                        choice,
                        unread,
                        prepared,
                    )
            tick(len(group))


def _observe(
    validity: Validity,
    number: int,
    rollout: Rollout,
    choice: Choice,
    unread: reader.UnreadableReply | None,
    prepared: PreparedScenario,
) -> None:
    validity.reply(number, choice, unread, prepared.names)
    if rollout.over:
        validity.ended(number)


def _number(settings: RolloutSettings, prepared: PreparedScenario, rollout: Rollout) -> int:
    """Of a trajectory among all of the split."""
    return prepared.index * settings.trajectories + rollout.number


async def _replies(chat: ChatModel, requests: Sequence[ChatRequest]) -> list[ChatResponse]:
    if len(requests) == 1:  # the common case needs no task of its own
        return [await model_reply(chat, requests[0])]
    return list(await asyncio.gather(*(model_reply(chat, request) for request in requests)))


async def model_reply(chat: ChatModel, request: ChatRequest) -> ChatResponse:
    """The reply; a refusal of this very chat is the model's result too, and ends no run."""
    try:
        return await chat.reply(request)
    except ProviderFault as fault:
        if fault.kind is not FaultKind.REJECTED or fault.code not in OF_THE_SAMPLE:
            raise
        choice = Choice(content=None, finish_reason=OF_THE_SAMPLE[fault.code])
        return ChatResponse(id="", model=request.model, choices=(choice,) * request.n, usage=None)


def _groups(settings: RolloutSettings, rollouts: Sequence[Rollout]) -> Iterator[list[Rollout]]:
    """Players whose chats are identical, at most `largest_n` together, in order of number."""
    if len(rollouts) == 1:  # nobody to compare it with
        yield from [] if rollouts[0].over else [list(rollouts)]
        return
    same: dict[tuple[Message, ...], list[Rollout]] = {}
    for rollout in rollouts:
        if not rollout.over:
            same.setdefault(rollout.prompt.messages(), []).append(rollout)
    for group in same.values():
        for start in range(0, len(group), settings.largest_n):
            yield group[start : start + settings.largest_n]


def _ask(
    settings: RolloutSettings, prepared: PreparedScenario, t: int, group: Sequence[Rollout]
) -> ChatRequest:
    first = group[0]
    split, iteration, index, number = (
        settings.split,
        settings.iteration,
        prepared.index,
        first.number,
    )
    block = t // settings.seed_block
    return ChatRequest(
        key=f"{split}/{iteration}/{index}/{number}/{t}",
        model=settings.model,
        messages=first.prompt.messages(),
        n=len(group),
        seed=seeds.number(settings.seed, "reply", split, iteration, index, number, block),
        sampling=settings.sampling,
        stats=first.prompt.stats(),
        visible_state=_visible(settings, prepared, first) if settings.scripted else None,
        answer=answer_format(settings.output, prepared.names, reasoned=settings.reasoned),
    )


def answer_format(output: Output, names: tuple[str, ...], *, reasoned: bool) -> AnswerFormat | None:
    """The answer's form for the endpoint; None where the prompt alone states it."""
    if is_own(output) or way_of(output) == "tag":
        return None
    return AnswerFormat(output, names, reasoned)


def _visible(
    settings: RolloutSettings, prepared: PreparedScenario, rollout: Rollout
) -> VisibleState:
    """What a scripted player decides by; equal for all whose chats are equal."""
    seen = visible_state(
        prepared.names,
        settings.output,
        [(one.action, one.rewards) for one in rollout.transcript.rounds],
        full=prepared.scenario.feedback == "full",
        reasoned=settings.reasoned,
    )
    if rollout.session is None or len(rollout.session.possible) == len(seen.names):
        return seen
    now = rollout.session.possible
    return msgspec.structs.replace(
        seen,
        names=tuple([seen.names[action] for action in now]),
        written=tuple([seen.written[action] for action in now]) if seen.written else (),
        counts=tuple([seen.counts[action] for action in now]),
        sums=tuple([seen.sums[action] for action in now]),
    )


def visible_state(
    names: tuple[str, ...],
    output: Output,
    rounds: Sequence[tuple[int | None, tuple[float, ...]]],
    *,
    full: bool,
    reasoned: bool,
) -> VisibleState:
    """The counts and sums of the rewards shown so far, from each round's action and K rewards."""
    counts, sums = [0] * len(names), [0.0] * len(names)
    for action, rewards in rounds:
        shown = range(len(names)) if full else [action] if action is not None else []
        for a in shown:
            counts[a] += 1
            sums[a] += rewards[a]
    own = is_own(output)
    written = own_forms.written(output, names) if own else ()
    form: Output = "action" if own else output
    return VisibleState(names, form, tuple(counts), tuple(sums), reasoned, written)


def step(
    settings: RolloutSettings, prepared: PreparedScenario, rollout: Rollout, t: int, choice: Choice
) -> reader.UnreadableReply | None:
    """Read the reply, act, earn, and let the player observe it; why it decides nothing."""
    answer = _read(settings, prepared, rollout, choice)
    shown = rollout.prompt.new_messages()
    text = reader.clean(choice.content or "")
    if isinstance(answer, reader.UnreadableReply):
        rewards = _face(prepared.scenario, rollout, t, None, None)
        rollout.transcript.add(shown, text, Round((), "", answer.status, None, None, rewards))
        rollout.prompt.observe(text, None, rewards)
        rollout.over = settings.unreadable == "end"
        return answer
    policy = answer.policy
    action = (
        answer.action
        if answer.action is not None
        else _draw(settings, prepared, rollout, t, policy)
    )
    rewards = _face(prepared.scenario, rollout, t, action, policy)
    rollout.transcript.add(shown, text, Round((), "", "read", action, policy, rewards))
    rollout.prompt.observe(text, action, rewards)
    return None


def _read(
    settings: RolloutSettings, prepared: PreparedScenario, rollout: Rollout, choice: Choice
) -> reader.ParsedReply | reader.UnreadableReply:
    """The reply, read; an action that is not possible now is no answer."""
    names, possible = prepared.names, ()
    if rollout.session is not None:
        possible = rollout.session.possible
        if len(possible) < len(names):
            names = tuple([names[action] for action in possible])
    answer = reader.read(
        choice.content,
        choice.finish_reason,
        choice.refusal,
        names,
        settings.output,
        choice.thoughts,
    )
    if names is prepared.names or isinstance(answer, reader.UnreadableReply):
        return answer
    action = possible[answer.action or 0]  # with state, an answer names its action
    policy = tuple([float(a == action) for a in range(len(prepared.names))])
    return msgspec.structs.replace(answer, action=action, policy=policy)


def _draw(
    settings: RolloutSettings,
    prepared: PreparedScenario,
    rollout: Rollout,
    t: int,
    policy: Sequence[float],
) -> int:
    """Sample an action from a stated distribution, by an addressed draw of our own."""
    return acted(
        settings.seed,
        (settings.split, settings.iteration, prepared.index, rollout.number, t),
        policy,
    )


def acted(seed: int, place: tuple[Split, int, int, int, int], policy: Sequence[float]) -> int:
    """The action drawn at a place: split, iteration, scenario, trajectory, round."""
    return drawn(policy, seeds.number(seed, "action", *place))


def drawn(policy: Sequence[float], number: int) -> int:
    """The action that a 31-bit `number` draws from K probabilities."""
    point = number / 2**31
    below = np.searchsorted(np.cumsum(policy), point * sum(policy), side="right")
    return int(min(below, max(a for a, p in enumerate(policy) if p > 0)))


def _face(
    scenario: Scenario,
    rollout: Rollout,
    t: int,
    action: int | None,
    policy: Sequence[float] | None,
) -> tuple[float, ...]:
    """The round's K rewards, to be shown; an adversary meets an unread reply as uniform play.

    What such a reply costs is worked out by `regret.play_in`.
    """
    if rollout.session is not None:
        return rollout.session.step(action).rewards
    if scenario.adversary is None:
        return tuple(scenario.rewards[t].tolist())
    K = scenario.K
    acted: Floats = np.full(K, 1 / K) if policy is None else np.asarray(policy, dtype=np.float64)
    return tuple(scenario.face(t, acted).tolist())
