"""The records that stages hand on. Frozen, closed, and JSON-able by msgspec.

Address -> ChatRequest -> ChatResponse -> Round -> Trajectory -> Scored -> Selected -> Job

msgspec rather than pydantic: these are made thousands of times a second, and msgspec checks types
while it decodes. Configuration, which people write, is pydantic (`schema.py`).
"""

import math
from typing import Annotated, Literal

import msgspec

from rmft_api.core.answer_forms import AnswerForm
from rmft_api.core.serialization import NULL

Split = Literal["train", "validation", "test"]
"""Scenarios to learn from (fresh), to choose the champion by, and that choose nothing (fixed)."""
Role = Literal["system", "user", "assistant"]
RegretKind = Literal["static", "pseudo", "dynamic", "reference"]
Feedback = Literal["bandit", "full"]
Method = Literal["supervised", "dpo"]
"""How a job learns: it imitates answers, or prefers some to others."""
ReplyStatus = Literal["read", "unreadable", "empty", "refused", "cut", "filtered", "lost"]
"""What became of a reply; everything but "read" is the model's result too, and is counted."""

DeploymentState = Literal["pending", "ready", "failed"]
"""As its provider reports it; "ready" is believed only once the model has answered."""


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of all records."""


class Message(Record, frozen=True):
    """One turn of a chat."""

    role: Role
    content: str


class Address(Record, frozen=True):
    """Where a trajectory stands in its run."""

    split: Split
    iteration: int
    scenario: int
    trajectory: int


class Sampling(Record, frozen=True):
    """How replies are drawn."""

    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 256
    stop: tuple[str, ...] = ()


class ChatStats(Record, frozen=True):
    """What is known of a whole chat without reading it again (`chat_stats.py`)."""

    chars: int
    size: int
    """Bytes of UTF-8."""
    digest: bytes
    """16 bytes that no other chat has."""


class VisibleState(Record, frozen=True):
    """What a player may know before one round.

    Only scripted players are sent it. They decide by it, and so can rehearse a run whose words they
    do not understand.
    """

    names: tuple[str, ...]
    output: AnswerForm
    counts: tuple[int, ...]
    """How many rewards of each action were shown."""
    sums: tuple[float, ...]
    """Of those rewards."""
    reasoned: bool = False
    """Whether a reason is asked for before the answer."""
    written: tuple[str, ...] = ()
    """Each action's answer in a form of one's own, as the run writes it; empty: `output` says."""


class AnswerFormat(Record, frozen=True):
    """The form of an answer that is a JSON object or a tool call."""

    form: AnswerForm
    names: tuple[str, ...]
    reasoned: bool


class ChatRequest(Record, frozen=True):
    """One request for `n` replies to the same chat. `key` is its place in the run."""

    key: str
    model: str
    messages: tuple[Message, ...]
    n: int
    seed: int
    sampling: Sampling
    stats: ChatStats | None = None
    """Of `messages`, where somebody kept them."""
    visible_state: VisibleState | None = None
    """For scripted players; None for every model."""
    answer: AnswerFormat | None = None
    """The answer's form for the endpoint; None: the words alone say it."""


class Choice(Record, frozen=True, omit_defaults=True):
    """One of the `n` replies."""

    content: str | None
    finish_reason: str
    refusal: str | None = None
    thoughts: str | None = None
    """What a reasoning model said to itself, kept apart from its reply."""


class Usage(Record, frozen=True):
    """Tokens as billed; `cached_tokens` are part of `prompt_tokens`."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0


class ChatResponse(Record, frozen=True):
    """The response to one `ChatRequest`: exactly `n` choices, in order."""

    id: str
    model: str
    choices: tuple[Choice, ...]
    usage: Usage | None


class Round(Record, frozen=True):
    """One decision: what was shown, what came back, what was done, what it earned."""

    prompt: tuple[Message, ...]
    """The messages new in this round (all of them when every round is a chat of its own)."""
    reply: str
    status: ReplyStatus
    action: int | None
    """The executed action, None when the reply could not be read."""
    policy: tuple[float, ...] | None
    """The distribution acted from: K probabilities; one-hot for a plain action."""
    rewards: tuple[float, ...]
    """The K rewards of this round, shown or not; an adversary's answer to uniform play where the
    reply could not be read. With state only the executed action's is known, the others stand at the
    least that a round pays."""


class Trajectory(Record, frozen=True):
    """One play of a scenario by one model."""

    address: Address
    model: str
    names: tuple[str, ...]
    """The K action names that the model was shown, in order."""
    rounds: tuple[Round, ...]


class Regrets(Record, frozen=True):
    """Every form of regret of one trajectory (docs/method.md 2), summed over its T rounds."""

    static_expected: float
    static_realised: float
    pseudo: float
    realised: float
    hindsight: float
    dynamic: float


class Scored(Record, frozen=True):
    """A trajectory's figures, all that ranking needs."""

    address: Address
    kind: RegretKind
    regrets: Regrets
    reward: float
    """Mean reward per round."""
    pulls: tuple[int, ...]
    """How often each of the K actions was executed."""
    valid: float
    """Share of rounds whose reply could be read."""

    @property
    def regret(self) -> float:
        """The expected form of the scenario's own kind: the headline figure."""
        return {
            "static": self.regrets.static_expected,
            "pseudo": self.regrets.pseudo,
            "dynamic": self.regrets.dynamic,
            "reference": self.regrets.dynamic,
        }[self.kind]


