"""Template files: read once, cut at their `$field`s, and filled by joining.

The syntax is `string.Template`'s (`$field`, `${field}`, `$$`). What is filled in is data: a `$` in
a value stays a `$`.
"""

import hashlib
import string
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple, cast

from rmft_api.core.errors import ConfigError, DataError

Fields = frozenset[str]


class _Piece(NamedTuple):
    text: str
    """Words to repeat, or the name of the field to fill in."""
    is_field: bool


_Line = tuple[_Piece, ...]


class _Form(NamedTuple):
    """A line, or some together, ready for `%`."""

    text: str
    fields: tuple[str, ...]
    is_sure: bool
    """Whether it has words of its own, so that no field can leave it blank."""


class Template:
    """One file's text. Raises DataError for a `$` that names no field of `known`."""

    def __init__(self, path: Path, text: str, known: Fields) -> None:
        self.path = path
        lines = [tuple(_cut(path, line)) for line in text.strip().split("\n")]
        self.fields = frozenset(piece.text for line in lines for piece in line if piece.is_field)
        for name in sorted(self.fields - known):
            raise DataError(
                f"{path}: unknown field ${name}; this file may use "
                f"{', '.join(f'${known_name}' for known_name in sorted(known)) or 'no field'}"
            )
        self._forms = tuple(
            (form.text, _values_of(form.fields), form.is_sure)
            for form in _joined(map(_form, lines))
        )

    def fill(self, values: Mapping[str, str]) -> str:
        """The text. Lines that empty fields left blank are dropped, blank runs become one."""
        found: list[str] = []
        for form, values_of, is_sure in self._forms:
            text = form % values_of(values) if values_of else form
            if is_sure or (text and not text.isspace()):
                found.append(text)
            elif not values_of and found and found[-1]:
                found.append("")
        while found and not found[-1]:
            found.pop()
        return "\n".join(found)


_ValuesOf = Callable[[Mapping[str, str]], object]


def _values_of(fields: tuple[str, ...]) -> _ValuesOf | None:
    """Takes from a mapping what a form's `%` needs; None for a form without fields."""
    return cast(_ValuesOf, itemgetter(*fields)) if fields else None


def _cut(path: Path, line: str) -> Iterator[_Piece]:
    """Words and fields of one line, in order; none for a blank line."""
    end = 0
    for match in string.Template.pattern.finditer(line):
        if match["invalid"] is not None:
            raise DataError(f"{path}: a lone '$' in {line.strip()!r}; write '$$' for a dollar sign")
        words = line[end : match.start()] + ("$" if match["escaped"] is not None else "")
        if words:
            yield _Piece(words, False)
        if name := match["named"] or match["braced"]:
            yield _Piece(name, True)
        end = match.end()
    if rest := line[end:].rstrip():
        yield _Piece(rest, False)


def _form(line: _Line) -> _Form:
    text = "".join(["%s" if piece.is_field else piece.text.replace("%", "%%") for piece in line])
    fields = tuple(piece.text for piece in line if piece.is_field)
    is_sure = any(not piece.is_field and not piece.text.isspace() for piece in line)
    return _Form(text if fields else text % (), fields, is_sure)


def _joined(forms: Iterable[_Form]) -> Iterator[_Form]:
    """The same forms, neighbours that cannot become blank as one."""
    for is_sure, group in groupby(forms, key=lambda form: form.is_sure):
        if not is_sure:
            yield from group
            continue
        together = list(group)
        fields = tuple(name for form in together for name in form.fields)
        texts = [f.text if f.fields or not fields else f.text.replace("%", "%%") for f in together]
        yield _Form("\n".join(texts), fields, True)


@dataclass(frozen=True)
class Variants:
    """A template and those that replace it in some scenarios."""

    plain: Template
    full: Template | None
    """Where feedback is full information."""
    contextual: Template | None
    """Where rounds have contexts."""

    def pick(self, *, full: bool, contextual: bool) -> Template:
        """The one for this kind of scenario; full feedback comes first."""
        if full and self.full is not None:
            return self.full
        if contextual and self.contextual is not None:
            return self.contextual
        return self.plain


