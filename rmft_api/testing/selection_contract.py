"""What every selection rule of one's own keeps, as tests that a user's own inherits.

    class TestMine(SelectionContract):
        rule = "mine:cost"

Run it with pytest; this module itself needs nothing but the package.
"""

from pathlib import Path

from rmft_api.config.schema import SelectionConfig
from rmft_api.core.records import Address, Regrets, Scored
from rmft_api.selection import ranking

NOT_STEADY = "the cost of a trajectory depends on what was ranked before it"


class SelectionContract:
    """Inherit, name the `rule`, and run pytest."""

    rule: str = ""
    """`module:function`, from a scored trajectory to its cost, lowest first."""
    folder: Path | None = None
    """Where its module lies; absent: the working folder."""

    def test_every_cost_is_a_finite_number(self) -> None:
        """Regrets of any size and sign, rewards of none, replies that were never read."""
        assert len(self._ranked(_scored())) == len(_scored())

    def test_a_cost_depends_on_its_trajectory_alone(self) -> None:
        """A resumed run keeps what an uninterrupted one keeps."""
        alone = [self._ranked([one])[0].cost for one in _scored()]
        assert [one.cost for one in self._ranked(_scored())] == alone, NOT_STEADY

    def _ranked(self, scored: list[Scored]) -> tuple[ranking.Selected, ...]:
        config = SelectionConfig(k=2, rank_by=self.rule, min_valid=0.0)
        return ranking.rank(scored, config, 1, 1, self.folder)


def _scored() -> list[Scored]:
    return [
        Scored(
            address=Address("train", 1, scenario, trajectory),
            kind="pseudo",
            regrets=Regrets(*(float(regret) + form for form in range(6))),
            reward=trajectory / 5,
            pulls=(trajectory, 5 - trajectory),
            valid=trajectory / 5,
        )
        for scenario, regret in enumerate((-3.0, 0.0, 250.0))
        for trajectory in range(6)
    ]
