# pyright: basic, reportMissingImports=false
"""verifiers loads our problems as an environment whose reward is regret."""

import pytest

import rmft_api
from rmft_api.core.errors import ConfigError

WHY = "verifiers is not installed (the extra [verifiers]): `make integrations` has it"
vf = pytest.importorskip("verifiers", reason=WHY)

from verifiers.types import ClientConfig  # noqa: E402

from rmft_api.integrations.problems import problems_of_suite  # noqa: E402
from tests.integrations.first_name import serving  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # its own dependencies' warnings


@pytest.mark.parametrize(
    ("suite", "conversation"), [("small", "single_turn"), ("mab", "multi_turn")]
)
def test_a_rollout_is_a_trajectory_and_its_reward_is_regret(
    suite: str, conversation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_KEY", "none")
    env = vf.load_environment(
        "rmft-api", suite=suite, num_train_examples=2, conversation=conversation
    )
    problems = problems_of_suite(suite, {"prompts.conversation": conversation})
    names = [name for i in range(2) for name in problems.episode(i).scenario.names]
    with serving(names) as url:
        config = ClientConfig(
            client_type="openai_chat_completions", api_base_url=url, api_key_var="NO_KEY"
        )
        found = env.evaluate_sync(config, "first", num_examples=2, rollouts_per_example=1)
    for one in found["outputs"]:
        assert one["stop_condition"] == "all_rounds_played"
        episode = problems.episode(one["info"]["scenario"])
        while not episode.over:
            told = "\n".join(message.content for message in episode.messages())
            known = [name for name in names if name in told]
            episode.act(episode.scenario.names.index(min(known, key=told.index)))
        assert one["metrics"]["regret"] == pytest.approx(episode.regret())
        assert one["reward"] == pytest.approx(-episode.regret() / episode.T)
        assert one["metrics"]["num_turns"] == episode.T
        assert one["metrics"]["valid"] == 1.0


def test_training_scenarios_are_fresh_and_an_unknown_suite_is_named() -> None:
    env = vf.load_environment("rmft-api", suite="small", num_train_examples=3)
    assert len(env.get_dataset()) == 3
    assert len(env.get_eval_dataset()) == problems_of_suite("small").config.test.scenarios
    train, test = (env.problems[split].episode(0).scenario.scenario for split in ("train", "test"))
    assert (train.rewards != test.rewards).any()
    assert env.get_dataset()[0]["info"] == {"scenario": 0, "split": "train"}
    with pytest.raises(ConfigError, match="no suite 'smal'"):
        rmft_api.load_environment("smal")
