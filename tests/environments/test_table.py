"""A user's file of logged rewards as a problem: CSV, TSV and Parquet, and all that may be wrong."""

from pathlib import Path

import numpy as np
import pytest

from rmft_api import baselines, environments
from rmft_api.core.errors import ConfigError, DataError, RmftError
from rmft_api.environments import Environment, Scenario
from rmft_api.testing import EnvironmentContract

ACTIONS = ("mail", "call", "visit", "gift", "wait")


def rows(count: int = 60) -> list[dict[str, object]]:
    """Customers: what each action would have earned, and what it earns on average."""
    rng = np.random.default_rng(3)
    found: list[dict[str, object]] = []
    for _ in range(count):
        age, region = int(rng.integers(18, 80)), str(rng.choice(["north", "south"]))
        means = [0.2 + 0.005 * age, 0.5, 0.7 if region == "north" else 0.1, 0.4, 0.0]
        luck = {a: float(rng.random() < mean) for a, mean in zip(ACTIONS, means, strict=True)}
        known = {f"mean_{a}": mean for a, mean in zip(ACTIONS, means, strict=True)}
        found.append({"age": age, "region": region, **luck, **known})
    return found


def as_csv(table: list[dict[str, object]], separator: str = ",") -> str:
    lines = [list(table[0]), *(row.values() for row in table)]
    return "\n".join(separator.join(str(cell) for cell in line) for line in lines) + "\n"


@pytest.fixture
def log(tmp_path: Path) -> str:
    path = tmp_path / "log.csv"
    path.write_text(as_csv(rows()), encoding="utf-8")
    return str(path)


def make(path: str, K: int = 3, T: int = 20, **options: object) -> Environment:
    return environments.make("table", K, T, {"path": path, "rewards": ",".join(ACTIONS), **options})


def drawn(path: str, K: int = 3, T: int = 20, index: int = 0, **options: object) -> Scenario:
    return make(path, K, T, **options).draw(np.random.default_rng(index))


CASES: list[dict[str, object]] = [
    {},
    {"features": "age, region"},
    {"features": "age, region", "means": "mean_*"},
    {"order": "file"},
    {"feedback": "full"},
]


@pytest.mark.parametrize("options", CASES, ids=str)
class TestEveryKindOfLog(EnvironmentContract):
    path: str
    options: dict[str, object]

    @pytest.fixture(autouse=True)
    def _case(self, log: str, options: dict[str, object]) -> None:
        self.path, self.options = log, options

    def make(self, K: int, T: int) -> Environment:
        return make(self.path, K, T, **self.options)


class TestAParquetFile(EnvironmentContract):
    path: str

    @pytest.fixture(autouse=True)
    def _file(self, tmp_path: Path) -> None:
        arrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        self.path = str(tmp_path / "log.parquet")
        parquet.write_table(arrow.Table.from_pylist(rows()), self.path)

    def make(self, K: int, T: int) -> Environment:
        return make(self.path, K, T, features="age, region")

    def test_it_holds_what_the_csv_holds(self, log: str) -> None:
        ours = drawn(self.path, features="age, region")
        theirs = drawn(log, features="age, region")
        assert np.array_equal(ours.rewards, theirs.rewards)
        assert ours.contexts == theirs.contexts


def test_a_row_is_told_and_earns_what_stands_in_it(log: str) -> None:
    scenario = drawn(log, K=5, shuffle=False, features="age, region")
    told = {f"age={r['age']}, region={r['region']}": [r[a] for a in ACTIONS] for r in rows()}
    assert scenario.contexts is not None
    assert len(told) > 50
    for context, rewards in zip(scenario.contexts, scenario.rewards.tolist(), strict=True):
        assert context in told
        assert len(rewards) == 5
    assert scenario.regret == "dynamic"
    assert scenario.features is not None
    assert scenario.features.shape == (20, 3)  # age scaled, and a part for each region
    assert scenario.features.min() >= 0
    assert scenario.features.max() <= 1


def test_known_means_take_the_luck_out_of_regret(log: str) -> None:
    scenario = drawn(log, K=5, shuffle=False, features="age, region", means="mean_*")
    assert set(scenario.means[:, 1].tolist()) == {0.5}
    assert set(np.unique(scenario.rewards)) == {0.0, 1.0}


def test_without_features_it_is_one_bandit_of_column_means(log: str) -> None:
    scenario = drawn(log, K=5, shuffle=False)
    expected = [np.mean([float(str(row[a])) for row in rows()]) for a in ACTIONS]
    assert np.allclose(scenario.means, expected)
    assert (scenario.regret, scenario.feedback) == ("pseudo", "bandit")


def test_the_files_order_is_kept_where_it_is_asked_for(log: str) -> None:
    scenario = drawn(log, K=5, T=40, order="file", shuffle=False)
    whole = np.array([[float(str(row[a])) for a in ACTIONS] for row in rows()])
    starts = [s for s in range(21) if np.array_equal(whole[s : s + 40], scenario.rewards)]
    assert len(starts) == 1
    assert scenario.regret == "static"


