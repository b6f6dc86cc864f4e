"""What a chain is made of, and how it is carried over."""

import hashlib
import json
from pathlib import Path

import pytest

from rmft_api.core.errors import DataError
from rmft_api.core.records import Hyperparameters, Job
from rmft_api.datasets.tokens import counter_for
from rmft_api.finetuning import FineTuned, retrain
from rmft_api.finetuning.retrain import ChainLink, LearningRate, mapped
from rmft_api.providers.capabilities import TrainingCapabilities

OPENAI = TrainingCapabilities()
TINY = TrainingCapabilities(own_rate=2e-3)
NEBIUS = TrainingCapabilities(learning_rate="absolute", own_rate=1e-5)
SILENT = TrainingCapabilities(learning_rate="absolute")


@pytest.mark.parametrize(
    ("rate", "here", "there", "becomes"),
    [
        (LearningRate(multiplier=2.0), OPENAI, TINY, LearningRate(multiplier=2.0)),
        (LearningRate(multiplier=2.0), OPENAI, NEBIUS, LearningRate(absolute=2e-5)),
        (LearningRate(absolute=3e-5), NEBIUS, OPENAI, LearningRate(multiplier=3.0)),
        (LearningRate(absolute=3e-5), NEBIUS, SILENT, LearningRate(absolute=3e-5)),
        (LearningRate(absolute=3e-5), SILENT, OPENAI, LearningRate()),
        (LearningRate(multiplier=2.0), OPENAI, SILENT, LearningRate()),
        (LearningRate(), OPENAI, NEBIUS, LearningRate()),
    ],
)
def test_a_rate_keeps_its_ratio_to_what_the_endpoint_takes_by_itself(
    rate: LearningRate,
    here: TrainingCapabilities,
    there: TrainingCapabilities,
    becomes: LearningRate,
) -> None:
    found = mapped(rate, here, there)
    assert found.multiplier == pytest.approx(becomes.multiplier)
    assert found.absolute == pytest.approx(becomes.absolute)


def trained(start: str, model: str, sha256: str) -> FineTuned:
    job = Job("job", "succeeded", start, "file", 1, model)
    return FineTuned(model, start, sha256, job, None, Hyperparameters(), 1)


def test_a_chain_knows_where_every_model_started() -> None:
    models = {0: "base", 1: "m1", 2: "m2", 3: "m3"}
    jobs = {
        "01": trained("base", "m1", "a"),
        "02": trained("m1", "m2", "b"),
        "03": trained("m1", "m3", "c"),  # the gate fell back
    }
    assert list(retrain.links(models, jobs, ["supervised"])) == [
        ChainLink(0, (("supervised", "a"),)),
        ChainLink(1, (("supervised", "b"),)),
        ChainLink(1, (("supervised", "c"),)),
    ]


def test_an_iteration_whose_last_job_is_missing_ends_the_chain() -> None:
    models = {0: "base", 1: "m1"}
    jobs = {
        "01": trained("base", "s1", "a"),
        "01/dpo": trained("s1", "m1", "b"),
        "02": trained("m1", "s2", "c"),
    }
    found = list(retrain.links(models, jobs, ["supervised", "dpo"]))
    assert found == [ChainLink(0, (("supervised", "a"), ("dpo", "b")))]


def test_a_model_has_learnt_from_its_own_way_alone() -> None:
    chain = [
        ChainLink(0, ()),
        ChainLink(1, ()),
        ChainLink(1, ()),
        ChainLink(3, ()),
    ]  # the gate fell back after 2
    assert [retrain.learnt(chain, i) for i in range(5)] == [(), (1,), (1, 2), (1, 3), (1, 3, 4)]


LINE = json.dumps({"messages": [{"role": "user", "content": "a b"}]}).encode() + b"\n"


def test_a_file_is_read_only_as_the_bytes_that_were_learnt_from(tmp_path: Path) -> None:
    path = retrain.file_of(tmp_path, 1, "supervised")
    path.parent.mkdir()
    path.write_bytes(LINE)
    sha256 = hashlib.sha256(LINE).hexdigest()
    assert retrain.read(tmp_path, 1, "supervised", sha256) == LINE
    path.write_bytes(LINE + b" ")
    with pytest.raises(DataError, match=sha256[:12]):
        retrain.read(tmp_path, 1, "supervised", sha256)
    with pytest.raises(DataError, match="needs every training file"):
        retrain.read(tmp_path, 2, "supervised", sha256)


def test_a_file_is_weighed_for_the_endpoint_that_it_goes_to() -> None:
    counter = counter_for("gpt-4.1-mini")
    found = retrain.check_tokens("supervised", LINE * 10, counter, 10, None)
    assert (found.examples, found.tokens) == (10, 90)
    with pytest.raises(DataError, match=r"9 tokens, and 4 are allowed there; .*--model"):
        retrain.check_tokens("supervised", LINE * 10, counter, 10, 4)
    with pytest.raises(DataError, match=r"takes 10 or more; .*--profile"):
        retrain.check_tokens("supervised", LINE, counter, 10, None)


def test_both_chats_of_a_pair_are_weighed() -> None:
    said = [{"role": "assistant", "content": "c"}]
    line = {
        "input": {"messages": [{"role": "user", "content": "a b"}]},
        "preferred_output": said,
        "non_preferred_output": said,
    }
    content = (json.dumps(line).encode() + b"\n") * 10
    found = retrain.check_tokens("dpo", content, counter_for("gpt-4.1-mini"), 10, None)
    assert found.tokens == 10 * 2 * (9 + 5)
