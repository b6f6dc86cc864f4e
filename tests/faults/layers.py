"""The cases of each layer of docs/faults.md 4, made from what an undisturbed run passes through."""

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import product

from tests.fake_provider.catalogue import QUOTA_CODES, SCRIPTS
from tests.fake_provider.scripts import Endpoint, Outcome
from tests.faults.cases import Case, Stop
from tests.faults.world import BATCHED, FAITHFUL, QUICK, Setting

SIGNALS = ("KILL", "TERM", "INT", "INT2")
POST_NTH = {Endpoint.CHAT: (3, 15, 30, 50), Endpoint.UPLOAD: (1, 2), Endpoint.JOB_CREATE: (1, 2)}
"""Which requests of a run are struck: an early and a late one."""
RESUMING: Mapping[str, int] = {"run.opened": 1}
"""Points that only a run which goes on passes, or passes in another way."""
LOSSES = ("rst_before_headers", "hold", "status_500", "status_520", "bad_json_200")
LAGS_S = (0, 5, 60)
CODES: Mapping[str, frozenset[int]] = {
    "401": frozenset({77}),
    "403_closed": frozenset({77}),
    "429_quota": frozenset({75}),
    "429_daily_cap": frozenset({75}),
    "429_2days": frozenset({69, 75}),
    "dns": frozenset({69}),
}
"""Exit codes that docs/faults.md names; other stops may choose within their class."""


