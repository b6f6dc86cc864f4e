"""Input tokens that coalescing saves against one request per turn, on plays of our real prompts.

    python benchmarks/coalescing.py

The player is simulated: with probability `skill` it takes the best action, else any. Skill 0 is the
worst case, trajectories that part as fast as they can; a model that has settled is near 0.9. Tokens
are gpt-4o-mini's; 8 scenarios a cell, T = 25. What `n` saves is exact: the prompt of a request is
billed once, whatever n is.
"""

import asyncio
from collections.abc import Sequence

from rmft_api.config.schema import RunConfig
from rmft_api.core import resources, seeds
from rmft_api.core.records import ChatRequest, ChatResponse, Choice
from rmft_api.core.transcripts import StoredTrajectory
from rmft_api.datasets import tokens
from rmft_api.prompts import load, reader
from rmft_api.rollouts import engine, preparation
from rmft_api.rollouts.engine import PreparedScenario

MODEL = "gpt-4o-mini"
SKILLS = (0.0, 0.5, 0.9)
CELLS = (
    *(("summary", "single_turn", L, 3) for L in (4, 8, 16, 32)),
    *(("summary", "single_turn", 16, K) for K in (2, 5, 10)),
    ("raw", "single_turn", 16, 3),
    ("raw", "multi_turn", 16, 3),
)


class Player:
    """A `ports.ChatModel` that counts what it is asked."""

    def __init__(self, seats: Sequence[PreparedScenario], skill: float) -> None:
        self._seats, self._skill = seats, skill
        self._count = tokens.counter_for(MODEL).chat
        self.billed = 0
        """Input tokens of the requests made."""
        self.apart = 0
        """The same, had every turn been a request."""

    async def reply(self, request: ChatRequest) -> ChatResponse:
        """`request.n` answers."""
        prompt = self._count(request.messages)
        self.billed += prompt
        self.apart += prompt * request.n
        seat = self._seats[int(request.key.split("/")[2])]
        choices = [Choice(self._say(seat, request, i), "stop") for i in range(request.n)]
        return ChatResponse("r", request.model, tuple(choices), None)

    def _say(self, seat: PreparedScenario, request: ChatRequest, i: int) -> str:
        rng, means = seeds.rng(0, "coalescing", request.key, i), seat.scenario.means.mean(axis=0)
        best = rng.random() < self._skill
        action = int(means.argmax()) if best else int(rng.integers(seat.scenario.K))
        return f"The first looks best.\n{reader.render_action(action, seat.names)}"


def config(history: str, conversation: str, L: int, K: int) -> RunConfig:
    """A run of that shape."""
    problem = {"environment": "bandit", "K": K, "T": 25}
    return RunConfig.model_validate(
        {
            "name": "coalescing",
            "model": {"base": MODEL},
            "prompts": {"history": history, "conversation": conversation},
            "rollouts": {"scenarios": 8, "trajectories": L, "problems": [problem]},
            "selection": {"k": 1},
        }
    )


def saved(history: str, conversation: str, L: int, K: int, skill: float) -> float:
    """The share of input tokens that `n` saves."""
    settings = config(history, conversation, L, K)
    prompts = load(settings.prompts, [resources.prompts_dir()])
    seats = list(preparation.prepared_scenarios(settings, prompts, "train", 1))
    player = Player(seats, skill)

    async def forget(seat: PreparedScenario, finished: Sequence[StoredTrajectory]) -> None:
        """Only the asking counts."""

    game = preparation.rollout_settings(settings, "train", 1, MODEL, largest_n=128)
    asyncio.run(engine.play(game, seats, player, forget))
    return 1 - player.billed / player.apart


def main() -> None:
    """Print the curve."""
    print("| history | L | K |", *(f"skill {skill} |" for skill in SKILLS))
    print("|---|---|---|" + "---|" * len(SKILLS))
    for history, conversation, L, K in CELLS:
        cells = [f"{saved(history, conversation, L, K, skill):.0%} |" for skill in SKILLS]
        print(f"| {history}, {conversation} | {L} | {K} |", *cells, flush=True)


if __name__ == "__main__":
    main()
