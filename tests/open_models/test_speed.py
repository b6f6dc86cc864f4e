"""Speeds by the stated formulas."""

import pytest

from rmft_api.core.errors import ConfigError
from rmft_api.open_models import shapes, speed
from rmft_api.open_models.settings import HfSettings
from rmft_api.open_models.shapes import Shape


def shape() -> Shape:
    found = shapes.known("Qwen/Qwen3-8B")
    assert found is not None
    return found.shape


def test_the_formulas_are_those_of_the_guide() -> None:
    card = speed.accelerator("a100-80gb")
    found = speed.speed(card, shape(), HfSettings(checkpoint="any"), rows=64, length=1000)
    weights = 8_190_735_360 - 151_936 * 4096
    assert found.reading == pytest.approx(0.35 * 312e12 / (2 * weights))
    assert found.training == pytest.approx(0.35 * 312e12 / (4 * weights))
    assert found.step_s == 36 * 1e-3
    assert found.playing_s(0, 1000, plays=8) == pytest.approx(1000 / 8 * found.step_s)
    assert found.training_s(found.training * 10, jobs=2) == pytest.approx(130)


def test_activations_made_again_take_half_as_long_again() -> None:
    card = speed.accelerator("a100-80gb")
    plain, again = (
        speed.speed(card, shape(), HfSettings(checkpoint="any", gradient_checkpointing=flag), 1, 1)
        for flag in (False, True)
    )
    assert plain.training == pytest.approx(1.5 * again.training)


def test_a_card_with_little_bandwidth_waits_for_its_memory() -> None:
    found = speed.speed(speed.accelerator("l4"), shape(), HfSettings(checkpoint="any"), 1, 0)
    assert found.step_s == pytest.approx(2 * (8_190_735_360 - 151_936 * 4096) / (300e9 * 0.6))


def test_an_unknown_card_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'a100-80gb'"):
        speed.accelerator("a100-80")


def test_the_smallest_card_that_holds_it_is_named() -> None:
    assert speed.smallest(20 * 2**30) in ("l4", "rtx-4090")
    assert speed.smallest(60 * 2**30) in ("a100-80gb", "h100-80gb")
    assert speed.smallest(500 * 2**30) is None
