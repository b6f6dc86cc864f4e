"""The embedded provider: the project's own server, started on loopback for one run.

It is a process of its own, met over HTTP like any provider. It holds on to its standard input:
when the run ends, however it ends, that pipe closes and the server goes too.
"""

import asyncio
import difflib
import importlib.util
import json
import os
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from rmft_api.config.schema import ModelConfig
from rmft_api.core.errors import ConfigError, ProviderDownError
from rmft_api.core.paths import GGUF
from rmft_api.core.scripted_players import is_scripted
from rmft_api.local_server.counting import BASES
from rmft_api.open_models import packaged
from rmft_api.open_models.gguf_files import converted, gguf_of
from rmft_api.providers.profile import Profile

START_WITHIN_S = 60.0
CONVERT_WITHIN_S = 1800.0
_OTHERS = "; another endpoint is named by model.profile, an open model by model.checkpoint"
OPEN = ("transformers", "peft", "trl", "accelerate")
"""Packages that open models need beside torch."""


def require_local_extra() -> None:
    """Raise ConfigError where the packages of the embedded model are missing."""
    if importlib.util.find_spec("torch") is None:
        raise ConfigError(
            "profile 'local' runs a model on this machine and needs more packages: "
            "pip install 'rmft-api[local]'"
        )


def require_open_extra() -> None:
    """Raise ConfigError where the packages of open models are missing."""
    missing = [name for name in ("torch", *OPEN) if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"open models need more packages ({', '.join(missing)} missing): "
            "pip install 'rmft-api[open]'"
        )


def is_embedded(profile: Profile) -> bool:
    """Whether the run brings its own server: the local profile, unless another is named."""
    return profile.name == "local" and not os.environ.get(profile.base_url_env or "")


def check_base(profile: Profile, model: ModelConfig) -> None:
    """Raise ConfigError for a model that the run's own server does not have."""
    if not is_embedded(profile) or model.checkpoint is not None or model.served_base in BASES:
        return
    near = difflib.get_close_matches(model.base, BASES, n=1, cutoff=0.75)
    meant = f"; did you mean {near[0]!r}?" if near else ""
    raise ConfigError(
        f"the local server has no model {model.base!r}, it has {', '.join(BASES)}{meant or _OTHERS}"
    )


def check_checkpoint(model: ModelConfig) -> None:
    """Raise ConfigError for a checkpoint that is a path, or comes as a package, and is not here."""
    if model.checkpoint is None or Path(model.checkpoint).exists():
        return
    name = packaged.made_by(model.checkpoint)
    if name is not None:
        raise ConfigError(packaged.not_here(model.checkpoint, name))
    if _is_path(model.checkpoint):
        raise ConfigError(
            f"model.checkpoint: there is no {model.checkpoint!r}; give its full path, or one from "
            "the run file's folder or the working folder"
        )


def _is_path(checkpoint: str) -> bool:
    """Whether it can only be a path: other names may be ids at the hub."""
    path = Path(checkpoint)
    return path.suffix == GGUF or path.is_absolute() or checkpoint.startswith((".", "~"))


def start_within_s(model: ModelConfig) -> float:
    """How long the server may take: longer where it converts a GGUF file first."""
    file = None if model.checkpoint is None else gguf_of(model.checkpoint)
    return START_WITHIN_S if file is None or converted(file).exists() else CONVERT_WITHIN_S


def engine_options(model: ModelConfig) -> list[str]:
    """How to start the server for a run's model; nothing for those that it has of its own."""
    if is_scripted(model.base):
        return ["--engine", "players"]  # needs no torch
    if model.checkpoint is None:
        return []
    pairs = {**model.engine, "name": model.served_base}
    options = ["--engine", "hf", "--checkpoint", model.checkpoint]
    for key, value in pairs.items():
        options += ["--set", f"{key}={str(value).lower() if isinstance(value, bool) else value}"]
    return options


@asynccontextmanager
async def embedded_server(
    state: Path, options: Sequence[str] = (), within_s: float = START_WITHIN_S
) -> AsyncGenerator[str]:
    """Start the server with its files under `state`; yields its base_url."""
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    ready = state / "ready.json"
    ready.unlink(missing_ok=True)
    with (state / "server.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "rmft_api", "serve", "--port", "0", "--state", str(state)),
            *("--ready-file", str(ready), "--until-stdin-closes", *options),
            stdin=asyncio.subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is the run's to answer; the server outlasts its drain
        )
    try:
        yield await _base_url(process, ready, state / "server.log", within_s)
    finally:
        await _stop(process)


async def _base_url(
    process: asyncio.subprocess.Process, ready: Path, log: Path, within_s: float
) -> str:
    deadline = asyncio.get_running_loop().time() + within_s
    while not ready.exists():
        if process.returncode is not None:
            lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            last = lines[-1] if lines else "no output"
            raise ProviderDownError(f"the local server ended at once: {last} (log: {log})")
        if asyncio.get_running_loop().time() > deadline:
            raise ProviderDownError(
                f"the local server was not ready within {within_s:.0f} s; its log is {log}"
            )
        await asyncio.sleep(0.02)
    return str(json.loads(ready.read_text(encoding="utf-8"))["base_url"])


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), timeout=5)
    except TimeoutError:
        process.kill()
        await process.wait()
