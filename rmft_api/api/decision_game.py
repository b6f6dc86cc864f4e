"""One game: decide, act, observe, again; worded for the model as in training."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from rmft_api.core import seeds
from rmft_api.core.errors import DataError, UnreadableError, UsageError
from rmft_api.core.records import ChatRequest, Choice, Feedback, Message, Record, VisibleState
from rmft_api.core.scripted_players import is_scripted
from rmft_api.prompts import ChatPromptBuilder, reader
from rmft_api.prompts.reader import ParsedReply
from rmft_api.rollouts import engine

if TYPE_CHECKING:
    from rmft_api.api.decider import Decider

OnUnreadable = Literal["raise", "random", "greedy"]


class Decision(Record, frozen=True, omit_defaults=True):
    """What was decided in one round."""

    action: str
    """The name of the action to take."""
    index: int
    """Its place among the game's actions, from 0."""
    policy: tuple[float, ...]
    """K probabilities that the action was drawn from; one-hot where the model names an action."""
    reasoning: str
    """What the reply says before its answer; all of it where no answer can be read."""
    reply: str
    """The reply as it came."""
    valid: bool = True
    """False: the reply could not be read, and `fallback` says who decided."""
    fallback: Literal["random", "greedy"] | None = None
    why: str = ""
    """Why the reply could not be read."""


class PlayedRound(Record, frozen=True, omit_defaults=True):
    """A finished round, as far as later messages and a greedy fallback need it."""

    action: int
    rewards: tuple[float, ...]
    """One under bandit feedback, K under full feedback."""
    valid: bool = True
    reply: str = ""
    """Empty where no later message repeats it."""
    context: str | None = None


class PendingRound(Record, frozen=True, omit_defaults=True):
    """A round that was decided and waits for its reward."""

    action: int
    valid: bool = True
    reply: str = ""
    context: str | None = None


class GameState(Record, frozen=True):
    """A game between two calls."""

    prompts: str
    """SHA-256 of the run's prompt files."""
    story: str
    actions: tuple[str, ...]
    rounds: int
    feedback: Feedback
    seed: int
    attempts: int = 0
    """Replies to this round that could not be read and were not acted on."""
    played: tuple[PlayedRound, ...] = ()
    pending: PendingRound | None = None
    notes: tuple[str, ...] = ()
    version: Literal[1] = 1


