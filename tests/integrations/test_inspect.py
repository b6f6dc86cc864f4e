# pyright: basic, reportMissingImports=false
"""inspect_ai finds our suites, plays them as a run would, and its log holds the scores."""

from pathlib import Path

import pytest

WHY = "inspect_ai is not installed (it wants an older botocore): `make integrations` has it"
inspect_ai = pytest.importorskip("inspect_ai", reason=WHY)

from inspect_ai.log import list_eval_logs, read_eval_log  # noqa: E402

from rmft_api import suites  # noqa: E402
from rmft_api.integrations import inspect_tasks  # noqa: E402
from rmft_api.integrations.problems import measures_of, problems_of_suite  # noqa: E402
from tests.integrations.first_name import serving  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # its own dependencies' warnings


def test_every_suite_is_a_task_that_the_command_line_finds() -> None:
    from inspect_ai._util.registry import registry_find, registry_info

    assert inspect_tasks.TASKS
    found = {registry_info(one).name for one in registry_find(lambda info: info.type == "task")}
    assert {f"rmft_api/{name}" for name in suites.names()} <= found


def test_scores_are_those_of_a_run_and_the_log_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    problems = problems_of_suite("small", {"scenarios": 3})
    names = [name for i in range(3) for name in problems.episode(i).scenario.names]
    with serving(names) as url:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        (log,) = inspect_ai.eval(
            inspect_tasks.suite_task("small", scenarios=3),
            model="openai/first",
            model_args={"responses_api": False},
            log_dir=str(tmp_path),
            display="none",
        )
    assert log.status == "success", log.error
    kept = read_eval_log(list_eval_logs(str(tmp_path))[0])
    regrets = []
    for sample in kept.samples or []:
        episode = problems.episode(sample.metadata["scenario"])
        while not episode.over:
            told = "\n".join(one.content for one in episode.messages())
            known = [name for name in names if name in told]
            first = episode.scenario.names.index(min(known, key=told.index))
            episode.act(first)
        expected = measures_of(episode)
        regrets.append(expected["regret"])
        assert sample.scores["regret"].value == pytest.approx(expected["regret"])
        for name, value in sample.scores["exploration"].value.items():
            assert value == pytest.approx(expected[name])
    assert len(regrets) == 3 * problems.config.test.trajectories
    found = {score.name: score for score in kept.results.scores}
    assert found["regret"].metrics["mean"].value == pytest.approx(sum(regrets) / len(regrets))
    assert "stderr" in found["k_min_frac"].metrics
