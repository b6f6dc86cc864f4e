"""What a profile can say about an endpoint: what it understands, and until when."""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field

from rmft_api.config.schema import Section
from rmft_api.core.answer_forms import way_of
from rmft_api.core.records import AnswerFormat, Method

Seconds = Annotated[float, Field(gt=0)]
Positive = Annotated[float, Field(gt=0)]


class ChatCapabilities(Section):
    """What the chat endpoint understands."""

    n: Annotated[int, Field(ge=1)] = 1
    """Most choices that one request may ask for; 1: `n` is never sent."""
    logprobs: bool = False
    json_answers: Literal["schema", "object", "none"] = "none"
    """What `response_format` takes where prompts.answer = "json": a JSON schema, "json_object", or
    nothing, and then the words alone ask for it."""
    tools: bool = False
    """Tools may be offered, and one demanded by `tool_choice`."""
    form_in_prompt: bool = True
    """What gives an answer's form (a schema, a tool) is charged as a part of the prompt."""
    seed: bool = True
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    prompt_cache_key: bool = False
    """Prompts with the same start can be steered to one cache."""
    cache_from_tokens: Annotated[int, Field(ge=1)] | None = None
    """Prompts of at least so many tokens that begin as an earlier one are charged as cached there;
    None: not known."""
    requests_per_minute: Annotated[int, Field(ge=1)] | None = None
    """The account's limit, for plans; None: not known. The pacer reads it from replies."""
    tokens_per_minute: Annotated[int, Field(ge=1)] | None = None
    check_model: bool = True
    """A reply must come from the model that was asked; some gateways return another name."""
    thoughts: Literal["separate", "fallback", "inline"] = "separate"
    """What a reasoning model says to itself, in a field of its own or in a leading
    `<think>...</think>`. separate: kept in the journal, and no part of the reply. fallback: the
    reply, where no other words come. inline: part of the reply, and of what is trained on."""
    finish_reasons: dict[str, Literal["stop", "length", "content_filter"]] = Field(
        default_factory=dict[str, Literal["stop", "length", "content_filter"]]
    )
    """Further words by which the endpoint ends an answer, and what they mean. A reply that ended
    with any other is no answer."""
    extra: dict[str, Any] = Field(default_factory=dict)
    """Further fields of every request, as the endpoint spells them."""

    def charges(self, answer: AnswerFormat | None) -> AnswerFormat | None:
        """The form whose schema or tool is charged as a part of the prompt; None: there is none."""
        if answer is None or not self.form_in_prompt:
            return None
        sent = self.tools if way_of(answer.form) == "tool" else self.json_answers == "schema"
        return answer if sent else None


class TrainedBase(Section):
    """How one base model can be trained, and who says so."""

    model: str
    """A family: its dated snapshots and their fine-tunes are trained the same way."""
    methods: tuple[Method, ...]
    tokens_per_example: Annotated[int, Field(ge=1)] | None = None
    """Of this model; None: as the endpoint's."""
    job_model: str = ""
    """What a job names instead of the id that answers chats; empty: the same."""
    as_of: date
    source: str


