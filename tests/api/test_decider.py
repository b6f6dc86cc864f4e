"""A decider asks its model exactly as the run did, and says so where it is used otherwise."""

import asyncio
import json
import math
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rmft_api.api.decider import Decider
from rmft_api.api.decider_spec import DeciderSpec, spec_of_run
from rmft_api.config import schema
from rmft_api.config.schema import RunConfig
from rmft_api.core import resources
from rmft_api.core.errors import (
    ConfigError,
    DataError,
    FaultKind,
    ProviderFault,
    UnreadableError,
    UsageError,
)
from rmft_api.core.records import ChatRequest, ChatResponse, Choice, Feedback, Message
from rmft_api.core.transcripts import StoredTrajectory
from rmft_api.environments import Scenario
from rmft_api.journal import Journal
from rmft_api.prompts import of_run
from rmft_api.rollouts import engine
from rmft_api.rollouts.engine import PreparedScenario, RolloutSettings
from rmft_api.session.recorded_config import kept_origin

BANDIT: dict[str, Any] = {"environment": "bandit", "K": 3, "T": 6}
FULL: dict[str, Any] = {"environment": "online_learning", "K": 3, "T": 6}
CONTEXTUAL: dict[str, Any] = {"environment": "contextual", "K": 3, "T": 6}


def described(problem: dict[str, Any], prompts: dict[str, Any]) -> RunConfig:
    raw = {
        "name": "mine",
        "seed": 3,
        "model": {"base": "rmft-tiny"},
        "prompts": prompts,
        "rollouts": {"scenarios": 6, "problems": [problem]},
        "sampling": {"temperature": 0.5, "max_tokens": 99},
    }
    return schema.parse(raw, "test")


def begun(directory: Path, problem: dict[str, Any] = BANDIT, **prompts: Any) -> Path:
    """The folder of a run that has no model yet."""
    config = described(problem, prompts)
    provenance = {"prompts": of_run(config).sha256, **kept_origin(config, directory)}
    Journal.create(directory, config.model_dump_json(), provenance).close()
    return directory


PROBLEMS = {"bandit": BANDIT, "full": FULL, "contextual": CONTEXTUAL}


@cache
def spec(problem: str = "bandit", words: str = "{}") -> DeciderSpec:
    with tempfile.TemporaryDirectory() as folder:
        return spec_of_run(
            begun(Path(folder) / "mine", PROBLEMS[problem], **json.loads(words)), "base"
        )


@dataclass
class Recorded:
    """Answers with recorded replies in turn, and remembers what it was asked."""

    replies: Sequence[Choice | BaseException]
    asked: list[ChatRequest] = field(default_factory=list[ChatRequest])

    async def reply(self, request: ChatRequest) -> ChatResponse:
        choice = self.replies[len(self.asked) % len(self.replies)]
        self.asked.append(request)
        await asyncio.sleep(0)
        if isinstance(choice, BaseException):
            raise choice
        return ChatResponse("r", request.model, (choice,), None)


class Recording(Decider):
    """A decider over recorded replies."""

    chat: Recorded

    async def ask(self, request: ChatRequest) -> Choice:
        return (await engine.model_reply(self.chat, request)).choices[0]


def decider(of: DeciderSpec, *replies: Choice | BaseException | str, **options: Any) -> Recording:
    made = Recording(of, **options)
    made.chat = Recorded([Choice(r, "stop") if isinstance(r, str) else r for r in replies])
    return made


# The property: what a game sends is what the rollout engine sends.

NAMES = ("mail", "call", "visit")
_ANSWERS = {
    "action": ("<Answer>call</Answer>", "I try.\n<Answer>visit</Answer>", "<Answer>MAIL</Answer>"),
    "distribution": ("<Answer>mail:3,call:1</Answer>", "So.\n<Answer>visit:1</Answer>"),
    "policy": (
        '<Answer>{"policy":[0.2,0.3,0.5]}</Answer>',
        'Even.\n<Answer>{"policy":[1,0,0]}</Answer>',
    ),
}
ODD: tuple[Choice | ProviderFault, ...] = (
    Choice("", "stop"),
    Choice("no answer at all", "stop"),
    Choice("<Answer>call</Answer> or <Answer>mail</Answer>", "length"),
    Choice(None, "stop", refusal="I will not."),
    Choice("half a rep\x00ly \ud800", "content_filter"),
    ProviderFault("too long", FaultKind.REJECTED, code="context_length_exceeded"),
)
Reply = Choice | ProviderFault


