"""A provider whose models say word for word what a plan assumes: then every figure must agree."""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

from rmft_api.config import schema
from rmft_api.config.schema import RunConfig
from rmft_api.core import seeds
from rmft_api.core.records import Split
from rmft_api.datasets import tokens
from rmft_api.planning.simulated_model import ReplyText
from rmft_api.rollouts import preparation
from tests.planning.world import prompts_of

ENV = "RMFT_TEST_ECHO"
"""Environment variable that names the file of what is said."""
SPEAKER = f"{__name__}:say"


def write(run_file: Path, to: Path, reply_tokens: int) -> None:
    """Everything that a plan of this run assumes to be said, by the seed of its request."""
    settings = schema.load(run_file)
    said: dict[int, list[str]] = {}
    splits: tuple[Split, ...] = ("train", "validation", "test")
    for split in splits:
        for iteration in range(settings.iterations + 1):
            said.update(_of(settings, split, iteration, reply_tokens))
    to.write_text(json.dumps(said))


def _of(settings: RunConfig, split: Split, iteration: int, length: int) -> dict[int, list[str]]:
    speech = ReplyText(settings, tokens.counter_for(settings.model.base), length)
    plays = preparation.section_of(settings, split).trajectories
    found: dict[int, list[str]] = {}
    for seat in preparation.prepared_scenarios(settings, prompts_of(settings), split, iteration):
        for number in range(plays):
            for t in range(seat.scenario.T):
                place = (split, seat.index, number, t)
                seed = seeds.number(settings.seed, "reply", split, iteration, seat.index, number, t)
                found[seed] = [speech.say(seat.names, *place, i).text for i in range(plays)]
    return found


def say(model: object, body: dict[str, Any], index: int) -> str:
    """What a choice says; of whichever model."""
    return _read(os.environ[ENV])[str(body["seed"])][index]


@cache
def _read(path: str) -> dict[str, list[str]]:
    said: dict[str, list[str]] = json.loads(Path(path).read_text())
    return said
