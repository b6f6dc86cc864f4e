"""A chain that is carried over: what an endpoint does not take is mapped or left out, and said."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from rmft_api.config import schema
from rmft_api.config.schema import RunConfig
from rmft_api.core.errors import DataError
from rmft_api.finetuning import retrain
from rmft_api.finetuning.results import hyperparameters
from rmft_api.finetuning.retrain import ChainLink
from rmft_api.providers.bedrock import convert as of_bedrock
from rmft_api.providers.fireworks import convert as of_fireworks
from rmft_api.providers.profiles import load
from rmft_api.providers.together import convert as of_together
from rmft_api.session.chains import Chain, finetuning_there


def run(**finetuning: Any) -> RunConfig:
    """A run at OpenAI."""
    raw = {
        "name": "case",
        "iterations": 1,
        "model": {"profile": "openai", "base": "gpt-4.1-mini-2025-04-14"},
        "rollouts": {"problems": [{"environment": "bandit", "K": 2, "T": 3}]},
        "finetuning": finetuning,
    }
    return schema.parse(raw, "the run")


def carried(profile: str, **finetuning: Any) -> tuple[dict[str, Any], list[str]]:
    """Its [finetuning] there, and what is said of it."""
    here, there = load("openai").training, load(profile).training
    assert here and there
    said: list[str] = []
    return finetuning_there(run(**finetuning), here, there, said.append), said


def test_what_is_taken_is_carried_over_without_a_word() -> None:
    raw, said = carried("together", n_epochs=3, batch_size=8)
    assert (raw["n_epochs"], raw["batch_size"]) == (3, 8)
    assert said == []


def test_epochs_and_rates_beyond_the_limit_become_the_nearest() -> None:
    raw, said = carried("bedrock", n_epochs=8, learning_rate_multiplier=20.0)
    assert (raw["n_epochs"], raw["learning_rate"]) == (5, 1e-4)
    assert said == [
        "learning rate: 20 x its own there becomes 0.0002 here",
        "learning rate: 0.0002 is not taken here, 0.0001 is the nearest that is",
        "epochs: 8 there become 5 here, the most that are taken",
    ]


@pytest.mark.parametrize("profile", ["gemini", "bedrock"])
def test_a_batch_size_that_the_provider_chooses_is_left_out(profile: str) -> None:
    raw, said = carried(profile, n_epochs=1, batch_size=4)
    assert raw["batch_size"] is None
    assert said == ["batch size: 4 there is left out here, where the provider chooses it"]


def test_what_was_carried_over_is_what_the_endpoint_takes() -> None:
    for profile in ("gemini", "bedrock", "together", "fireworks", "nebius", "azure"):
        asked = {"n_epochs": 9, "learning_rate_multiplier": 50.0, "batch_size": 4}
        raw, _ = carried(profile, **asked)
        changed = run(**raw)
        wanted = hyperparameters(changed)
        load(profile).check_training("base", "supervised", wanted)


def chain(tmp_path: Path, line: Any) -> Chain:
    content = json.dumps(line).encode() + b"\n"
    path = retrain.file_of(tmp_path, 1, "supervised")
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    link = ChainLink(0, (("supervised", hashlib.sha256(content).hexdigest()),))
    return Chain(tmp_path, run(), "", (link,))


SAID = {"role": "assistant", "content": "blue"}
ASKED = {"role": "user", "content": "Which button?"}


@pytest.mark.parametrize(
    ("convert", "messages", "words"),
    [
        (of_bedrock.dataset, [ASKED, {**SAID, "weight": 0}, ASKED, SAID], "out of the loss"),
        (of_together.checked, [ASKED, ASKED, SAID], "two messages of one role"),
        (of_fireworks.checked, [ASKED], "nothing that the assistant says"),
    ],
)
def test_a_file_that_cannot_be_had_there_is_named_before_anything_is_played(
    tmp_path: Path, convert: Any, messages: Any, words: str
) -> None:
    with pytest.raises(DataError, match=rf"of iteration 1: line 1 .*{words}") as caught:
        chain(tmp_path, {"messages": messages}).check_files(convert)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("convert", [of_bedrock.dataset, of_together.checked, of_fireworks.checked])
def test_a_plain_chat_can_be_had_everywhere(tmp_path: Path, convert: Any) -> None:
    chain(tmp_path, {"messages": [ASKED, SAID]}).check_files(convert)