@dataclass(frozen=True)
class Setting:
    problem: str
    words: dict[str, Any]


def _settings() -> Iterator[Setting]:
    for output in ("action", "distribution", "policy"):
        for history in ("summary", "raw"):
            yield Setting("bandit", {"set": "compact", "history": history, "output": "action"})
            for conversation in ("single_turn", "multi_turn"):
                for repeat in (False, True):
                    for stakes in ("reward", "loss"):
                        words: dict[str, Any] = {
                            "output": output,
                            "history": history,
                            "conversation": conversation,
                            "repeat_reason": repeat,
                            "stakes": stakes,
                        }
                        for problem in PROBLEMS:
                            yield Setting(problem, words)
    for output in ("action", "distribution"):
        yield Setting("bandit", {"set": "compact", "output": output, "repeat_reason": True})
    for conversation in ("single_turn", "multi_turn"):
        for name in ("standard", "plain"):
            shown = {"set": name, "examples": 2, "conversation": conversation}
            yield from (Setting(problem, shown) for problem in ("bandit", "full"))
    numeric = {"set": "numeric", "output": "policy", "story": "numbers", "reasoning": "none"}
    yield Setting("full", numeric)


SETTINGS = tuple(_settings())


def likeliest(policy: Sequence[float], number: int) -> int:
    return max(range(len(policy)), key=lambda a: policy[a])


async def rolled_out(
    setting: Setting, of: DeciderSpec, story: str, scenario: Scenario, replies: Sequence[Reply]
) -> list[tuple[Message, ...]]:
    """What the rollout engine sends."""
    prompts = of_run(described(PROBLEMS[setting.problem], setting.words))
    output = prompts.config.output
    rules = RolloutSettings("test", 0, of.model, 3, 1, of.sampling, output)
    seat = PreparedScenario(
        0, scenario, NAMES, lambda: prompts.prompt_builder(story, scenario, NAMES)
    )
    chat = Recorded(replies)

    async def drop(seat: PreparedScenario, stored: Sequence[StoredTrajectory]) -> None:
        pass

    await engine.play(rules, [seat], chat, drop)
    return [ask.messages for ask in chat.asked]


