"""Training files in Cloud Storage: one object of a name, never written over."""

from collections.abc import Mapping
from urllib.parse import quote

import msgspec

from rmft_api.core.errors import ConfigError, ProviderFault
from rmft_api.core.records import UploadedFile
from rmft_api.providers import access_tokens, faults
from rmft_api.providers.profiles import Profile
from rmft_api.providers.rest import Rest, read

_EXISTS = 412
_MOST_PAGES = 50


class _Object(msgspec.Struct):
    name: str
    size: str


class _Page(msgspec.Struct, rename="camel"):
    items: list[_Object] = []
    next_page_token: str | None = None


class CloudStorageBucket:
    """A folder of a bucket. Raises ProviderFault, and ConfigError for a malformed address."""

    def __init__(self, profile: Profile, environ: Mapping[str, str]) -> None:
        self._profile = profile
        setting = profile.setting("bucket", environ)
        name, _, folder = setting.removeprefix("gs://").strip("/").partition("/")
        if not setting.startswith("gs://") or not name:
            raise ConfigError(
                f"{profile.setting_envs['bucket']}={setting!r} must be gs://BUCKET/FOLDER"
            )
        self._name, self._folder = name, f"{folder}/" if folder else ""
        hosting, waits = profile.hosting, profile.timeouts
        self._rest = Rest(
            environ.get(hosting.base_url_env or "", "") or hosting.base_url,
            access_tokens.google(profile, environ),
            environ=environ,
            connect_s=waits.connect_s,
            total_s=waits.list_s,
        )

    async def close(self) -> None:
        """Let go of all connections."""
        await self._rest.close()

    async def put(self, filename: str, content: bytes) -> UploadedFile:
        """Store it, unless it is there: asked twice, it is still one object."""
        request = self._request(f"store {filename}")
        try:
            raw = await self._rest.send(
                request,
                "POST",
                f"upload/storage/v1/b/{self._name}/o",
                data=content,
                query={
                    "uploadType": "media",
                    "name": self._folder + filename,
                    "ifGenerationMatch": "0",
                },
                headers={"Content-Type": "application/jsonl"},
                total_s=self._profile.timeouts.upload_s,
            )
        except ProviderFault as fault:
            if fault.status != _EXISTS:
                raise
            raw = await self._rest.send(request, "GET", self._path(filename))
        stored = self._record(read(request, raw, _Object))
        if (stored.filename, stored.bytes) != (filename, len(content)):
            why = f"it names {stored.filename!r} of {stored.bytes} bytes, not of {len(content)}"
            raise faults.malformed(request, why, raw)
        return stored

    async def find(self, filename: str) -> list[UploadedFile]:
        """The object of this very name, or nothing."""
        request = self._request("list objects")
        found: list[UploadedFile] = []
        token = ""
        for _ in range(_MOST_PAGES):
            query = {"prefix": self._folder + filename} | ({"pageToken": token} if token else {})
            raw = await self._rest.send(request, "GET", f"storage/v1/b/{self._name}/o", query=query)
            page = read(request, raw, _Page)
            found += [self._record(one) for one in page.items]
            token = page.next_page_token or ""
            if not token:
                break
        return [file for file in found if file.filename == filename]

    async def get(self, address: str) -> UploadedFile:
        """The object at a `gs://` address."""
        filename = address.removeprefix(f"gs://{self._name}/{self._folder}")
        request = self._request(f"get {address}")
        raw = await self._rest.send(request, "GET", self._path(filename))
        return self._record(read(request, raw, _Object))

    def _path(self, filename: str) -> str:
        return f"storage/v1/b/{self._name}/o/{quote(self._folder + filename, safe='')}"

    def _record(self, wire: _Object) -> UploadedFile:
        filename = wire.name.removeprefix(self._folder)
        return UploadedFile(f"gs://{self._name}/{wire.name}", filename, int(wire.size))

    def _request(self, action: str) -> faults.Request:
        return faults.Request(
            self._profile.name, action, repeatable=True, key_name="the Google credentials"
        )
