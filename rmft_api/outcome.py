"""The outcome of a run, finished or not, from its journal alone."""

from rmft_api import evaluation, seating
from rmft_api.config import RunConfig
from rmft_api.errors import UsageError
from rmft_api.evaluation import Champion, Course, Evaluated, Figures, Performance, Results
from rmft_api.journal import Journal
from rmft_api.records import Split


def results(config: RunConfig, journal: Journal) -> Results:
    """Every model evaluated so far, the baselines beside them, and the champion.

    Raises UsageError before the base has been evaluated: there is nothing to tell yet.
    """
    validation = _figures(config, journal, "validation")
    test = _figures(config, journal, "test")
    if not validation:
        raise UsageError(
            f"run {config.name!r} has evaluated no model yet; "
            f"`rmft-api resume {config.name}` goes on"
        )
    models = _models(journal)
    return Results(
        run=config.name,
        iterations=tuple(
            Evaluated(index, models[index], figures, test.get(index))
            for index, figures in validation.items()
        ),
        baselines=_baselines(config),
        champion=champion(config, journal),
    )


def champion(config: RunConfig, journal: Journal) -> Champion:
    """The model with the least mean validation regret so far; the earlier one wins a tie."""
    performances = _performances(config, journal, "validation")
    index = min(performances, key=lambda i: (float(performances[i].regret_M.mean()), i))
    return Champion(index, _models(journal)[index])


def told(config: RunConfig, journal: Journal, index: int) -> str:
    """One line on how the model of iteration `index` did in validation."""
    figures = _figures(config, journal, "validation")[index]
    drop = figures.paired_drop
    return (
        f"iteration {index}: validation regret {figures.regret.mean:.2f}"
        + (f", {abs(drop.mean):.2f} {_side(drop.mean)} the base" if drop else " (the base)")
        + f"; {figures.valid:.1%} of replies valid"
    )


def _side(drop: float) -> str:
    return "below" if drop >= 0 else "above"


def course(config: RunConfig, split: Split) -> Course:
    """The held-out scenarios of a split."""
    return Course(
        scenarios=tuple(seating.scenarios(config, split, 0)),
        problems=seating.problems_of(config, split),
    )


def _models(journal: Journal) -> dict[int, str]:
    return {int(key): model for key, model in journal.all("model", str)}


def _figures(config: RunConfig, journal: Journal, split: Split) -> dict[int, Figures]:
    held = course(config, split)
    performances = _performances(config, journal, split)
    base = performances.get(0)
    return {
        index: evaluation.figures(held, one, base if index else None)
        for index, one in performances.items()
    }


def _performances(config: RunConfig, journal: Journal, split: Split) -> dict[int, Performance]:
    """Index -> performance of every model that has played the whole split."""
    held = course(config, split)
    whole = seating.section_of(config, split)
    found: dict[int, Performance] = {}
    for index in _models(journal):
        played = [trajectory for trajectory, _ in journal.trajectories(split, index)]
        if len(played) == whole.scenarios * whole.trajectories:
            found[index] = evaluation.of_trajectories(held, played)
    return found


def _baselines(config: RunConfig) -> dict[str, Figures]:
    held = course(config, "test")
    return {
        name: evaluation.figures(held, evaluation.of_baseline(held, name, config.seed), None)
        for name in evaluation.rivals(held)
    }
