"""Tinker: jobs are training runs, trained step by step, and no step is paid twice."""

import json
import struct
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from rmft_api.core.errors import ConfigError, DataError, FaultKind, ProviderFault
from rmft_api.core.ports import ChatModel
from rmft_api.core.records import Hyperparameters
from rmft_api.providers import Connection, connect
from rmft_api.providers.model_list import access_refusal, list_models
from rmft_api.providers.profiles import load
from rmft_api.providers.tinker import names, wire
from rmft_api.providers.tinker.rendering import TinkerTokenizer
from rmft_api.providers.tinker.schedule import JobPlan, StepSchedule
from tests.contracts.chat_model import ChatModelContract
from tests.contracts.fine_tuner import Bench, FineTunerContract, examples
from tests.fakes.tinker import BASE, PREFIX, TINKER, FakeTinker, detail, environ, fields, tokenizer
from tests.providers.stub import Meets, Serving

OWN = """\
[tinker.training]
poll_every_s = 0.005
save_every = 2
extra = { batch_size = 3, lora_rank = 16 }
"""


@pytest.fixture
async def tinker() -> AsyncIterator[FakeTinker]:
    fake = FakeTinker(pending_looks=0)
    async with Serving(fake, TINKER, PREFIX):
        yield fake


@pytest.fixture
def told(tinker: FakeTinker, tmp_path: Path) -> dict[str, str]:
    return environ(tinker, tmp_path)


@pytest.fixture
async def connection(told: dict[str, str], tmp_path: Path) -> AsyncIterator[Connection]:
    async with opened(told, tmp_path) as connection:
        yield connection


def opened(told: dict[str, str], path: Path) -> Connection:
    """A process of its own."""
    own = path / "own.toml"
    own.write_text(OWN)
    return connect(load("tinker", own), environ=told)


def distinct(count: int = 10) -> bytes:
    """A dataset in which no two batches are alike."""
    return rows(*([said("user", f"{n}?"), said("assistant", f"{n}")] for n in range(count)))


def bench_of(connection: Connection) -> Bench:
    return Bench(connection.tuner, BASE, content=distinct())


class TestTinkerChat(ChatModelContract):
    @pytest.fixture
    def chat(self, connection: Connection) -> ChatModel:
        return connection.chat

    @pytest.fixture
    def model(self) -> str:
        return BASE

    @pytest.fixture
    def largest_n(self) -> int:
        return 1


class TestTinkerTuner(FineTunerContract):
    @pytest.fixture
    def bench(self, connection: Connection) -> Bench:
        return Bench(connection.tuner, BASE)

    async def test_files_are_found_by_their_very_name_oldest_first(self, bench: Bench) -> None:
        """The same content under the same name is one file."""
        first = await bench.tuner.upload("rmft-2.jsonl", bench.content)
        await bench.tuner.upload("rmft-22.jsonl", bench.content)
        assert await bench.tuner.upload("rmft-2.jsonl", bench.content) == first
        second = await bench.tuner.upload("rmft-2.jsonl", examples(11))
        found = await bench.tuner.find_uploads("rmft-2.jsonl")
        assert sorted(file.id for file in found) == sorted([first.id, second.id])


async def test_a_job_is_steps_of_batches_a_falling_rate_and_saved_states(
    tinker: FakeTinker, connection: Connection
) -> None:
    bench = Bench(connection.tuner, BASE)
    file = await bench.tuner.upload("rmft-1.jsonl", examples(7))
    order = replace(
        bench.order(file.id), hyperparameters=Hyperparameters(n_epochs=2, learning_rate=1e-3)
    )
    job = await bench.tuner.create_job(order)
    assert tinker.tokens == 0
    done = await bench.finish(job)
    assert done.status == "succeeded"
    assert done.trained_tokens == tinker.tokens
    rates = [seen.json["adam_params"]["learning_rate"] for seen in tinker.asked("optim")]
    assert rates == pytest.approx([1e-3 * (1 - step / 6) for step in range(6)])
    (created,) = tinker.asked("create")
    assert created.json["lora_config"] == {"rank": 16, "seed": 7}
    assert [seen.json["path"] for seen in tinker.asked("save")] == [
        "rmft-000002",
        "rmft-000004",
        "final",
    ]
    numbers = [seen.json["seq_id"] for seen in tinker.asked("optim")]
    assert numbers == [2, 4, 7, 9, 12, 14]
    assert done.fine_tuned_model == f"ft:{BASE}:tinker://{job.id}/sampler_weights/final"


