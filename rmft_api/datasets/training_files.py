"""The training files of an iteration's jobs, built from the selected trajectories. Pure.

supervised: the kept trajectories as examples. dpo: pairs of a kept and a rejected trajectory.
"""

from collections.abc import Sequence
from typing import NamedTuple

from rmft_api.config.schema import RunConfig
from rmft_api.core.records import Address, Method, Trajectory
from rmft_api.datasets import dataset, preferences
from rmft_api.datasets.dataset import Dataset, Reason
from rmft_api.datasets.preferences import Opposed, Preferences
from rmft_api.datasets.tokens import TokenCounter
from rmft_api.providers.profile import Profile
from rmft_api.selection import ranking
from rmft_api.selection.ranking import Selected

FILES: dict[Method, str] = {"supervised": "dataset.jsonl", "dpo": "preferences.jsonl"}
"""What the training files of an iteration are called in its directory."""


class SelectedPlays(NamedTuple):
    """The trajectories of one iteration that training files are built from."""

    kept: list[Trajectory]
    opposed: list[Opposed]


class TrainingFile(NamedTuple):
    """One job's training file."""

    method: Method
    data: Dataset | Preferences

    @property
    def name(self) -> str:
        """Its name in the iteration's directory."""
        return FILES[self.method]

    @property
    def examples(self) -> int:
        """How many lines it has."""
        data = self.data
        return len(data.pairs) if isinstance(data, Preferences) else len(data.examples)

    def in_words(self) -> str:
        """One line: how many examples or pairs, and the file's hash."""
        data = self.data
        if isinstance(data, Preferences):
            return f"{len(data.pairs)} pairs, sha256 {data.sha256[:12]}"
        played = len({example.source for example in data.examples})
        return f"{len(data.examples)} examples of {played} trajectories, sha256 {data.sha256[:12]}"


def selected_addresses(selected: Sequence[Selected], config: RunConfig) -> set[Address]:
    """The trajectories that `selected_plays` needs, with their texts."""
    kept = {verdict.address for verdict in selected if verdict.kept}
    return kept.union(*_opposed(selected, config))


def selected_plays(
    played: Sequence[Trajectory], selected: Sequence[Selected], config: RunConfig
) -> SelectedPlays:
    """The kept trajectories, and the pairs for preferences."""
    at = {trajectory.address: trajectory for trajectory in played}
    return SelectedPlays(
        kept=[at[verdict.address] for verdict in selected if verdict.kept],
        opposed=[(at[lower], at[higher]) for lower, higher in _opposed(selected, config)],
    )


def _opposed(selected: Sequence[Selected], config: RunConfig) -> list[tuple[Address, Address]]:
    """Pairs of trajectories to compare; none where no method learns from preferences."""
    if "dpo" not in config.finetuning.methods:
        return []
    return list(ranking.opposed(selected, config.finetuning.dpo.rivals))


def build(
    method: Method,
    of: Sequence[SelectedPlays],
    config: RunConfig,
    counter: TokenCounter,
    trains: Profile,
    reason: Reason | None = None,
) -> TrainingFile:
    """The training file of one method from one or several iterations. Raises DataError."""
    limit, traits = trains.tokens_per_example(config.model.base), trains.training
    least = traits.least_examples if traits else dataset.LEAST_EXAMPLES
    how = (config.dataset, config.prompts, counter, limit, least)
    if method == "supervised":
        kept = [one for each in of for one in each.kept]
        reserved = traits.reserved if traits else ()
        return TrainingFile(method, dataset.build(kept, *how, reason, reserved))
    return TrainingFile(
        method, preferences.build([two for each in of for two in each.opposed], *how)
    )
