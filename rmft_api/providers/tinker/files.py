"""Training files, kept on this machine: Tinker stores none, and every step sends its examples."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from rmft_api.core.errors import FaultKind, ProviderFault
from rmft_api.core.files import make_directory, replace_file
from rmft_api.core.records import UploadedFile

FOLDER_ENV = "RMFT_TINKER_FILES"
"""Environment variable that names their folder."""
_ENDED = ".cancelled"
_MARK = 16
"""Characters of a content's hash in a file's id."""


class TinkerFiles:
    """A folder of files by content and name."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        cache = environ.get("XDG_CACHE_HOME", "").strip() or Path("~/.cache").expanduser()
        own = environ.get(FOLDER_ENV, "").strip()
        self.folder = Path(own) if own else Path(cache) / "rmft-api" / "tinker"

    def put(self, filename: str, content: bytes) -> UploadedFile:
        """Keep a file; the same content under the same name is one file."""
        make_directory(self.folder)
        file_id = f"{sha256(content).hexdigest()[:_MARK]}-{filename}"
        replace_file(self.folder / file_id, content)
        return UploadedFile(file_id, filename, len(content))

    def find(self, filename: str) -> list[UploadedFile]:
        """Files of this very name, oldest first."""
        found = [
            path for path in self.folder.glob(f"*-{filename}") if path.name[_MARK + 1 :] == filename
        ]
        found.sort(key=lambda path: (path.stat().st_mtime_ns, path.name))
        return [UploadedFile(path.name, filename, path.stat().st_size) for path in found]

    def get(self, file_id: str) -> UploadedFile:
        """The file as it stands. Raises ProviderFault where it is not here."""
        return UploadedFile(file_id, file_id[_MARK + 1 :], len(self.content(file_id)))

    def content(self, file_id: str) -> bytes:
        """Its bytes. Raises ProviderFault where they are not here, or are not those of its id."""
        path = self.folder / file_id
        missing = "is not on this machine" if not path.is_file() else ""
        if Path(file_id).name != file_id or missing:
            raise self._not_here(file_id, missing or "is no file of ours")
        content = path.read_bytes()
        if not file_id.startswith(sha256(content).hexdigest()[:_MARK]):
            raise self._not_here(file_id, "was changed")
        return content

    def end(self, job_id: str) -> None:
        """Note that a job is not to be trained on."""
        make_directory(self.folder)
        replace_file(self._ending(job_id), b"")

    def has_ended(self, job_id: str) -> bool:
        """Whether that was noted."""
        return self._ending(job_id).exists()

    def _ending(self, job_id: str) -> Path:
        return self.folder / f"{sha256(job_id.encode()).hexdigest()}{_ENDED}"

    def _not_here(self, file_id: str, why: str) -> ProviderFault:
        return ProviderFault(
            f"training file {file_id} {why}: Tinker keeps none, so its jobs need {self.folder} of "
            f"the machine that they began on; copy the file, or set {FOLDER_ENV}",
            FaultKind.STOP,
            status=404,
            code="file_not_found",
            never_sent=True,
        )