async def test_a_fine_tune_is_asked_by_its_path_and_trained_further_from_its_state(
    tinker: FakeTinker, connection: Connection
) -> None:
    bench = Bench(connection.tuner, BASE)
    _, job = await bench.start()
    model = (await bench.finish(job)).fine_tuned_model
    assert model
    assert load("tinker").is_tuned(model)
    reply = await connection.chat.reply(TestTinkerChat().ask(model))
    assert reply.choices
    assert tinker.asked("chat")[0].json["model"] == f"tinker://{job.id}/sampler_weights/final"
    assert tinker.asked("chat")[0].json["reasoning_effort"] == "none"
    further = replace(bench.order(job.training_file, "y" * 32), model=model)
    second = await bench.finish(await bench.tuner.create_job(further))
    assert second.fine_tuned_model
    (loaded,) = tinker.asked("load")
    assert loaded.json["path"] == f"tinker://{job.id}/weights/final"
    assert loaded.json["optimizer"] is False
    found = names.tuned(second.fine_tuned_model)
    assert found is not None
    assert found.base == BASE


@pytest.mark.parametrize("route", ["forward", "optim", "save", "sampler", "retrieve"])
@pytest.mark.parametrize(
    "meets",
    [
        Meets(manner="after"),
        Meets(manner="reset"),
        Meets(500, {}, done=True),
        Meets(429, {}, done=True),
        Meets(503, {}),
    ],
)
async def test_a_lost_reply_trains_no_step_twice(
    tinker: FakeTinker, connection: Connection, route: str, meets: Meets
) -> None:
    bench = bench_of(connection)
    _, job = await bench.start()
    tinker.plan(route, meets)
    for _ in range(9):
        try:
            job = await bench.tuner.job(job.id)
        except ProviderFault:
            continue
        if job.status == "succeeded":
            break
    assert job.status == "succeeded"
    assert tinker.twice == {}
    assert job.trained_tokens == tinker.tokens


@pytest.mark.parametrize("route", ["forward", "optim", "save", "sampler", "retrieve"])
async def test_a_refusal_that_names_no_session_gives_no_run_up(
    tinker: FakeTinker, connection: Connection, route: str
) -> None:
    """A gateway may answer 403 to what was done: a new run would pay for the same steps again."""
    bench = bench_of(connection)
    _, job = await bench.start()
    tinker.plan(route, Meets(403, {}, done=True))
    with pytest.raises(ProviderFault, match="rights") as caught:
        for _ in range(9):
            await bench.tuner.job(job.id)
    assert caught.value.kind is FaultKind.STOP
    done = await bench.finish(job)
    assert done.status == "succeeded"
    assert (tinker.twice, len(tinker.asked("create"))) == ({}, 1)


async def undisturbed(told: dict[str, str], path: Path, key: str) -> str:
    async with opened(told, path) as connection:
        bench = bench_of(connection)
        _, job = await bench.start(key)
        done = await bench.finish(job)
    assert done.fine_tuned_model
    return done.fine_tuned_model


def learned(tinker: FakeTinker, model: str | None) -> str:
    found = names.tuned(model or "")
    assert found
    return tinker.weights[found.sampler]


