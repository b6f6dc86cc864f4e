"""GGUF files, llama.cpp's format: which one a checkpoint's name stands for, and what is made of it.

The engine computes with a folder in Hugging Face's format. One is made of a GGUF file once and is
kept beside it, under the file's name without its suffix.
"""

from pathlib import Path

from rmft_api.core.errors import ConfigError
from rmft_api.core.paths import GGUF

CONFIG = "config.json"
OPEN_LICENSES = frozenset(
    {
        "apache-2.0",
        "artistic-2.0",
        "bsd",
        "bsd-2-clause",
        "bsd-3-clause",
        "cc-by-4.0",
        "cc-by-sa-4.0",
        "cc0-1.0",
        "gpl-3.0",
        "isc",
        "lgpl-3.0",
        "mit",
        "mpl-2.0",
        "unlicense",
    }
)
"""Ids (of SPDX, in small letters) that ask nobody to agree to anything before use."""


def gguf_of(checkpoint: str) -> Path | None:
    """The GGUF file that a checkpoint's name stands for; None for another kind of checkpoint.

    Raises ConfigError for a folder that holds several.
    """
    path = Path(checkpoint)
    if path.suffix == GGUF and path.is_file():
        return path
    if not path.is_dir() or (path / CONFIG).is_file():
        return None
    files = sorted(path.glob(f"*{GGUF}"))
    if len(files) > 1:
        names = ", ".join(file.name for file in files)
        raise ConfigError(f"{checkpoint!r} holds several GGUF files ({names}); name one of them")
    return files[0] if files else None


def converted(file: Path) -> Path:
    """The folder that a GGUF file is converted to."""
    return file.with_suffix("")


def folder_for(checkpoint: str) -> Path:
    """Where a local checkpoint's config.json is, or will be once its file was converted."""
    file = gguf_of(checkpoint)
    return Path(checkpoint) if file is None else converted(file)


def needs_acceptance(license_id: str | None) -> bool:
    """Whether somebody must agree to the licence first; a file that names none asks for nothing."""
    return license_id is not None and license_id.strip().lower() not in OPEN_LICENSES