@dataclass(frozen=True)
class Folder:
    """A prompt set's files. It remembers what was read: those files are the set's identity."""

    root: Path
    texts: dict[str, str] = field(default_factory=dict[str, str])
    overlay: str = ""
    """A folder inside whose files are read in place of those of the same name."""
    shown_by_overlay: Fields = frozenset()
    """Fields that only files of the overlay may show, where there is one."""
    beside: Path = field(default_factory=Path.cwd)
    """Where relative paths of the run file start."""
    kept: Mapping[str, str] | None = None
    """The texts of a set that is not on this disk, by name; None: `root` is read."""

    @property
    def sha256(self) -> str:
        """Hash over the names and texts read so far, whatever their order."""
        digest = hashlib.sha256()
        for part in (part for entry in sorted(self.texts.items()) for part in entry):
            content = part.encode()
            digest.update(len(content).to_bytes(8, "big") + content)
        return digest.hexdigest()

    def place(self, name: str) -> str:
        """The name that is read for `name`: the overlay's own where it has the file."""
        above = f"{self.overlay}/{name}"
        return above if self.overlay and self.has_file(above) else name

    def has_file(self, name: str) -> bool:
        """Whether the set has this file."""
        return (self.root / name).is_file() if self.kept is None else name in self.kept

    def has_folder(self, name: str) -> bool:
        """Whether the set has this folder."""
        if self.kept is None:
            return (self.root / name).is_dir()
        return any(one.startswith(f"{name}/") for one in self.kept)

    def stems(self, folder: str, suffix: str) -> list[str]:
        """The names of a folder's files of this suffix, without it, sorted."""
        if self.kept is None:
            return sorted(path.stem for path in (self.root / folder).glob(f"*{suffix}"))
        inside = (
            one.removeprefix(f"{folder}/") for one in self.kept if one.startswith(f"{folder}/")
        )
        return sorted(one.removesuffix(suffix) for one in inside if one.endswith(suffix))

    def text(self, name: str) -> str | None:
        """The file's text, None where it does not exist. Raises DataError if it is not UTF-8."""
        name = self.place(name)
        path = self.root / name
        if not self.has_file(name):
            return None
        try:
            text = path.read_text(encoding="utf-8-sig") if self.kept is None else self.kept[name]
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: cannot be read as UTF-8 text: {error}") from None
        self.texts[name] = text
        return text

    def find(self, name: str, known: Fields) -> Template | None:
        """The template, None where the set has none. Raises DataError for an unknown field."""
        text, place = self.text(name), self.place(name)
        if text is None:
            return None
        template = Template(self.root / place, text, known)
        if self.overlay and place == name and template.fields & self.shown_by_overlay:
            raise ConfigError(
                f"{template.path} shows rewards; {self.root / self.overlay / name} must show them "
                "in its place"
            )
        return template

    def need(self, name: str, known: Fields, why: str) -> Template:
        """The template. Raises ConfigError where it does not exist, saying what needs it."""
        found = self.find(name, known)
        if found is None:
            raise ConfigError(f"{self.root / name} is missing, needed by {why}{self._others(name)}")
        return found

    def variants(self, name: str, known: Fields, why: str, full: Fields) -> Variants:
        """The template and its replacements; `full` are the fields full feedback adds."""
        stem = name.removesuffix(".md")
        return Variants(
            self.need(name, known, why),
            self.find(f"{stem}_full.md", known | full),
            self.find(f"{stem}_context.md", known | {"context"}),
        )

    def _others(self, name: str) -> str:
        """What the folder has instead, for a choice that was misspelt."""
        folder = (self.root / name).parent
        folder = folder if folder.is_dir() and folder != self.root else folder.parent
        if folder in (self.root, self.root.parent) or not folder.is_dir():
            return ""
        known = sorted({path.stem for path in folder.iterdir() if path.stem != "actions"})
        return f"; {folder} has {', '.join(known)}"
