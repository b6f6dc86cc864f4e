"""What names may be, for those who must know it before anything else is loaded."""

import re

RUN_NAME = re.compile(r"^[a-z0-9][a-z0-9_-]{0,63}$")
"""Of a run and its directory."""
A_NAME = "1 to 64 of a-z, 0-9, - and _, a letter or a digit first"
"""The same in words, after "names have"."""


RUN = "run:"
"""Before the name of a run that stands for one of its models: `run:NAME`, `run:NAME@3`."""
ALL = "all"
"""After `run:NAME@`: every model of the run."""


def as_run_name(text: str) -> str:
    """The name of the run that a file of this name begins: `gpt-4.1-mini` is `gpt-4-1-mini`."""
    return re.sub(r"[^a-z0-9_-]+", "-", text.lower()).strip("-_") or "run"
