import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from rmft_api.local_server.batching import ROWS, Batcher, sample_each
from rmft_api.local_server.engine import (
    ChatMessage,
    Engine,
    ExampleError,
    Model,
    Prompt,
    SampledText,
)
from rmft_api.local_server.engines import Owner
from rmft_api.local_server.last_answer import LastAnswerEngine
from rmft_api.local_server.models import ModelPool, Served


class Echo:
    """Answers with the seed, and remembers the sizes of its batches."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def complete(self, prompts: Sequence[Prompt]) -> list[SampledText]:
        self.batches.append(len(prompts))
        if any(prompt.seed < 0 for prompt in prompts):
            raise ExampleError("a negative seed")
        return [SampledText((str(prompt.seed),), "stop", 1, 1) for prompt in prompts]


def prompts(*seeds: int) -> list[Prompt]:
    return [Prompt((ChatMessage("user", "hi"),), seed) for seed in seeds]


@pytest.fixture
async def batcher() -> AsyncIterator[Batcher]:
    batcher = Batcher(gap_s=0.05, most_s=1.0)
    running = asyncio.create_task(batcher.run())
    yield batcher
    running.cancel()
    await asyncio.wait([running])


async def ask(batcher: Batcher, model: Model, *seeds: int) -> list[str]:
    return [answer.text for answer in await batcher.complete(model, prompts(*seeds))]


async def test_rows_that_wait_together_are_sampled_together(batcher: Batcher) -> None:
    model = Echo()
    asked = [ask(batcher, model, seed) for seed in range(10)]
    assert await asyncio.gather(*asked) == [[str(seed)] for seed in range(10)]
    assert model.batches == [10]


async def test_a_batch_is_cut_at_its_limit_and_every_request_stays_whole(
    batcher: Batcher,
) -> None:
    model = Echo()
    sizes = (ROWS - 1, 2, ROWS + 5)
    asked = [ask(batcher, model, *range(size)) for size in sizes]
    answers = await asyncio.gather(*asked)
    assert answers == [[str(seed) for seed in range(size)] for size in sizes]
    assert model.batches == [ROWS, ROWS, 6]


async def test_a_lone_request_does_not_wait(batcher: Batcher) -> None:
    clock = asyncio.get_running_loop().time
    start = clock()
    for _ in range(5):
        await ask(batcher, Echo(), 1)
    assert clock() - start < 0.05


async def test_clients_that_come_back_one_after_another_share_the_next_batch(
    batcher: Batcher,
) -> None:
    model = Echo()
    await asyncio.gather(*(ask(batcher, model, seed) for seed in range(8)))

    async def back(place: int) -> None:
        await asyncio.sleep(0.005 * place)
        await ask(batcher, model, place)

    await asyncio.gather(*(back(place) for place in range(8)))
    assert model.batches == [8, 8]


async def test_models_are_kept_apart(batcher: Batcher) -> None:
    first, second = Echo(), Echo()
    models = [first, second, first]
    answers = await asyncio.gather(*(ask(batcher, model, 1, 2) for model in models))
    assert answers == [["1", "2"]] * 3
    assert (first.batches, second.batches) == ([4], [2])


async def test_an_unreadable_chat_fails_alone(batcher: Batcher) -> None:
    model = Echo()
    asked = [ask(batcher, model, seed) for seed in (1, 2, -1, 3)]
    one, two, bad, three = await asyncio.gather(*asked, return_exceptions=True)
    assert (one, two, three) == (["1"], ["2"], ["3"])
    assert isinstance(bad, ExampleError)


async def test_a_request_whose_client_left_does_not_stop_the_others(batcher: Batcher) -> None:
    model = Echo()
    leaving = asyncio.create_task(ask(batcher, model, 1))
    staying = asyncio.create_task(ask(batcher, model, 2))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying == ["2"]


async def test_a_request_that_was_given_up_before_its_turn_is_never_sampled(
    batcher: Batcher,
) -> None:
    model = Echo()
    busy = asyncio.create_task(ask(batcher, model, 1))
    given_up = asyncio.create_task(ask(batcher, model, 2))
    left = asyncio.create_task(batcher.complete(model, prompts(3, 4), lambda: True))
    await asyncio.sleep(0)
    given_up.cancel()
    assert await busy == ["1"]
    assert [answer.completion_tokens for answer in await left] == [0, 0]
    assert model.batches == [1]


def test_every_row_gets_an_outcome_whatever_fails() -> None:
    outcomes = sample_each(Echo(), prompts(-1, 5, -2))
    assert [isinstance(outcome, SampledText) for outcome in outcomes] == [False, True, False]


class Forgetful(Echo):
    """Loses an answer of every batch."""

    def complete(self, prompts: Sequence[Prompt]) -> list[SampledText]:
        return super().complete(prompts)[1:]


def test_an_engine_that_loses_an_answer_leaves_nobody_waiting() -> None:
    outcomes = sample_each(Forgetful(), prompts(1, 2))
    assert [str(outcome) for outcome in outcomes] == [
        "the engine gave 0 completions for 1 prompts"
    ] * 2


class CountingEngine(LastAnswerEngine):
    """Counts its loads; a base named "absent" cannot be loaded."""

    def __init__(self) -> None:
        self.loads: list[str] = []

    def load(self, base: str, weights: Path | None) -> Model:  # pyright: ignore[reportIncompatibleMethodOverride]
        self.loads.append(str(weights))
        if weights == Path("absent"):
            raise FileNotFoundError(weights)
        return Echo()


def pool(engine: Engine, most: int) -> ModelPool:
    return ModelPool({"b": Owner("counting", engine)}, most)


def model(name: str) -> Served:
    return Served(name, "b", Path(name), 0)


async def test_a_model_is_loaded_once_for_all_who_ask() -> None:
    engine = CountingEngine()
    models = pool(engine, 2)
    first, second = await asyncio.gather(models.get(model("x")), models.get(model("x")))
    assert first is second
    assert engine.loads == ["x"]


async def test_the_least_recently_used_model_is_dropped() -> None:
    engine = CountingEngine()
    models = pool(engine, 2)
    for name in ("x", "y", "x", "z", "x", "y"):
        await models.get(model(name))
    assert engine.loads == ["x", "y", "z", "y"]


async def test_a_load_that_failed_is_tried_again() -> None:
    engine = CountingEngine()
    models = pool(engine, 2)
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            await models.get(model("absent"))
    assert engine.loads == ["absent", "absent"]
