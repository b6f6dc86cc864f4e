"""What the program loads before it knows what it is asked for."""

import subprocess
import sys
from functools import cache

import pytest

HEAVY = ("aiohttp", "msgspec", "numpy", "openai", "pandas", "pydantic", "rich", "sqlite3", "torch")


@pytest.mark.parametrize("package", HEAVY)
def test_help_waits_for_no_heavy_package(package: str, loaded: set[str]) -> None:
    assert package not in loaded


@pytest.mark.parametrize("package", ["aiohttp", "httpx2", "openai", "pandas", "torch"])
def test_a_run_begins_without_packages_that_only_later_stages_need(package: str) -> None:
    assert package not in loaded_by("rmft_api.session.runs")


@pytest.mark.parametrize(
    "room",
    [
        *("batches", "environments.gym", "environments.logs", "environments.pricing"),
        *("evaluation.comparison", "planning.build", "report.page", "session.pages", "suites"),
    ],
)
def test_a_run_begins_without_what_only_other_runs_or_its_end_need(room: str) -> None:
    assert f"rmft_api.{room}" not in modules_of("rmft_api.session.runs")


def test_a_run_begins_with_few_modules() -> None:
    own = [one for one in modules_of("rmft_api.session.runs") if one.startswith("rmft_api.")]
    assert 100 < len(own) < 200


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    return loaded_by("rmft_api.cli.main")


def loaded_by(module: str) -> set[str]:
    """Packages, by their first name."""
    return {name.partition(".")[0] for name in modules_of(module)}


@cache
def modules_of(module: str) -> set[str]:
    code = f"import sys, {module}; print(*sys.modules)"
    return set(subprocess.check_output([sys.executable, "-c", code], text=True).split())
