"""What is not computed twice, and what is computed another way and comes out the same."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("trl", reason="pip install 'rmft-api[open]'")

from rmft_api.local_server.engine import ChatMessage, Prompt
from rmft_api.local_server.hf import products, threads
from rmft_api.local_server.hf.prefixes import WORTH, common_beginnings
from rmft_api.local_server.hf.reading import portions

TOKENS = st.lists(st.integers(0, 2), min_size=1, max_size=60).map(tuple)


@given(st.lists(st.integers(1, 200), min_size=1, max_size=40), st.integers(1, 500))
def test_portions_hold_every_row_once_and_no_more_slots_than_allowed(
    lengths: list[int], most: int
) -> None:
    found = portions(lengths, most)
    assert sorted(row for rows in found for row in rows) == list(range(len(lengths)))
    for rows in found:
        assert len(rows) == 1 or len(rows) * max(lengths[row] for row in rows) <= most


@given(TOKENS, st.lists(TOKENS, min_size=1, max_size=12, unique=True))
def test_what_is_read_once_is_what_the_prompts_begin_with(
    start: tuple[int, ...], ends: list[tuple[int, ...]]
) -> None:
    prompts = [start + end for end in ends]
    found = common_beginnings(prompts)
    rows = [row for _, group in found for row in group]
    assert len(rows) == len(set(rows))
    for length, group in found:
        assert length >= WORTH
        assert len(group) > 1
        assert len({prompts[row][:length] for row in group}) == 1
        assert all(length < len(prompts[row]) for row in group)
    if len(start) >= 2 * WORTH and len(ends) > 1:
        assert found


def test_prompts_with_one_beginning_are_read_in_few_tokens(engine: Any) -> None:
    model = engine.load(engine.bases[0], None)
    network, read = model._base._network, list[int]()
    forward = network.forward

    def counted(*args: Any, **given: Any) -> Any:
        read.append(given["input_ids"].numel())
        return forward(*args, **given)

    def asked(mark: str) -> list[Prompt]:
        system = ChatMessage("system", f"{mark} You choose a button in every round, and win more.")
        return [
            Prompt((system, ChatMessage("user", f"{n * 37 % 101}?")), seed=n, max_tokens=1)
            for n in range(16)
        ]

    whole = sum(model.complete(asked("x"))[n].prompt_tokens for n in range(16))
    try:
        network.forward = counted
        together = model.complete(asked("y"))
    finally:
        del network.forward
    assert sum(read) < whole / 2
    apart = [model.complete([prompt])[0] for prompt in asked("y")]
    assert [one.text for one in together] == [one.text for one in apart]


def test_the_other_library_gives_the_same_products_and_gradients(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not torch.backends.mkldnn.is_available():
        pytest.skip("this torch has no oneDNN")
    monkeypatch.setattr(products, "is_slow_in_mkl", lambda: True)
    torch.manual_seed(0)  # pyright: ignore[reportUnknownMemberType]
    plain = torch.nn.Linear(48, 80).requires_grad_(False)
    other = torch.nn.Linear(48, 80).requires_grad_(False)
    other.load_state_dict(plain.state_dict())
    products.multiply_fast(torch.nn.Sequential(other))
    assert isinstance(other, products.OneDnnLinear)
    x = torch.randn(3, 7, 48, requires_grad=True)
    pull = torch.randn(3, 7, 80)
    results: list[tuple[Any, Any]] = []
    for layer in (plain, other):
        x.grad = None
        y = layer(x)
        torch.autograd.backward(y, pull)
        results.append((y.detach(), x.grad))
    torch.testing.assert_close(results[0], results[1], rtol=1e-5, atol=1e-5)


def test_weights_that_learn_keep_their_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    if not torch.backends.mkldnn.is_available():
        pytest.skip("this torch has no oneDNN")
    monkeypatch.setattr(products, "is_slow_in_mkl", lambda: True)
    layer = torch.nn.Linear(8, 8)
    products.multiply_fast(torch.nn.Sequential(layer))
    torch.autograd.backward(layer(torch.randn(2, 8)).sum())
    assert layer.weight.grad is not None


@pytest.mark.parametrize(
    ("speedup", "chosen"),
    [({2: 0.1, 4: 0.1}, 1), ({2: 1.9, 4: 3.5}, 4), ({2: 1.8, 4: 1.9}, 2), ({2: 1.1, 4: 4.0}, 1)],
)
def test_more_threads_are_used_where_they_clearly_pay(
    speedup: dict[int, float], chosen: int
) -> None:
    assert threads.fastest(4, lambda number: 1 / speedup.get(number, 1.0)) == chosen


def test_one_slow_moment_decides_nothing() -> None:
    seconds = iter([1.0, 0.5, 9.0, 0.5, 1.0, 9.0, 1.0, 0.5, 1.0, 0.5])
    assert threads.fastest(2, lambda number: next(seconds)) == 2


def test_a_training_taken_up_again_has_as_many_threads(tmp_path: Path) -> None:
    assert threads.kept(tmp_path) == 0
    threads.keep(tmp_path, 3)
    assert threads.kept(tmp_path) == 3
    assert threads.threads_for(5, None) == 5
