"""What the program loads before it knows what it is asked for."""

import subprocess
import sys

import pytest

HEAVY = ("aiohttp", "msgspec", "numpy", "openai", "pandas", "pydantic", "rich", "sqlite3", "torch")


@pytest.mark.parametrize("package", HEAVY)
def test_help_waits_for_no_heavy_package(package: str, loaded: set[str]) -> None:
    assert package not in loaded


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    code = "import sys, rmft_api.cli.main; print(*{name.split('.')[0] for name in sys.modules})"
    return set(subprocess.check_output([sys.executable, "-c", code], text=True).split())
