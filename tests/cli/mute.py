"""What a model says at a fake provider that is set up wrongly, until a file says that it is not."""

import os
from pathlib import Path
from typing import Any

from tests.fake_provider import answers
from tests.fake_provider.settings import Settings
from tests.fake_provider.store import Model

MENDED = "RMFT_TEST_MENDED"
"""The environment variable that names the file."""


def speak(model: Model, body: dict[str, Any], index: int) -> str:
    """Thoughts without an answer; the usual answer once the file is there."""
    if Path(os.environ[MENDED]).exists():
        return answers.answer(Settings(), model, body, index)
    return "Let me think about which button is best."
