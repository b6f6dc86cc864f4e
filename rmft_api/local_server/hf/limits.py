"""When a machine has no more: memory that ran out, with what would fit, and disks that are full."""

import errno
import os
import resource
from pathlib import Path

import torch

from rmft_api.local_server.engine import EngineError
from rmft_api.local_server.hf.adapter_recipe import AdapterRecipe
from rmft_api.local_server.hf.checkpoint import CheckpointFolder
from rmft_api.local_server.hf.network import device_of
from rmft_api.local_server.storage import is_full
from rmft_api.open_models import fitting, memory, shapes
from rmft_api.open_models.memory import GIB, Pass
from rmft_api.open_models.settings import HfSettings

_FULL = ("no space left", "file too large", "disk quota", "os error 28", "os error 27")
_WRITER = ("pytorchstreamwriter failed writing", "file write failed")
"""torch's own writer says no more than this, whatever the disk's error was."""
FAILED_SHARE = 0.8
"""Of what a plan says of settings that did not fit: where the plan was too hopeful."""


def is_disk_full(error: BaseException) -> bool:
    """Whether something could not be saved; libraries say it in several ways."""
    if is_full(error):
        return True
    text = str(error).lower()
    return any(sign in text for sign in (*_FULL, *_WRITER))


def disk_full(error: BaseException) -> OSError:
    """The same as the operating system says it."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)} ({line})")


def too_large(checkpoint: CheckpointFolder, recipe: AdapterRecipe) -> EngineError:
    """What to say of a training that did not fit: how much it needs, and what would fit."""
    settings = checkpoint.settings
    device = device_of(settings.device)
    shape = shapes.from_config(checkpoint.config)
    needed, way = "", fitting_words(settings, None)
    if shape is not None:
        on_cpu, one = device.startswith("cpu"), pass_of(settings, recipe)
        planned = memory.training(shape, settings, one, on_cpu=on_cpu).total
        there = room_of(device)
        room = there if there < planned else round(planned * FAILED_SHARE)
        needed = f" (about {planned / GIB:.1f} GiB are needed, {there / GIB:.1f} GiB are there)"
        found = fitting.fitting(shape, settings, one, room, on_cpu=on_cpu)
        way = fitting_words(settings, found)
    return EngineError(
        "out_of_memory", f"training does not fit into memory{needed}; {way}", "hyperparameters"
    )


def fitting_words(settings: HfSettings, found: HfSettings | None) -> str:
    """How to set what would fit; without it, where to look."""
    if found is None:
        return (
            "serve with --set micro_batch=1 --set gradient_checkpointing=true and a smaller "
            "max_length, a smaller checkpoint, or on more memory"
        )
    options = " ".join(f"--set {change}" for change in fitting.changes(settings, found))
    return f"this would fit: {options} (in a run file: [model.engine])"


def pass_of(settings: HfSettings, recipe: AdapterRecipe) -> Pass:
    """The largest forward pass of a training."""
    pairs = recipe.beta is not None
    longest = max((_tokens(row) for row in recipe.rows), default=1)
    batch = recipe.hyperparameters.batch_size or 1
    return Pass(min(settings.micro_batch, batch), longest, 2 if pairs else 1)


def _tokens(row: dict[str, list[int]]) -> int:
    if "input_ids" in row:
        return len(row["input_ids"])
    answers = max(len(row["chosen_ids"]), len(row["rejected_ids"]))
    return len(row["prompt_ids"]) + answers


def room_of(device: str) -> int:
    """Bytes that this process could hold, what it holds already included."""
    if device.startswith("cuda"):
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device)
    virtual, held = _pages()
    room = held + _available()
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        room = min(room, limit - (virtual - held))  # mapped, but no memory
    return room


def _pages() -> tuple[int, int]:
    """Bytes of this process's address space, and those that are in memory."""
    size = os.sysconf("SC_PAGE_SIZE")
    virtual, held = Path("/proc/self/statm").read_text().split()[:2]
    return int(virtual) * size, int(held) * size


def _available() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0