async def played(
    made: Recording, story: str, scenario: Scenario, *, reloaded: bool
) -> list[tuple[Message, ...]]:
    """What a game sends, kept as JSON between any two calls where `reloaded`."""
    feedback = scenario.feedback
    game = made.start(actions=NAMES, rounds=scenario.T, story=story, feedback=feedback)
    for t in range(scenario.T):
        choice = await game.decide(scenario.contexts[t] if scenario.contexts else None)
        row = scenario.rewards[t].tolist()
        if reloaded:
            game = made.load_game(json.loads(json.dumps(game.dump())))
        if feedback == "full":
            game.observe(rewards=dict(zip(NAMES, row, strict=True)))
        else:
            game.observe(row[choice.index])
        if reloaded:
            game = made.load_game(json.loads(json.dumps(game.dump())))
    return [ask.messages for ask in made.chat.asked]


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_game_sends_what_the_rollout_engine_sends(
    data: st.DataObject, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = data.draw(st.sampled_from(SETTINGS))
    of = spec(setting.problem, json.dumps(setting.words))
    output = setting.words.get("output", "action")
    answers: list[Reply] = [Choice(text, "stop") for text in _ANSWERS[output]]
    replies = data.draw(st.lists(st.sampled_from([*answers, *answers, *ODD]), min_size=1))
    T = data.draw(st.integers(1, 7))
    rewards = np.random.default_rng(data.draw(st.integers(0, 99))).normal(0.5, 1.0, (T, 3))
    contexts = tuple(f"x={t}" for t in range(T)) if setting.problem == "contextual" else None
    feedback: Feedback = "full" if setting.problem == "full" else "bandit"
    scenario = Scenario(rewards, rewards, feedback, "pseudo", contexts)
    story = of.trained[0].story
    made = decider(of, *replies, on_unreadable=data.draw(st.sampled_from(["random", "greedy"])))
    monkeypatch.setattr(engine, "drawn", likeliest)
    sent = asyncio.run(rolled_out(setting, of, story, scenario, replies))
    assert asyncio.run(played(made, story, scenario, reloaded=data.draw(st.booleans()))) == sent


# The order of calls, and what is told back.

CALL = "Call has paid so far.\n<Answer>call</Answer>"


async def test_a_decision_tells_the_action_its_reasoning_and_its_reply() -> None:
    choice = await decider(spec(), CALL).start(actions=NAMES).decide()
    assert (choice.action, choice.index, choice.policy) == ("call", 1, (0.0, 1.0, 0.0))
    assert (choice.reasoning, choice.reply) == ("Call has paid so far.", CALL)
    assert choice.valid
    assert choice.fallback is None


async def test_an_action_is_drawn_from_the_distribution_that_the_model_states() -> None:
    made = decider(spec("bandit", '{"output": "distribution"}'), "<Answer>call:1,visit:1</Answer>")
    first = [(await made.start(actions=NAMES, seed=s).decide()).action for s in range(24)]
    again = [(await made.start(actions=NAMES, seed=s).decide()).action for s in range(24)]
    assert first == again
    assert set(first) == {"call", "visit"}


async def test_calls_in_the_wrong_order_are_refused_in_one_line() -> None:
    game = decider(spec(), CALL).start(actions=NAMES, rounds=1)
    with pytest.raises(UsageError, match=r"observe\(\) before decide\(\): round 1"):
        game.observe(1.0)
    await game.decide()
    with pytest.raises(UsageError, match=r"decide\(\) twice: round 1 is decided \('call'\)"):
        await game.decide()
    game.observe(1.0)
    assert game.over
    with pytest.raises(UsageError, match="the game is over: it has 1 rounds"):
        await game.decide()


async def test_two_decisions_at_once_are_refused_and_the_first_one_stands() -> None:
    made = decider(spec(), CALL)
    game = made.start(actions=NAMES)
    results = await asyncio.gather(game.decide(), game.decide(), return_exceptions=True)
    assert isinstance(results[1], UsageError)
    assert "under way for round 1" in str(results[1])
    assert len(made.chat.asked) == 1


async def test_a_decision_that_is_given_up_on_changes_nothing() -> None:
    made = decider(spec("bandit", '{"conversation": "multi_turn"}'), CALL)
    game = made.start(actions=NAMES)
    before = game.dump()
    task = asyncio.create_task(game.decide(context="north"))
    await asyncio.sleep(0)
    assert made.chat.asked
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert game.dump() == before
    assert (await game.decide()).action == "call"


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, "1.0", None, [1.0]])
async def test_what_is_no_finite_reward_is_refused_and_changes_nothing(wrong: Any) -> None:
    game = decider(spec(), CALL).start(actions=NAMES)
    await game.decide()
    before = game.dump()
    with pytest.raises((DataError, UsageError)):
        game.observe(wrong)
    assert game.dump() == before
    game.observe(np.float64(0.5))  # pyright: ignore[reportArgumentType]


async def test_full_feedback_wants_every_reward_by_name() -> None:
    game = decider(spec("full"), CALL).start(actions=NAMES)
    await game.decide()
    with pytest.raises(UsageError, match="full feedback"):
        game.observe(1.0)
    with pytest.raises(DataError, match="wrong: letter, visit"):
        game.observe(rewards={"mail": 1, "call": 0, "letter": 0})
    with pytest.raises(DataError, match="reward of 'visit' is nan"):
        game.observe(rewards={"mail": 1, "call": 0, "visit": math.nan})
    game.observe(rewards=[0.1, 0.2, 0.3])
    assert game.round == 2


async def test_a_context_that_is_no_text_is_refused() -> None:
    with pytest.raises(UsageError, match="context=34 must be a text"):
        await decider(spec(), CALL).start().decide(34)  # pyright: ignore[reportArgumentType]


async def test_a_context_comes_in_every_round_or_in_none() -> None:
    game = decider(spec("contextual"), CALL).start(actions=NAMES)
    await game.decide(context="age 34, north")
    game.observe(1.0)
    with pytest.raises(UsageError, match="the rounds before had a context"):
        await game.decide()
    assert "age 35" in game.messages(context="age 35")[-1].content


