"""The records of a plan. Money is integer micro-dollars; None is "unknown", never 0."""

from collections.abc import Iterable
from typing import Literal

from rmft_api.core.records import Record
from rmft_api.planning.lifecycle import OVERRULED
from rmft_api.planning.open_model import OpenModel

PhaseName = Literal[
    "warm-up", "rollouts", "training", "validation", "test", "off-policy", "hosting"
]


class Cost(Record, frozen=True):
    """What a part of a run costs."""

    low: int | None
    """If every reply were its bare answer."""
    expected: int | None
    """With replies of the assumed length."""
    worst: int | None
    """The most that the budget can reserve for it, no request being lost."""


class Phase(Record, frozen=True):
    """One step of a run. Token counts are expected values, rounded."""

    iteration: int
    """Where it stands; the base is iteration 0, and -1 before its warm-up."""
    name: PhaseName
    model: int
    """The iteration whose model plays, is trained further, or is hosted; 0: the base, which is -1
    where 0 is the base after its warm-up."""
    calls: int
    prompt_tokens: int
    """As billed, `cached_tokens` among them."""
    cached_tokens: int
    output_tokens: int
    trained_tokens: int | None
    """Tokens of the examples x epochs; None: the epochs are left to the provider."""
    examples: int
    cost: Cost
    seconds: float | None
    """None: nothing is known about it."""


class Savings(Record, frozen=True):
    """What a plan would cost more without them; None: a price is unknown."""

    coalescing: int | None
    """One request with `n` choices in place of n requests."""
    caching: int | None
    """Prompts whose beginning the provider has met before."""


class BatchSavings(Record, frozen=True):
    """What batches are to a run: one file of chats a round, cheaper and later."""

    used: bool
    """Whether the run asks so (`requests.transport`)."""
    saves: int | None
    """Expected micro-dollars that they save, or would; None: a price is unknown."""
    seconds: float
    """Of all playing, at what a batch usually takes."""
    at_most: float
    """Of all playing, if every batch took its whole window."""


class ReplyAssumptions(Record, frozen=True):
    """What a plan assumes of all the replies that are asked for."""

    number: int
    tokens: int
    least: int
    """Tokens, were every reply its bare answer."""


class PriceUsed(Record, frozen=True):
    """A row of the price list, USD per million tokens as decimal text; None: unknown."""

    model: str
    input: str | None
    cached: str | None
    output: str | None
    train: str | None
    hosting_per_hour: str | None
    as_of: str
    source: str
    train_dpo: str | None = None


class RunPlan(Record, frozen=True):
    """What a run will do and cost."""

    run: str
    profile: str
    model: str
    """The base model's id."""
    counted_by: str
    """The vocabulary that tokens were counted with, or what the estimate is made from."""
    count_error: float
    """Relative error of the counts; 0: exact."""
    reply_tokens: int
    """The expected length of a reply."""
    phases: tuple[Phase, ...]
    total: Cost
    saves: Savings
    crash: int | None
    """The most that a crash can waste: requests under way x the dearest of them."""
    budget: int | None
    seconds: float | None
    """Of all phases; None: unknown."""
    begins: str
    ends: str
    """Dates (UTC) of a run that starts now."""
    prices: tuple[PriceUsed, ...]
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]
    refusal: str | None
    """Why such a run does not start without --accept-shutdown."""
    batches: BatchSavings | None = None
    """None where the endpoint has none, or nobody is paid."""
    replies: ReplyAssumptions | None = None
    """None in plans that earlier versions kept."""
    heard: int = 0
    """Real replies of this run that the expected length is the mean of; 0: it is assumed."""
    open_model: OpenModel | None = None
    """What the run's own checkpoint takes; None where it has none, or its shape is not known."""

    def against_it(self) -> tuple[str, ...]:
        """All that speaks against the run, whether or not it starts anyway."""
        refusal = () if self.refusal is None else (self.refusal.partition(f"; {OVERRULED}")[0],)
        return (*refusal, *self.warnings)


def total(costs: Iterable[Cost]) -> Cost:
    """The sum; unknown as soon as one part is."""
    known = list(costs)
    return Cost(
        added(cost.low for cost in known),
        added(cost.expected for cost in known),
        added(cost.worst for cost in known),
    )


def added(parts: Iterable[int | None]) -> int | None:
    """The sum, None where a part is None."""
    whole = 0
    for part in parts:
        if part is None:
            return None
        whole += part
    return whole