def crashes(
    points: Mapping[str, int], setting: Setting = QUICK, layer: str = "A", most: int = 16
) -> Iterator[Case]:
    """A: every named point, at occurrences spread from first to last, by four signals.

    Then the same while the run is being resumed after an early kill.
    """
    for point, count in sorted(points.items()):
        for occurrence, name in product(spread(count, most), SIGNALS):
            rival = (occurrence, name) == (count, "KILL")  # late: a rival takes a moment to start
            stop = Stop(crash_at=f"{point}:{occurrence}:{name}", rival=rival)
            yield Case(layer, f"{point}:{occurrence}:{name}", setting, stops=(stop,))
    saved = "batch.saved" if setting.transport == "batch" else "call.saved"
    early = Stop(crash_at=f"{saved}:{points[saved] // 4}:KILL")
    for point, count in sorted({**points, **RESUMING}.items()):
        for occurrence, name in product(spread(count * 3 // 4, min(most, 4)), SIGNALS):
            stop = Stop(crash_at=f"{point}:{occurrence}:{name}")
            yield Case(layer, f"resumed/{point}:{occurrence}:{name}", setting, stops=(early, stop))


def spread(count: int, most: int) -> list[int]:
    """At most so many numbers from 1 to `count`, first and last among them."""
    steps = max(1, min(count, most) - 1)
    return sorted({1 + round(i * (max(count, 1) - 1) / steps) for i in range(steps + 1)})


def double_crashes(points: Mapping[str, int], setting: Setting = QUICK) -> Iterator[Case]:
    """B: all ordered pairs of points, the second kill while the run is being resumed."""
    for one, two in product(sorted(points), repeat=2):
        first = Stop(crash_at=f"{one}:{(points[one] + 1) // 2}:KILL")
        second = Stop(crash_at=f"{two}:1:KILL")
        yield Case("B", f"{one}+{two}", setting, stops=(first, second))


def provider_faults(setting: Setting = FAITHFUL) -> Iterator[Case]:
    """D: every script on every endpoint where it makes sense."""
    for script in SCRIPTS.values():
        if script.name == "dns":
            yield Case("D", "dns", setting, unresolved_names=3)
            continue
        for endpoint in script.endpoints:
            rule = {"script": script.name, "endpoint": endpoint, "nth": _nth(endpoint)}
            if script.name == "404_model_transient":
                rule |= {"model": "ft:", "nth": 1, "count": 3}  # the base is there, or never was
            outcome = script.outcome
            if endpoint is Endpoint.JOB_EVENTS and outcome is Outcome.STOPS:
                outcome = Outcome.WAITS  # a job's log is for people: a run may do without
            codes = CODES.get(script.name, frozenset())
            yield Case(
                "D", f"{script.name}/{endpoint}", setting, (rule,), outcome=outcome, codes=codes
            )
    yield from _beyond_the_scripts(setting)


def _beyond_the_scripts(setting: Setting) -> Iterator[Case]:
    """What takes more than one fault to show."""
    for code in QUOTA_CODES:
        rule = {"script": f"quota_{code}", "endpoint": Endpoint.CHAT, "nth": 9}
        yield Case(
            "D", f"quota/{code}", setting, (rule,), outcome=Outcome.STOPS, codes=frozenset({75})
        )
    alone = replace(setting, concurrency=1)
    rule = {"script": "eof", "endpoint": Endpoint.CHAT, "nth": 1, "count": 4}
    codes = frozenset({69, 75})
    yield Case("D", "eof_forever/chat", alone, (rule,), outcome=Outcome.WAITS, codes=codes)
    rule = rule | {"script": "wrong_model", "count": 3}
    yield Case("D", "wrong_model_always/chat", alone, (rule,), outcome=Outcome.STOPS)
    yield Case(
        "D",
        "small_budget",
        replace(setting, budget_usd=0.01),
        outcome=Outcome.STOPS,
        codes=frozenset({75}),
        resume_arguments=("--budget", "5"),
    )


def _nth(endpoint: Endpoint) -> int:
    return 5 if endpoint is Endpoint.CHAT else 1


def lost_replies(setting: Setting = FAITHFUL) -> Iterator[Case]:
    """E: every kind of POST, every way to lose its reply, done 0, 1 or 2 times, lists that lag."""
    for endpoint, loss, lag_s, times in product(POST_NTH, (*LOSSES, "kill"), LAGS_S, range(3)):
        for nth in POST_NTH[endpoint]:
            if endpoint is Endpoint.CHAT and lag_s:
                continue  # nobody lists chats
            rule = {"endpoint": endpoint, "nth": nth, "executions": times}
            killed = loss == "kill"
            yield Case(
                "E",
                f"{endpoint}:{nth}/{loss}/lag{lag_s}/done{times}",
                setting,
                rules=({**rule, "script": "hold" if killed else loss},),
                provider={"list_lag_s": lag_s / setting.speed},
                stops=(Stop(kill_when_struck=1),) if killed else (),
            )


def batches(points: Mapping[str, int]) -> Iterator[Case]:
    """G: runs whose chats go in batches: crashes, ends of batches, lost replies, lists that lag."""
    own = {point: count for point, count in points.items() if point.startswith("batch")}
    for case in crashes(own, BATCHED, "G", most=2):
        if case.name.endswith((":KILL", ":INT")):
            yield case
    for fate, outcome in FATES.items():
        provider = {"batch_fates": ["", fate, "", fate]}
        codes = frozenset({75}) if fate == "cancel" else frozenset({65})
        yield Case("G", f"fate/{fate}", BATCHED, provider=provider, outcome=outcome, codes=codes)
    faithful = replace(FAITHFUL, transport="batch")
    for endpoint, loss, lag_s, times in product(
        (Endpoint.UPLOAD, Endpoint.BATCH_CREATE), (*LOSSES, "kill"), LAGS_S[:2], range(3)
    ):
        killed = loss == "kill"
        rule = {"script": "hold" if killed else loss, "endpoint": endpoint, "nth": 3}
        yield Case(
            "G",
            f"{endpoint}/{loss}/lag{lag_s}/done{times}",
            faithful,
            rules=({**rule, "executions": times},),
            provider={"list_lag_s": lag_s / faithful.speed},
            stops=(Stop(kill_when_struck=1),) if killed else (),
        )
    for endpoint, loss in product((Endpoint.BATCH, Endpoint.FILE_CONTENT), LOSSES):
        rule = {"script": loss, "endpoint": endpoint, "nth": 2, "count": 3}
        yield Case("G", f"{endpoint}/{loss}", faithful, rules=(rule,))


FATES: Mapping[str, Outcome] = {
    "expire": Outcome.SAME,
    "error": Outcome.SAME,
    "cancel": Outcome.STOPS,
    "fail": Outcome.STOPS,
}
"""What becomes of a batch, and what a right client makes of it."""

HARMLESS = (
    "rst_before_headers",
    "rst_after_headers",
    "eof",
    "truncated",
    "html_200",
    "empty_object_200",
    "bad_json_200",
    "429_seconds",
    "429_ms",
    "429_6m0s",
    "429_garbage",
    "status_500",
    "status_502",
    "status_503",
    "status_504",
    "status_520",
    "status_529",
    "slow_down",
    "job_stuck",
    "job_paused",
    "file_late",
    "connect_refused",
)
"""Faults after which a run goes on as if nothing had happened."""


def torture(seeds: Iterable[int], points: Mapping[str, int], wall_s: float) -> Iterator[Case]:
    """F: random kills, stops, signals and faults; each seed replays."""
    for seed in seeds:
        yield _tortured(random.Random(seed), seed, points, wall_s)


def _tortured(dice: random.Random, seed: int, points: Mapping[str, int], wall_s: float) -> Case:
    setting = Setting(
        speed=20,
        concurrency=dice.choice((1, 4, 16)),
        coalesce=dice.random() < 0.7,
        quarantine_s=30,
        list_lag_s=25,  # beyond the longest lag below: a second of ours is twenty of the run
        poll_every_s=2,
        connect_s=10,
        chat_s=60,
        list_s=60,
        upload_s=60,
    )
    return Case(
        "F",
        f"seed{seed}",
        setting,
        rules=tuple(_fault(dice) for _ in range(dice.randrange(4))),
        provider={"list_lag_s": dice.choice((0, 1)), "latency_s": dice.choice((0, 0.005))},
        stops=tuple(_stop(dice, points, wall_s) for _ in range(dice.randint(1, 4))),
    )


def _fault(dice: random.Random) -> Mapping[str, object]:
    script = SCRIPTS[dice.choice(HARMLESS)]
    endpoint = dice.choice(script.endpoints)
    nth = dice.randint(1, 40) if endpoint is Endpoint.CHAT else dice.randint(1, 3)
    return {"script": script.name, "endpoint": endpoint, "nth": nth}


def _stop(dice: random.Random, points: Mapping[str, int], wall_s: float) -> Stop:
    kind = dice.choice(("point", "kill", "freeze", "signal", "disk"))
    at = dice.uniform(0.05, wall_s)
    if kind == "point":
        point = dice.choice(sorted(points))
        name = dice.choice(SIGNALS)
        return Stop(crash_at=f"{point}:{dice.randint(1, points[point])}:{name}")
    if kind == "kill":
        return Stop(signals=((at, "SIGKILL"),))
    if kind == "freeze":
        return Stop(signals=((at, "SIGSTOP"), (at + dice.uniform(0.1, 1), "SIGCONT")))
    if kind == "disk":
        return Stop(wrapper=("prlimit", f"--fsize={dice.randint(10, 200) * 1024}"))
    return Stop(signals=((at, dice.choice(("SIGINT", "SIGTERM"))),))


ON_DISK = ("pwrite64", "fdatasync", "fsync", "rename", "unlink", "mkdir", "ftruncate")
SYSCALLS = (*ON_DISK, "write", "writev")
"""What changes a disk, and how anything is sent; `write` also wakes threads."""
KILLED, BROKEN, FULL = "signal=KILL", "error=EIO", "error=ENOSPC"


def syscall_sweep(
    counts: Mapping[str, int], every: int = 1, setting: Setting = QUICK
) -> Iterator[Case]:
    """C: each such system call of a run in turn is killed, or fails as on a broken or full disk."""
    for name in SYSCALLS:
        ways = (KILLED, BROKEN, FULL) if name in ON_DISK else (KILLED,)
        for number, way in product(range(1, counts.get(name, 0) + 1, every), ways):
            inject = f"inject={name}:{way}:when={number}"
            stop = Stop(tracer=("-o", "/dev/null", "-e", f"trace={name}", "-e", inject))
            yield Case("C", f"{name}:{number}:{way}", setting, stops=(stop,))
