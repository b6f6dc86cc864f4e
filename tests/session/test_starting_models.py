"""`model.base = "run:NAME@3"`: a run that starts from the model of another one."""

import json
from pathlib import Path
from typing import Any

import pytest

from rmft_api.config.schema import RunConfig
from rmft_api.core.errors import ConfigError, RmftError, UsageError
from rmft_api.loop import iterate
from rmft_api.planning.open_model import settings_of
from rmft_api.planning.previews import PreviewOptions
from rmft_api.session import doctor_checks, previews
from rmft_api.session.starting_models import furnishing, resolved
from tests.loop_world import World, config

MADE = ["skill-0.4", "skill-0.9"]
JOBS = "server/jobs"


@pytest.fixture
async def runs(tmp_path: Path) -> Path:
    """A run of two iterations, and what its server would keep of their jobs."""
    world = World(tmp_path / "first", config(name="first", iterations=2), MADE)
    journal = world.journal()
    await iterate(world.run(journal))
    journal.close()
    for number, model in enumerate(MADE):
        job = tmp_path / "first" / JOBS / f"ftjob-{number}"
        (job / "weights").mkdir(parents=True)
        (job / "weights/step-1.safetensors").write_text(model)
        (job / "trainer.lock").write_text("")
        (job / "job.json").write_text(json.dumps({"target": model, "fine_tuned": True}))
    return tmp_path


def second(base: str, **model: Any) -> RunConfig:
    return config(name="second", model={"base": base, **model})


@pytest.mark.parametrize(
    ("word", "model", "of"),
    [
        ("run:first", "skill-0.9", "first@2"),
        ("run:first@1", "skill-0.4", "first@1"),
        ("run:first@base", "skill-0.2", "first@0"),
    ],
)
async def test_the_word_means_a_model_of_that_run(
    runs: Path, word: str, model: str, of: str
) -> None:
    found = resolved(second(word), runs).model
    assert (found.base, found.from_run) == (model, of)


async def test_the_weights_are_copied_without_what_only_the_other_server_needs(runs: Path) -> None:
    mine = resolved(second("run:first@1"), runs)
    tuned = mine.model.model_copy(update={"base": "ft:tiny:local:first-1:ab"})
    job = runs / "first" / JOBS / "ftjob-0" / "job.json"
    job.write_text(json.dumps({"target": tuned.base, "fine_tuned": True}))
    mine = mine.model_copy(update={"model": tuned})
    for _ in range(2):  # twice is once
        furnishing(mine, runs)(runs / "second")
    copied = runs / "second" / JOBS
    assert [path.name for path in copied.iterdir()] == ["ftjob-0"]
    assert (copied / "ftjob-0/weights/step-1.safetensors").read_text() == "skill-0.4"
    assert not (copied / "ftjob-0/trainer.lock").exists()
    (runs / "first" / JOBS / "ftjob-0/weights/step-1.safetensors").unlink()
    with pytest.raises(ConfigError, match="any more; start from another"):
        furnishing(mine, runs)


async def test_an_open_model_is_served_under_the_name_of_its_own_base(runs: Path) -> None:
    tuned = {"base": "ft:smollm2:local:first-1:ab", "from_run": "first@1", "checkpoint": "folder"}
    settings = settings_of(config(model=tuned))
    assert settings is not None
    assert settings.model_id == "smollm2"


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("run:nobody", "no run 'nobody'"),
        ("run:first@7", "has no such model"),
        ("run:first@all", "several models"),
        ("run:second", "cannot start from itself"),
    ],
)
async def test_what_names_no_model_is_refused(runs: Path, word: str, why: str) -> None:
    with pytest.raises((ConfigError, UsageError), match=why) as refused:
        resolved(second(word), runs)
    assert "\n" not in str(refused.value)


async def test_a_server_that_the_run_does_not_start_gets_no_weights(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RmftError, match="only a server that the run starts itself"):
        resolved(second("run:first", profile="openai"), runs)
    with pytest.raises(RmftError, match="leave it out"):
        resolved(second("run:first", checkpoint="other"), runs)
    monkeypatch.setenv("RMFT_LOCAL_URL", "http://127.0.0.1:9/v1")
    with pytest.raises(RmftError, match="only a server that the run starts itself"):
        resolved(second("run:first"), runs)


async def test_doctor_and_preview_know_the_word(runs: Path) -> None:
    mine = second("run:first@1")
    assert doctor_checks.subject_of(mine, None, runs).base == "skill-0.4"
    with pytest.raises(ConfigError, match=r"skill-0\.4"):  # no model of the embedded server
        await previews.preview_of(mine, PreviewOptions(), runs)
    with pytest.raises(UsageError, match="no run 'nobody'"):
        doctor_checks.subject_of(second("run:nobody"), None, runs)
    with pytest.raises(UsageError, match="no run 'nobody'"):
        await previews.preview_of(second("run:nobody"), PreviewOptions(), runs)