async def test_rounds_share_a_sampling_seed_as_in_the_run() -> None:
    for block, seeds in ((1, 4), (2, 2)):
        made = decider(msgspec.structs.replace(spec(), seed_block=block), CALL)
        game = made.start(actions=NAMES, rounds=4)
        for _ in range(4):
            await game.decide()
            game.observe(1.0)
        assert len({ask.seed for ask in made.chat.asked}) == seeds


# Replies that cannot be read.


async def test_an_unreadable_reply_raises_and_the_round_can_be_asked_again() -> None:
    made = decider(spec(), "no answer", CALL)
    game = made.start(actions=NAMES)
    with pytest.raises(UnreadableError, match="round 1: the reply of 'rmft-tiny' cannot be read"):
        await game.decide()
    assert (await game.decide()).action == "call"
    first, second = made.chat.asked
    assert first.messages == second.messages
    assert first.seed != second.seed


async def test_a_greedy_fallback_takes_the_highest_observed_mean_and_says_so() -> None:
    lines = ["<Answer>visit</Answer>", "<Answer>call</Answer>", "what?"]
    game = decider(spec(), *lines, on_unreadable="greedy").start(actions=NAMES)
    for reward in (0.9, 0.2):
        await game.decide()
        game.observe(reward)
    choice = await game.decide()
    assert (choice.action, choice.valid, choice.fallback) == ("visit", False, "greedy")
    assert "there is no <Answer>" in choice.why


async def test_a_random_fallback_is_seeded_and_uniform() -> None:
    made = decider(spec(), "what?", on_unreadable="random")
    first = [await made.start(actions=NAMES, seed=s).decide() for s in range(30)]
    again = [await made.start(actions=NAMES, seed=s).decide() for s in range(30)]
    assert first == again
    assert {choice.action for choice in first} == set(NAMES)
    assert {choice.fallback for choice in first} == {"random"}


async def test_a_failed_request_changes_nothing_so_the_round_can_be_asked_again() -> None:
    down = ProviderFault("down", FaultKind.AMBIGUOUS)
    made = decider(spec("bandit", '{"conversation": "multi_turn"}'), CALL, down, CALL)
    game = made.start(actions=NAMES)
    await game.decide()
    game.observe(1.0)
    before = game.dump()
    with pytest.raises(ProviderFault):
        await game.decide()
    assert game.dump() == before
    await game.decide()
    assert made.chat.asked[1].messages == made.chat.asked[2].messages


# Games that begin.


def test_a_game_begins_as_in_training_where_nothing_else_is_said() -> None:
    made = decider(spec(), CALL)
    game = made.start(seed=5)
    assert (len(game.actions), game.rounds, game.feedback) == (3, 6, "bandit")
    assert game.notes == ()
    assert made.sampling.temperature == 0.5
    assert made.sampling.max_tokens == 99


def test_what_training_did_not_show_is_noted() -> None:
    made = decider(spec(), CALL)
    game = made.start(actions=["a", "b"], rounds=40, story="Choose one of $actions.")
    assert "training had no actions called a, b" in game.notes
    assert "2 actions: training had 3 to 3" in game.notes
    assert "40 rounds: training had 6 to 6" in game.notes
    assert any("the story is none of those trained on" in note for note in game.notes)
    assert "training had no full feedback" in made.start(feedback="full").notes


async def test_a_reward_and_a_context_that_training_did_not_show_are_noted_once() -> None:
    game = decider(spec(), CALL).start(actions=NAMES)
    for _ in range(2):
        await game.decide(context="north")
        game.observe(7.0)
    assert sum("outside of what training paid" in note for note in game.notes) == 1
    assert sum("training showed no context" in note for note in game.notes) == 1


def test_a_story_of_your_own_is_told_in_the_place_of_the_task() -> None:
    made = decider(spec(), CALL)
    story = "A shop reaches its customers in $K ways: $actions. Each costs $$1."
    system = made.start(actions=NAMES, story=story).messages()[0].content
    assert system.startswith("A shop reaches its customers in 3 ways: mail, call, visit.")
    assert "Each costs $1." in system


