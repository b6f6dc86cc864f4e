"""A checkpoint's files: where they are, what they say, and how they are distinguished."""

import hashlib
import json
import logging
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from rmft_api.core.errors import ConfigError
from rmft_api.local_server.hf.gguf import checkpoint_of
from rmft_api.local_server.hf.packages import package
from rmft_api.open_models.gguf_files import gguf_of
from rmft_api.open_models.packaged import made_by, not_here
from rmft_api.open_models.settings import HfSettings

log = logging.getLogger(__name__)

EDGE = 2**16
"""Bytes at either end of a weights file that distinguish it from others of its size."""
NEEDED = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]
"""Files of a hub repository that are fetched; code in it is never run."""


def folder_of(checkpoint: str) -> Path:
    """The checkpoint's folder, fetched from the hub or converted at first use.

    Raises ConfigError, StorageError.
    """
    folder = Path(checkpoint)
    if (folder / "config.json").is_file():
        return folder.resolve()
    file = gguf_of(checkpoint)
    if file is not None:
        return checkpoint_of(file.resolve(), log.warning)
    if folder.exists():
        raise ConfigError(
            f"{checkpoint!r} is not a checkpoint: it has no config.json; give a folder that "
            "save_pretrained wrote, a GGUF file, or an id at the hub"
        )
    name = made_by(checkpoint)
    if name is not None:
        raise ConfigError(not_here(checkpoint, name))
    return _fetched(checkpoint)


def _fetched(checkpoint: str) -> Path:
    hub = package("huggingface_hub")
    try:
        return Path(hub.snapshot_download(checkpoint, allow_patterns=NEEDED))
    except Exception as error:  # whatever its transport raises
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ConfigError(
            f"no checkpoint {checkpoint!r}: there is no such folder here, and the hub did not "
            f"give it ({reason[0]}); check the name, or fetch it once on a machine that can"
        ) from error


class CheckpointFolder:
    """A folder in Hugging Face's format. Raises ConfigError where it holds no chat model."""

    def __init__(self, settings: HfSettings) -> None:
        self.settings = settings
        self.folder = folder_of(settings.checkpoint)
        self.config: dict[str, Any] = self._json("config.json")
        if self.config.get("is_encoder_decoder"):
            raise ConfigError(f"{self.folder.name!r} is no causal language model")

    def _json(self, name: str) -> dict[str, Any]:
        path = self.folder / name
        try:
            return cast("dict[str, Any]", json.loads(path.read_bytes()))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise ConfigError(f"{str(path)!r} is damaged: {error}") from error

    @cached_property
    def text_config(self) -> dict[str, Any]:
        """The language model's part of the configuration."""
        return self.config.get("text_config") or self.config

    @property
    def context(self) -> int:
        """Tokens of a chat and its answer at most."""
        own = int(self.text_config.get("max_position_embeddings") or self.settings.max_length)
        return min(own, self.settings.max_length)

    @property
    def window(self) -> int | None:
        """Tokens that a sliding layer looks back; None without one."""
        if self.text_config.get("use_sliding_window") is False:
            return None
        return self.text_config.get("sliding_window")

    @cached_property
    def ends(self) -> frozenset[int]:
        """Ids of the tokens that end an answer, as the checkpoint's files name them."""
        named: Any = self._json("generation_config.json").get("eos_token_id")
        named = self.text_config.get("eos_token_id") if named is None else named
        if named is None:
            return frozenset()
        return frozenset(cast("list[int]", named if isinstance(named, list) else [named]))

    @cached_property
    def fingerprint(self) -> str:
        """Identifies these weights: the configuration, and sizes and ends of the files."""
        digest = hashlib.sha256(json.dumps(self.config, sort_keys=True).encode())
        for path in sorted(self.folder.glob("*.safetensors")):
            size = path.stat().st_size
            digest.update(f"{path.name} {size}".encode())
            with path.open("rb") as file:
                digest.update(file.read(EDGE))
                file.seek(max(0, size - EDGE))
                digest.update(file.read())
        return digest.hexdigest()[:32]