class TrainingCapabilities(Section):
    """What the files and jobs endpoints understand."""

    methods: tuple[Method, ...] = ("supervised",)
    """Of models that `bases` does not name."""
    bases: tuple[TrainedBase, ...] = ()
    """What is known of single models."""
    continue_from_tuned: bool = True
    """A fine-tuned model may be trained further."""
    look_up: Literal["metadata", "token", "scan"] = "scan"
    """What becomes of a job whose creation was not answered: found by a metadata filter, or by its
    training file in the list of all jobs; or, where the endpoint honours an idempotency token, the
    same request is sent again."""
    metadata: bool = True
    """Jobs keep key-value pairs of ours."""
    suffix_length: Annotated[int, Field(ge=0)] = 64
    """Longest suffix; 0: none is sent."""
    suffix_pattern: str = r"[A-Za-z0-9-]*"
    learning_rate: Literal["multiplier", "absolute"] = "multiplier"
    own_rate: Annotated[float, Field(gt=0)] | None = None
    """The absolute rate that a multiplier of 1 stands for, or that is taken where none is asked
    for; None: not stated. Retraining elsewhere keeps the ratio to it."""
    rates: tuple[Positive, Positive] | None = None
    """The least and the largest learning rate that a job takes; None: not known."""
    beta_below: Annotated[float, Field(gt=0)] | None = None
    """A beta of DPO must be smaller; None: not known."""
    most_epochs: Annotated[int, Field(ge=1)] | None = None
    """The most epochs that a job takes; None: not known."""
    reserved: tuple[str, ...] = ()
    """Texts that fail a job wherever an example holds one: such examples are left out."""
    tools: bool = False
    """Training files may hold tool calls and their `tools`, as OpenAI writes them."""
    auto: bool = True
    """A choice that is left to the endpoint is said as "auto"; else it is left out."""
    batch_size: bool = True
    """The batch size may be chosen."""
    bom: bool = False
    """Files begin with a byte order mark."""
    wait_for_file: bool = False
    """A job may be created only from a file that was processed."""
    readiness: Literal["models", "chat"] = "models"
    """How a new model is known to answer: it is listed, or it answers one token."""
    least_examples: Annotated[int, Field(ge=1)] = 10
    tokens_per_example: Annotated[int, Field(ge=1)] | None = None
    """Longer examples are cut silently; None: not known."""
    file_bytes: Annotated[int, Field(ge=1)] | None = None
    """Largest training file; None: not known."""
    quarantine_s: Annotated[float, Field(ge=0)] = 120.0
    """How long a creation that was not answered may still come to light."""
    list_lag_s: Annotated[float, Field(ge=0)] = 10.0
    """How long a new job may be missing from the list."""
    poll_every_s: Seconds = 10.0
    limits_path: str = ""
    """Where the endpoint lists what an organisation may train; read before a run starts."""
    result: Literal["model", "checkpoint"] = "model"
    """What a job that succeeded leaves: a model, or checkpoints alone, of which the last counts."""
    save_every: Annotated[int, Field(ge=1)] | None = None
    """Where the client drives training step by step: how many steps there are between saved states.
    A training run that is lost trains so many again at most, and pays for them. None: the endpoint
    trains by itself."""
    extra: dict[str, Any] = Field(default_factory=dict)
    """Further fields of every job, as the endpoint spells them."""


class BatchCapabilities(Section):
    """What the batches endpoint takes: many chats in one file, answered later for less."""

    window: str = "24h"
    """What is asked for as `completion_window`."""
    window_s: Seconds = 24 * 3600.0
    """The same in seconds: a batch that is not done then has expired."""
    usual_s: Seconds = 1800.0
    """What plans assume that a batch takes; no provider promises less than the window."""
    most_requests: Annotated[int, Field(ge=1)] = 50_000
    most_bytes: Annotated[int, Field(ge=1)] = 200_000_000
    """Of one file."""
    quarantine_s: Annotated[float, Field(ge=0)] = 120.0
    """How long a creation that was not answered may still come to light."""
    poll_every_s: Seconds = 30.0


class DeploymentCapabilities(Section):
    """Where models are deployed that do not answer by themselves (`Profile.deploy`)."""

    base_url: str = ""
    base_url_env: str | None = None
    """Environment variable that replaces `base_url`."""
    api_version: str = ""
    token_env: str = ""
    """Environment variable that may hold an access token, where no other way to one is set up."""
    login_url: str = ""
    """Where a service principal gets its tokens."""
    regions: tuple[str, ...] = ()
    """Where such models can be deployed; empty: everywhere, or not known."""
    sku: str = ""
    base_sku: str = ""
    """Of a model that was not fine-tuned."""
    capacity: Annotated[int, Field(ge=1)] = 100
    """Thousands of tokens a minute; 1 lets about one request a minute through."""
    ready_within_s: Seconds = 3600.0
    """A deployment that does not answer by then is given up."""
    quarantine_s: Annotated[float, Field(ge=0)] = 120.0
    """How long a deployment whose creation was not answered may still come to light."""
    rest_s: Annotated[float, Field(ge=0)] = 20.0
    """How long a name cannot be used again after its deployment was removed."""
    poll_every_s: Seconds = 10.0


class Timeouts(Section):
    """Longest waits for a whole reply, in seconds."""

    connect_s: Seconds = 10.0
    chat_s: Seconds = 120.0
    list_s: Seconds = 30.0
    upload_s: Seconds = 600.0


class Lifecycle(Section):
    """When a model family ends, and who says so."""

    model: str
    """A family: its dated snapshots and their fine-tunes end with it."""
    training_end: date | None = None
    """First day without new jobs."""
    shutdown: date | None = None
    """First day without answers."""
    as_of: date
    source: str