class ExampleMessage(Record, frozen=True, omit_defaults=True):
    """A turn of a training chat; `weight` 0 keeps an assistant turn out of the loss."""

    role: Role
    content: str
    weight: Literal[0, 1] | None = None


class Example(Record, frozen=True):
    """One line of a dataset, and the trajectory rounds that its labels come from."""

    messages: tuple[ExampleMessage, ...]
    source: Address
    rounds: tuple[int, ...]
    """The rounds (from 0) whose replies are trained on."""
    answer: AnswerFormat | None = None
    """Of answers that are tool calls; None: the line holds texts alone."""


class Hyperparameters(Record, frozen=True):
    """What a fine-tuning job is asked for; None leaves the choice to the provider."""

    n_epochs: int | None = None
    batch_size: int | None = None
    learning_rate_multiplier: float | None = None
    learning_rate: float | None = None
    """Absolute, for providers that take no multiplier."""
    beta: float | None = None
    """DPO only."""


class JobOrder(Record, frozen=True):
    """Everything a fine-tuning job is created from. `key` names it to us permanently."""

    key: str
    model: str
    training_file: str
    method: Method
    hyperparameters: Hyperparameters
    seed: int
    suffix: str
    metadata: dict[str, str]


class UploadedFile(Record, frozen=True):
    """A file that the provider holds."""

    id: str
    filename: str
    bytes: int
    status: str = "processed"
    detail: str = ""
    """Why it cannot be processed, in the provider's words."""


class Job(Record, frozen=True):
    """A fine-tuning job as its provider reports it. An unknown `status` is not final."""

    id: str
    status: str
    model: str
    training_file: str
    created_at: int
    fine_tuned_model: str | None = None
    trained_tokens: int | None = None
    error: str | None = None
    metadata: dict[str, str] = {}


class BatchOrder(Record, frozen=True):
    """Everything a batch of chats is created from. `key` names it to us permanently."""

    key: str
    input_file: str
    window: str
    """How long the provider may take, e.g. "24h"."""
    metadata: dict[str, str]


class Batch(Record, frozen=True):
    """A batch as its provider reports it. `status` is open: an unknown one is not final."""

    id: str
    status: str
    input_file: str
    created_at: int
    output_file: str | None = None
    """Holds the answers, once there are any."""
    error_file: str | None = None
    """Holds what became of the requests without an answer."""
    total: int = 0
    completed: int = 0
    errors: str | None = None
    """Why the whole batch was refused."""
    metadata: dict[str, str] = {}


class BatchAnswer(Record, frozen=True):
    """What became of one request of a batch. `status` 0: it was not carried out."""

    key: str
    """The request's own name."""
    status: int
    body: bytes
    error: str = ""


class JobEvent(Record, frozen=True):
    """A line of a job's log; `metrics` holds the numbers of a training step."""

    id: str
    created_at: int
    level: str
    message: str
    metrics: dict[str, float] = {}


class Checkpoint(Record, frozen=True):
    """A model saved while a job ran."""

    id: str
    model: str
    step: int


class DeploymentOrder(Record, frozen=True):
    """What a deployment is made from. `name` names it to us and to its provider permanently."""

    name: str
    model: str
    run: str
    key: str
    """The run's own mark: no other run has it, not even one of the same name."""


class Deployment(Record, frozen=True):
    """A model that its provider makes answer."""

    name: str
    target: str
    """What requests name to reach it."""
    model: str
    state: DeploymentState
    run: str = ""
    key: str = ""
    created: str = ""
    detail: str = ""
    """Why it failed, in the provider's words."""


class Interval(Record, frozen=True):
    """A mean with its 95 % confidence interval; its ends are infinite where too few values say."""

    mean: float
    low: Annotated[float, msgspec.Meta(extra={NULL: -math.inf})]
    high: Annotated[float, msgspec.Meta(extra={NULL: math.inf})]

    def __str__(self) -> str:
        """As `2.31 [1.87, 2.75]`, or `2.31 (too few)`."""
        if not self.known:
            return f"{self.mean:.2f} (too few)"
        return f"{self.mean:.2f} [{self.low:.2f}, {self.high:.2f}]"

    @property
    def known(self) -> bool:
        """Whether it has two finite ends."""
        return math.isfinite(self.low) and math.isfinite(self.high)
