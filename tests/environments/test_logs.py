"""A log of what was shown as a problem: what it is made of, what it tells, what it refuses."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rmft_api import environments
from rmft_api.config.schema import Problem, load
from rmft_api.core.errors import RmftError
from rmft_api.core.records import Split
from rmft_api.environments import ConcreteProblem, Environment, Scenario, table_files
from rmft_api.environments.logs import LoggedFeedback
from rmft_api.environments.table import TableEnvironment
from rmft_api.testing import EnvironmentContract

SPLITS: tuple[Split, ...] = get_args(Split)
ACTIONS = ("red", "green", "blue", "grey", "white")
HEADER = ("when", "who", "device", "age", "colour", "click", "chance")
NAMED: dict[str, Any] = {"action": "colour", "reward": "click"}
WITH_FEATURES: dict[str, Any] = {"features": "device, age"}


def rows(count: int = 900, seed: int = 3) -> list[list[str]]:
    """Decisions of a policy that looks at the device; red pays on phones, green to the young."""
    rng = np.random.default_rng(seed)
    found: list[list[str]] = []
    for i in range(count):
        phone, age = bool(rng.random() < 0.5), int(rng.integers(18, 80))
        chances = np.array([0.4, 0.1, 0.2, 0.2, 0.1] if phone else [0.1, 0.4, 0.2, 0.2, 0.1])
        a = int(rng.choice(5, p=chances))
        pays = [0.9 if phone else 0.1, 0.7 if age < 40 else 0.2, 0.4, 0.3, 0.5][a]
        device = "phone" if phone else "desktop"
        who, click = f"u{rng.integers(count // 4)}", str(int(rng.random() < pays))
        found.append([str(i // 3), who, device, str(age), ACTIONS[a], click, f"{chances[a]:.2f}"])
    return found


def write(path: Path, table: Sequence[Sequence[str]], header: Sequence[str] = HEADER) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",").writerows(
            [header, *table]
        )
    return path


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("log") / "shown.csv", rows())


def made(path: Path, K: int = 5, T: int = 20, **options: Any) -> LoggedFeedback:
    found = environments.make("logs", K, T, {"path": str(path), **NAMED, **options})
    assert isinstance(found, LoggedFeedback)
    return found


def problem(path: Path, T: int = 6, **options: Any) -> ConcreteProblem:
    given_ = {"path": path.name, **NAMED, **options}
    return environments.expand(
        [Problem(environment="logs", K=2, T=T, options=given_)], path.parent
    )[0]


CASES: list[dict[str, Any]] = [
    {},
    {"propensity": "chance"},
    {"split": "user", "user": "who"},
    WITH_FEATURES,
]


@pytest.mark.parametrize("options", CASES, ids=str)
class TestEveryKindOfShownLog(EnvironmentContract):
    path: Path
    options: dict[str, Any]

    @pytest.fixture(autouse=True)
    def _case(self, log: Path, options: dict[str, Any]) -> None:
        if "features" in options:
            pytest.importorskip("sklearn")
        self.path, self.options = log, options

    def make(self, K: int, T: int) -> Environment:
        return made(self.path, K, T, **self.options)


def mean_scenario(environment: LoggedFeedback, split: Split, count: int = 60) -> Scenario:
    """Rewards of many scenarios, one below the other."""
    drawn = [environment.draw_from(split, np.random.default_rng(i)) for i in range(count)]
    return Scenario(
        np.concatenate([one.rewards for one in drawn]),
        np.concatenate([one.means for one in drawn]),
        "bandit",
        drawn[0].regret,
    )


def test_without_features_an_action_earns_what_its_own_rows_did(log: Path) -> None:
    environment, table = made(log, shuffle=False, T=200), rows()
    shown = environment.shown()
    for split in SPLITS:
        drawn = mean_scenario(environment, split)
        for place, action in enumerate(shown.actions):
            part: list[int] = shown.parts[split].tolist()
            mine = [i for i in part if table[i][4] == action]
            share = np.mean([float(table[i][5]) for i in mine])
            assert drawn.means[0, place] == pytest.approx(share)
            assert drawn.rewards[:, place].mean() == pytest.approx(share, abs=0.02)


def test_with_propensities_a_log_that_favours_good_moments_does_not_favour_its_action(
    log: Path,
) -> None:
    # Red pays 0.9 on phones, where it is mostly shown, and 0.1 elsewhere: 0.5 on the whole.
    blind, weighted = made(log, shuffle=False), made(log, shuffle=False, propensity="chance")
    red = blind.shown().actions.index("red")
    assert blind.draw(np.random.default_rng(0)).means[0, red] > 0.65
    assert weighted.draw(np.random.default_rng(0)).means[0, red] == pytest.approx(0.5, abs=0.1)


def test_with_features_the_best_action_depends_on_the_context(log: Path) -> None:
    pytest.importorskip("sklearn")
    environment = made(log, shuffle=False, T=300, **WITH_FEATURES)
    actions = environment.shown().actions
    scenario = environment.draw_from("test", np.random.default_rng(1))
    assert scenario.regret == "dynamic"
    assert scenario.contexts is not None
    assert set(np.unique(scenario.rewards)) == {0.0, 1.0}
    leaders: list[int] = scenario.means.argmax(axis=1).tolist()
    best = [actions[i] for i in leaders]
    phones = [b for b, told in zip(best, scenario.contexts, strict=True) if "phone" in told]
    others = [b for b, told in zip(best, scenario.contexts, strict=True) if "phone" not in told]
    assert phones.count("red") > 0.9 * len(phones)
    assert others.count("red") == 0


def test_the_reward_model_never_sees_held_out_rewards(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    table = rows(600)
    first = made(write(tmp_path / "a.csv", table), **WITH_FEATURES)
    held = {i for split in SPLITS[1:] for i in first.shown().parts[split].tolist()}
    lies = [
        [*row[:5], str(1 - int(row[5])), row[6]] if i in held else row
        for i, row in enumerate(table)
    ]
    second = made(write(tmp_path / "b.csv", lies), **WITH_FEATURES)
    assert np.array_equal(first.expected(), second.expected())


def test_training_rows_are_predicted_by_models_that_have_not_seen_them(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    table, row = rows(300), 0
    first = made(write(tmp_path / "a.csv", table), min_rows=2, **WITH_FEATURES)
    row = int(first.shown().parts["train"][0])
    table[row][5] = str(1 - int(table[row][5]))
    second = made(write(tmp_path / "b.csv", table), min_rows=2, **WITH_FEATURES)
    assert np.array_equal(first.expected()[row], second.expected()[row])
    assert not np.array_equal(first.expected(), second.expected())


def test_rewards_that_are_no_coins_keep_their_means(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    rng = np.random.default_rng(0)
    table = [[*r[:5], f"{0.3 * int(r[5]) + 0.5 * rng.random():.4f}", r[6]] for r in rows(600)]
    environment = made(write(tmp_path / "a.csv", table), T=400, shuffle=False, **WITH_FEATURES)
    drawn = mean_scenario(environment, "test", 20)
    assert len(np.unique(drawn.rewards)) > 100
    assert drawn.rewards.mean(axis=0) == pytest.approx(drawn.means.mean(axis=0), abs=0.01)


def test_what_a_log_holds_and_what_is_assumed_is_told(log: Path) -> None:
    pytest.importorskip("sklearn")
    blind = "\n".join(made(log, propensity="chance").description())
    assert "5 actions: blue (" in blind
    assert "propensities from 0.1 to 0.4 (column chance)" in blind
    assert "evenly shown ones for an action" in blind
    assert "this assumes" in blind
    seeing = "\n".join(made(log, **WITH_FEATURES).description())
    assert "linear reward model of the training rows alone, cross-fitted there" in seeing
    assert "held-out rows it expects 0." in seeing
    assert "no propensities" in seeing


def test_actions_with_little_data_are_left_out_by_name(tmp_path: Path) -> None:
    rare = [[*r[:4], "pink", *r[5:]] for r in rows(8, seed=4)]
    path = write(tmp_path / "a.csv", [*rows(1500), *rare])
    with pytest.raises(RmftError, match=r"'pink' has . rows for .*; rare = 'exclude'"):
        made(path)
    environment = made(path, rare="exclude")
    assert environment.shown().actions == ("blue", "green", "grey", "red", "white")
    assert "left out, with their rows: 'pink' (8)" in "\n".join(environment.description())


def test_tsv_parquet_and_csv_hold_the_same(tmp_path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = rows(300)
    typed = [
        dict(
            zip(
                HEADER,
                (int(r[0]), r[1], r[2], int(r[3]), r[4], int(r[5]), float(r[6])),
                strict=True,
            )
        )
        for r in table
    ]
    parquet.write_table(arrow.Table.from_pylist(typed), tmp_path / "a.parquet")
    places = [
        write(tmp_path / "a.csv", table),
        write(tmp_path / "a.tsv", table),
        tmp_path / "a.parquet",
    ]
    drawn = [
        made(p, propensity="chance", time="when", min_rows=2).draw(np.random.default_rng(2))
        for p in places
    ]
    for other in drawn[1:]:
        assert np.array_equal(drawn[0].rewards, other.rewards)
        assert np.array_equal(drawn[0].means, other.means)


def test_true_and_false_are_rewards_and_are_told(tmp_path: Path) -> None:
    said = [[*r[:5], "True" if r[5] == "1" else "False", r[6]] for r in rows(300)]
    ones = made(write(tmp_path / "a.csv", rows(300)), min_rows=2)
    words = made(write(tmp_path / "b.csv", said), min_rows=2)
    draws = [one.draw(np.random.default_rng(0)) for one in (ones, words)]
    assert np.array_equal(draws[0].rewards, draws[1].rewards)
    assert "says true and false, read as 1 and 0" in "\n".join(words.description())


WAYS = st.sampled_from(
    [
        {},
        {"split": "order"},
        {"time": "when", "split": "time"},
        {"user": "who", "split": "user"},
        {"split": "random"},
    ]
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    count=st.integers(40, 150),
    kind=st.sampled_from(["logs", "table"]),
    way=WAYS,
    seed=st.integers(0, 9),
    shares=st.sampled_from(["60/20/20", "1/1/1", "40/30/30"]),
)
def test_no_row_no_moment_and_no_user_serves_two_splits(
    tmp_path: Path, count: int, kind: str, way: dict[str, str], seed: int, shares: str
) -> None:
    table = [
        [str(i // 3), f"u{(i * 7) % 12}", str(i), "ab"[i // 5 % 2], f"{i / count:.6f}"]
        for i in range(count)
    ]
    path = write(tmp_path / "a.csv", table, ("when", "who", "i", "colour", "click"))
    named = NAMED if kind == "logs" else {"rewards": "click, i", "scale": "unit"}
    least = {"min_rows": 2, "features": "i"} if kind == "logs" else {}
    options = {"path": str(path), **named, **least, **way, "split_seed": seed, "shares": shares}
    found = environments.make(kind, 2, 4, options)
    assert isinstance(found, LoggedFeedback | TableEnvironment)
    _, division = found.source
    parts = {split: division.rows(table_files.read(str(path)), split, 2) for split in SPLITS}
    together = {"time": 0, "user": 1}.get(division.by, 2)
    marks = {split: {table[i][together] for i in part} for split, part in parts.items()}
    assert sorted(i for part in parts.values() for i in part) == list(range(count))
    assert sum(len(one) for one in marks.values()) == len(set[str]().union(*marks.values()))
    if division.by == "time":
        assert max(parts["train"]) < min(parts["validation"])
        assert max(parts["validation"]) < min(parts["test"])


def test_how_rows_were_divided_is_told(log: Path) -> None:
    ways: dict[Split, list[ConcreteProblem]]
    ways = {split: [problem(log, user="who", split="user")] for split in SPLITS}
    assert "divided by user (column who, split_seed = 0)" in environments.divisions(ways)[0]
    ways = {split: [problem(log, time="when")] for split in SPLITS}
    assert "by time (column when, the earliest to train)" in environments.divisions(ways)[0]


SPOILT = {
    "decimal comma": ("click", "0,5", "is not a finite number; write the decimal comma as a point"),
    "word": ("click", "often", "'often' is not a finite number; write a number"),
    "yes or no": ("click", "yes", "'yes' is not a finite number; write 1 and 0, or true and false"),
    "half true": ("click", "True", "write 1 for true and 0 for false in the whole column"),
    "empty": ("click", "", "the cell is empty; fill it, or leave the row out"),
    "too much": ("click", "7", "7 is outside 0 to 1; scale = 'unit'"),
    "infinite": ("chance", "inf", "'inf' is not a finite number"),
    "never shown": ("chance", "0", "0 is no probability above 0 and up to 1; an action that was"),
    "negative": ("chance", "-0.1", "-0.1 is no probability above 0 and up to 1"),
    "per cent": ("chance", "25", "25 is no probability above 0 and up to 1; write probabilities"),
    "no date": ("when", "soon", "'soon' is neither a number nor a date such as 2026-01-31"),
    "no action": ("colour", " ", "the cell is empty"),
}
GOOD = rows(200)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(row=st.integers(0, 199), kind=st.sampled_from(sorted(SPOILT)))
def test_a_cell_that_is_wrong_is_named_with_file_column_row_and_what_to_do(
    tmp_path: Path, row: int, kind: str
) -> None:
    column, cell, says = SPOILT[kind]
    table = [list(one) for one in GOOD]
    table[row][HEADER.index(column)] = cell
    path = write(tmp_path / "shown.csv", table)
    with pytest.raises(RmftError) as raised:
        made(path, propensity="chance", time="when", min_rows=2)
    message = str(raised.value)
    assert f"{path}: column {column!r}, row {row + 1}: " in message
    assert says in message
    assert "\n" not in message


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(row=st.integers(1, 199), back=st.integers(1, 50))
def test_time_that_runs_backwards_is_named_with_its_row(
    tmp_path: Path, row: int, back: int
) -> None:
    table = [[f"2026-03-01T00:{i // 60:02}:{i % 60:02}", *one[1:]] for i, one in enumerate(GOOD)]
    table[row][0] = f"2026-02-{back % 28 + 1:02}"
    path = write(tmp_path / "shown.csv", table)
    with pytest.raises(RmftError) as raised:
        made(path, time="when", min_rows=2)
    message = str(raised.value)
    assert f"column 'when', row {row + 1}: '2026-02-" in message
    assert message.endswith("sort the file by 'when'")


@pytest.mark.parametrize("column", ["colour", "click", "device"])
def test_a_column_that_never_changes_is_named(tmp_path: Path, column: str) -> None:
    table = [list(one) for one in GOOD]
    for one in table:
        one[HEADER.index(column)] = "1"
    path = write(tmp_path / "shown.csv", table)
    with pytest.raises(RmftError, match=f"column '{column}', rows 1 to 200: '1' in every row, "):
        made(path, min_rows=2, **WITH_FEATURES)


def test_propensities_of_one_everywhere_say_nothing_of_other_actions(tmp_path: Path) -> None:
    table = [[*one[:-1], "1.0"] for one in GOOD]
    path = write(tmp_path / "shown.csv", table)
    with pytest.raises(RmftError, match="column 'chance', rows 1 to 200: 1 in every row") as raised:
        made(path, min_rows=2, propensity="chance")
    assert "leave propensity out" in str(raised.value)
    made(path, min_rows=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"action": ""}, "action names no column; write action = 'COLUMN', one of when, who"),
        ({"reward": "clicks"}, "reward = 'clicks': no such column; did you mean 'click'"),
        ({"propensity": "chances"}, "propensity = 'chances': no such column; did you mean"),
        ({"features": "devise"}, "no column 'devise'; did you mean 'device'"),
        ({"features": "device, click"}, "'click' is both reward and a feature"),
        ({"propensity": "click"}, "column 'click' is both reward and propensity"),
        ({"actions": "red, pink"}, "column 'colour' never shows action 'pink'"),
        ({"split": "time"}, "split='time' needs the option time = 'COLUMN'"),
        ({"split": "user", "user": "who", "shares": "1"}, "shares='1' must be three numbers"),
        ({"K": 6}, "has 5 actions .*, not K=6; use K = 5"),
        ({"min_rows": 1}, "min_rows=1 is too small"),
        ({"min_rows": 500}, "has .. rows for .*, min_rows = 500 are needed"),
        ({"min_rows": 500, "rare": "exclude"}, "0 of 5 actions have min_rows = 500"),
        ({"rare": "drop"}, "rare='drop' is unknown"),
        ({"reward_model": "tree"}, "reward_model='tree' is unknown; did you mean 'trees'"),
        ({"features": 3}, "features=3 is not a text"),
        ({"rewards": "click"}, "has no option rewards='click'; did you mean 'reward'"),
    ],
)
def test_what_cannot_be_followed_is_refused_in_one_line(
    log: Path, options: dict[str, Any], message: str
) -> None:
    given_ = {key: value for key, value in options.items() if key != "K"}
    with pytest.raises(RmftError, match=message) as raised:
        environments.make("logs", options.get("K", 5), 10, {"path": str(log), **NAMED, **given_})
    assert "\n" not in str(raised.value)


def test_semicolons_are_told(tmp_path: Path) -> None:
    path = tmp_path / "shown.csv"
    path.write_text("colour;click\nred;0,5\n", encoding="utf-8")
    with pytest.raises(RmftError, match="separated by ';'; save it with commas"):
        made(path)


def test_the_row_numbers_that_pandas_writes_are_no_column(tmp_path: Path) -> None:
    table = [[str(i), *row] for i, row in enumerate(GOOD)]
    numbered = made(write(tmp_path / "a.csv", table, ("", *HEADER)), min_rows=2)
    plain = made(write(tmp_path / "b.csv", GOOD), min_rows=2)
    one, other = (log_.draw(np.random.default_rng(0)).rewards for log_ in (numbered, plain))
    assert np.array_equal(one, other)


def test_action_and_column_names_may_hold_commas_and_cells_line_breaks(tmp_path: Path) -> None:
    named = {"red": "Red, big", "green": "Green"}
    table = [one for one in rows() if one[4] in named]
    for one in table:
        one[2], one[4] = f"a {one[2]}\nof two lines", named[one[4]]
    header = [*HEADER[:2], "kind, of device", *HEADER[3:]]
    path = write(tmp_path / "shown.csv", table, header)
    options: dict[str, Any] = {
        "features": "kind, of device, age",
        "actions": "Green, Red, big",
        "min_rows": 5,
    }
    scenario = made(path, K=2, **options).draw_from("train", np.random.default_rng(0))
    assert scenario.contexts is not None
    assert scenario.contexts[0].startswith('"kind, of device"=a ')
    assert "\n" not in scenario.contexts[0]


def test_a_column_of_one_user_divides_nothing(tmp_path: Path) -> None:
    table = [[one[0], "u1", *one[2:]] for one in rows()]
    with pytest.raises(RmftError, match="is one user for all; leave user out"):
        made(write(tmp_path / "shown.csv", table), user="who", split="user")


def test_a_column_that_is_called_as_a_folder_stays_a_column(tmp_path: Path) -> None:
    (tmp_path / "colour").mkdir()
    (tmp_path / "click").mkdir()
    path = write(tmp_path / "shown.csv", rows())
    (tmp_path / "run.toml").write_text(
        '[model]\nbase = "rmft-tiny"\n[[rollouts.problems]]\nenvironment = "bandit"\nK = 3\n'
    )
    config = load(
        tmp_path / "run.toml",
        [
            f'rollouts.problems=[{{environment="logs",K=5,options={{path="{path.name}",'
            'action="colour",reward="click"}}]'
        ],
    )
    assert config.rollouts.problems[0].options["action"] == "colour"
