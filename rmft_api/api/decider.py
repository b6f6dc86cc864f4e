"""From a tuned model to its use: decisions, asked for in the very words it was trained in."""

import asyncio
import itertools
import math
import operator
import secrets
import threading
from collections.abc import Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar, cast

import msgspec

from rmft_api.api import decider_spec
from rmft_api.api.decider_client import (
    DeciderClient,
    EndpointOptions,
    SpendingCap,
    profile_of,
)
from rmft_api.api.decider_spec import DeciderSpec, TrainedScenario
from rmft_api.api.decision_game import Game, GameState, OnUnreadable, game_state
from rmft_api.core import seeds
from rmft_api.core.errors import ConfigError, DataError, UsageError
from rmft_api.core.records import ChatRequest, Choice, Feedback, Sampling
from rmft_api.prompts.builder import PromptPlan
from rmft_api.prompts.contexts import check_actions
from rmft_api.prompts.reader import Output
from rmft_api.providers.prices import Prices
from rmft_api.rollouts import engine

T = TypeVar("T")
MOST_ROUNDS, MOST_ACTIONS = 1_000_000, 10_000
_RULES = ("raise", "random", "greedy")


class Decider:
    """A run's model, ready to decide.

    Model, prompts, sampling, reader, and the form of answers and histories are those of the run.
    Many games may be under way at once. Nothing is journaled, and nothing limits what is spent
    unless `max_usd` does.

    Example:
        >>> decider = Decider.of_run("runs/quickstart")  # doctest: +SKIP
        >>> async with decider:  # doctest: +SKIP
        ...     game = decider.start(actions=["mail", "call", "visit"], rounds=30)
        ...     choice = await game.decide()
        ...     game.observe(reward=1.0)

    """

    def __init__(
        self,
        spec: DeciderSpec,
        *,
        base_url: str | None = None,
        deployment: str | None = None,
        max_usd: float | None = None,
        on_unreadable: OnUnreadable = "raise",
        concurrency: int = 64,
        retry_for_s: float = 60.0,
    ) -> None:
        """Make one from a spec; `of_run` and `load` are the usual ways.

        Args:
            spec: What the model must be asked with.
            base_url: Where the model answers, in place of the profile's address; for
                `rmft-api serve` the address that it prints.
            deployment: The name of the deployment that answers, where a model must be deployed.
            max_usd: Nothing is sent that could take the spending of this decider past this many
                US dollars; None: no limit.
            on_unreadable: What a reply without a readable answer does: "raise" UnreadableError, act
                at "random", or be "greedy" and take the highest observed mean.
            concurrency: Requests under way at once.
            retry_for_s: Seconds for which a failing request is repeated.

        Raises:
            ConfigError: For an unknown profile, no known price under `max_usd`, a wrong option.
            DataError: Where the prompt texts of `spec` were changed.

        """
        _check_options(on_unreadable, concurrency, retry_for_s)
        self.on_unreadable: OnUnreadable = on_unreadable
        self._spec, self._prompts = spec, decider_spec.prompt_set_of(spec)
        self._options = EndpointOptions(base_url, deployment, max_usd, concurrency, retry_for_s)
        prices = Prices(profile_of(spec, self._options))
        self._spending = SpendingCap(prices, spec.model, max_usd)
        self._numbers = itertools.count()
        self._clients: dict[asyncio.AbstractEventLoop, DeciderClient] = {}
        self._thread: _LoopThread | None = None

    @classmethod
    def of_run(cls, directory: str | Path, model: str | int = "champion", **options: Any) -> Self:
        """The decider of a run's model: "champion", "base", or the number of an iteration.

        `options` are those of `Decider`. Raises UsageError where there is no such run or model,
        ConfigError where the run's prompt files have changed since, and what `Decider` raises.
        """
        return cls(decider_spec.spec_of_run(Path(directory), model), **options)

    @classmethod
    def load(cls, state: dict[str, Any], **options: Any) -> Self:
        """The decider that `dump` wrote, without the run's folder; `options` as for `Decider`.

        Raises DataError for what is no such state, and what `Decider` raises.
        """
        if isinstance(state, dict) and "played" in state:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise DataError("this is the state of a game; `decider.load_game(state)` continues it")
        return cls(decider_spec.spec_from(state), **options)

    def dump(self) -> dict[str, Any]:
        """All that the decider is made of, prompt templates included, as JSON values.

        Keys and options are not in it. The profile is in it by name.
        """
        return msgspec.json.decode(msgspec.json.encode(self._spec))

    @property
    def model(self) -> str:
        """The model's id."""
        return self._spec.model

    @property
    def sampling(self) -> Sampling:
        """How replies are drawn: as in the run's test."""
        return self._spec.sampling

    @property
    def seed_block(self) -> int:
        """Rounds in a row that share one sampling seed."""
        return self._spec.seed_block

    @property
    def output(self) -> Output:
        """The form of answers."""
        return self._prompts.config.answer_form

    @property
    def reasoned(self) -> bool:
        """Whether a reason is asked for before the answer."""
        return self._prompts.config.reasoning != "none"

    @property
    def stories(self) -> tuple[str, ...]:
        """The names that `start(story=...)` takes; any other text is shown as it stands."""
        return self._prompts.stories

    @property
    def trained(self) -> tuple[TrainedScenario, ...]:
        """The kinds of scenario that the run learnt from."""
        return self._spec.trained

    @property
    def spent_usd(self) -> float:
        """What this decider has spent, in US dollars; 0 where no price is known."""
        return self._spending.spent / 1e6

    def start(
        self,
        *,
        actions: Sequence[str] | int | None = None,
        rounds: int | None = None,
        story: str | None = None,
        feedback: Feedback | None = None,
        seed: int | None = None,
    ) -> Game:
        """Begin a game. What is left out is drawn from what the run trained on.

        Args:
            actions: The names of the actions, or how many of the story's own names.
            rounds: How many decisions the game has.
            story: One of `stories`, or a text of your own, written as a `task.md` of a prompt set:
                `$actions`, `$K` and `$T` are filled in, and `$$` is a dollar sign.
            feedback: "bandit" or "full".
            seed: Makes the game's own chance (what is drawn, sampling seeds) repeatable.

        Raises:
            UsageError: For a number of rounds or actions that no game can have.
            ConfigError: For a story that the prompts cannot use, or one with too few names.
            DataError: For two actions that one answer could mean.

        """
        seed = secrets.randbits(31) if seed is None else _whole(seed, "seed", 0, 2**63)
        listed = _listed(actions)
        kind = self._kind(listed, story, feedback, seed)
        story_parts = self._story(kind.story if story is None else story)
        state = GameState(
            prompts=self._spec.prompts_sha256,
            story=story_parts,
            actions=self._actions(kind.K if listed is None else listed, story_parts, kind, seed),
            rounds=kind.T if rounds is None else _rounds(rounds),
            feedback=_feedback(kind.feedback if feedback is None else feedback),
            seed=seed,
        )
        self.prompt_plan(state, contextual=False)  # refuses what can never be shown
        return Game(self, msgspec.structs.replace(state, notes=self._start_notes(state)))

    def load_game(self, state: dict[str, Any]) -> Game:
        """Continue a game that `Game.dump` wrote.

        Raises DataError for what is no such state, ConfigError for a game of other prompts.
        """
        read = game_state(state)
        if read.prompts != self._spec.prompts_sha256:
            raise ConfigError(
                f"the game was played with other prompts than run {self._spec.run!r} used; "
                "continue it by the decider that began it"
            )
        _distinct_actions(read.actions)
        _rounds(read.rounds)
        self._story(read.story)
        return Game(self, read)

    async def __aenter__(self) -> Self:
        """Open the connection; start the run's own server where it has one."""
        await self._client_here().opened()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of all connections, and of a server that was started here."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.close()
        await asyncio.to_thread(self.close_sync)

    def close_sync(self) -> None:
        """`close` after `decide_sync`."""
        thread, self._thread = self._thread, None
        if thread is not None:
            client = self._clients.pop(thread.loop, None)
            if client is not None:
                thread.run(client.close())
            thread.close()

    # What a game asks its decider.

    async def ask(self, request: ChatRequest) -> Choice:
        """The model's reply; a refusal of this very chat is a reply too, as in a rollout."""
        response = await engine.model_reply(self._client_here(), request)
        return response.choices[0]

    def run_sync(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the work in a thread of the decider's own, so that no event loop is in the way."""
        if self._thread is None:
            self._thread = _LoopThread()
        return self._thread.run(work)

    def next_key(self) -> str:
        """A name that no other request of this decider has."""
        return f"decide/{next(self._numbers)}"

    def prompt_plan(self, state: GameState, *, contextual: bool) -> PromptPlan:
        """How a game is shown."""
        return self._prompts.prompt_plan(
            state.story,
            state.actions,
            state.rounds,
            full=state.feedback == "full",
            contextual=contextual,
        )

    @property
    def repeats_replies(self) -> bool:
        """Whether later messages repeat what the model said."""
        config = self._prompts.config
        return config.conversation == "multi_turn" or config.repeat_reason

    def reward_notes(self, rewards: Sequence[float]) -> tuple[str, ...]:
        """How rewards differ from those of training."""
        low, high = self._spec.least, self._spec.most
        if all(low <= reward <= high for reward in rewards):
            return ()
        return (f"a reward lies outside of what training paid, {low:g} to {high:g}",)

    def context_notes(self, state: GameState, context: str | None) -> tuple[str, ...]:
        """How the use of contexts differs from training."""
        given = context is not None
        if any(kind.contextual == given for kind in self.trained):
            return ()
        return (f"training showed {'no' if given else 'a'} context in every round",)

    def _client_here(self) -> DeciderClient:
        """The client of the running loop; a connection belongs to the loop that made it."""
        loop = asyncio.get_running_loop()
        for other in [one for one in self._clients if one.is_closed()]:
            del self._clients[other]
        if loop not in self._clients:
            self._clients[loop] = DeciderClient(self._spec, self._options, self._spending)
        return self._clients[loop]

    def _kind(
        self,
        actions: tuple[str, ...] | int | None,
        story: str | None,
        feedback: Feedback | None,
        seed: int,
    ) -> TrainedScenario:
        """A trained kind that is as near as can be to what was asked for."""
        K = actions if isinstance(actions, int) else len(actions) if actions else None
        wanted = {"story": story, "feedback": feedback, "K": K}

        def distance(kind: TrainedScenario) -> int:
            return sum(v is not None and getattr(kind, name) != v for name, v in wanted.items())

        least = min(map(distance, self.trained))
        near = [kind for kind in self.trained if distance(kind) == least]
        return near[int(seeds.rng(seed, "game").integers(len(near)))]

    def _story(self, story: str) -> str:
        """A known story's name, or a text. Raises ConfigError for what looks like a wrong name."""
        if not isinstance(story, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise UsageError(f"story={story!r} must be a name or a text")
        if story in self.stories or len(story.split()) > 1 or not story.strip():
            return story
        raise ConfigError(
            f"no story {story!r}; known: {', '.join(self.stories)}; a story of your own is a text "
            "of several words"
        )

    def _actions(
        self, wanted: tuple[str, ...] | int, story: str, kind: TrainedScenario, seed: int
    ) -> tuple[str, ...]:
        if not isinstance(wanted, int):
            return wanted
        if len(kind.names) == wanted:
            return kind.names
        named = story if story in self.stories else kind.story
        return decider_spec.trained_names(self._prompts, named, wanted, seed)

    def _start_notes(self, state: GameState) -> tuple[str, ...]:
        kinds = self.trained
        K, T = len(state.actions), state.rounds
        stories = {kind.story for kind in kinds}
        known = {name for story in stories for name in self._prompts.names_in(story)}
        known |= {name for kind in kinds for name in kind.names}
        others = [name for name in state.actions if name not in known]
        found = [
            f"training had no actions called {_few(others)}" if others else "",
            _outside("actions", K, {kind.K for kind in kinds}),
            _outside("rounds", T, {kind.T for kind in kinds}),
            ""
            if state.story in stories
            else f"the story is none of those trained on ({_few(stories)})",
            ""
            if any(kind.feedback == state.feedback for kind in kinds)
            else f"training had no {state.feedback} feedback",
        ]
        return tuple(filter(None, found))


class _LoopThread:
    """An event loop in a thread of its own, for callers without one."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self.loop.run_forever, name="rmft-decider", daemon=True
        )
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The work's result."""
        if threading.current_thread() is self._thread:
            work.close()
            raise UsageError("decide_sync() inside decide(); await decide() there")
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return future.result()
        except BaseException:  # Ctrl-C too: nobody waits for it any more
            future.cancel()
            raise

    def close(self) -> None:
        """End the loop."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


def _check_options(on_unreadable: str, concurrency: int, retry_for_s: float) -> None:
    """Raises ConfigError for the first option that cannot be followed."""
    if on_unreadable not in _RULES:
        raise ConfigError(f"on_unreadable={on_unreadable!r} is unknown; choose {', '.join(_RULES)}")
    if concurrency < 1:
        raise ConfigError(f"concurrency must be at least 1, not {concurrency!r}")
    if not 0 <= retry_for_s < math.inf:
        raise ConfigError(f"retry_for_s must be 0 or more seconds, not {retry_for_s!r}")


def _distinct_actions(names: tuple[str, ...]) -> tuple[str, ...]:
    """Raises UsageError for too few, DataError for names that answers could not distinguish."""
    if len(names) < 2:
        raise UsageError(f"a game needs at least 2 actions, not {len(names)}")
    for name in names:
        if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise DataError(f"the action {name!r} is not a text")
    check_actions("actions", names)
    return names


def _whole(value: object, what: str, low: int, high: int) -> int:
    """A whole number of any integer type. Raises UsageError."""
    try:
        number = operator.index(value)  # pyright: ignore[reportArgumentType]
    except TypeError:
        number = low - 1
    if isinstance(value, bool) or not low <= number <= high:
        raise UsageError(f"{what} must be a whole number from {low} to {high}, not {value!r}")
    return number


def _rounds(rounds: int) -> int:
    return _whole(rounds, "rounds", 1, MOST_ROUNDS)


def _listed(actions: object) -> tuple[str, ...] | int | None:
    """The names of the actions, or how many. Raises UsageError."""
    if actions is None:
        return None
    if isinstance(actions, str | bytes):
        raise UsageError(f"actions={actions!r} is one text; give a list of names, or a number")
    if isinstance(actions, Iterable):
        return _distinct_actions(tuple(cast("Iterable[str]", actions)))
    return _whole(actions, "the number of actions", 2, MOST_ACTIONS)


def _feedback(feedback: Feedback) -> Feedback:
    if feedback not in ("bandit", "full"):
        raise UsageError(f"feedback must be 'bandit' or 'full', not {feedback!r}")
    return feedback


def _outside(what: str, value: int, trained: set[int]) -> str:
    if min(trained) <= value <= max(trained):
        return ""
    return f"{value} {what}: training had {min(trained)} to {max(trained)}"


def _few(names: Iterable[str]) -> str:
    shown = sorted(names)
    return ", ".join(shown[:5]) + (", ..." if len(shown) > 5 else "")
