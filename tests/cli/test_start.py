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


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    return loaded_by("rmft_api.cli.main")


@cache
def loaded_by(module: str) -> set[str]:
    code = f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    return set(subprocess.check_output([sys.executable, "-c", code], text=True).split())