@pytest.mark.parametrize("looks", [0, 1])
@pytest.mark.parametrize("route", ["forward", "optim", "save"])
async def test_another_process_goes_on_with_a_run_and_pays_no_step_twice(
    tinker: FakeTinker, told: dict[str, str], tmp_path: Path, looks: int, route: str
) -> None:
    """Killed in a step: the next process sends the same requests under the same numbers."""
    whole = await undisturbed(told, tmp_path, "w" * 32)
    before, billed = dict(tinker.trained), tinker.tokens
    async with opened(told, tmp_path) as connection:
        _, job = await bench_of(connection).start()
        for _ in range(looks):
            await connection.tuner.job(job.id)
        tinker.plan(route, Meets(manner="after"))
        with pytest.raises(ProviderFault):
            await connection.tuner.job(job.id)
    async with opened(told, tmp_path) as connection:
        done = await bench_of(connection).finish(job)
    assert {batch: n for batch, n in tinker.twice.items() if batch not in before} == {}
    assert learned(tinker, done.fine_tuned_model) == learned(tinker, whole)
    assert done.trained_tokens == tinker.tokens - billed == billed


@pytest.mark.parametrize("why", ["gone", "old"])
async def test_a_lost_run_goes_on_from_its_last_saved_state_and_says_what_was_billed_again(
    tinker: FakeTinker, told: dict[str, str], tmp_path: Path, why: str
) -> None:
    whole = await undisturbed(told, tmp_path, "w" * 32)
    one_way = tinker.tokens
    async with opened(told, tmp_path) as connection:
        _, job = await bench_of(connection).start()
        await connection.tuner.job(job.id)
        tinker.plan("optim", Meets(manner="after"))
        with pytest.raises(ProviderFault):
            await connection.tuner.job(job.id)
    if why == "gone":
        tinker.dead.add(job.id.partition(":")[0])
    else:
        tinker.ages = timedelta(seconds=301)
    async with opened(told, tmp_path) as connection:
        done = await bench_of(connection).finish(job)
    assert learned(tinker, done.fine_tuned_model) == learned(tinker, whole)
    assert done.id == job.id
    (loaded,) = tinker.asked("load")
    assert (loaded.json["path"], loaded.json["optimizer"]) == (
        f"tinker://{job.id}/weights/rmft-000002",
        True,
    )
    assert done.trained_tokens
    assert tinker.tokens - one_way <= done.trained_tokens <= one_way * 1.5
    async with opened(told, tmp_path) as connection:
        assert await connection.tuner.job(job.id) == done
        assert await connection.tuner.find_jobs(bench_of(connection).order("")) != []


async def test_a_run_that_is_gone_before_its_first_state_begins_again(
    tinker: FakeTinker, connection: Connection
) -> None:
    bench = bench_of(connection)
    _, job = await bench.start()
    tinker.dead.add(job.id.partition(":")[0])
    done = await bench.finish(job)
    assert done.status == "succeeded"
    assert len(tinker.asked("create")) == 2


async def test_a_run_that_is_gone_before_its_last_word_is_saved_once_more(
    tinker: FakeTinker, told: dict[str, str], tmp_path: Path
) -> None:
    async with opened(told, tmp_path) as connection:
        bench = bench_of(connection)
        _, job = await bench.start()
        tinker.plan("sampler", Meets(manner="reset"))
        for _ in range(4):
            try:
                await bench.tuner.job(job.id)
            except ProviderFault:
                break
    tinker.dead.add(job.id.partition(":")[0])
    billed = tinker.tokens
    async with opened(told, tmp_path) as connection:
        done = await bench_of(connection).finish(job)
    assert (done.status, tinker.tokens) == ("succeeded", billed)


async def test_the_estimate_is_of_the_bases_own_tokens_and_what_a_lost_run_costs_again(
    tinker: FakeTinker, connection: Connection
) -> None:
    bench = bench_of(connection)
    order, job = await bench.start()
    estimate = await bench.tuner.estimated_price(order)
    await bench.finish(job)
    assert estimate is not None
    again = tinker.tokens * 6 // 10
    assert estimate == pytest.approx((tinker.tokens + again) * 0.44, abs=1)


