"""The Python API is there by name, and loads nothing before it is used."""

import subprocess
import sys

import pytest

from rmft_api import api


@pytest.mark.parametrize("name", api.__all__)
def test_every_name_of_the_api_is_there(name: str) -> None:
    assert getattr(api, name).__name__ == name
    assert name in dir(api)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Decidr'"):
        _ = api.Decidr


def test_importing_the_api_loads_no_room() -> None:
    code = "import sys, rmft_api.api; print(sorted(m for m in sys.modules if 'rmft_api' in m))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (
        shown.stdout.strip()
        == "['rmft_api', 'rmft_api.api', 'rmft_api.core', 'rmft_api.core.lazy']"
    )


def test_the_errors_are_there_after_one_import_and_not_loaded_before() -> None:
    code = (
        "import sys, rmft_api; before = 'rmft_api.errors' in sys.modules; "
        "print(before, rmft_api.errors.ConfigError.__name__)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False ConfigError"