def test_a_story_that_hides_the_names_is_refused() -> None:
    made = decider(spec("bandit", '{"set": "compact"}'), CALL)
    with pytest.raises(ConfigError, match=r"never names mail, call, visit.*write \$actions"):
        made.start(actions=NAMES, story="Choose one of them.")
    made.start(actions=NAMES, story="Choose one of mail, call and visit.")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"story": "dors"}, "no story 'dors'; known: buttons"),
        ({"story": " "}, "the story is empty"),
        ({"story": "Earn $5 a day from $actions"}, "a lone '\\$'"),
        ({"actions": "mail"}, "is one text"),
        ({"actions": ["mail"]}, "at least 2 actions"),
        ({"actions": 1}, "number of actions must be a whole number"),
        ({"actions": 2.5}, "number of actions must be a whole number"),
        ({"story": 5}, "story=5 must be a name or a text"),
        ({"seed": "x"}, "seed must be a whole number"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"actions": ["mail", "Mail"]}, "differ only in case"),
        ({"actions": ["a:b", "c"]}, "has a character"),
        ({"actions": [1, 2]}, "is not a text"),
        ({"actions": 99}, "names 16 actions"),
        ({"rounds": 0}, "rounds must be a whole number"),
        ({"rounds": 2.5}, "rounds must be a whole number"),
        ({"feedback": "some"}, "feedback must be 'bandit' or 'full'"),
    ],
)
def test_a_game_that_cannot_be_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises((UsageError, ConfigError, DataError), match=says):
        decider(spec(), CALL).start(**options)


# What is kept.


def test_a_decider_goes_on_without_the_folder_of_its_run() -> None:
    made = decider(spec("bandit", '{"set": "compact", "repeat_reason": true}'), CALL)
    state = json.loads(json.dumps(made.dump()))
    other = Recording.load(state)
    assert other.dump() == made.dump()
    told = [one.start(seed=4).messages() for one in (made, other)]
    assert told[0] == told[1]


def test_a_state_that_was_tampered_with_is_refused() -> None:
    made = decider(spec(), CALL)
    state = made.dump()
    state["texts"]["system.md"] += " Obey."
    with pytest.raises(DataError, match="the prompt texts have changed"):
        Decider.load(state)
    with pytest.raises(DataError, match=r"decider state: .*version"):
        Decider.load({**made.dump(), "version": 2})
    with pytest.raises(DataError, match="decider state"):
        Decider.load(None)  # pyright: ignore[reportArgumentType]
    with pytest.raises(DataError, match="the state of a game"):
        Decider.load(made.start().dump())


@pytest.mark.parametrize(
    "change",
    [
        {"played": [{"action": 9, "rewards": [1.0]}]},
        {"played": [{"action": 0, "rewards": [1.0, 2.0]}]},
        {"played": [{"action": 0, "rewards": [1.0]}] * 9},
        {"pending": {"action": -1}},
        {"feedback": "some"},
        {"extra": 1},
        {"actions": ["a", "a"]},
        {"rounds": -1},
    ],
)
def test_a_game_that_was_tampered_with_is_refused(change: dict[str, Any]) -> None:
    made = decider(spec(), CALL)
    with pytest.raises((DataError, UsageError)):
        made.load_game({**made.start().dump(), **change})


def test_a_game_of_other_prompts_is_refused() -> None:
    state = decider(spec("bandit", '{"set": "compact"}'), CALL).start().dump()
    with pytest.raises(ConfigError, match="played with other prompts"):
        decider(spec(), CALL).load_game(state)


async def test_a_game_is_small_where_no_reply_is_repeated() -> None:
    game = decider(spec(), "thinking " * 500 + "<Answer>call</Answer>").start(
        actions=NAMES, rounds=100
    )
    for _ in range(100):
        await game.decide()
        game.observe(1.0)
    assert len(json.dumps(game.dump())) < 4000


def test_prompt_files_that_changed_since_the_run_are_refused(tmp_path: Path) -> None:
    words = tmp_path / "words"
    shutil.copytree(resources.prompts_dir() / "compact", words)
    run = begun(tmp_path / "mine", set=str(words))
    Decider.of_run(run, "base")
    (words / "user.md").write_text("Go on.\n$history", "utf-8")
    with pytest.raises(ConfigError, match="have changed since run 'mine' began"):
        Decider.of_run(run, "base")


def test_a_model_that_the_run_has_not_made_is_refused(tmp_path: Path) -> None:
    run = begun(tmp_path / "mine")
    with pytest.raises(UsageError, match="no champion"):
        Decider.of_run(run)
    with pytest.raises(UsageError, match="no model 4; it has 'champion', 'base'"):
        Decider.of_run(run, 4)
