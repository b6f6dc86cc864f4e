"""From a run's journal to its story. Tells what there is, however early the run stopped."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from rmft_api.config import RunConfig
from rmft_api.journal import Journal
from rmft_api.records import Split
from rmft_api.report import figures, lineage, makeups, players, words
from rmft_api.report.differences import differences
from rmft_api.report.figures import Regrets
from rmft_api.report.groups import Group, groups
from rmft_api.report.story import Makeup, Money, Player, State, Story
from rmft_api.selection import Selected

Visit = Callable[[Group, tuple[Selected, ...]], None]
"""Is shown a group and, in training, the verdicts of selection."""


@dataclass
class _Found:
    """What was seen while the groups went by."""

    players: list[Player] = field(default_factory=list[Player])
    makeups: list[Makeup] = field(default_factory=list[Makeup])
    regrets: dict[Split, dict[int, Regrets]] = field(
        default_factory=dict[Split, dict[int, Regrets]]
    )


def gather(
    config: RunConfig, journal: Journal, state: State, stage: str, visit: Visit = lambda *_: None
) -> Story:
    """The story of a run. `visit` is shown every group on the way, so that each is read once."""
    found = _look(config, journal, visit)
    models = [players.compared(one, found.regrets) for one in found.players]
    champion = players.champion(models)
    tested = found.regrets.get("test", {})
    rivals = dict(players.baseline_plays(config)) if tested else {}
    rival_regrets = {name: figures.regret_by_scenario(plays) for name, plays in rivals.items()}
    everybody = (*models, *(players.of_baseline(*rival) for rival in rivals.items()))
    taken = journal.ledger.totals()
    return Story(
        run=config.name,
        state=state,
        stage=stage,
        made_at=int(time.time() * 1000),
        began_at=journal.run.created,
        headline=words.headline(everybody, champion),
        facts=words.facts(everybody, champion, config.iterations, taken),
        champion=champion,
        warnings=words.warnings(everybody, champion),
        players=everybody,
        differences=differences(
            tested or found.regrets.get("validation", {}), rival_regrets, champion
        ),
        makeups=tuple(found.makeups),
        money=Money(taken.spent, taken.reserved, taken.cap, ()),
        steps=tuple(lineage.steps(journal)),
        origin=lineage.origin(config, journal),
        settings=lineage.settings(journal),
    )


def _look(config: RunConfig, journal: Journal, visit: Visit) -> _Found:
    found = _Found()
    for group in groups(config, journal):
        verdicts = makeups.verdicts(group, journal)
        visit(group, verdicts)
        found.players.append(players.of_group(group))
        if made := makeups.makeup(group, verdicts):
            found.makeups.append(made)
        if group.whole and group.split != "train":
            regrets = figures.regret_by_scenario(group.sittings)
            found.regrets.setdefault(group.split, {})[group.iteration] = regrets
    return found
