"""Training by several processes: a launcher starts them, this one reads their progress.

    trainer --recipe on the disk--> COMMAND -m rmft_api.local_server.hf.rank --lines--> trainer

The command is anything that starts a Python module once for every accelerator and hands on what
the first of them prints: `accelerate launch` (several cards, FSDP, ZeRO, several machines, by its
own configuration) or `torchrun`. Files are saved in the training's scratch folder, which all of
them see. The processes watch their standard input: when the trainer is gone, so are they.
"""

import shlex
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import msgspec

from rmft_api.local_server.engine import EngineError, TrainingStep
from rmft_api.local_server.hf import training_checkpoints
from rmft_api.local_server.hf.adapter_recipe import AdapterRecipe
from rmft_api.open_models.settings import HfSettings

RECIPE_FILE = "recipe.json"
MODULES = {
    "accelerate": "accelerate.commands.accelerate_cli",
    "torchrun": "torch.distributed.run",
}
"""Launchers that are run by this interpreter, wherever its commands are installed."""
END_WITHIN_S = 10.0


class SharedSettings(msgspec.Struct, frozen=True):
    """What every process reads."""

    settings: HfSettings
    recipe: AdapterRecipe


class StepDone(msgspec.Struct, frozen=True, tag=True):
    """An optimiser step was made by all of them together."""

    step: TrainingStep


class AdapterSaved(msgspec.Struct, frozen=True, tag=True):
    """The adapter after `step` lies in the scratch folder."""

    step: int


class CannotGoOn(msgspec.Struct, frozen=True, tag=True):
    """It cannot continue; in the words of the wire's error object."""

    code: str
    reason: str
    param: str | None = None
    errno: int | None = None
    """Set where a file is at fault."""


Line = StepDone | AdapterSaved | CannotGoOn


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(f"{type(value).__name__} is not written")  # msgspec's word for it


def _from_plain(kind: type, value: object) -> object:
    if kind is Path:
        return Path(str(value))
    raise NotImplementedError(f"{kind.__name__} is not read")  # msgspec's word for it


ENCODER = msgspec.json.Encoder(enc_hook=_plain)
_LINE: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)


def read_shared(scratch: Path) -> SharedSettings:
    """What the trainer left there for its processes."""
    content = (scratch / RECIPE_FILE).read_bytes()
    return msgspec.json.decode(content, type=SharedSettings, dec_hook=_from_plain)


def adapter_file(scratch: Path, step: int) -> Path:
    """Where the first process saves the adapter after `step`."""
    return scratch / f"adapter-{step}.safetensors"


def command(launch: str, scratch: Path) -> list[str]:
    """The launcher's command line."""
    first, *rest = shlex.split(launch)
    starts = [sys.executable, "-m", MODULES[first]] if first in MODULES else [first]
    return [*starts, *rest, "-m", "rmft_api.local_server.hf.rank", str(scratch)]


def train(
    settings: HfSettings,
    recipe: AdapterRecipe,
    scratch: Path,
    place: Callable[[int], Path],
    report: Callable[[TrainingStep], None],
) -> None:
    """As `Tuning.run`, by as many processes as the command starts. Raises EngineError, OSError."""
    scratch = scratch.resolve()
    training_checkpoints.sweep(scratch)
    (scratch / RECIPE_FILE).write_bytes(ENCODER.encode(SharedSettings(settings, recipe)))
    with _launched(settings.launch, scratch) as process:
        assert process.stdout is not None
        for line in _lines(process.stdout):
            match line:
                case StepDone():
                    report(line.step)
                case AdapterSaved():
                    adapter_file(scratch, line.step).replace(place(line.step))
                case CannotGoOn():
                    raise _fault(line)
        code = process.wait()
    if code:
        raise RuntimeError(f"{shlex.split(settings.launch)[0]!r} ended with code {code}")


def _fault(stuck: CannotGoOn) -> Exception:
    if stuck.errno is not None:
        return OSError(stuck.errno, stuck.reason)
    return EngineError(stuck.code, stuck.reason, stuck.param)


@contextmanager
def _launched(launch: str, scratch: Path) -> Generator[subprocess.Popen[bytes]]:
    """The launcher at work; with the block it ends, and with its input all that it started."""
    try:
        process = subprocess.Popen(
            command(launch, scratch), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
    except OSError as error:
        reason = f"training cannot be launched by {launch!r}: {error.strerror}; set launch again"
        raise EngineError("launch_failed", reason) from error
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.terminate()
        try:
            process.wait(END_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _lines(out: IO[bytes]) -> Generator[Line]:
    """What the first process says; what launchers print besides goes to the log."""
    for text in out:
        if text.startswith(b"{"):
            with suppress(msgspec.DecodeError):
                yield _LINE.decode(text)
                continue
        sys.stderr.buffer.write(text)
        sys.stderr.flush()
