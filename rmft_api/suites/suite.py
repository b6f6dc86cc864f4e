"""A suite file: problems, their wording, and how often they are played."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, PrivateAttr

from rmft_api.config.changes import Change, changed
from rmft_api.config.schema import (
    MeasuresConfig,
    OffPolicyConfig,
    Positive,
    Problem,
    PromptConfig,
    RunConfig,
    SamplingConfig,
    Section,
    Share,
    checked,
    name_of,
    parse,
    read,
)
from rmft_api.core import paths
from rmft_api.core.paths import Origin


class Suite(Section):
    """Scenarios that every player of a comparison meets."""

    name: str
    """The file's name when absent."""
    about: str = ""
    """One sentence for people."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Every scenario and every draw follows from it: equal suites are equal chance."""
    scenarios: Positive = 60
    """M: how many; scenario i is of problem i mod their number."""
    trajectories: Positive = 1
    """L: plays of each, by every model."""
    problems: Annotated[tuple[Problem, ...], Field(min_length=1)]
    """What scenarios are drawn from, as in a run file."""
    prompts: PromptConfig = Field(default_factory=PromptConfig)
    sampling: SamplingConfig = Field(default_factory=SamplingConfig)
    concurrency: Positive = 64
    """Requests under way at once."""
    coalesce: bool = True
    """Ask once with `n` where trajectories' prompts are identical."""
    unreadable: Literal["worst", "end"] = "worst"
    """What a reply that cannot be read costs: this round's worst, or that of all rounds left."""
    min_valid: Share = 0.01
    """Least share of valid replies of a model: with fewer that can be read the evaluation stops
    before more is spent (exit 65); 0 never stops."""
    min_valid_after: Positive = 20
    """Replies before that is first decided, then again at twice as many and so on."""
    baselines: tuple[str, ...] | None = None
    """Known algorithms beside the models; "all": every one that fits; absent: the
    strongest usual ones, at most five."""

    evaluation: MeasuresConfig = Field(default_factory=MeasuresConfig)
    """Measures of one's own, beside those that are known."""
    off_policy: OffPolicyConfig = Field(default_factory=OffPolicyConfig)
    """Where scenarios are drawn from a log: what the models would have earned on its own rows."""

    _folder: Path = PrivateAttr(default_factory=Path.cwd)

    def as_run(self, name: str, budget_usd: float | None) -> RunConfig:
        """The settings of a run that would do nothing but test: what play and plans are made of."""
        raw = {
            "name": name,
            "seed": self.seed,
            "iterations": 1,
            "model": {"base": "of the contest"},
            "prompts": self.prompts,
            "sampling": self.sampling,
            "requests": {"concurrency": self.concurrency},
            "rollouts": {
                "problems": self.problems,
                "coalesce": self.coalesce,
                "unreadable": self.unreadable,
            },
            "test": {
                "scenarios": self.scenarios,
                "trajectories": self.trajectories,
                "min_valid": self.min_valid,
                "min_valid_after": self.min_valid_after,
            },
            "evaluation": self.evaluation,
            "off_policy": self.off_policy,
            "budget_usd": budget_usd,
        }
        return parse(raw, f"suite {self.name!r}", Origin(self._folder))

    def found_in(self, folder: Path) -> Self:
        """The same, whose relative paths start at `folder`."""
        self._folder = folder
        return self


def load_file(path: Path, overrides: Iterable[str | Change] = ()) -> Suite:
    """Read a suite. Raises ConfigError with one line for the first mistake."""
    raw, folder = changed(read(path), overrides), path.absolute().parent
    raw = paths.settled({"name": name_of(path), **raw}, folder, Path.cwd())
    return checked(Suite, raw, source=str(path)).found_in(folder)
