"""Changes to a run file: what Python passes is a valid run, or one line that says what is wrong."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import rmft_api
from rmft_api.api.arguments import settings
from rmft_api.config import schema
from rmft_api.config.changes import Change, changed
from rmft_api.config.schema import Problem, RunConfig
from rmft_api.core.errors import ConfigError, RmftError, UsageError

FILE: dict[str, Any] = {
    "name": "tried",
    "model": {"base": "rmft-tiny"},
    "rollouts": {
        "scenarios": 4,
        "problems": [{"environment": "bandit", "K": 2, "T": 3}, {"environment": "bandit"}],
    },
}
KEYS = [
    *schema.leaves(schema.parse(FILE, "a test")),
    *("teacher.kind", "teacher", "rollouts", "rollouts.problems.K", "rollouts.problems.1.K"),
    *("rollouts.problems.7.K", "rollouts.problems.\N{SUPERSCRIPT TWO}.K", "rollouts.problems.0"),
    *("rollouts.problems.options", "rollouts.problems.options.reward", "budget_usd", "replay"),
    *("prompts.set", "model.checkpoint", "model.engine.lora_rank", "name.x", "seed"),
]


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Opaque:
    """Whose words have more than one line."""

    value: int = 0

    def __repr__(self) -> str:
        return "first line\nsecond line"


SCALARS: st.SearchStrategy[object] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-2, 300).map(np.int64),
    st.floats(),
    st.floats(width=32).map(np.float32),
    st.text(max_size=8),
    st.text("\0\ud800./a\n", max_size=8),
    st.binary(max_size=4),
    st.decimals(),
    st.fractions(),
    st.complex_numbers(),
    st.sampled_from(
        [
            *(Path("x"), Path("a" * 5000), "a" * 5000, Colour.RED, Colour, Opaque(), object()),
            *({1, 2}, range(2, 4), range(10**9), datetime.now(UTC), date(2026, 1, 1), len),
            *(10**4000, Decimal("sNaN"), Fraction(10**400), np.array([[1, 2], [3, 4]])),
            *(np.bool_(True), np.float64("nan"), np.str_("x"), np.datetime64("2026-01-01"), ...),
            *(Problem(environment="bandit", K=2, T=3), iter([1]), MappingProxyType({"K": 2})),
        ]
    ),
)
PARTS = st.one_of(st.sampled_from(KEYS), st.text(max_size=6), st.sampled_from(["a.b", "K", "T"]))
VALUES: st.SearchStrategy[object] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.one_of(PARTS, st.integers(), st.none()), inner, max_size=3),
    ),
    max_leaves=5,
)
OVERRIDES = st.one_of(st.dictionaries(PARTS, VALUES, max_size=3), VALUES)


def circle() -> list[Any]:
    around: list[Any] = []
    around.append(around)
    return around


@given(file=st.one_of(st.just(FILE), st.just(schema.parse(FILE, "a test")), VALUES), by=OVERRIDES)
@example(file=FILE, by={"rollouts.problems.options": {"a": [[float("nan")]]}})
@example(file=FILE, by=[10**4000])
@example(file=FILE, by={"\n": "\ud800"})
@example(file=FILE, by={"seed": circle()})
@example(file=FILE, by={".".join("a" * 4000): 1})
@example(file={**FILE, "rollouts": circle()}, by=None)
def test_what_python_passes_is_a_valid_run_or_one_line(file: object, by: object) -> None:
    try:
        config, _ = settings(file, by)
    except RmftError as error:
        assert str(error).strip()
        assert "\n" not in str(error)
        assert "Traceback" not in str(error)
        return
    kept = RunConfig.model_validate_json(config.model_dump_json())
    assert kept == config


@pytest.mark.parametrize(
    ("overrides", "key", "value"),
    [
        ({"budget_usd": None}, "budget_usd", None),
        ({"rollouts": {"scenarios": 8}}, "rollouts.scenarios", 8),
        ({"rollouts": {"problems.K": (2, 3)}}, "rollouts.problems.0.K", (2, 3)),
        ({"rollouts.scenarios": np.int64(8)}, "rollouts.scenarios", 8),
        ({"seed": np.array(3)}, "seed", 3),
        ({"rollouts.problems.K": range(2, 5)}, "rollouts.problems.0.K", (2, 3, 4)),
        ({"rollouts.problems": [Problem(environment="bandit", K=5)]}, "rollouts.problems.0.K", 5),
        (
            {"rollouts.problems.options": {"a": {"b": None}}},
            "rollouts.problems.0.options.a.b",
            None,
        ),
        ({"budget_usd": Decimal("2.5")}, "budget_usd", 2.5),
        ({"sampling.temperature": np.float32(0.5)}, "sampling.temperature", 0.5),
    ],
)
def test_values_of_python_mean_what_they_are(
    overrides: Mapping[str, Any], key: str, value: object
) -> None:
    for file in (FILE, schema.parse(FILE, "a test")):
        config, _ = settings(file, overrides)
        found: Any = config.model_dump()
        for part in key.split("."):
            found = found[int(part)] if part.isdecimal() else found[part]
        assert found == value


def test_a_path_is_the_file_that_it_names(tmp_path: Path) -> None:
    prompts = tmp_path / "own"
    prompts.mkdir()
    config, _ = settings(FILE, {"prompts.set": prompts})
    assert config.prompts.set == str(prompts)


def test_a_change_leaves_what_was_passed_as_it_was() -> None:
    mine = {"rollouts.problems": FILE["rollouts"]["problems"]}
    settings(FILE, {**mine, "rollouts.problems.K": 9})
    assert FILE["rollouts"]["problems"][0]["K"] == 2
    read = schema.parse(FILE, "a test")
    other, _ = settings(read, {"seed": 4})
    assert (read.seed, other.seed, other.origin) == (schema.parse(FILE, "x").seed, 4, read.origin)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ([("seed", 1)], "overrides must be a dict"),
        ("seed=2", "overrides must be a dict"),
        ({3: 1}, "overrides must have texts as keys (got int 3)"),
        ({"seed": {1, 2}}, "seed cannot be set {1, 2}; pass"),
        ({"seed": "two"}, "seed must be a whole number (got 'two')"),
        ({"seed": None}, "seed must be a whole number (got None)"),
        ({"rollouts.scenario": 3}, "did you mean 'rollouts.scenarios'"),
        ({"rollouts.problems.7.K": 3}, "'problems' has 2 entries, counted from 0"),
        ({"rollouts..K": 3}, "is no key; write it with dots"),
        ({"budget_usd": float("nan")}, "budget_usd must be a finite number"),
        ({"rollouts.problems.options": {"a": {"b": float("inf")}}}, "is not a finite number"),
    ],
)
def test_a_mistake_of_python_is_one_line_that_names_it(overrides: object, said: str) -> None:
    for file in (FILE, schema.parse(FILE, "a test")):
        with pytest.raises(ConfigError) as caught:
            settings(file, overrides)
        assert said in str(caught.value)


@pytest.mark.parametrize("file", [None, 3, b"quickstart", ["quickstart"], len])
def test_what_is_no_run_file_is_told_so(file: Any) -> None:
    with pytest.raises(ConfigError, match=r"^file (must|cannot) be"):
        rmft_api.plan(file)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"reply_tokens": -4}, "reply_tokens must be a whole number, at least 1 (got int -4)"),
        ({"reply_tokens": 0}, "reply_tokens"),
        ({"reply_tokens": True}, "reply_tokens"),
        ({"reply_tokens": 2.5}, "reply_tokens"),
        ({"runs": None}, "runs must be a text (got NoneType None)"),
        ({"runs": 3}, "runs must be a text"),
        ({"runs": "a\0b"}, "runs must be a text"),
    ],
)
def test_a_wrong_argument_is_named(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        rmft_api.plan(FILE, **arguments)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: rmft_api.open_run(None), "name must be"),  # type: ignore[arg-type]
        (lambda: rmft_api.open_run("x" * 5000), "not a valid run name"),
        (lambda: rmft_api.list_runs(3), "runs must be"),  # type: ignore[arg-type]
        (lambda: rmft_api.evaluate([3]), "each of players must be"),  # type: ignore[list-item]
        (lambda: rmft_api.evaluate(7), "players must be a list"),  # type: ignore[arg-type]
        (lambda: rmft_api.evaluate("m", 3), "suite must be"),  # type: ignore[arg-type]
        (lambda: rmft_api.evaluate("m", budget_usd="1"), "budget_usd"),  # type: ignore[arg-type]
    ],
)
def test_every_function_names_the_argument_that_is_wrong(call: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        call()


def test_a_change_reads_as_set_does() -> None:
    by_text = changed({}, ["rollouts.scenarios=8", 'name="x"', "seed=2"])
    by_value = changed(
        {}, [Change("rollouts.scenarios", 8), Change("name", "x"), Change("seed", 2)]
    )
    assert by_text == by_value == {"rollouts": {"scenarios": 8}, "name": "x", "seed": 2}
