"""Writes docs/reference.md from the code: commands, run file keys, profiles, exit codes.

python docs/make_reference.py            write it
python docs/make_reference.py --check    exit 1 if it is out of date
"""

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from rmft_api.cli.main import COMMANDS
from rmft_api.config.key_docs import meanings
from rmft_api.config.schema import RunConfig
from rmft_api.core import errors
from rmft_api.providers.profiles import Profile

TARGET = Path(__file__).with_name("reference.md")


def reference() -> str:
    """The whole page."""
    return "\n".join([*_head(), *_commands(), *_run_file(), *_profile(), *_exit_codes()]) + "\n"


def _head() -> Iterator[str]:
    yield "# Reference"
    yield ""
    yield "Made from the code by `python docs/make_reference.py`; a test keeps it up to date."
    yield ""


def _commands() -> Iterator[str]:
    yield "## Commands"
    yield ""
    for command in COMMANDS:
        yield f"### rmft-api {command.__name__.replace('_', '-')}"
        yield ""
        yield inspect.getdoc(command) or ""
        yield ""
        shown = filter(_is_shown, inspect.signature(command).parameters.values())
        if rows := [_parameter(of) for of in shown]:
            yield from ("| argument | default | meaning |", "|---|---|---|", *rows, "")


def _is_shown(parameter: inspect.Parameter) -> bool:
    """Not so an old name, which is there to give the new one."""
    return not parameter.annotation.__metadata__[0].hidden


def _parameter(parameter: inspect.Parameter) -> str:
    told = parameter.annotation.__metadata__[0]
    option = type(told).__name__ == "OptionInfo"
    first = told.default if isinstance(told.default, str) else None
    name = first or f"--{parameter.name.replace('_', '-')}"
    shown = name if option else (told.metavar or parameter.name.upper())
    default = "" if parameter.default in (None, parameter.empty) else f"`{parameter.default}`"
    return f"| `{shown}` | {default} | {told.help or ''} |"


def _run_file() -> Iterator[str]:
    yield "## The run file"
    yield ""
    yield from _section(RunConfig, "")


def _profile() -> Iterator[str]:
    yield "## A profile"
    yield ""
    yield "What `profiles.toml` may say of an endpoint; the guide shows how to write one."
    yield ""
    yield from _section(Profile, "NAME")


def _section(model: type[BaseModel], prefix: str) -> Iterator[str]:
    yield f"### {_heading(prefix)}"
    yield ""
    yield (inspect.getdoc(model) or "").replace("\n", " ")
    yield ""
    yield "| key | type | default | meaning |"
    yield "|---|---|---|---|"
    inner: list[tuple[type[BaseModel], str]] = []
    told = meanings(model)
    for name, field in model.model_fields.items():
        kind: Any = field.annotation
        section = _section_in(kind)
        if section is not None:
            path = f"{prefix}.{name}" if prefix else name
            inner.append((section, f"{path}[]" if get_origin(kind) is tuple else path))
            continue
        default = "required" if field.is_required() else f"`{_shown(field.get_default())}`"
        meaning = told.get(name, "").replace("|", "\\|")
        yield f"| `{name}` | {_type(kind)} | {default} | {meaning} |"
    yield ""
    for kind, path in inner:
        yield from _section(kind, path)


def _heading(prefix: str) -> str:
    """How TOML writes the section: in double brackets where there may be several."""
    if not prefix:
        return "top level"
    name = prefix.replace("[]", "")
    return f"[[{name}]]" if prefix.endswith("[]") else f"[{name}]"


def _section_in(kind: Any) -> type[BaseModel] | None:
    """The section that a key holds: itself, or one or several of it."""
    kinds = [one for one in (get_args(kind) or (kind,)) if one not in (type(None), ...)]
    whole = len(kinds) == 1 and isinstance(kinds[0], type) and issubclass(kinds[0], BaseModel)
    return kinds[0] if whole and get_origin(kind) in (None, UnionType, Union, tuple) else None


def _shown(value: Any) -> str:
    if value is PydanticUndefined:
        return ""  # made anew each time: empty
    return "" if value is None else str(value)


def _type(kind: Any) -> str:
    text = kind.__name__ if isinstance(kind, type) and not hasattr(kind, "__args__") else str(kind)
    for noise in ("typing.", "rmft_api.config.schema.", "collections.abc."):
        text = text.replace(noise, "")
    if "Annotated[" in text:
        text = text[text.index("Annotated[") + 10 :].split(",")[0]
    return f"`{text.replace('|', 'or')}`"


def _exit_codes() -> Iterator[str]:
    yield "## Exit codes"
    yield ""
    yield "```"
    yield (inspect.getdoc(errors) or "").split("\n\n")[1]
    yield "```"


def main() -> int:
    """Write or check the page."""
    page = reference()
    if "--check" in sys.argv:
        return int(TARGET.read_text(encoding="utf-8") != page)
    TARGET.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