def test_actions_change_places_from_scenario_to_scenario(log: str) -> None:
    best = [int(drawn(log, K=5, index=i).means[0].argmax()) for i in range(400)]
    counts = np.bincount(best, minlength=5)
    assert np.abs(counts - 80).max() < 5 * np.sqrt(80)


def test_linucb_learns_from_the_features(log: str) -> None:
    scenarios = [drawn(log, K=3, T=200, index=i, features="age, region") for i in range(20)]
    earned = {
        name: np.mean(
            [
                play.rewards_TK[np.arange(200), play.actions_T].mean()
                for play in baselines.play(name, scenarios, 1)
            ]
        )
        for name in ("linucb", "random")
    }
    assert earned["linucb"] > earned["random"] + 0.05


def test_rewards_of_any_size_are_moved_to_the_unit_interval(tmp_path: Path) -> None:
    path = tmp_path / "money.csv"
    path.write_text("reward_a,reward_b\n-10,0\n30,10\n", encoding="utf-8")
    scenario = environments.make(
        "table", 2, 8, {"path": str(path), "scale": "unit", "shuffle": False}
    ).draw(np.random.default_rng(0))
    assert {tuple(row) for row in scenario.rewards.tolist()} <= {(0.0, 0.25), (1.0, 0.5)}


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("reward_a,reward_b\n0,1\n", encoding="utf-8")
    options = {"path": str(path), "shuffle": False}
    first = environments.make("table", 2, 2, options).draw(np.random.default_rng(0))
    path.write_text("reward_a,reward_b\n1,0\n1,0\n", encoding="utf-8")
    second = environments.make("table", 2, 2, options).draw(np.random.default_rng(0))
    assert first.rewards[0].tolist() == [0, 1]
    assert second.rewards[0].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("x,y\n1,0\n", {"rewards": "x,z"}, "no column 'z'; did you mean|no column 'z'"),
        ("x,y\n1,0\n", {"rewards": "reward_*"}, r"no column 'reward_\*' \(known: x, y\)"),
        ("x,y\n1,nan\n", {}, "column 'y', row 1: 'nan' is not a finite number"),
        ("x,y\n1,0\n0,\n", {}, "column 'y', row 2: the cell is empty; fill it"),
        ("x,y\n1,inf\n", {}, "column 'y', row 1: 'inf' is not a finite number"),
        ("x,y\n1,many\n", {}, "column 'y', row 1: 'many' is not a finite number"),
        ("x,y\n1,0\n", {"rewards": "x"}, "are 1 columns, K=2 actions need as many"),
        ("x,y\n1,7\n", {}, "column 'y', row 1: 7 is outside 0 to 1; scale = 'unit'"),
        ("x,y\n", {}, "holds no rows"),
        ("", {}, "holds no rows"),
        ("x,y\n1\n", {}, "row 1 has 1 cells, the header 2"),
        ("x,x\n1,0\n", {}, "two columns are called 'x'"),
        ("x;y\n1;0\n", {}, "separated by ';'; save it with commas"),
        ("x\ty\n1\t0\n", {}, "as .tsv with tabs"),
        ("x,\n1,0\n", {}, "column 2 has no name"),
        ("x,y,f\n1,0,\n", {"features": "f"}, "column 'f', row 1: the cell is empty; fill it"),
        ("x,y,f\n1,0,a\n1,0,\n", {"features": "f"}, "column 'f', row 2"),
        ("x,y\n1,0\n", {"features": "x"}, "'x' is both a feature and a reward"),
        ("x,y,m\n1,0,1\n", {"means": "m"}, "1 columns of means for 2 of rewards"),
        ("x,y\n1,0\n", {"order": "file"}, "1 rows, T=4 rounds in the file's order"),
        ("x,y\n1,0\n", {"order": "sorted"}, "order='sorted' is unknown"),
        ("x,y\n1,0\n", {"rewards": 3}, "rewards=3 is not a text"),
        ("x,y\n1,0\n", {"shuffle": "yes"}, "shuffle='yes' is not true or false"),
        ('x,y\n"1,0\n', {}, "cannot be read as CSV"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_line(
    tmp_path: Path, text: str, options: dict[str, object], message: str
) -> None:
    path = tmp_path / "log.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RmftError, match=message) as raised:
        environments.make("table", 2, 4, {"path": str(path), "rewards": "x,y", **options})
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("log.xls", b"", ConfigError, "must end in .csv, .tsv, .parquet"),
        ("log.csv", b"\xff\xfe\x00", DataError, "is UTF-16; save it as UTF-8"),
        ("log.parquet", b"no parquet", DataError, "cannot be read as Parquet"),
        ("nowhere.csv", None, ConfigError, "No such file"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_one_line(
    tmp_path: Path, name: str, content: bytes | None, error: type[RmftError], message: str
) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(error, match=message) as raised:
        make(str(path))
    assert "\n" not in str(raised.value)
