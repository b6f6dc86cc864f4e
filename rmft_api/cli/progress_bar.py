"""The progress bar: what, how far, rounds per second, dollars, time left."""

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class RoundsPerSecond(ProgressColumn):
    """Speed over the last seconds."""

    def render(self, task: Task) -> Text:
        """The speed, once there is one."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.0f} rounds/s")


def bar() -> Progress:
    """One bar on stderr; its task takes a field `cost`, dollars as text."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        RoundsPerSecond(),
        TextColumn("{task.fields[cost]}"),
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True),
    )