@pytest.mark.parametrize(
    ("fails", "words"),
    [("user:NonFiniteInTensor", "NonFiniteInTensor"), ("server:worker died", "asks again")],
)
async def test_a_step_that_failed_is_told_with_its_reason(
    tinker: FakeTinker, connection: Connection, fails: str, words: str
) -> None:
    _, job = await Bench(connection.tuner, BASE).start()
    tinker.fails = fails
    with pytest.raises(ProviderFault, match=words) as caught:
        await connection.tuner.job(job.id)
    own = fails.startswith("user")
    assert caught.value.kind is (FaultKind.REJECTED if own else FaultKind.AMBIGUOUS)


async def test_a_file_that_is_on_another_machine_is_named_with_the_way_out(
    connection: Connection, told: dict[str, str], tmp_path: Path
) -> None:
    _, job = await Bench(connection.tuner, BASE).start()
    elsewhere = told | {"RMFT_TINKER_FILES": str(tmp_path / "elsewhere")}
    async with opened(elsewhere, tmp_path) as other:
        with pytest.raises(ProviderFault, match="RMFT_TINKER_FILES") as caught:
            await other.tuner.job(job.id)
    assert caught.value.kind is FaultKind.STOP


@pytest.mark.parametrize(
    ("meets", "words", "kind"),
    [
        (detail(401, "Invalid API key"), "check TINKER_API_KEY", FaultKind.STOP),
        (detail(402, "Billing is blocked"), "add credit", FaultKind.STOP),
        (detail(429, "Too many requests"), "slowing down|Too many", FaultKind.SAFE),
        (detail(504, "Timeout while publishing request"), "Timeout", FaultKind.AMBIGUOUS),
    ],
)
async def test_refusals_are_one_line(
    tinker: FakeTinker, connection: Connection, meets: Meets, words: str, kind: FaultKind
) -> None:
    _, job = await Bench(connection.tuner, BASE).start()
    tinker.plan("optim", meets)
    with pytest.raises(ProviderFault, match=words) as caught:
        await connection.tuner.job(job.id)
    assert caught.value.kind is kind
    assert "\n" not in str(caught.value)


async def test_a_base_that_cannot_be_trained_or_played_is_told_before_a_run(
    tinker: FakeTinker, told: dict[str, str]
) -> None:
    profile = load("tinker")
    assert await access_refusal(profile, BASE, told) == ""
    assert "gpt-oss-20b" in (await access_refusal(profile, "meta/none", told) or "")
    tinker.offered[BASE] = (False, True)
    assert "cannot be trained" in (await access_refusal(profile, BASE, told) or "")
    tinker.offered[BASE] = (True, False)
    assert "cannot be asked" in (await access_refusal(profile, BASE, told) or "")
    assert (await list_models(profile, told)).at
    tinker.blocked = True
    with pytest.raises(ProviderFault, match="add credit"):
        await list_models(profile, told)


async def test_a_tokenizer_that_cannot_be_had_is_told_before_a_run(
    tinker: FakeTinker, told: dict[str, str], tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ConfigError, match="RMFT_TINKER_TOKENIZER"):
        await access_refusal(load("tinker"), BASE, told | {"RMFT_TINKER_TOKENIZER": str(empty)})


def rows(*chats: Any) -> bytes:
    return b"\n".join(json.dumps({"messages": chat}).encode() for chat in chats)


