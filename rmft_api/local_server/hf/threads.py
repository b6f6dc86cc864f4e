"""How many CPU threads compute: measured, because shared cores turn several into fewer.

Threads wait for each other after every product. Where another process has one of the cores, all
wait for the slowest: two were seen to take 5 to 12 times as long as one. So several are used only
where they are clearly faster just now.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch

SMALL = 50_000_000
"""Parameters of a model that one thread runs faster than many, measured or not."""
GAIN = 1.25
"""What twice the threads must win in wall time."""
HOPELESS = 2.0
"""Times as long as fewer threads take, seen once: no more is tried."""
PRODUCTS, REPEATS = 30, 5
_FILE = "threads"

log = logging.getLogger(__name__)


def threads_for(wanted: int, network: Any) -> int:
    """As the settings say; else one for a small model, else what a short trial finds best."""
    if wanted:
        return wanted
    most = torch.get_num_threads()
    if most == 1 or sum(part.numel() for part in network.parameters()) < SMALL:
        return 1
    try:
        found = fastest(most, trial)
    finally:
        torch.set_num_threads(most)
    log.warning("CPU threads: %d of %d (set threads=N to choose)", found, most)
    return found


def fastest(most: int, measure: Callable[[int], float]) -> int:
    """Threads, doubled for as long as that pays; `measure`: the seconds that so many take."""
    best = 1
    while best < most:
        more = min(2 * best, most)
        taken: dict[int, list[float]] = {best: [], more: []}
        for _ in range(REPEATS):  # in turn, so that load meets both alike
            for threads, seconds in taken.items():
                seconds.append(measure(threads))
            if min(taken[more]) > HOPELESS * max(taken[best]):
                return best
        if median(taken[best]) < GAIN * median(taken[more]):
            break
        best = more
    return best


def trial(threads: int) -> float:
    """Wall seconds of some products as they are when a batch of answers takes a step."""
    torch.set_num_threads(threads)
    x, weights = torch.ones(64, 768), torch.ones(1536, 768)
    torch.nn.functional.linear(x, weights)
    started = time.perf_counter()
    for _ in range(PRODUCTS):
        torch.nn.functional.linear(x, weights)
    return time.perf_counter() - started


def kept(scratch: Path) -> int:
    """The threads that a training began with, as its sums repeat only so; 0 for a new one."""
    try:
        return int((scratch / _FILE).read_text())
    except (OSError, ValueError):
        return 0


def keep(scratch: Path, threads: int) -> None:
    """Note them for a training that is taken up again."""
    (scratch / _FILE).write_text(str(threads))
