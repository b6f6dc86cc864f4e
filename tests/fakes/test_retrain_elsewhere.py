"""A chain of OpenAI's, walked again at every other provider: paid once, shown side by side."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rmft_api.finetuning import FineTuned
from rmft_api.journal import Journal
from tests.fakes import azure, bedrock, fireworks, gemini, nebius, tinker, together
from tests.fakes.loop import talk
from tests.faults.world import NAME, QUICK, Said, World, build
from tests.providers.stub import Serving, StubProvider

WAITS = """\
poll_every_s = 0.02
quarantine_s = 0.2
"""
PROFILES = f"""
[azure.training]
{WAITS}list_lag_s = 0
[azure.hosting]
{WAITS}rest_s = 0
[nebius.training]
{WAITS}list_lag_s = 0
[nebius.hosting]
{WAITS}
[bedrock.training]
poll_every_s = 0.02
[bedrock.hosting]
{WAITS}rest_s = 0
[together.training]
{WAITS}list_lag_s = 0
[together.hosting]
{WAITS}
[fireworks.training]
poll_every_s = 0.02
[fireworks.hosting]
{WAITS}rest_s = 0
[tinker.training]
{WAITS}list_lag_s = 0
save_every = 2
[gemini.training]
{WAITS}list_lag_s = 0
[gemini.hosting]
{WAITS}
"""
PRICES = "\n".join(
    f"""[[price]]
provider = "{provider}"
model = "{model}"
input = 0.13
output = 0.40
train = 2.80
hosting_per_hour = 5
as_of = 2026-11-22
source = "as agreed"
"""
    for provider, model in (
        ("nebius", nebius.BASE),
        ("gemini", "gemini-3.5-flash-lite"),
        ("bedrock", "amazon.nova-micro-v1:0"),
        ("together", together.BASE),
        ("together", f"ft:{together.BASE}"),
        ("fireworks", fireworks.BASE),
        ("fireworks", f"ft:{fireworks.BASE}"),
    )
)
OLD_BASE = "gpt-4.1-mini-2025-04-14"
INTERRUPTED = "stopped"
"""A run that was killed while its second model was trained."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Two runs at OpenAI's wire: one finished, one killed."""
    folder = tmp_path_factory.mktemp("elsewhere") / "world"
    world = build(folder, QUICK, provider={"base_models": [OLD_BASE]})
    with (world.folder / "profiles.toml").open("a") as file:
        file.write(PROFILES)
    (world.folder / "prices.toml").write_text(PRICES)
    rate = ("--set", "finetuning.learning_rate_multiplier=2.0", "--set", "prompts.set=compact")
    asked = (*rate, "--set", "finetuning.batch_size=4", "--set", f"model.base={OLD_BASE}")
    assert ended(world, "run", f"{NAME}.toml", *asked).code == 0
    other = (*asked, "--set", f"name={INTERRUPTED}")
    crash = {"RMFT_CRASH_AT": "job.recorded:2:KILL"}
    assert ended(world, "run", f"{NAME}.toml", *other, environ=crash).code == -9
    yield world
    world.provider.stop()


def ended(world: World, *arguments: str, environ: Mapping[str, str] | None = None) -> Said:
    return world.process(*arguments, environ=environ).start().finish(120)


@dataclass
class Elsewhere:
    """Where a chain is walked again."""

    world: World
    profile: str
    base: str
    environ: dict[str, str]

    async def replay(self, run: str, name: str, *more: str, crash_at: str = "") -> Said:
        arguments = ("--profile", self.profile, "--model", self.base, "--name", name)
        own = {"RMFT_PRICES": str(self.world.folder / "prices.toml"), "RMFT_CRASH_AT": crash_at}
        return await asyncio.to_thread(
            lambda: ended(
                self.world,
                *("retrain", run, *arguments, "--budget", "60", *more),
                environ=self.environ | own,
            )
        )

    async def killed_and_walked_again(self, name: str, crash_at: str) -> tuple[Said, Any]:
        """A replay that dies on its way, the same command once more, and its two chains."""
        killed = await self.replay(NAME, name, crash_at=crash_at)
        assert killed.code == -9, killed.stderr
        walked = await self.replay(NAME, name)
        assert walked.code == 0, walked.stderr
        shown = await self.replay(NAME, name, "--json")
        assert shown.code == 0, shown.stderr
        return walked, json.loads(shown.stdout)

    def files(self, run: str) -> list[bytes]:
        """What a run has learnt from."""
        folder = self.world.folder / "runs" / run
        return [path.read_bytes() for path in sorted(folder.glob("iteration_*/dataset.jsonl"))]


