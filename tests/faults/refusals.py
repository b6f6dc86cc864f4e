"""J: refused after it was done. Every answer to every creation that makes something."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

from tests.fake_provider.catalogue import GATEWAY, SCRIPTS
from tests.fake_provider.scripts import Endpoint, Outcome, Script
from tests.faults.cases import Case, Stop
from tests.faults.layers import CODES
from tests.faults.world import FAITHFUL, Setting

EFFECTS = (Endpoint.UPLOAD, Endpoint.JOB_CREATE, Endpoint.BATCH_CREATE)
"""What makes something that can be looked for. Deployments: `deployments.py`."""
ANSWERS = tuple(
    script
    for script in (*SCRIPTS.values(), *GATEWAY)
    if (script.reply or script.mutate) and Endpoint.JOB_CREATE in script.endpoints
)
KINDS = (
    "429_seconds",
    "429_daily_cap",
    "gateway_503_error",
    "gateway_409_html",
    "status_500",
    "400_param",
    "empty_object_200",
)
"""One answer of each kind of fault: rate limit, not now, too fast, doubt, failure, stop, no job."""
POINTS = ("failed:1", "failure_saved:1", "looked:2", "intended:2")
"""Where a process dies between such an answer and its next request, after the effect's kind."""
_KIND = {Endpoint.UPLOAD: "upload", Endpoint.JOB_CREATE: "job", Endpoint.BATCH_CREATE: "batch"}


def refused_after_work() -> Iterator[Case]:
    """All answers; of each kind also lists that lag, done 0 or 2 times, and deaths after it."""
    for endpoint, script in product(EFFECTS, ANSWERS):
        yield _case(endpoint, script, 1, 0)
    known = {script.name: script for script in ANSWERS}
    for endpoint, name, (times, lag_s) in product(EFFECTS, KINDS, ((0, 0), (2, 0), (1, 60))):
        yield _case(endpoint, known[name], times, lag_s)
    for endpoint, name, point in product(EFFECTS, KINDS, POINTS):
        crash = f"{_KIND[endpoint]}.{point}:KILL"
        yield _case(endpoint, known[name], 1, 5, crash)


def _case(endpoint: Endpoint, script: Script, times: int, lag_s: int, crash: str = "") -> Case:
    setting = _setting(endpoint)
    found_at_once = times > 0 and lag_s == 0
    # Done, it is found and adopted, whatever the answer was; a stop is looked behind only once.
    outcome = Outcome.SAME if found_at_once and not crash else Outcome.WAITS
    codes = CODES.get(script.name, frozenset())
    return Case(
        "J",
        f"{endpoint}/{script.name}/done{times}/lag{lag_s}" + (f"/{crash}" if crash else ""),
        setting,
        rules=({"script": script.name, "endpoint": endpoint, "nth": 1, "executions": times},),
        provider={"list_lag_s": lag_s / setting.speed},
        stops=(Stop(crash_at=crash),) if crash else (),
        outcome=outcome,
        codes=codes if outcome is Outcome.WAITS else frozenset(),
    )


def _setting(endpoint: Endpoint) -> Setting:
    return replace(FAITHFUL, transport="batch") if endpoint is Endpoint.BATCH_CREATE else FAITHFUL
