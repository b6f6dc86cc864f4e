"""What each key of a section means: the text below it in the schema's source."""

import ast
import inspect
from collections.abc import Iterator
from itertools import pairwise

from pydantic import BaseModel

from rmft_api.config.schema import Section


def meanings(section: type[BaseModel]) -> dict[str, str]:
    """Key -> meaning, in one line. It reads source files: not for every start."""
    bases = [base for base in reversed(section.__mro__) if issubclass(base, Section)]
    return {key: " ".join(text.split()) for base in bases for key, text in _below(base)}


def _below(section: type) -> Iterator[tuple[str, str]]:
    """The string under each field."""
    (body,) = ast.parse(inspect.getsource(section)).body
    assert isinstance(body, ast.ClassDef)
    for field, below in pairwise(body.body):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(
                value=ast.Constant(value=str(text))
            ):
                yield name, inspect.cleandoc(text)
            case _:
                pass
