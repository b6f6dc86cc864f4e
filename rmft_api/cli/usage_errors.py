"""What typer says of a command line that cannot be followed, in one line."""

import sys
from collections.abc import Iterator

import typer


def one_line(error: typer.TyperException) -> str:
    """What is wrong, with which value, and where to read on."""
    tell = getattr(error, "format_message", None)
    text = str(tell() if tell else error).rstrip(".").replace("Value error, ", "")
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "rmft-api"
    name = getattr(getattr(error, "param", None), "name", None)
    runs = "; `rmft-api status` lists the runs" if name == "run" else ""
    return f"{text}{_typed(error)}{runs}; `{command} --help` shows how"


def _typed(error: typer.TyperException) -> str:
    """The value of the option that was refused, as it stands on the command line."""
    options = getattr(getattr(error, "param", None), "opts", ())
    found = next((value for name, value in _options() if name in options), None)
    return "" if found is None else f" (got {found!r})"


def _options() -> Iterator[tuple[str, str]]:
    words = sys.argv[1:]
    for word, after in zip(words, [*words[1:], ""], strict=True):
        name, separator, value = word.partition("=")
        yield (name, value) if separator else (word, after)
