"""What this machine has, as far as that is seen without torch."""

import os
import platform
from pathlib import Path

_DEVICES = Path("/dev")


def has_accelerator() -> bool:
    """Whether torch would find a card here: NVIDIA's, AMD's, or Apple's own."""
    if platform.system() == "Darwin":
        return platform.machine() == "arm64"
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "all").strip() in ("", "-1")
    nvidia = any(_DEVICES.glob("nvidia[0-9]*")) and not hidden
    return nvidia or (_DEVICES / "kfd").exists()
