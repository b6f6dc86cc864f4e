"""The recipe that rebuilds the base, and the prompts it is written with."""

import numpy as np

from rmft_api import prompts
from rmft_api.config.schema import PromptConfig
from rmft_api.core.resources import prompts_dir
from rmft_api.environments.scenario import Scenario
from rmft_api.local_server.tiny import corpus, scripted, tokenizer, training

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


def test_untried_actions_have_the_highest_hope():
    counts = np.array([[3, 0, 1]])
    state = scripted.State(counts, np.array([[0.9, 0, 0.1]]), np.array([[0.9, 0, 0.1]]))
    assert scripted.hope_index(state).argmax() == 1


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
