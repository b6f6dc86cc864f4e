"""A GGUF file is a checkpoint: read once, whole or not at all."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rmft_api.core.errors import ConfigError, RmftError, StorageError
from rmft_api.core.staging import require_room
from rmft_api.local_server.engine import ChatMessage, Prompt
from rmft_api.local_server.hf import gguf as conversion
from rmft_api.local_server.hf.engine import HfEngine
from rmft_api.open_models import gguf_files as names
from rmft_api.open_models.settings import HfSettings
from tests.local_server.hf import gguf_files

pytest.importorskip("gguf", reason="pip install 'rmft-api[open]'")
pytest.importorskip("trl", reason="pip install 'rmft-api[open]'")


def quiet(line: str) -> None:
    del line


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("gguf") / "tiny-llama.gguf"
    gguf_files.write(file)
    return file


def copied(made: Path, folder: Path) -> Path:
    file = folder / made.name
    file.write_bytes(made.read_bytes())
    return file


def test_a_file_or_its_folder_is_served_and_answers(made: Path, tmp_path: Path) -> None:
    file = copied(made, tmp_path)
    by_file = HfEngine(HfSettings(checkpoint=str(file)))
    assert by_file.bases == ("tiny-llama",)
    by_folder = HfEngine(HfSettings(checkpoint=str(tmp_path), name="mine"))
    asked = [Prompt((ChatMessage("user", "Say 2."),), seed=1, max_tokens=4)]
    answers = [
        engine.load(engine.bases[0], None).complete(asked)[0] for engine in (by_file, by_folder)
    ]
    assert answers[0] == answers[1]
    assert answers[0].completion_tokens


def test_weights_template_and_ends_are_the_files(made: Path, tmp_path: Path) -> None:
    file = copied(made, tmp_path)
    folder = conversion.checkpoint_of(file, quiet)
    import gguf

    safetensors: Any = pytest.importorskip("safetensors.torch")
    tensors = safetensors.load_file(folder / "model.safetensors")
    reader: Any = gguf.GGUFReader(file)
    stored = {tensor.name: tensor for tensor in reader.tensors}
    down: Any = stored["blk.1.ffn_down.weight"]
    meant = gguf.quants.dequantize(down.data, down.tensor_type)
    np.testing.assert_array_equal(tensors["model.layers.1.mlp.down_proj.weight"].numpy(), meant)
    assert "quantization_config" not in json.loads((folder / "config.json").read_bytes())
    assert json.loads((folder / "generation_config.json").read_bytes())["eos_token_id"] in (2, [2])
    transformers: Any = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder))
    assert tokenizer.chat_template == gguf_files.TEMPLATE
    assert tokenizer.tokenize("a  2") == ["a", "ĠĠ", "2"]  # digits stand alone, spaces together


def test_a_file_is_converted_once_and_again_when_it_changed(made: Path, tmp_path: Path) -> None:
    file = copied(made, tmp_path)
    heard: list[str] = []
    folder = conversion.checkpoint_of(file, heard.append)
    assert conversion.checkpoint_of(file, heard.append) == folder
    assert len(heard) == 1
    os.utime(file, ns=(1, 1))
    conversion.checkpoint_of(file, heard.append)
    assert len(heard) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny-llama", "tiny-llama.gguf"]


def refused(file: Path) -> str:
    """The line that a user gets; nothing may be left beside the file."""
    before = sorted(file.parent.iterdir())
    with pytest.raises(RmftError) as error:
        HfEngine(HfSettings(checkpoint=str(file)))
    assert sorted(file.parent.iterdir()) == before
    line = str(error.value)
    assert "\n" not in line
    return line


def test_a_base_model_is_refused(tmp_path: Path) -> None:
    gguf_files.write(tmp_path / "base.gguf", template=None)
    assert "'base.gguf' has no chat template" in refused(tmp_path / "base.gguf")


def test_an_architecture_that_transformers_does_not_read_is_refused(tmp_path: Path) -> None:
    gguf_files.write(tmp_path / "odd.gguf", architecture="plamo")
    assert "does not read GGUF files of the architecture 'plamo'" in refused(tmp_path / "odd.gguf")


def test_a_licence_that_must_be_accepted_is_asked_for(tmp_path: Path) -> None:
    gguf_files.write(tmp_path / "g.gguf", license_id="gemma")
    line = refused(tmp_path / "g.gguf")
    assert "licence 'gemma'" in line
    assert "--accept-license" in line


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6, 0.99])
def test_a_truncated_file_is_refused(made: Path, tmp_path: Path, share: float) -> None:
    file = tmp_path / "cut.gguf"
    file.write_bytes(made.read_bytes()[: int(made.stat().st_size * share)])
    assert "truncated or damaged" in refused(file)


def test_several_files_in_a_folder_are_named(made: Path, tmp_path: Path) -> None:
    copied(made, tmp_path)
    (tmp_path / "other.gguf").touch()
    with pytest.raises(ConfigError, match=r"other\.gguf, tiny-llama\.gguf"):
        HfEngine(HfSettings(checkpoint=str(tmp_path)))


def test_a_folder_of_the_users_own_is_not_overwritten(made: Path, tmp_path: Path) -> None:
    file = copied(made, tmp_path)
    (tmp_path / "tiny-llama").mkdir()
    (tmp_path / "tiny-llama" / "notes.txt").write_text("mine")
    assert "something else" in refused(file)


def test_no_room_is_said_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="MB free; make room"):
        require_room(tmp_path / "model", 10**9)


def test_a_disk_that_fills_up_leaves_nothing(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = copied(made, tmp_path)
    transformers: Any = pytest.importorskip("transformers")

    def full(*_: object, **__: object) -> None:
        (tmp_path / ".tiny-llama.partial" / "half").write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(transformers.PreTrainedModel, "save_pretrained", full)
    assert "no room on the disk" in refused(file)


def test_what_a_killed_conversion_left_is_removed(made: Path, tmp_path: Path) -> None:
    file = copied(made, tmp_path)
    left = tmp_path / ".tiny-llama.partial"
    left.mkdir()
    (left / "model.safetensors").write_text("half")
    folder = conversion.checkpoint_of(file, quiet)
    assert not left.exists()
    assert (folder / "config.json").is_file()


def test_a_licence_that_a_file_does_not_name_asks_for_nothing() -> None:
    assert not names.needs_acceptance(None)
    assert not names.needs_acceptance("Apache-2.0")
    assert names.needs_acceptance("llama3.2")
