"""What a run would cost otherwise: the settings that change its price, and other endpoints.

Each lever is a change of the run file. Its price is that of a whole plan of the changed file
(`session/alternatives.py` makes them), never an estimate from a formula; the one exception,
evaluations that end early, is an upper bound from the plan's own phases.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from rmft_api.config.schema import RunConfig
from rmft_api.core.records import Record
from rmft_api.planning.plan import Cost, Phase, RunPlan, added, total
from rmft_api.providers.profiles import Profile

EVALUATIONS = ("validation", "test")
PLAYING = ("warm-up", "rollouts", "validation", "test", "off-policy")


class Lever(Record, frozen=True):
    """A change of the run file that changes the price."""

    name: str
    changes: Mapping[str, Any]
    """Dotted keys and their new values; None: a value that the user must choose."""
    effect: str
    """What it changes in the method."""


class CheaperOption(Record, frozen=True):
    """One lever, or several together, with the plan of the changed run file."""

    name: str
    changes: Mapping[str, Any]
    effect: str
    total: Cost
    saves: int | None
    """Expected micro-dollars; None: a price is unknown. Below 0: it costs more."""
    trained_tokens: int | None
    """Of all jobs; None: the epochs are left to the provider."""
    seconds: float | None
    at_most: bool = False
    """Whether `saves` is the most that can be saved: when it ends depends on the results."""
    refusal: str | None = None
    """Why such a run would not begin; None: it would."""


class CheaperPlan(Record, frozen=True):
    """What would make a run cheaper. Nothing is chosen: each option is a change for the user."""

    run: str
    total: Cost
    training: Cost
    """Of all jobs."""
    trained_tokens: int | None
    options: tuple[CheaperOption, ...]
    """The largest savings first."""
    together: CheaperOption | None
    """The levers that save, combined as far as they go together; None where fewer than two do."""
    impossible: tuple[str, ...]
    """Levers that this run cannot use, with the reason."""
    refusal: str | None = None
    """Why the run would not begin as it is; None: it would."""

    @property
    def training_share(self) -> float | None:
        """Of the expected total; None where a price is unknown, or nothing is paid."""
        part, whole = self.training.expected, self.total.expected
        return None if part is None or not whole else part / whole


class EndpointQuote(Record, frozen=True):
    """One run file at one endpoint. Token counts are expected values."""

    profile: str
    model: str
    calls: int
    prompt_tokens: int
    output_tokens: int
    trained_tokens: int | None
    playing: Cost
    hosting: Cost
    training: Cost
    total: Cost
    seconds: float | None
    last_day: str | None
    """The last day on which the endpoint takes jobs for the model; None: no end is known."""
    days_left: int | None
    refusal: str | None
    """Why the run would not begin there; None: it would."""


class EndpointComparison(Record, frozen=True):
    """One run file at several endpoints, the cheapest first."""

    run: str
    quotes: tuple[EndpointQuote, ...]
    impossible: tuple[str, ...]
    """Endpoints where it cannot be planned, with the reason."""


def levers(config: RunConfig, playing: Profile, training: Profile) -> Iterator[Lever]:
    """Those that this run file leaves. Whether they can be planned is found by planning them."""
    yield from _training_levers(config)
    yield from _playing_levers(config, playing)
    if playing.name == training.name and config.selection.k > 1:
        k = config.selection.k // 2
        yield Lever(
            f"keep {k} of {config.rollouts.trajectories}, not {config.selection.k}",
            {"selection.k": k},
            "fewer examples, from lower regret; selection by a small share rewards luck",
        )


def _training_levers(config: RunConfig) -> Iterator[Lever]:
    if config.prompts.conversation == "single_turn":
        yield Lever(
            "growing chats, one example a trajectory",
            {
                "prompts.conversation": "multi_turn",
                "dataset.example": "trajectory",
            },
            "one chat grows over the rounds, the prompt is trained once and not in every round; "
            "the model also sees its own earlier replies",
        )
    elif config.dataset.example == "round":
        yield Lever(
            "one example a trajectory",
            {"dataset.example": "trajectory"},
            "all replies of a chat are learnt at once, the prompt is trained once",
        )
    epochs = config.finetuning.n_epochs
    if isinstance(epochs, int) and epochs > 1:
        yield Lever(
            f"1 epoch, not {epochs}",
            {"finetuning.n_epochs": 1},
            "each example is learnt once: a weaker step in every iteration",
        )


def _playing_levers(config: RunConfig, playing: Profile) -> Iterator[Lever]:
    if playing.batch is not None and config.requests.transport == "direct":
        yield Lever(
            "batches",
            {"requests.transport": "batch"},
            "the same requests, answered within hours: only the time changes",
        )
    if config.test_models == "all" and config.iterations > 1:
        yield Lever(
            "test the base and the champion only",
            {"test_models": "ends"},
            "the curve over iterations is of validation scenarios alone",
        )
    if config.prompts.set == "standard":
        yield Lever(
            "shorter prompts",
            {"prompts.set": "compact"},
            "another wording of the same task: results are not comparable with the set standard",
        )


def early_ends(config: RunConfig, plan: RunPlan) -> CheaperOption | None:
    """Evaluations that stop at their first look; None where none can."""
    changes: dict[str, Any] = {}
    shares: dict[str, float] = {}
    for name in EVALUATIONS:
        section = config.validation if name == "validation" else config.test
        if section.half_width is None and section.first_look < section.scenarios:
            changes[f"{name}.half_width"] = None
            shares[name] = section.first_look / section.scenarios
    if not changes:
        return None
    costs = [_scaled(phase, shares) for phase in plan.phases]
    cost = total(costs)
    return CheaperOption(
        name="evaluations end early",
        changes=changes,
        effect=(
            "a model stops playing once its drop to the base is known to within this width; "
            "intervals are wider, and the base plays all"
        ),
        total=Cost(cost.low, cost.expected, plan.total.worst),
        saves=saved(plan.total, cost),
        trained_tokens=trained(plan),
        seconds=None,
        at_most=True,
    )


def _scaled(phase: Phase, shares: Mapping[str, float]) -> Cost:
    share = shares.get(phase.name, 1.0) if phase.model > 0 else 1.0
    cost = phase.cost
    low, expected = (
        None if one is None else round(one * share) for one in (cost.low, cost.expected)
    )
    return Cost(low, expected, cost.worst)


def saved(before: Cost, after: Cost) -> int | None:
    """Expected micro-dollars; None: a price is unknown."""
    if before.expected is None or after.expected is None:
        return None
    return before.expected - after.expected


def cost_of(plan: RunPlan, *names: str) -> Cost:
    """Of the phases of these names."""
    return total(phase.cost for phase in plan.phases if phase.name in names)


def trained(plan: RunPlan) -> int | None:
    """Tokens of all jobs; None: one leaves its epochs to the provider."""
    return added(phase.trained_tokens for phase in plan.phases)
