"""Lines of JSON as people's programs write them: with a byte-order mark, with empty lines."""

from collections.abc import Iterable, Iterator

BOM = b"\xef\xbb\xbf"
"""Azure asks for it, Windows writes it; it says nothing."""
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def rows(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Every line that says something, with its number in the file, from 1.

    Raises UnicodeError for a file in UTF-16.
    """
    for number, line in enumerate(lines, 1):
        if number == 1 and line.startswith(_UTF16):
            raise UnicodeError("the file is UTF-16; save it as UTF-8")
        row = line.removeprefix(BOM).strip()
        if row:
            yield number, row
