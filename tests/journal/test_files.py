import stat
from pathlib import Path

import pytest

from rmft_api.core.errors import StorageError
from rmft_api.core.files import make_directory, replace_file
from rmft_api.journal.reserved_space import ReservedSpace


def test_a_file_is_replaced_whole_and_private(tmp_path: Path) -> None:
    file = tmp_path / "status.json"
    replace_file(file, b"old")
    replace_file(file, b"new")
    assert file.read_bytes() == b"new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["status.json"]


def test_a_draft_left_by_a_crash_is_written_over(tmp_path: Path) -> None:
    (tmp_path / ".status.json.draft").write_bytes(b"half a file, longer than the new one")
    replace_file(tmp_path / "status.json", b"new")
    assert (tmp_path / "status.json").read_bytes() == b"new"


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "status.json"
    replace_file(file, b"old")
    (tmp_path / ".status.json.draft").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match=r"cannot write .*status\.json"):
        replace_file(file, b"new")
    assert file.read_bytes() == b"old"
    assert not (tmp_path / "elsewhere").exists()


def test_directories_are_private(tmp_path: Path) -> None:
    make_directory(tmp_path / "runs" / "trial")
    assert stat.S_IMODE((tmp_path / "runs" / "trial").stat().st_mode) == 0o700


def test_the_ballast_takes_space_and_gives_it_back_once(tmp_path: Path) -> None:
    ballast = ReservedSpace(tmp_path)
    ballast.load()
    assert (tmp_path / "ballast").stat().st_blocks * 512 >= ReservedSpace.SIZE
    assert ballast.drop()
    assert not ballast.drop()


def test_without_room_for_the_ballast_a_run_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ReservedSpace, "SIZE", 2**60)
    with pytest.raises(StorageError, match="free some space"):
        ReservedSpace(tmp_path).load()
    assert not (tmp_path / "ballast").exists()


@pytest.mark.parametrize("name", [".", "/"])
def test_a_folder_in_the_place_of_a_file_is_named(name: str) -> None:
    with pytest.raises(StorageError, match="it is a folder; name a file in it"):
        replace_file(Path(name), b"new")