def said(role: str, content: str, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


@pytest.fixture
def chats(tmp_path: Path) -> TinkerTokenizer:
    return TinkerTokenizer(tokenizer(tmp_path / "tokenizer"), BASE)


def text_of(tokenizer_: TinkerTokenizer, tokens: Any) -> str:
    return tokenizer_._tokenizer.decode(list(tokens), skip_special_tokens=False)  # pyright: ignore[reportPrivateUsage]


def test_an_answer_is_learned_from_its_prompt_to_the_end_of_its_turn(
    chats: TinkerTokenizer,
) -> None:
    (example,) = chats.examples(
        rows([said("system", "Choose."), said("user", "Which?"), said("assistant", "blue")])
    )
    learned_ = [t for t, w in zip(example.tokens, example.weights, strict=True) if w]
    assert text_of(chats, learned_) == "blue<|im_end|>"
    assert text_of(chats, example.tokens) == (
        "<|im_start|>system\nChoose.<|im_end|>\n<|im_start|>user\nWhich?<|im_end|>\n"
        "<|im_start|>assistant\n<think>\n\n</think>\n\nblue<|im_end|>"
    )


def test_turns_without_weight_are_not_learned_and_each_answer_follows_its_own_prompt(
    chats: TinkerTokenizer,
) -> None:
    chat = [
        said("user", "a?"),
        said("assistant", "red", weight=0),
        said("user", "b?"),
        said("assistant", "blue", weight=1),
    ]
    (example,) = chats.examples(rows(chat))
    learned_ = [t for t, w in zip(example.tokens, example.weights, strict=True) if w]
    assert text_of(chats, learned_) == "blue<|im_end|>"
    chat[1]["weight"] = 1
    first, second = chats.examples(rows(chat))
    assert text_of(chats, first.tokens).endswith("red<|im_end|>")
    assert text_of(chats, second.tokens).endswith("blue<|im_end|>")


@pytest.mark.parametrize("line", [b"{", b'{"messages": []}', b'{"messages": [{"role": "user"}]}'])
def test_a_line_that_cannot_be_rendered_is_named(chats: TinkerTokenizer, line: bytes) -> None:
    with pytest.raises(DataError, match="line 2"):
        chats.examples(rows([said("user", "a"), said("assistant", "b")]) + b"\n" + line)


def test_every_example_is_in_every_epoch_once_and_numbers_leave_no_gap() -> None:
    plan = JobPlan("f", BASE, 1, epochs=3, batch_size=4, rate=1e-4, seed=1)
    many = tuple(wire.WeightedTokens((n, n + 1, n + 2), (0.0, 1.0, 1.0)) for n in range(10))
    schedule = StepSchedule(plan, many, save_every=2)
    for epoch in range(3):
        batches = [schedule.batch(step) for step in range(epoch * 3, epoch * 3 + 3)]
        assert sorted(one for batch in batches for one in batch) == sorted(many)
    assert JobPlan.of(plan.metadata()) == plan
    for begun_at in (0, 2, 4):
        expected = 1
        for step in range(begun_at, schedule.steps):
            assert schedule.number(begun_at, step) == expected
            expected += 2 + (schedule.saves_after(step) and 1)
            if schedule.saves_after(step) and step + 1 < schedule.steps:
                assert schedule.saving_number(begun_at, step + 1) == expected - 1


def test_metrics_of_a_result_are_read_and_anything_else_has_none() -> None:
    entry = b"\x0a\x04loss\x11" + struct.pack("<d", 1.5)
    told = b"\x0a\x01x\x1a" + bytes([len(entry)]) + entry
    assert wire.metrics(told) == {"loss": 1.5}
    for cut in range(len(told)):
        assert wire.metrics(told[:cut]) == {}
    assert wire.metrics(b"<html>") == {}


def test_a_batch_is_cut_where_the_package_cuts_it() -> None:
    one = wire.WeightedTokens(tuple(range(101)), (1.0,) * 101)
    cut = [len(part) for part in wire.chunks([one] * 10, most_bytes=4000)]
    assert cut == [2, 2, 2, 2, 2]
    assert [len(part) for part in wire.chunks([one] * 5, most=2)] == [2, 2, 1]
    body = dict(fields(wire.forward_backward("s:train:0", 300, [one])))
    assert (body[1], body[2], body[4]) == (b"s:train:0", 300, b"cross_entropy")