def paid_once(stub: StubProvider) -> None:
    """No chat was asked twice, and no job was made twice from one file.

    Requests for one token, which ask whether a model answers, are the same for every model.
    """
    one_token = (b'"maxOutputTokens":1,', b'"max_completion_tokens":1,', b'"max_tokens":1,')
    chats = Counter(
        seen.body for seen in stub.asked("chat") if not any(mark in seen.body for mark in one_token)
    )
    assert chats
    assert [json.loads(body) for body, times in chats.items() if times > 1] == []
    assert len(stub.asked("create")) == len(stub.jobs)


def both_are_shown(walked: Said, sides: Any, name: str, rate: str) -> None:
    """Iteration by iteration, and how it was carried over."""
    assert f"regret of {NAME}" in walked.stdout
    assert f"regret of {name}" in walked.stdout
    assert rate in walked.stderr
    assert [pair["index"] for pair in sides["pairs"]] == [0, 1, 2]
    assert any(one.startswith("model.profile: 'fake' -> ") for one in sides["changed"])


async def test_at_nebius_every_model_learns_all_of_its_chain_at_an_absolute_rate(
    world: World,
) -> None:
    fake = nebius.FakeNebius(talk=talk)
    async with Serving(fake, nebius.NEBIUS):
        there = Elsewhere(world, "nebius", nebius.BASE, nebius.environ(fake))
        walked, sides = await there.killed_and_walked_again("at-nebius", "job.recorded:2:KILL")
    both_are_shown(walked, sides, "at-nebius", "learning rate: 2 x its own there becomes 2e-05")
    assert "finetuning.learning_rate: None -> 2e-05" in walked.stdout
    assert "each model is trained from the base there" in walked.stderr
    paid_once(fake)
    assert [job["model"] for job in fake.jobs] == [nebius.BASE] * 2
    rates = [seen.json["method"]["supervised"]["hyperparameters"] for seen in fake.asked("create")]
    assert {one["learning_rate"] for one in rates} == {2e-5}
    first, second = there.files(NAME)
    assert there.files("at-nebius") == [first, first + second]
    assert len(fake.custom) == 2


async def test_at_azure_the_chain_goes_on_from_its_models_and_nothing_stays_deployed(
    world: World,
) -> None:
    fake = azure.FakeAzure(talk=talk, cold_chats=0, file_status="processed")
    base = "gpt-4.1-mini-2025-04-14"
    async with Serving(fake, azure.AZURE, azure.PREFIX):
        there = Elsewhere(world, "azure", base, azure.environ(fake))
        walked, sides = await there.killed_and_walked_again("at-azure", "job.recorded:2:KILL")
    both_are_shown(walked, sides, "at-azure", "")
    paid_once(fake)
    first, second = fake.jobs
    assert (first["model"], second["model"]) == (base, first["fine_tuned_model"])
    assert there.files("at-azure") == there.files(NAME)
    rates = [seen.json["method"]["supervised"]["hyperparameters"] for seen in fake.asked("create")]
    assert {one["learning_rate_multiplier"] for one in rates} == {2.0}
    assert fake.deployments == {}
    assert fake.made == fake.removed


async def test_at_gemini_the_chain_is_told_in_its_words_and_goes_on(world: World) -> None:
    fake = gemini.FakeGemini(talk=talk)
    base = "gemini-3.5-flash-lite"
    async with Serving(fake, gemini.GEMINI):
        there = Elsewhere(world, "gemini", base, gemini.environ(fake))
        walked, sides = await there.killed_and_walked_again("at-gemini", "job.recorded:2:KILL")
    both_are_shown(walked, sides, "at-gemini", "batch size: 4 there is left out here")
    paid_once(fake)
    first, second = fake.jobs
    assert first["baseModel"] == base
    assert second["preTunedModel"]["tunedModelName"] == first["tunedModel"]["model"]
    wanted = [job["supervisedTuningSpec"]["hyperParameters"] for job in fake.jobs]
    assert wanted == [{"epochCount": "1", "learningRateMultiplier": 2.0}] * 2
    assert there.files("at-gemini") == there.files(NAME)


async def test_at_bedrock_the_chain_is_told_in_its_words_and_nothing_stays_deployed(
    world: World,
) -> None:
    pytest.importorskip("botocore", reason="pip install 'rmft-api[bedrock]'")
    fake = bedrock.FakeBedrock(talk=talk)
    base = "amazon.nova-micro-v1:0"
    async with Serving(fake, bedrock.BEDROCK, bedrock.PREFIX):
        there = Elsewhere(world, "bedrock", base, bedrock.environ(fake))
        walked, sides = await there.killed_and_walked_again("at-bedrock", "job.recorded:2:KILL")
    rate = "learning rate: 2 x its own there becomes 2e-05"
    both_are_shown(walked, sides, "at-bedrock", rate)
    assert "batch size: 4 there is left out here" in walked.stderr
    first, second = fake.jobs
    assert (first["start"], second["start"]) == (bedrock.BASES[base], first["outputModelArn"])
    assert [job["hyperParameters"]["learningRate"] for job in fake.jobs] == ["2e-05"] * 2
    assert len(fake.asked("create")) == len(fake.jobs)
    assert there.files("at-bedrock") == there.files(NAME)
    assert fake.deployments == {}
    assert fake.made == fake.removed


