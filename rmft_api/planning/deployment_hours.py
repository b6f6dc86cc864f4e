"""How long rented deployments stand: what is expected, and at most while nothing is asked twice.

A stay of one model is what `loop.iterate` plays with it before it takes it down: the held-out
scenarios, and then the rollouts of the next iteration. Each stay is paid by started hours.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rmft_api.config.schema import RunConfig
from rmft_api.planning.plan import Phase
from rmft_api.providers.profiles import Profile

HOUR_S = 3600.0


@dataclass(frozen=True)
class DeploymentHours:
    """The deployments of one run."""

    config: RunConfig
    profile: Profile
    phases: Sequence[Phase]
    longest: Callable[[Phase], float]
    """Seconds of a phase at most, if every reply takes all the time that it is waited for."""

    def expected_h(self, model: int) -> int | None:
        """Hours that are paid for the model of an iteration."""
        times = [phase.seconds for phase in self._of(model)]
        known = [seconds for seconds in times if seconds is not None]
        return _hours(sum(known)) if len(known) == len(times) else None

    def longest_h(self, model: int) -> int:
        """Hours at most, with deployments that the gate or the choice of a champion may add."""
        return sum(self._longest_h(phases) for phases in self._deployments(model))

    def _deployments(self, model: int) -> Iterator[list[Phase]]:
        plays, last = self._of(model), model == self.config.iterations
        if last and self.config.test_models == "ends":
            tests = [phase for phase in self.phases if phase.name == "test"]
            yield [*(phase for phase in plays if phase.name != "test"), *tests]
            yield tests[-1:]  # the champion may be an earlier model, deployed beside the last one
        elif self.config.gate.fall_back and not last:
            yield [phase for phase in plays if phase.name != "rollouts"]
            yield [phase for phase in plays if phase.name == "rollouts"]  # of the champion, again
        else:
            yield plays

    def _of(self, model: int) -> list[Phase]:
        return [phase for phase in self.phases if phase.model == model and phase.calls]

    def _longest_h(self, phases: Sequence[Phase]) -> int:
        waits = self.profile.hosting
        # It is provisioned, then it answers a first token: each is waited for so long.
        around_s = 2 * (waits.ready_within_s + waits.poll_every_s) + self.profile.timeouts.list_s
        return _hours(around_s + sum(map(self.longest, phases)))


def _hours(seconds: float) -> int:
    return max(1, math.ceil(seconds / HOUR_S))
