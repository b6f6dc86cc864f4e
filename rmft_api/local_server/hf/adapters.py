"""A fine-tune on the disk: one safetensors file that holds a LoRA adapter and says of which base.

Its metadata has the adapter's PEFT configuration and the fingerprint of the base weights, so that
an adapter is never put over weights that it was not made for.
"""

import json
import os
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from rmft_api.local_server.engine import EngineError
from rmft_api.local_server.hf.packages import package

if TYPE_CHECKING:
    from torch import Tensor  # a server that lets another answer needs no torch

ABOUT = "rmft"
"""The one key of the metadata: of several the order would change from file to file."""
_WEIGHTS, _CONFIG = "adapter_model.safetensors", "adapter_config.json"
"""File names of PEFT's own format."""


class Adapter(NamedTuple):
    """Low-rank weights, their configuration in PEFT's words, and the base's fingerprint."""

    tensors: "Mapping[str, Tensor]"
    config: dict[str, Any]
    base: str


def save(adapter: Adapter, path: Path) -> None:
    """Write the file whole or not at all. Raises OSError."""
    about = json.dumps({"base": adapter.base, "peft": adapter.config}, sort_keys=True)
    content: bytes = package("safetensors.torch").save(
        {name: tensor.contiguous().cpu() for name, tensor in adapter.tensors.items()},
        {ABOUT: about},
    )
    partial = path.with_suffix(".partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def config_of(path: Path, base: str) -> dict[str, Any]:
    """The PEFT configuration of a file. Raises EngineError for an adapter of another base."""
    safetensors = package("safetensors")
    try:
        with safetensors.safe_open(path, "pt") as file:
            metadata = cast("dict[str, str]", file.metadata() or {})
    except (OSError, safetensors.SafetensorError) as error:
        message = f"the adapter {path.name!r} cannot be read: {error}"
        raise EngineError("model_unreadable", message, "model") from error
    about: dict[str, Any] = json.loads(metadata.get(ABOUT, "{}"))
    if about.get("base") != base:
        raise EngineError(
            "adapter_of_another_base",
            "this model is an adapter that was trained over other base weights than those that "
            "are served under this name; serve the checkpoint it was trained on, or train again",
            "model",
        )
    return cast("dict[str, Any]", about["peft"])


def load(path: Path, base: str) -> Adapter:
    """Read a file. Raises EngineError for one of another base or a damaged one."""
    config = config_of(path, base)
    return Adapter(package("safetensors.torch").load_file(path), config, base)


def unpack(path: Path, base: str, folder: Path) -> None:
    """Write the file as a folder in PEFT's format, as other servers read it. Raises EngineError."""
    config = config_of(path, base)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _CONFIG).write_text(json.dumps(config), encoding="utf-8")
    draft = folder / f"{threading.get_ident()}.draft"  # others may unpack the same one just now
    draft.unlink(missing_ok=True)
    try:
        os.link(path, draft)
    except OSError:
        shutil.copyfile(path, draft)
    draft.replace(folder / _WEIGHTS)
    draft.unlink(missing_ok=True)  # where both were one file already, nothing was replaced
