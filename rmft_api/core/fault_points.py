"""Named places where a test may end the program: `RMFT_CRASH_AT=call.reserved:3:KILL`.

The variable says point, occurrence (1) and signal (KILL; `INT2` sends SIGINT twice). Unset, as in
every real run, `fault_point` is one comparison.
"""

import os
import signal
from itertools import count

_POINT, _, _REST = os.environ.get("RMFT_CRASH_AT", "").partition(":")
_OCCURRENCE, _, _SIGNAL = _REST.partition(":")
_seen = count(1)


def fault_point(point: str) -> None:
    """Say that the program stands at `point`."""
    if point == _POINT and next(_seen) == int(_OCCURRENCE or 1):
        _strike(_SIGNAL or "KILL")


def _strike(name: str) -> None:
    number = signal.Signals[f"SIG{name.rstrip('2')}"]
    for _ in range(2 if name.endswith("2") else 1):
        os.kill(os.getpid(), number)