class Game:
    """A sequence of decisions. Made by `Decider.start` and `Decider.load_game`.

    Each round is one `decide()`, then one `observe()`. Messages are exactly those that the run sent
    to its models for the same history. A game serves one caller; a decider serves many games.
    """

    def __init__(self, decider: "Decider", state: GameState) -> None:
        self._decider, self._state = decider, state
        self._contexts: list[str] = []
        self._builder: ChatPromptBuilder | None = None
        self._asking = False

    @property
    def actions(self) -> tuple[str, ...]:
        """The names of the actions."""
        return self._state.actions

    @property
    def round(self) -> int:
        """The current round, from 1; `rounds + 1` once the game is over."""
        return len(self._state.played) + 1

    @property
    def rounds(self) -> int:
        """How many rounds the game has."""
        return self._state.rounds

    @property
    def over(self) -> bool:
        """Whether every round was played."""
        return self.round > self.rounds

    @property
    def feedback(self) -> Feedback:
        """What is shown: the chosen action's reward ("bandit"), or all K ("full")."""
        return self._state.feedback

    @property
    def notes(self) -> tuple[str, ...]:
        """How this game differs from what the model was trained on, a line each."""
        return self._state.notes

    async def decide(self, context: str | None = None) -> Decision:
        """Ask the model what to do in this round.

        `context` is what can be seen before the choice; a game has one in every round or in none.
        Nothing changes where this raises, so it can be called again. Raises UsageError out of turn,
        UnreadableError where no answer can be read and the decider has no fallback, BudgetError
        before `max_usd` could be passed, and ProviderFault, ProviderDownError, NotEntitledError,
        ResumableError or ConfigError as the endpoint fails.
        """
        self._check_turn(context)
        self._asking = True
        try:
            choice = await self._decider.ask(self._request(context))
            return self._decided(choice, context)
        except BaseException:
            self._builder = None  # it may have shown this round already
            raise
        finally:
            self._asking = False

    def decide_sync(self, context: str | None = None) -> Decision:
        """`decide` for programs without an event loop; works in a notebook too."""
        return self._decider.run_sync(self.decide(context))

    def observe(
        self,
        reward: float | None = None,
        *,
        rewards: Mapping[str, float] | Sequence[float] | None = None,
    ) -> None:
        """Report the result: `reward` of the action, or under full feedback all `rewards`.

        Rewards are rewards, large is good, also where the run showed its models losses. Raises
        UsageError out of turn, DataError for what is no finite number.
        """
        pending = self._state.pending
        if pending is None:
            raise UsageError(
                f"observe() before decide(): round {self.round} has no decision to observe"
            )
        earned = self._earned(reward, rewards)
        self._builder_now().observe(
            pending.reply, pending.action if pending.valid else None, self._as_K(pending, earned)
        )
        done = PlayedRound(
            action=pending.action,
            rewards=earned,
            valid=pending.valid,
            reply=pending.reply,
            context=pending.context,
        )
        self._change(
            played=(*self._state.played, done), pending=None, attempts=0, notes=self._noted(earned)
        )

    def messages(self, context: str | None = None) -> tuple[Message, ...]:
        """The messages that `decide(context)` would send now. Raises UsageError out of turn."""
        self._check_turn(context)
        try:
            return self._new_messages(context)
        finally:
            self._builder = None

    def dump(self) -> dict[str, object]:
        """The game as JSON values, small; `Decider.load_game` continues it."""
        return msgspec.json.decode(msgspec.json.encode(self._state))

    def _change(self, **fields: object) -> None:
        self._state = msgspec.structs.replace(self._state, **fields)

    def _check_turn(self, context: str | None) -> None:
        state = self._state
        if context is not None and not isinstance(context, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise UsageError(f"context={context!r} must be a text")
        if self._asking:
            raise UsageError(f"decide() is under way for round {self.round}; await it first")
        if state.pending is not None:
            raise UsageError(
                f"decide() twice: round {self.round} is decided "
                f"({state.actions[state.pending.action]!r}); observe() what it earned first"
            )
        if self.over:
            raise UsageError(f"the game is over: it has {self.rounds} rounds; start another one")
        if state.played and (context is None) != (state.played[0].context is None):
            had = "a" if context is None else "no"
            raise UsageError(
                f"the rounds before had {had} context; a game has one in every round or in none"
            )

    def _builder_now(self) -> ChatPromptBuilder:
        """The builder of the game's messages, after all that was played."""
        if self._builder is None:
            self._builder = self._rebuilt()
        return self._builder

    def _rebuilt(self) -> ChatPromptBuilder:
        state, pending = self._state, self._state.pending
        first = state.played[0] if state.played else pending
        contextual = first is not None and first.context is not None
        builder = self._begun(contextual)
        for done in state.played:
            self._contexts.append(done.context or "")
            action = done.action if done.valid else None
            builder.observe(done.reply, action, self._as_K(done, done.rewards))
        if pending is not None:
            self._contexts.append(pending.context or "")
        return builder

    def _begun(self, contextual: bool) -> ChatPromptBuilder:
        self._contexts = []
        plan = self._decider.prompt_plan(self._state, contextual=contextual)
        return ChatPromptBuilder(plan, self._contexts if contextual else None)

    def _new_messages(self, context: str | None) -> tuple[Message, ...]:
        if not self._state.played:
            self._builder = self._begun(context is not None)
        builder = self._builder_now()
        self._contexts.append(context or "")
        return builder.messages()

    def _request(self, context: str | None) -> ChatRequest:
        state, decider = self._state, self._decider
        messages = self._new_messages(context)
        block = (self.round - 1) // decider.seed_block
        return ChatRequest(
            key=decider.next_key(),
            model=decider.model,
            messages=messages,
            n=1,
            seed=seeds.number(state.seed, "reply", block, state.attempts),
            sampling=decider.sampling,
            stats=self._builder_now().stats(),
            visible_state=self._visible() if is_scripted(decider.model) else None,
            answer=engine.answer_format(
                decider.output, tuple(self.actions), reasoned=decider.reasoned
            ),
        )

    def _visible(self) -> VisibleState:
        """What a scripted player decides by."""
        played = self._state.played
        return engine.visible_state(
            self.actions,
            self._decider.output,
            [(one.action if one.valid else None, self._as_K(one, one.rewards)) for one in played],
            full=self.feedback == "full",
            reasoned=self._decider.reasoned,
        )

    def _decided(self, choice: Choice, context: str | None) -> Decision:
        read = reader.read(
            choice.content,
            choice.finish_reason,
            choice.refusal,
            self.actions,
            self._decider.output,
            choice.thoughts,
        )
        reply = reader.clean(choice.content or "")
        if isinstance(read, ParsedReply):
            decision = self._of_reply(read, reply)
        else:
            decision = self._fallen_back(reply, read.why)
        self._change(
            pending=PendingRound(
                action=decision.index,
                valid=decision.valid,
                reply=reply if self._decider.repeats_replies else "",
                context=context,
            ),
            notes=self._with_notes(self._decider.context_notes(self._state, context)),
        )
        return decision

    def _of_reply(self, read: ParsedReply, reply: str) -> Decision:
        action = read.action
        if action is None:
            action = engine.drawn(read.policy, self._seed("action"))
        return Decision(
            action=self.actions[action],
            index=action,
            policy=read.policy,
            reasoning=reply[: read.start].strip(),
            reply=reply,
        )

    def _fallen_back(self, reply: str, why: str) -> Decision:
        """What is done without an answer. Raises UnreadableError where nothing is to be."""
        rule = self._decider.on_unreadable
        if rule == "raise":
            self._change(attempts=self._state.attempts + 1)
            raise UnreadableError(
                f"round {self.round}: the reply of {self._decider.model!r} cannot be read ({why}); "
                "decide() asks again, on_unreadable='random' or 'greedy' acts without it"
            )
        K = len(self.actions)
        best = self._best() if rule == "greedy" else None
        uniform = tuple(1 / K for _ in range(K))
        index = engine.drawn(uniform, self._seed("fallback")) if best is None else best
        return Decision(
            action=self.actions[index],
            index=index,
            policy=uniform if best is None else tuple(float(a == index) for a in range(K)),
            reasoning=reply.strip(),
            reply=reply,
            valid=False,
            fallback=rule,
            why=why,
        )

    def _best(self) -> int | None:
        """The action of the highest observed mean, the first of equals; None before any reward."""
        seen: dict[int, list[float]] = {}
        for done in self._state.played:
            if self.feedback == "full":
                for action, earned in enumerate(done.rewards):
                    seen.setdefault(action, []).append(earned)
            else:
                seen.setdefault(done.action, []).append(done.rewards[0])
        means = {action: math.fsum(found) / len(found) for action, found in seen.items()}
        return min(means, key=lambda action: (-means[action], action), default=None)

    def _seed(self, what: str) -> int:
        return seeds.number(self._state.seed, what, self.round)

    def _earned(
        self, reward: float | None, rewards: Mapping[str, float] | Sequence[float] | None
    ) -> tuple[float, ...]:
        """What is shown of this round. Raises UsageError, DataError."""
        if self.feedback == "bandit":
            if reward is None or rewards is not None:
                raise UsageError("this game has bandit feedback: observe(reward=...), one number")
            return (_number(reward, "reward"),)
        if rewards is None or reward is not None:
            raise UsageError(
                f"this game has full feedback: observe(rewards=...), of {', '.join(self.actions)}"
            )
        if isinstance(rewards, Mapping):
            wrong = sorted({*self.actions} ^ {*map(str, rewards)})
            if wrong:
                raise DataError(f"rewards must be of each action once; wrong: {', '.join(wrong)}")
            return tuple(_number(rewards[name], f"reward of {name!r}") for name in self.actions)
        if len(rewards) != len(self.actions):
            raise DataError(f"{len(rewards)} rewards for {len(self.actions)} actions")
        pairs = zip(self.actions, rewards, strict=True)
        return tuple(_number(value, f"reward of {name!r}") for name, value in pairs)

    def _as_K(self, of: PlayedRound | PendingRound, earned: tuple[float, ...]) -> tuple[float, ...]:
        """All K rewards; those that are not shown are never looked at."""
        if self.feedback == "full":
            return earned
        return tuple(earned[0] if a == of.action else 0.0 for a in range(len(self.actions)))

    def _noted(self, earned: tuple[float, ...]) -> tuple[str, ...]:
        return self._with_notes(self._decider.reward_notes(earned))

    def _with_notes(self, found: Sequence[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self._state.notes, *found)))


def game_state(raw: object) -> GameState:
    """Read what `Game.dump` wrote. Raises DataError for what no game can be."""
    try:
        state = msgspec.convert(raw, GameState)
    except msgspec.ValidationError as error:
        raise DataError(f"game state: {error}") from None
    K, width = len(state.actions), 1 if state.feedback == "bandit" else len(state.actions)
    for done in state.played:
        if len(done.rewards) != width or not all(map(math.isfinite, done.rewards)):
            raise DataError(f"game state: a round has rewards {list(done.rewards)}")
    decided = [*state.played, *([state.pending] if state.pending else [])]
    if len(decided) > state.rounds or not all(0 <= one.action < K for one in decided):
        raise DataError("game state: a round is not one of this game")
    if len({one.context is None for one in decided}) > 1:
        raise DataError("game state: some rounds have a context and some have none")
    return state


def _number(value: object, what: str) -> float:
    """A finite reward. Raises DataError."""
    try:
        number = float(value)  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if isinstance(value, str) or not math.isfinite(number):
        raise DataError(f"the {what} is {value!r}; it must be a finite number")
    return number
