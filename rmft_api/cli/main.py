"""`rmft-api`: the commands, each in a file of its own, and how the program ends."""

import gc
import os
import sys
import warnings
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from rmft_api.cli.ablate import ablate
from rmft_api.cli.card import card
from rmft_api.cli.cleanup import cleanup
from rmft_api.cli.doctor import doctor
from rmft_api.cli.errors import guarded
from rmft_api.cli.eval import eval
from rmft_api.cli.export import export
from rmft_api.cli.figures import figures
from rmft_api.cli.get_model import get_model
from rmft_api.cli.init import init
from rmft_api.cli.make_checkpoint import make_checkpoint
from rmft_api.cli.plan import plan
from rmft_api.cli.preview import preview
from rmft_api.cli.profiles import profiles
from rmft_api.cli.report import report
from rmft_api.cli.resume import resume
from rmft_api.cli.retrain import retrain
from rmft_api.cli.run import run
from rmft_api.cli.serve import serve
from rmft_api.cli.status import status
from rmft_api.cli.usage_errors import one_line
from rmft_api.core.errors import UsageError
from rmft_api.core.locks import check_platform

app = typer.Typer(
    help="Fine-tune a chat model on its own lowest-regret play, through its fine-tuning API.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
COMMANDS = (
    *(
        init,
        run,
        resume,
        status,
        report,
        plan,
        preview,
        eval,
        ablate,
        retrain,
        export,
        figures,
        card,
    ),
    *(serve, get_model, make_checkpoint, profiles, doctor, cleanup),
)
OLD_NAMES: dict[str, Callable[..., None]] = {
    "models": profiles,
    "replay": retrain,
    "sweep": cleanup,
}
"""Of commands that were renamed; they go with the next version."""
YOUNG = 50_000
"""New objects that the garbage collector waits for: modules and plays live long and make none."""
TURN_S = 0.0002
"""How long a thread computes before another may: the journal's needs little, but often and soon."""
_INTERRUPTED = 130
"""What typer makes of a KeyboardInterrupt; which signal it was, `guarded` knows."""


def _under_old_name(name: str, command: Callable[..., None]) -> Callable[..., None]:
    """The command, which says first what it is called now."""

    @wraps(command)
    def renamed(*args: Any, **options: Any) -> None:
        now = f"`rmft-api {command.__name__}`"
        print(f"`rmft-api {name}` is now {now}", file=sys.stderr)  # noqa: T201
        command(*args, **options)

    return renamed


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"rmft-api {version('rmft-api')}")  # noqa: T201
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_version, is_eager=True),
    ] = False,
) -> None:
    pass


for command in COMMANDS:
    app.command()(command)
for old, command in OLD_NAMES.items():
    app.command(old, hidden=True)(_under_old_name(old, command))


def main() -> None:
    """Run the command line; exit codes as in `errors.py`."""
    open_streams()
    show_warnings()
    tune()
    guarded(_main)


def open_streams() -> None:
    """Give each standard stream that the caller closed to the null device.

    Else the next file or socket gets its number, and libuv aborts the process when it closes that.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
    nowhere = Path(os.devnull)
    sys.stdout = sys.stdout or nowhere.open("w", encoding="utf-8")
    sys.stderr = sys.stderr or nowhere.open("w", encoding="utf-8")


def show_warnings() -> None:
    """Print what will change in a later version as one line, once."""

    def show(message: Warning | str, *_: object) -> None:
        print(f"rmft-api: warning: {message}", file=sys.stderr)  # noqa: T201

    warnings.simplefilter("once", FutureWarning)
    warnings.showwarning = show


def tune() -> None:
    """Set the interpreter up for a thousand chats at once, and a journal beside them."""
    gc.set_threshold(YOUNG)
    sys.setswitchinterval(TURN_S)


def check_folder() -> None:
    """Raise UsageError where the working folder was removed."""
    try:
        Path.cwd()
    except FileNotFoundError:
        raise UsageError("the working folder no longer exists; change to one that does") from None


def _main() -> None:
    check_platform()
    check_folder()
    try:
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except typer.TyperException as error:
        raise UsageError(one_line(error)) from error
    if code == _INTERRUPTED:
        raise KeyboardInterrupt
    sys.exit(code if isinstance(code, int) else 0)
