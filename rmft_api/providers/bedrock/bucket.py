"""Training files in S3: one object of a name, never written over."""

import re
from collections.abc import Mapping
from urllib.parse import unquote
from xml.etree import ElementTree

from rmft_api.core.errors import ConfigError, ProviderFault
from rmft_api.core.records import UploadedFile
from rmft_api.providers import faults
from rmft_api.providers.bedrock import access
from rmft_api.providers.bedrock.aws_rest import AwsRest
from rmft_api.providers.profiles import Profile

_ADDRESS = "https://s3.us-east-1.amazonaws.com"
_ADDRESS_ENV = "AWS_ENDPOINT_URL_S3"
_S3_URI = re.compile(r"s3://[a-z0-9][-.a-z0-9]{1,61}[a-z0-9](?:/[-!_*'().a-z0-9A-Z]+)*/?")
"""As Bedrock takes them."""
_EXISTS = 412
_DOUBTFUL_PAGES = 50


class S3Bucket:
    """A folder of a bucket. Raises ProviderFault, and ConfigError for a malformed address."""

    def __init__(self, profile: Profile, environ: Mapping[str, str]) -> None:
        self._profile = profile
        setting = profile.setting("bucket", environ)
        if not _S3_URI.fullmatch(setting):
            raise ConfigError(
                f"{profile.setting_envs['bucket']}={setting!r} must be s3://BUCKET/FOLDER"
            )
        name, _, folder = setting.removeprefix("s3://").strip("/").partition("/")
        self._name, self._folder = name, f"{folder}/" if folder else ""
        base_url = environ.get(_ADDRESS_ENV, "").strip() or _ADDRESS
        self._rest = AwsRest(profile, environ, "s3", base_url)

    @property
    def uri(self) -> str:
        """The folder, as an S3 URI that ends in a slash."""
        return f"s3://{self._name}/{self._folder}"

    async def close(self) -> None:
        """Let go of all connections."""
        await self._rest.close()

    async def put(self, filename: str, content: bytes) -> UploadedFile:
        """Store it, unless it is there: asked twice, it is still one object."""
        request = self._request(f"store {filename}")
        try:
            await self._rest.send(
                request,
                "PUT",
                f"{self._name}/{self._folder}{filename}",
                data=content,
                headers={"Content-Type": "application/jsonl", "If-None-Match": "*"},
                total_s=self._profile.timeouts.upload_s,
            )
        except ProviderFault as fault:
            if fault.status != _EXISTS:
                raise
            for stored in await self.find(filename):
                if stored.bytes == len(content):
                    return stored
            why = f"another file is there under the name {filename!r}"
            raise faults.malformed(request, why) from fault
        return UploadedFile(f"{self.uri}{filename}", filename, len(content))

    async def find(self, filename: str) -> list[UploadedFile]:
        """The object of this very name, or nothing."""
        request = self._request("list objects")
        found: list[UploadedFile] = []
        query = {"list-type": "2", "prefix": self._folder + filename, "encoding-type": "url"}
        for _ in range(_DOUBTFUL_PAGES):
            raw = await self._rest.send(request, "GET", self._name, query=query)
            page = _page(request, raw)
            found += [self._record(element) for element in page.iter("Contents")]
            token = page.findtext("NextContinuationToken")
            if not token:
                break
            query = {**query, "continuation-token": token}
        return [file for file in found if file.filename == filename]

    async def get(self, uri: str) -> UploadedFile:
        """The object at an `s3://` address. Raises ProviderFault where there is none."""
        filename = uri.removeprefix(self.uri)
        found = await self.find(filename)
        if not found:
            request = self._request(f"get {uri}")
            raise faults.refused(request, 404, {}, b'{"message": "there is no such object"}')
        return found[0]

    def _record(self, element: ElementTree.Element) -> UploadedFile:
        key = unquote(element.findtext("Key") or "")
        size = element.findtext("Size") or "0"
        filename = key.removeprefix(self._folder)
        return UploadedFile(f"s3://{self._name}/{key}", filename, int(size))

    def _request(self, action: str) -> faults.Request:
        return faults.Request(
            self._profile.name,
            f"{action} in s3://{self._name}",
            repeatable=True,
            key_name=access.KEY_NAME,
        )


def _page(request: faults.Request, raw: bytes) -> ElementTree.Element:
    """A reply's XML, without its namespace. It comes from an address that the user named."""
    plain = re.sub(rb'\sxmlns="[^"]*"', b"", raw, count=1)
    try:
        if b"<!" in plain:
            raise faults.malformed(request, "it declares entities", raw)
        return ElementTree.fromstring(plain)
    except ElementTree.ParseError as error:
        raise faults.malformed(request, str(error), raw) from error
