"""An episode that somebody else's loop plays is the trajectory that a run would have."""

from pathlib import Path

import pytest

from rmft_api.core.errors import UsageError
from rmft_api.core.records import ChatRequest, ChatResponse, Choice
from rmft_api.core.transcripts import StoredTrajectory
from rmft_api.prompts import of_run as prompts_of_run
from rmft_api.rollouts import engine, preparation
from rmft_api.rollouts.engine import PreparedScenario
from rmft_api.rollouts.episodes import Problems
from rmft_api.selection import regret
from tests.loop_world import Skilled, config


class Recording(Skilled):
    """Keeps each reply by the place of its request."""

    async def reply(self, request: ChatRequest) -> ChatResponse:
        found = await super().reply(request)
        odd = len(self.asked) % 7 == 0
        choices = tuple(Choice("no answer" if odd else c.content, "stop") for c in found.choices)
        self.said[request.key] = (request, choices[0].content or "")
        return ChatResponse(found.id, found.model, choices, None)

    @property
    def said(self) -> dict[str, tuple[ChatRequest, str]]:
        return self.__dict__.setdefault("_said", {})


@pytest.mark.parametrize("conversation", ["single_turn", "multi_turn"])
@pytest.mark.parametrize("name_order", ["fixed", "trajectory"])
async def test_it_sends_the_runs_messages_and_has_the_runs_regret(
    conversation: str, name_order: str
) -> None:
    settings = config(prompts={"conversation": conversation, "name_order": name_order})
    prompts, chat = prompts_of_run(settings), Recording(settings)
    rules = preparation.rollout_settings(settings, "test", 0, "skill-0.6", 1)
    scored: dict[int, float] = {}

    async def save(prepared: PreparedScenario, finished: list[StoredTrajectory]) -> None:
        for one, _ in finished:
            play = regret.play_in(prepared.scenario, one.rounds)
            scored[prepared.index] = regret.score(
                one.address, prepared.scenario.regret, play
            ).regret

    scenarios = preparation.prepared_scenarios(settings, prompts, "test", 0)
    await engine.play(rules, scenarios, chat, save)  # pyright: ignore[reportArgumentType]
    problems = Problems(settings, prompts)
    for index in range(settings.test.scenarios):
        episode = problems.episode(index)
        while not episode.over:
            asked, said = chat.said[f"test/0/{index}/0/{episode.t}"]
            assert episode.messages() == asked.messages
            assert (episode.answer(said).action is None) == (said == "no answer")
        assert episode.regret() == pytest.approx(scored[index], abs=1e-12)
        assert sum(episode.regret_T()) == pytest.approx(episode.regret())


def test_an_episode_that_is_over_takes_no_answer() -> None:
    settings = config()
    episode = Problems(settings, prompts_of_run(settings), "train", 3).episode(10**6)
    while not episode.over:
        episode.act(0)
    assert episode.t == episode.T == 8
    with pytest.raises(UsageError, match="all of its 8 rounds were played"):
        episode.act(0)


def test_a_number_that_is_no_action_is_an_unreadable_reply(tmp_path: Path) -> None:
    settings = config()
    episode = Problems(settings, prompts_of_run(settings)).episode(0)
    wrong, none = episode.act(7), episode.act_by([0.0, 0.0, -1.0])
    assert wrong.action is None
    assert none.action is None
    assert none.reward == min(episode.rounds[1].rewards)
    assert wrong.why
