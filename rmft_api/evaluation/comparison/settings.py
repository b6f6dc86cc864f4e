"""What a comparison is: frozen when it begins, and kept in its journal."""

from collections import Counter
from collections.abc import Mapping
from typing import Self

from pydantic import Field, model_validator

from rmft_api.config.schema import ModelConfig, RunConfig, Section


class ComparisonPlayer(Section):
    """One model of a comparison."""

    label: str
    """What it is called in tables."""
    model: str
    """The model's id at its endpoint."""
    profile: str
    """The endpoint that answers for it."""
    server: str | None = None
    """The folder of the embedded server that holds it; absent: one of the comparison's own."""
    engine: tuple[str, ...] = ()
    """How that server is started where it holds an open model; empty: with its own models."""
    trained: Mapping[str, tuple[str, ...]] | None = None
    """Axis -> the values that it was trained on; absent: not known."""


class ComparisonConfig(Section):
    """A comparison."""

    suite: str
    """The suite's name."""
    about: str
    run: RunConfig
    """The suite as the settings of a run that only tests; its name is the comparison's."""
    players: tuple[ComparisonPlayer, ...] = ()
    """In the order given; the first is what the others are compared with."""
    baselines: tuple[str, ...] = Field(default=())
    """Known algorithms on the same scenarios."""

    @model_validator(mode="after")
    def _labels_differ(self) -> Self:
        twice = [label for label, n in Counter(p.label for p in self.players).items() if n > 1]
        if twice:
            raise ValueError(f"{twice[0]!r} is named twice; name every model once")
        if not self.players and not self.baselines:
            raise ValueError("nobody plays; name a model or a baseline")
        return self

    @property
    def name(self) -> str:
        """Of the comparison and its folder."""
        return self.run.name

    def settings(self, player: ComparisonPlayer) -> RunConfig:
        """What one player plays under."""
        model = ModelConfig(base=player.model, profile=player.profile)
        return self.run.model_copy(update={"model": model})
