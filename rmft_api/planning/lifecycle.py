"""The calendar: whether the model will still be there when the run ends.

Dates are the profile's (`profiles.toml`), each with a source. A day named there is the first one
without: without new jobs, or without answers of the base and of every fine-tune of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from rmft_api.config.schema import RunConfig
from rmft_api.core.errors import ConfigError
from rmft_api.core.records import Split
from rmft_api.planning.timing import EndpointSpeed, speed_of
from rmft_api.providers.capabilities import Lifecycle
from rmft_api.providers.profiles import Profile
from rmft_api.rollouts import preparation

STILL_OPEN = (
    "what still trains, as model.profile: Azure ('azure', customers it already has), Nebius "
    "('nebius'), Gemini ('gemini'), Amazon Nova ('bedrock'), Together ('together'), "
    "Fireworks ('fireworks'), Tinker ('tinker'), or this machine ('local')"
)
"""As of 2026-11-28."""
OVERRULED = "--accept-shutdown begins it anyway"
NOTICE = timedelta(days=180)
"""An end that is nearer than this is reported."""


@dataclass(frozen=True)
class Calendar:
    """When a run does what, and what ends meanwhile."""

    run: str
    model: str
    begins: datetime
    last_job: datetime
    """When the last job is created."""
    ends: datetime
    ends_at_latest: datetime
    """If every job and every batch took as long as is waited for it."""
    plays_at: str
    trains_at: str
    answers: Lifecycle | None
    """Of the model where it plays."""
    trains: Lifecycle | None
    """Of the model where it trains."""
    awaited: str = "job"
    """What is waited for."""

    def collision(self) -> str | None:
        """What of the run comes after an end; None: nothing."""
        why = next(self._collisions(self.last_job, self.ends), None)
        return None if why is None else f"run {self.run!r} {why}"

    def refusal(self) -> str | None:
        """Why the run should not begin; None where nothing speaks against it."""
        why = self.collision()
        return None if why is None else f"{why}; {OVERRULED}; {STILL_OPEN}"

    def warnings(self) -> Iterator[str]:
        """What ends soon, and what a slow provider could turn into a collision."""
        late = self.ends_at_latest
        if not self.collision() and (why := next(self._collisions(late, late), None)):
            yield f"if every {self.awaited} took as long as is waited for it, the run {why}"
        if self.trains and self._is_near(self.trains.training_end):
            yield self._warning(
                self.trains, self.trains.training_end, "takes no jobs", self.trains_at
            )
        if self.answers and self._is_near(self.answers.shutdown):
            what = "and every fine-tune of it stop answering"
            yield self._warning(self.answers, self.answers.shutdown, what, self.plays_at)

    def _collisions(self, last_job: datetime, ends: datetime) -> Iterator[str]:
        training_end = self.trains and self.trains.training_end
        if training_end and last_job.date() >= training_end:
            yield (
                f"would create its last job on {last_job.date()}, but {self.trains_at!r} takes no "
                f"jobs for {self.model!r} from {training_end} on"
            )
        shutdown = self.answers and self.answers.shutdown
        if shutdown and ends.date() >= shutdown:
            yield (
                f"would end on {ends.date()}, but {self.model!r} and every fine-tune of it stop "
                f"answering at {self.plays_at!r} on {shutdown}"
            )

    def _is_near(self, day: date | None) -> bool:
        return day is not None and day - self.begins.date() < NOTICE

    def _warning(self, life: Lifecycle, day: date | None, what: str, where: str) -> str:
        left = (day - self.begins.date()).days if day else 0
        return f"{self.model} {what} at {where} from {day}, {_days(left)} ({life.source})"


def refuse(config: RunConfig, playing: Profile, training: Profile, now: datetime) -> None:
    """Raise ConfigError where the run would end after its model does."""
    if why := calendar(config, playing, training, now).refusal():
        raise ConfigError(why)


def calendar(
    config: RunConfig,
    playing: Profile,
    training: Profile,
    now: datetime,
    seconds: float | None = None,
    last_job_s: float | None = None,
) -> Calendar:
    """The run's dates. Without the plan's own times, every decision counts as a call."""
    jobs = config.iterations + (config.warm_up is not None)
    jobs_s = [speed_of(config, training).training_s() or 0.0] * jobs
    pace = speed_of(config, playing)
    play_s = _playing_s(config, pace)
    seconds = play_s + sum(jobs_s) if seconds is None else seconds
    last_job_s = seconds - sum(jobs_s[:1]) if last_job_s is None else last_job_s
    patience_s = jobs * config.finetuning.give_up_after_s
    if pace.batch_s is not None:
        patience_s += play_s / pace.batch_s * pace.window_s - play_s
    now = now.astimezone(UTC)
    return Calendar(
        run=config.name,
        model=config.model.base,
        begins=now,
        last_job=now + timedelta(seconds=last_job_s),
        ends=now + timedelta(seconds=seconds),
        ends_at_latest=now + timedelta(seconds=seconds - sum(jobs_s) + patience_s),
        plays_at=playing.name,
        trains_at=training.name,
        answers=playing.lifecycle_of(config.model.base),
        trains=training.lifecycle_of(config.model.base),
        awaited="job" if pace.batch_s is None else "batch and every job",
    )


def _playing_s(config: RunConfig, pace: EndpointSpeed) -> float:
    tested = config.iterations + 1 if config.test_models == "all" else 2
    times: dict[Split, int] = {
        "train": config.iterations,
        "validation": config.iterations + 1,
        "test": tested,
    }
    return sum(
        number
        * (pace.playing_s(preparation.rounds_of(config, split), 0, rounds(config, split)) or 0.0)
        for split, number in times.items()
    )


def rounds(config: RunConfig, split: Split) -> int:
    """The longest horizon: its rounds follow each other."""
    return max(problem.T for problem in preparation.problems_of(config, split))


def _days(number: int) -> str:
    return f"in {number} days" if number > 0 else f"since {-number} days"