async def test_at_together_the_chain_goes_on_from_its_jobs_and_no_endpoint_stays(
    world: World,
) -> None:
    fake = together.FakeTogether(talk=talk)
    async with Serving(fake, together.TOGETHER):
        there = Elsewhere(world, "together", together.BASE, together.environ(fake))
        walked, sides = await there.killed_and_walked_again("at-together", "job.recorded:2:KILL")
    both_are_shown(walked, sides, "at-together", "learning rate: 2 x its own there becomes 2e-05")
    first, second = fake.jobs
    assert (first["model"], second["from_checkpoint"]) == (together.BASE, first["id"])
    asked = [seen.json for seen in fake.asked("create")]
    assert [(one["learning_rate"], one["batch_size"]) for one in asked] == [(2e-5, 4)] * 2
    assert there.files("at-together") == there.files(NAME)
    assert sorted(fake.contents.values()) == sorted(there.files(NAME))
    assert fake.endpoints == {}
    assert fake.made == fake.removed


async def test_at_fireworks_the_chain_goes_on_from_its_models_and_nothing_stays_deployed(
    world: World,
) -> None:
    fake = fireworks.FakeFireworks(talk=talk)
    async with Serving(fake, fireworks.FIREWORKS, fireworks.PREFIX):
        there = Elsewhere(world, "fireworks", fireworks.BASE, fireworks.environ(fake))
        walked, sides = await there.killed_and_walked_again("at-fireworks", "job.recorded:2:KILL")
    rate = "learning rate: 2 x its own there becomes the provider's own here"
    both_are_shown(walked, sides, "at-fireworks", rate)
    first, second = fake.jobs
    assert (first["baseModel"], second["warmStartFrom"]) == (fireworks.BASE, first["outputModel"])
    asked = [seen.json for seen in fake.asked("create")]
    assert [one["batchSizeSamples"] for one in asked] == [4] * 2
    assert not any("learningRate" in one for one in asked)
    assert there.files("at-fireworks") == there.files(NAME)
    assert fake.stays == {}
    assert fake.made == fake.removed


async def test_at_tinker_the_chain_is_trained_step_by_step_and_no_step_is_paid_twice(
    world: World, tmp_path: Path
) -> None:
    pytest.importorskip("tokenizers", reason="pip install 'rmft-api[tinker]'")
    fake = tinker.FakeTinker(talk=talk)
    async with Serving(fake, tinker.TINKER, tinker.PREFIX):
        environ = tinker.environ(fake, tmp_path)
        there = Elsewhere(world, "tinker", tinker.BASE, environ)
        walked, sides = await there.killed_and_walked_again("at-tinker", "step.done:3:KILL")
    both_are_shown(walked, sides, "at-tinker", "learning rate: 2 x its own there becomes 0.0002")
    assert fake.twice == {}
    first, second = [run for run in fake.runs.values() if run.next_seq > 1]
    (loaded,) = fake.asked("load")
    assert loaded.json["path"] == f"tinker://{first.id}/weights/final"
    assert second.id != first.id
    assert there.files("at-tinker") == there.files(NAME)


async def test_an_interrupted_run_is_replayed_as_far_as_it_was_trained(world: World) -> None:
    fake = azure.FakeAzure(talk=talk, cold_chats=0, file_status="processed")
    base = "gpt-4.1-mini-2025-04-14"
    async with Serving(fake, azure.AZURE, azure.PREFIX):
        there = Elsewhere(world, "azure", base, azure.environ(fake))
        walked = await there.replay(INTERRUPTED, "rescued", "--json")
    assert walked.code == 0, walked.stderr
    assert [pair["index"] for pair in json.loads(walked.stdout)["pairs"]] == [0, 1]
    assert there.files("rescued") == there.files(INTERRUPTED)[:1]
    assert len(fake.jobs) == 1
    paid_once(fake)
    assert fake.deployments == {}


def test_on_this_machine_it_costs_nothing(world: World) -> None:
    pytest.importorskip("torch")
    there = Elsewhere(world, "local", "rmft-tiny", {})
    killed = asyncio.run(there.replay(NAME, "at-home", crash_at="job.recorded:2:KILL"))
    assert killed.code == -9, killed.stderr
    walked = asyncio.run(there.replay(NAME, "at-home", "--json"))
    assert walked.code == 0, walked.stderr
    assert [pair["index"] for pair in json.loads(walked.stdout)["pairs"]] == [0, 1, 2]
    assert there.files("at-home") == there.files(NAME)
    with closing(Journal.read(world.folder / "runs" / "at-home")) as journal:
        assert journal.ledger.totals().spent == 0
        assert len(dict(journal.all("trained", FineTuned))) == 2
