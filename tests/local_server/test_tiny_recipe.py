"""The recipe that rebuilds the base, and the prompts it is written with."""

import numpy as np
import pytest

from rmft_api import prompts
from rmft_api.config.schema import PromptConfig
from rmft_api.core.resources import prompts_dir
from rmft_api.environments.scenario import Scenario
from rmft_api.local_server.tiny import corpus, pretraining, scripted, tokenizer, training

PROMPTS = corpus.Templates(prompts_dir() / "compact")


def chats(plays: int) -> list[corpus.Chat]:
    return list(corpus.chats(PROMPTS, plays, 4, np.random.default_rng(1)))


def test_the_same_seed_writes_the_same_chats():
    assert chats(2) == chats(2)


def test_every_prompt_of_the_set_is_short():
    lengths = [len(training.as_example(chat).tokens) for chat in chats(20)]
    assert max(lengths) <= 64


def test_no_chat_is_spelled_in_bytes():
    for chat in chats(5):
        spelled = [t for t in training.as_example(chat).tokens if t < 256 and t > ord("F")]
        assert not spelled, tokenizer.decode(spelled)


def test_most_scripted_players_are_poor_and_few_are_good():
    chance = np.random.default_rng(2)
    rewards = corpus.reward_tables(4000, 4, 25, chance)
    played = scripted.play(rewards, chance)
    styles = played[0].styles
    counts = played[-1].state.counts
    names = [style.name for style in scripted.STYLES]
    means = played[-1].state.means
    earned = (counts * means).sum(1) / counts.sum(1)
    hope, poor = names.index("hope"), names.index("gambler")
    assert earned[styles == hope].mean() > earned[styles == poor].mean() + 0.1
    assert scripted.SHARES[hope] < 0.1


def hoped_for(means: list[float], counts: list[int], left: float = 0.8) -> int:
    """The action of the highest optimistic value, when all rewards of an action were the same."""
    state = scripted.State(np.array([counts]), np.array([means]), np.array([means]))
    return int(scripted.hope_index(state, np.array([left])).argmax())


def test_an_untried_action_is_hoped_for_unless_one_pays_well():
    assert hoped_for([0.5, 0.0, 0.1], [3, 0, 1]) == 1
    assert hoped_for([0.9, 0.0, 0.1], [3, 0, 1]) == 0


def test_what_is_little_tried_has_less_hope_when_few_rounds_are_left():
    assert hoped_for([0.6, 0.5], [9, 1], left=1.0) == 1
    assert hoped_for([0.6, 0.5], [9, 1], left=0.04) == 0


def test_a_recent_change_is_seen():
    state = scripted.State(np.array([[20, 20]]), np.array([[0.7, 0.5]]), np.array([[0.1, 0.5]]))
    assert scripted.hope_index(state, np.array([0.5])).argmax() == 1


def hopeful(rewards: scripted.Floats) -> scripted.Ints:
    """Actions [N, T] of the good style alone."""
    alone = np.array([float(style.name == "hope") for style in scripted.STYLES])
    played = scripted.play(rewards, np.random.default_rng(5), shares=alone)
    return np.stack([seen.actions for seen in played], axis=1)


def greedy(rewards: scripted.Floats) -> scripted.Ints:
    """Actions [N, T]: each once, then the highest mean, the first of equals."""
    n, rounds, k = rewards.shape
    rows = np.arange(len(rewards))
    counts, sums = np.zeros((n, k)), np.zeros((n, k))
    actions = np.zeros((n, rounds), np.int64)
    for t in range(rounds):
        means = np.where(counts == 0, np.inf, sums / np.maximum(counts, 1))
        actions[:, t] = means.argmax(1)
        counts[rows, actions[:, t]] += 1
        sums[rows, actions[:, t]] += rewards[rows, t, actions[:, t]]
    return actions


@pytest.mark.parametrize("rounds", [25, 50])
def test_the_rare_good_style_has_less_regret_than_greedy(rounds: int):
    """Means as the quick start draws them: uniform, standing still, paid by Bernoulli."""
    chance = np.random.default_rng(4)
    totals = {hopeful: 0.0, greedy: 0.0}
    for k in corpus.ACTIONS:
        means = chance.random((400, 1, k))
        rewards = (chance.random((400, rounds, k)) < means).astype(np.float64)
        for player in totals:
            earned = np.take_along_axis(means[:, 0], player(rewards), axis=1).sum(1)
            totals[player] += float((rounds * means[:, 0].max(1) - earned).mean())
    assert totals[hopeful] < 0.8 * totals[greedy]


def test_good_play_is_rare_at_last():
    names = [style.name for style in scripted.STYLES]
    assert scripted.PRACTICE[names.index("hope")] > 5 * scripted.SHARES[names.index("hope")]
    assert pretraining.CHUNKS - pretraining.PRACTICE_CHUNKS >= 0.3 * pretraining.CHUNKS


def test_the_base_was_taught_with_the_words_that_a_run_tells():
    chance = np.random.default_rng(3)
    rewards = corpus.reward_tables(1, 4, 12, chance)
    asked = corpus.SystemMessageKey("doors", "neutral", "free", 4, 12)
    told = prompts.load(
        PromptConfig(set="compact", story="doors", repeat_reason=True), [prompts_dir()]
    ).prompt_builder("doors", Scenario(rewards[0], rewards[0], "bandit", "pseudo"))
    said = ""
    for number, seen in enumerate(scripted.play(rewards, chance), start=1):
        system, user = told.messages()
        assert system.content == corpus.system_text(PROMPTS, asked)
        assert user.content == corpus.user_text(PROMPTS, asked, seen, number, 0, said)
        action = int(seen.actions[0])
        said = corpus.reason_text(int(seen.styles[0]), "ABCD"[action])
        reply = corpus.answer_text(PROMPTS, seen, 0, silent=False)
        told.observe(reply, action, tuple(rewards[0, number - 1].tolist()))
