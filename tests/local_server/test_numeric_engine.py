"""The numeric models behind the server's port: sampling, and what they refuse."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rmft_api.baselines import full_information
from rmft_api.core.errors import DataError
from rmft_api.local_server.engine import (
    ChatMessage,
    ExampleError,
    JobHyperparameters,
    Model,
    Prompt,
)
from rmft_api.local_server.numeric import weights
from rmft_api.local_server.numeric.engine import BASES, NumericEngine, NumericModel
from rmft_api.local_server.numeric.linear_attention import LinearAttention

ENGINE = NumericEngine()
LINEAR, WORST, TRANSFORMER = (
    "rmft-linear-attention",
    "rmft-linear-attention-worst",
    "rmft-transformer",
)


def prompt(rows: list[list[float]], seed: int = 1, temperature: float = 1.0, K: int = 3) -> Prompt:
    text = json.dumps({"K": K, "rewards": rows})
    return Prompt((ChatMessage("user", text),), seed, temperature)


def rows(rounds: int, K: int = 3, seed: int = 0) -> list[list[float]]:
    return np.random.default_rng(seed).random((rounds, K)).round(4).tolist()


def policy(model: Model, asked: Prompt) -> list[float]:
    [answer] = model.complete([asked])
    return json.loads(answer.text)["policy"]


@pytest.mark.parametrize("base", BASES)
def test_an_answer_does_not_depend_on_its_batch(base: str):
    model = ENGINE.load(base, None)
    asked = [
        prompt(rows(t, K, t), seed, temperature, K)
        for t in (0, 1, 7)
        for K in (2, 3, 5)
        for seed, temperature in ((1, 0.0), (1, 1.0), (2, 0.3))
    ]
    together = model.complete(asked)
    assert together == [answer for one in asked for answer in model.complete([one])]
    assert together == model.complete(asked[::-1])[::-1]


@pytest.mark.parametrize("base", BASES)
def test_noise_comes_from_the_seed_and_grows_with_the_temperature(base: str):
    model = ENGINE.load(base, None)
    at = rows(4)
    assert policy(model, prompt(at, 1)) == policy(model, prompt(at, 1))
    assert policy(model, prompt(at, 1)) != policy(model, prompt(at, 2))
    assert policy(model, prompt(at, 1, 0.0)) == policy(model, prompt(at, 2, 0.0))


def test_rounds_that_share_a_seed_share_their_noise():
    model = NumericModel(LinearAttention(), LinearAttention().follows(0.0))
    first = policy(model, prompt([], 5, 0.2))
    assert first == policy(model, prompt(rows(3), 5, 0.2)) != [1 / 3] * 3


def test_with_a_one_linear_attention_is_ftrl_with_an_l2_regulariser():
    model = NumericModel(LinearAttention(), LinearAttention().follows(1.0))
    for t in (0, 1, 5, 60):
        at = rows(t)
        sums = np.array(at).reshape(t, 3).sum(axis=0)[None]
        expected = full_information.project(sums / np.sqrt(t + 1))[0]
        assert policy(model, prompt(at, temperature=0)) == pytest.approx(expected, abs=1e-4)


def test_the_worst_start_follows_the_worst_action():
    model = ENGINE.load(WORST, None)
    best_first = [[1.0, 0.5, 0.0]] * 9
    assert policy(model, prompt(best_first, temperature=0)) == [0, 0, 1]


@pytest.mark.parametrize("base", [LINEAR, TRANSFORMER])
def test_renaming_the_actions_renames_the_answer(base: str):
    model = ENGINE.load(base, None)
    at, order = rows(6), [2, 0, 1]
    renamed = [[row[a] for a in order] for row in at]
    plain = policy(model, prompt(at, temperature=0))
    assert policy(model, prompt(renamed, temperature=0)) == pytest.approx(
        [plain[a] for a in order], abs=2e-4
    )


def test_tokens_are_numbers():
    [answer] = ENGINE.load(LINEAR, None).complete([prompt(rows(4))])
    assert answer.prompt_tokens == 1 + 4 * 3
    assert answer.completion_tokens == len(answer.pieces) == 3
    assert answer.finish_reason == "stop"


def test_an_answer_is_cut_at_the_token_limit_and_at_stop_texts():
    model = ENGINE.load(LINEAR, None)
    messages = prompt([]).messages
    whole, cut, stopped, nothing = model.complete(
        [
            Prompt(messages, 1),
            Prompt(messages, 1, max_tokens=2),
            Prompt(messages, 1, stop=(",", "nowhere")),
            Prompt(messages, 1, stop=("{",)),
        ]
    )
    assert (cut.finish_reason, cut.completion_tokens) == ("length", 2)
    assert whole.text.startswith(cut.text)
    assert stopped.text == whole.text.split(",")[0]
    assert stopped.finish_reason == "stop"
    assert (nothing.text, nothing.completion_tokens) == ("", 0)


def test_what_has_no_meaning_for_numbers_is_refused():
    model = ENGINE.load(LINEAR, None)
    messages = prompt([]).messages
    with pytest.raises(ExampleError, match="log-probabilities"):
        model.complete([Prompt(messages, 1, top_logprobs=0)])
    with pytest.raises(ExampleError, match=r"top_p=0\.5"):
        model.complete([Prompt(messages, 1, top_p=0.5)])
    with pytest.raises(ExampleError, match="not of the form"):
        model.complete([Prompt((ChatMessage("user", "hello"),), 1)])


def test_an_example_without_a_weighted_answer_is_refused():
    asked = prompt([]).messages[0]
    answer = ChatMessage("assistant", '{"policy":[0.2,0.3,0.5]}')
    assert ENGINE.check([asked, answer]) == 4
    with pytest.raises(ExampleError, match="no assistant message"):
        ENGINE.check([asked, answer._replace(weight=0)])


def test_what_is_left_open_is_chosen_by_the_number_of_examples():
    assert ENGINE.resolve(JobHyperparameters(), 1200) == JobHyperparameters(8, 256, 1.0)
    assert ENGINE.resolve(JobHyperparameters(), 40) == JobHyperparameters(8, 10, 1.0)
    chosen = JobHyperparameters(1, 2, 0.5)
    assert ENGINE.resolve(chosen, 1200) == chosen


def test_weights_of_another_model_are_refused(tmp_path: Path):
    path = tmp_path / "w.safetensors"
    family, tensors = BASES[TRANSFORMER]
    weights.save(path, family.name, tensors)
    assert ENGINE.load(TRANSFORMER, path)
    with pytest.raises(DataError, match="'transformer', not of 'linear-attention'"):
        ENGINE.load(LINEAR, path)
    path.write_bytes(b"torn")
    with pytest.raises(DataError, match="cannot be read"):
        ENGINE.load(LINEAR, path)


def test_linear_attention_needs_no_torch():
    code = (
        "import sys; from rmft_api.local_server.numeric.engine import NumericEngine;"
        "NumericEngine().load('rmft-transformer', None); sys.exit('torch' in sys.modules)"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    assert (
        subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0
    )
