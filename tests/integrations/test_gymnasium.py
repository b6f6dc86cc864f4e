"""Gymnasium finds our problems under rmft-api/..., and its own checker accepts them."""

from typing import Any

import pytest

from rmft_api.core.errors import ConfigError

gymnasium = pytest.importorskip("gymnasium", reason="the extra [gym] is not installed")

from gymnasium.utils.env_checker import check_env  # noqa: E402

from rmft_api.integrations import gymnasium_envs  # noqa: E402
from rmft_api.integrations.problems import MEASURES, problems_of_suite  # noqa: E402

SLOW = ("classification", "contextual", "real-world")
SHOWN = [name for name in gymnasium_envs.IDS if not any(slow in name for slow in SLOW)]


@pytest.mark.filterwarnings("ignore:.*is probably too (low|high).*")
@pytest.mark.parametrize("name", SHOWN)
def test_every_suite_passes_gymnasiums_own_checker(name: str) -> None:
    check_env(gymnasium.make(name).unwrapped, skip_render_check=True)


def first(observed: Any, info: Any) -> int:
    return 0


def second(observed: Any, info: Any) -> int:
    return 1


def played(env: Any, seed: int, act: Any) -> tuple[list[float], dict[str, Any]]:
    observed, info = env.reset(seed=seed)
    rewards: list[float] = []
    over = False
    while not over:
        observed, reward, over, cut, info = env.step(act(observed, info))
        assert not cut
        rewards.append(reward)
    return rewards, info


def test_the_same_seed_is_the_same_trajectory_and_another_is_another() -> None:
    env = gymnasium.make("rmft-api/small-v0")
    runs = [played(env, seed, first) for seed in (3, 3, 4)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_the_last_step_tells_regret_and_exploration() -> None:
    _, info = played(gymnasium.make("rmft-api/small-v0"), 1, second)
    assert set(MEASURES) <= info.keys()
    assert info["k_min_frac"] == 0.0
    assert info["greedy_frac"] > 0.0
    assert info["regret"] == pytest.approx(info["regret_per_round"] * info["t"])


def test_a_learner_that_looks_has_less_regret_than_one_that_does_not() -> None:
    env = gymnasium.make("rmft-api/k24-v0")

    def greedy(observed: dict[str, Any], _: Any) -> int:
        untried = [a for a, n in enumerate(observed["counts"]) if n == 0 and observed["mask"][a]]
        return untried[0] if untried else int(observed["means"].argmax())

    regrets = [
        sum(played(env, seed, player)[1]["regret"] for seed in range(10))
        for player in (greedy, first)
    ]
    assert regrets[0] < regrets[1]


def test_text_is_what_a_run_says_and_reads() -> None:
    env = gymnasium_envs.make("small", text=True)
    observed, info = env.reset(options={"scenario": 5})
    episode = problems_of_suite("small", split="train").episode(5)
    assert info["names"] == episode.scenario.names
    for message in episode.messages():
        assert f"[{message.role}]\n{message.content}" in observed
    _, reward, _, _, info = env.step(f"I try it.\n<Answer>{info['names'][1]}</Answer>")
    assert info["valid"]
    assert reward == episode.scenario.scenario.rewards[0, 1]
    _, reward, _, _, info = env.step("no answer")
    assert not info["valid"]
    assert reward == episode.scenario.scenario.rewards[1].min()


def test_actions_that_a_problem_does_not_have_are_masked() -> None:
    env = gymnasium.make("rmft-api/compact-v0")
    for seed in range(8):
        observed, info = env.reset(seed=seed)
        assert observed["mask"].sum() == len(info["names"])
        assert len(observed["mask"]) == 6


def test_a_suite_of_your_own_can_be_changed_and_a_wrong_one_is_refused() -> None:
    env = gymnasium_envs.make("mab", {"problems": [{"environment": "bandit", "K": 2, "T": 4}]})
    assert len(played(env, 0, first)[0]) == 4
    with pytest.raises(ConfigError, match="no suite 'mba'"):
        gymnasium_envs.make("mba")
