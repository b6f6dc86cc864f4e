"""The run file: one closed, frozen model. Keys and secrets never stand in it.

`load` reads TOML, applies `--set key=value`, and turns every mistake into one ConfigError line that
names the key, its value and the nearest known key.
"""

import math
import tomllib
import warnings
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, time
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from rmft_api.config import renamed_keys
from rmft_api.config.changes import Change, changed
from rmft_api.config.validation_errors import first_mistake, unreadable
from rmft_api.core import paths
from rmft_api.core.answer_forms import WAYS, AnswerForm, form_of
from rmft_api.core.errors import ConfigError
from rmft_api.core.names import A_NAME, RUN_NAME, as_run_name
from rmft_api.core.paths import Origin
from rmft_api.core.records import Method, Split

Whole = Annotated[int, Field(strict=True)]
Positive = Annotated[int, Field(ge=1, strict=True)]
Scenarios = Annotated[int, Field(ge=1, le=100_000, strict=True)]
Trajectories = Annotated[int, Field(ge=1, le=10_000, strict=True)]
Share = Annotated[float, Field(ge=0, le=1)]


MOST_ACTIONS, MOST_ROUNDS = 1_000, 10_000
"""Of a problem: more is a slip of the hand, and would only end in a machine without memory."""
MOST_EXAMPLES = 64
"""Worked rounds before the first one."""


OWN = r"^[\w.-]+(:\w+)?$"
"""A word that is known, `module:name` of one's own, or the name of an entry point."""


class Section(BaseModel):
    """Base of all sections: unknown keys are refused, and floats must be finite."""

    # Not `use_attribute_docstrings`: it reads this file's source at every start of the program.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


S = TypeVar("S", bound=Section)


Alternatives = Whole | tuple[Whole, ...]


def _kept_as_written(options: dict[str, Any]) -> dict[str, Any]:
    """Refuse what the journal's JSON cannot hold: the run would continue with another value."""
    for key, value in options.items():
        for one in _innermost(value):
            if isinstance(one, float) and not math.isfinite(one):
                raise ValueError(
                    f"{key} = {one} is not a finite number; write one, or leave it out"
                )
            if isinstance(one, date | time):
                raise ValueError(f'{key} = {one} is a date; write it as text, "{one}"')
    return options


def _innermost(value: Any) -> Iterator[Any]:
    """The value itself, or all that its lists and tables hold."""
    inside: Iterable[Any] = ()
    if isinstance(value, Mapping):
        inside = cast("Mapping[str, Any]", value).values()
    elif isinstance(value, list | tuple):
        inside = cast("list[Any]", value)
    else:
        yield value
    for one in inside:
        yield from _innermost(one)


Options = Annotated[dict[str, Any], AfterValidator(_kept_as_written)]


class Problem(Section):
    """One kind of decision problem. List-valued fields are alternatives: all combinations are used.

    `options` reach the environment as they stand; which it knows, its own class says.
    """

    environment: str
    """A name from `rmft_api.environments`, or of an installed entry point."""
    K: Alternatives = 3
    """Number of actions."""
    T: Alternatives = 25
    """Horizon: rounds per trajectory."""
    options: Options = Field(default_factory=dict)
    """Further settings of the environment, e.g. `reward = ["bernoulli", "gaussian"]`."""
    story: Annotated[str | tuple[str, ...], Field(min_length=1)] | None = None
    """Real-world stories in place of prompts.story, dealt out evenly over scenarios: a name
    (`medicine/hay-fever`), a domain (`medicine`), `all`, a `.toml` file or a `module:NAME` of
    yours, or several."""

    @model_validator(mode="after")
    def _there_is_something_to_decide(self) -> Self:
        if () in (self.K, self.T):
            raise ValueError(f"K={self.K}, T={self.T}: an empty list has nothing to draw from")
        for K in many(self.K):
            if not 2 <= K <= MOST_ACTIONS:
                raise ValueError(f"K={K} leaves nothing to decide; use 2 <= K <= {MOST_ACTIONS}")
        for T in many(self.T):
            if not 1 <= T <= MOST_ROUNDS:
                raise ValueError(f"T={T} cannot be played; use 1 <= T <= {MOST_ROUNDS}")
        return self


class ModelConfig(Section):
    """Which model is played and trained, and where."""

    base: str
    """The base model's id at its provider; `run:NAME` or `run:NAME@3`: the champion, or the model
    of an iteration, of another run whose own server trained it."""
    profile: str = "local"
    """The endpoint that answers chats (`rmft-api profiles` lists profiles)."""
    training_profile: str | None = None
    """The endpoint that trains; the same one when absent."""
    checkpoint: str | None = None
    """Profile local: an open model instead of the built-in ones, as a folder in Hugging Face's
    format, a GGUF file or an id at the hub. The run's own server serves and trains it under the
    name `base`."""
    engine: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """Settings of an open model, e.g. `lora_rank = 8` (all of them: docs/guide.md)."""
    accelerator: str | None = None
    """The card to plan an open model's time and memory with, e.g. `a100-80gb`. It changes nothing
    but the plan."""
    from_run: str | None = None
    """Written where `base` names a run, never by hand: the run and iteration that `base` is of."""

    @property
    def served_base(self) -> str:
        """What this machine's server calls the base at the root of `base`."""
        return (
            self.base.split(":")[1] if self.from_run and self.base.startswith("ft:") else self.base
        )


class PromptConfig(Section):
    """What the model is shown (docs/method.md 7). Every word stands in template files."""

    set: str = "standard"
    """A folder of `prompts/`, or a path to one of your own."""
    story: str | tuple[str, ...] = "buttons"
    """The story; several are given out evenly over scenarios."""
    framing: str = "neutral"
    """A file of the set's `framings/`: neutral, or suggestive (it says that exploring pays)."""
    stakes: Literal["reward", "loss"] = "reward"
    """loss: every number is shown as a loss, 1 - reward, to be kept small. Regret is the same."""
    history: str = "summary"
    """A folder of the set's `histories/`: summary (counts and means) or raw (every round)."""
    conversation: Literal["single_turn", "multi_turn"] = "single_turn"
    """single_turn: every round is a chat of its own that shows the history so far.
    multi_turn: one chat grows; each round adds what is new."""
    reasoning: Literal["none", "free", "reinforced"] = "free"
    """What is asked for before the answer: nothing, reasoning, or reasoning in every round."""
    output: Literal["action", "distribution", "policy"] = "action"
    """The answer: one action, a weight for each action, or a probability for each as JSON."""
    answer: Annotated[str, Field(pattern=OWN)] = "tag"
    """How it is written: tag (between `<Answer>` tags), json (an object; the endpoint is sent its
    schema where its profile says `chat.json`), tool (the call of a tool, `chat.tools`), or a form
    of your own: `module:Class`, or an entry point of `rmft_api.answers`."""
    reasons: Literal["own", "template"] = "own"
    """What is learnt of a reply's reasoning: the player's own words, or the hand-written
    `reasons.md` of the set in their place (docs/method.md 1). A teacher has no words of its own."""
    repeat_reason: bool = False
    """Show the model its own last reason, so that one line of thought lasts a trajectory."""
    name_order: Literal["fixed", "trajectory", "round"] = "fixed"
    """In which order the actions are shown: always the same, or another one for every trajectory or
    round, so that a liking for the first or the last one averages out. The same for every model."""
    examples: Annotated[int, Field(ge=0, le=MOST_EXAMPLES, strict=True)] | None = None
    """Few-shot: so many worked rounds stand before the first one, as turns of the chat. Absent:
    none, or every line of `examples_file`."""
    examples_player: Literal["greedy", "random"] = "greedy"
    """Who plays them, on made-up rewards that no split has: greedy (each action once, then the best
    mean) shows the form and a way to play, random the form alone."""
    examples_file: str | None = None
    """Worked rounds of your own in their place: a JSONL file, a line a round,
    `{"messages": [{"role": "user", ...}, {"role": "assistant", ...}]}`."""

    @property
    def answer_form(self) -> AnswerForm:
        """What replies are read as."""
        return form_of(self.output, self.answer)

    @model_validator(mode="after")
    def _an_own_form_names_an_action(self) -> Self:
        if self.answer not in WAYS and self.output != "action":
            raise ValueError(
                f"answer={self.answer!r} names one action; set output='action', or answer to one "
                f"of {', '.join(WAYS)}"
            )
        return self

    @model_validator(mode="after")
    def _the_order_can_vary(self) -> Self:
        if self.name_order != "fixed" and self.output == "policy":
            raise ValueError(
                f"name_order={self.name_order!r} does not go with output='policy', whose "
                "probabilities have no names; use output='distribution'"
            )
        if self.name_order == "round" and self.conversation == "multi_turn":
            raise ValueError(
                "name_order='round' does not go with conversation='multi_turn', where the names "
                "were shown once; use name_order='trajectory'"
            )
        return self

    @model_validator(mode="after")
    def _examples_are_shown(self) -> Self:
        if self.examples == 0 and self.examples_file is not None:
            raise ValueError(
                "examples=0 shows none of examples_file; leave one of them out of [prompts]"
            )
        return self


class SamplingConfig(Section):
    """How replies are drawn."""

    temperature: Annotated[float, Field(ge=0, le=2)] = 1.0
    """0: the most probable reply; higher: more varied ones."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Sample only from the most probable tokens that together have this probability."""
    max_tokens: Positive = 256
    """Longest reply."""


class ScenarioConfig(Section):
    """A set of scenarios to play."""

    scenarios: Scenarios = 24
    """M: how many."""
    trajectories: Trajectories = 1
    """L: plays of each."""
    problems: tuple[Problem, ...] = ()
    """What to draw scenarios from, evenly; empty: the training problems."""
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    """Of these plays; absent: sampling.temperature."""
    min_valid: Share = 0.01
    """Least share of valid replies: with fewer that can be read the run stops before more is spent
    (exit 65). The default stops where none of the first ones can be; 0 never stops."""
    min_valid_after: Positive = 20
    """Replies before that is first decided, then again at twice as many and so on, and at the end
    of a split."""


class RolloutConfig(ScenarioConfig):
    """The scenarios to learn from: M fresh ones each iteration, L trajectories each."""

    trajectories: Trajectories = 16
    coalesce: bool = True
    """Ask once with `n` for trajectories whose prompts are identical, where that is possible."""
    unreadable: Literal["worst", "end"] = "worst"
    """What a reply that cannot be read costs: the worst action's regret for this round (worst),
    or for all rounds left (end)."""
    seed_block: Positive = 1
    """Rounds in a row that share one sampling seed (numeric models: noise held constant)."""
    cooling: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The temperature is multiplied by this after every iteration: exploration that calms down."""


class RequestConfig(Section):
    """How chats are sent, in every split."""

    concurrency: Positive = 64
    """Most requests in flight at once."""
    transport: Literal["direct", "batch"] = "direct"
    """direct: each chat is a request of its own, sent at once. batch: one file of chats a round, at
    half the price where the provider offers that, and hours slower."""


class EvaluationConfig(ScenarioConfig):
    """Held-out scenarios, the same for every model."""

    half_width: Annotated[float, Field(gt=0)] | None = None
    """Stop playing once the interval of the paired drop to the base is this narrow on either side
    (docs/method.md 5); absent: play them all. The base always plays them all."""
    first_look: Annotated[int, Field(ge=2)] = 24
    """Scenarios before the first look; the next ones are at twice as many, and so on."""


class ValidationConfig(EvaluationConfig):
    """The scenarios that choose the champion."""

    scenarios: Scenarios = 48
    """M: how many."""


class TestConfig(EvaluationConfig):
    """The scenarios that choose nothing and are reported."""

    scenarios: Scenarios = 96
    """M: how many."""
    baselines: tuple[str, ...] | None = None
    """Algorithms beside the models: a name (docs/method.md 6), `module:Class` of your own, or an
    entry point of `rmft_api.baselines`; "all": every one that fits; absent: the strongest usual
    ones for the problems, at most five."""


class GateConfig(Section):
    """What is decided after each iteration (docs/method.md 5).

    By validation regret, the champion so far against the new model.
    """

    stop_after: Positive | None = None
    """End the run after so many iterations in a row without a gain; absent: never."""
    gain: Annotated[float, Field(ge=0)] = 0.0
    """A mean drop up to this is no gain."""
    fall_back: bool = False
    """Where the new model is surely worse, the next iteration starts from the champion. Wrong in at
    most 5 % of runs in which nothing changes."""


class SelectionConfig(Section):
    """Which trajectories are learnt from (docs/method.md 3)."""

    k: Positive = 4
    """Kept per scenario."""
    rank_by: Annotated[str, Field(pattern=OWN)] = "regret"
    """regret, reward, random, or a rule of yours, from a scored trajectory to its cost, lowest
    first: `module:function`, or an entry point of `rmft_api.selection_rules`."""
    regret_form: Literal["expected", "realised"] = "expected"
    scope: Literal["scenario", "global"] = "scenario"
    """global ranks all scenarios together: for the record only, it picks easy problems."""
    min_pulls: Annotated[int, Field(ge=0)] = 0
    """Exploration floor: every action at least this often, or the trajectory is not ranked."""
    min_valid: Share = 1.0
    """Least share of readable replies in a kept trajectory."""


class DatasetConfig(Section):
    """What a kept trajectory becomes."""

    example: Literal["round", "trajectory"] = "round"
    content: Literal["full", "action"] = "full"
    """full: reasoning and action; action: the answer alone."""
    tokens_per_example: Positive | None = None
    """Refuse longer ones (providers cut them silently); absent: the profile's limit."""


class DpoConfig(Section):
    """Direct preference optimisation: low regret against high regret, where both met one chat."""

    beta: Annotated[float, Field(gt=0, le=2)] | None = 0.1
    """How strongly the model holds on to the one it starts from; absent: the provider's choice."""
    rivals: Positive = 4
    """Each kept trajectory is set against so many of its scenario's highest regrets."""
    n_epochs: Positive | None = 1
    batch_size: Positive | None = None
    learning_rate_multiplier: Annotated[float, Field(gt=0)] | None = None
    learning_rate: Annotated[float, Field(gt=0, lt=1)] | None = None


class FineTuningConfig(Section):
    """How the next model is made."""

    method: Literal["supervised", "dpo", "supervised-then-dpo"] = "supervised"
    """supervised: imitate the kept; dpo: prefer them to the highest regrets; or one job of each."""
    chain: Literal["continue", "from_base"] = "continue"
    """continue: train the last model on the new dataset; from_base: the base on all so far."""
    n_epochs: Positive | None = 3
    batch_size: Positive | None = None
    learning_rate_multiplier: Annotated[float, Field(gt=0)] | None = None
    """For providers that scale a rate of their own."""
    learning_rate: Annotated[float, Field(gt=0, lt=1)] | None = None
    """For providers that take an absolute rate."""
    suffix: Annotated[str, Field(max_length=18, pattern=r"^[A-Za-z0-9-]*$")] = ""
    poll_every_s: Annotated[float, Field(gt=0)] = 10.0
    give_up_after_s: Annotated[float, Field(gt=0)] = 24 * 3600.0
    dpo: DpoConfig = Field(default_factory=DpoConfig)

    @property
    def methods(self) -> tuple[Method, ...]:
        """The jobs of one iteration, in order; each continues from the one before."""
        if self.method == "supervised-then-dpo":
            return ("supervised", "dpo")
        return (self.method,)


class WarmUpConfig(Section):
    """Before iteration 1, one job teaches the base the FORM of an answer (docs/method.md 1).

    Its examples are balanced random play: no request is sent for it, and no skill is in it.
    """

    scenarios: Scenarios = 20
    """M: how many scenarios are played."""
    trajectories: Trajectories = 1
    """L: plays of each. All of them are learnt from."""
    problems: tuple[Problem, ...] = ()
    """What to draw scenarios from, evenly; empty: the training problems."""
    n_epochs: Positive | None = None
    """Passes over the examples; absent: as finetuning.n_epochs."""
    batch_size: Positive | None = None
    """Absent: as finetuning.batch_size."""
    learning_rate_multiplier: Annotated[float, Field(gt=0)] | None = None
    """With neither rate here, both are as in [finetuning]."""
    learning_rate: Annotated[float, Field(gt=0, lt=1)] | None = None
    """An absolute rate, for providers that take one."""


def _switched(value: Any) -> Any:
    """`warm_up = true` is the table with its defaults, `false` is no warm-up (for `--set`)."""
    if isinstance(value, bool):
        return {} if value else None
    return value


class MeasuresConfig(Section):
    """What is measured of held-out plays beside regret (docs/method.md 3)."""

    measures: tuple[Annotated[str, Field(pattern=OWN)], ...] = ()
    """Measures of yours, from a play to a number: `module:function`, or an entry point of
    `rmft_api.measures`. Shown with their intervals for every model and baseline."""


class OffPolicyConfig(Section):
    """The value of the models on held-out rows of a log (environment logs; docs/method.md 5)."""

    rows: Annotated[int, Field(ge=0, le=100_000, strict=True)] = 1000
    """Most held-out rows that the base and the champion are asked about; 0: neither is asked."""
    histories: Annotated[int, Field(ge=1, le=1000, strict=True)] = 8
    """Different histories, T - 1 training rows each, that the rows are asked after."""
    samples: Annotated[int, Field(ge=1, le=1000, strict=True)] = 4
    """Replies for each row. Rows with the same chat share theirs, at most 64."""


class TrackingConfig(Section):
    """Where the figures of every iteration are copied to. Keys stand in the environment only."""

    to: Literal["mlflow", "wandb"] | None = None
    """Nowhere, MLflow (`[mlflow]` extra), or Weights & Biases (`[wandb]` extra)."""
    project: Annotated[str, Field(min_length=1)] = "rmft-api"
    """MLflow's experiment, W&B's project."""
    uri: str | None = None
    """MLflow's tracking store; absent: as MLflow's own environment variables say."""


class TeacherConfig(Section):
    """A known algorithm whose play is learnt from, in the place of the model's own."""

    algorithm: str
    """A baseline (docs/method.md 6), such as ucb1, thompson, hedge, or `module:Class` of yours."""
    options: dict[str, float] = Field(default_factory=dict)
    """The algorithm's own numbers."""


class ReplayFile(Section):
    """A training file of the run that is replayed."""

    method: Method
    sha256: str
    examples: Positive
    tokens: Positive
    """As counted for the model that it is replayed on."""


class ReplayStep(Section):
    """An iteration of the run that is replayed."""

    start: Annotated[int, Field(ge=0)]
    """The iteration whose model it starts from."""
    lessons: tuple[ReplayFile, ...]


class ReplayConfig(Section):
    """The chain that is trained again."""

    run: str
    steps: tuple[ReplayStep, ...]
    warm_up: tuple[ReplayFile, ...] = ()
    """The training file of its warm-up, where it had one."""


class RunConfig(Section):
    """A run: one chain of iterations."""

    name: str
    """Of the run and its directory; the file's name when absent."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Every draw of the run follows from it."""
    iterations: Positive = 3
    """Rounds of play, selection and fine-tuning."""
    model: ModelConfig
    prompts: PromptConfig = Field(default_factory=PromptConfig)
    sampling: SamplingConfig = Field(default_factory=SamplingConfig)
    requests: RequestConfig = Field(default_factory=RequestConfig)
    rollouts: RolloutConfig
    selection: SelectionConfig = Field(default_factory=SelectionConfig)
    dataset: DatasetConfig = Field(default_factory=DatasetConfig)
    finetuning: FineTuningConfig = Field(default_factory=FineTuningConfig)
    gate: GateConfig = Field(default_factory=GateConfig)
    validation: ValidationConfig = Field(default_factory=ValidationConfig)
    """Chooses the champion."""
    test: TestConfig = Field(default_factory=TestConfig)
    """Chooses nothing: the figures that are reported."""
    test_models: Literal["all", "ends"] = "all"
    """Who plays the test scenarios: every iteration's model, or the base and the champion only."""
    evaluation: MeasuresConfig = Field(default_factory=MeasuresConfig)
    """Measures of your own."""
    off_policy: OffPolicyConfig = Field(default_factory=OffPolicyConfig)
    """Where scenarios are drawn from a log: what the models would have earned on its own rows."""
    tracking: TrackingConfig = Field(default_factory=TrackingConfig)
    budget_usd: Annotated[float, Field(ge=0)] | None = None
    """Never spend more; needed wherever a price is not zero."""
    iteration_budget_usd: Annotated[float, Field(ge=0)] | None = None
    """Never spend more in any one iteration; iteration 0 is the base's evaluation."""

    warm_up: Annotated[WarmUpConfig | None, BeforeValidator(_switched)] = None
    """Teach the form of an answer before iteration 1; the model after it is iteration 0. Absent or
    false: no warm-up."""
    teacher: TeacherConfig | None = None
    """Who plays to learn from; absent: the model itself."""
    replay: ReplayConfig | None = None
    """Written by `rmft-api retrain`, never by hand: the chain of another run to train again."""
    _origin: Origin = PrivateAttr(default_factory=lambda: Origin(Path.cwd()))

    @model_validator(mode="after")
    def _comes_from(self, info: ValidationInfo) -> Self:
        if isinstance(info.context, Origin):
            self._origin = info.context
        return self

    @model_validator(mode="after")
    def _the_parts_fit(self) -> Self:
        if self.replay is not None and len(self.replay.steps) != self.iterations:
            raise ValueError(f"replay.steps are {len(self.replay.steps)}, not {self.iterations}")
        if not RUN_NAME.match(self.name):
            raise ValueError(f"name={self.name!r} is not a valid run name; names have {A_NAME}")
        if not self.rollouts.problems:
            raise ValueError("rollouts.problems is empty; name at least one environment")
        if self.selection.k >= self.rollouts.trajectories:
            raise ValueError(
                f"selection.k={self.selection.k} must be below "
                f"rollouts.trajectories={self.rollouts.trajectories}: keeping all selects nothing"
            )
        if self.dataset.example == "trajectory" and self.prompts.conversation == "single_turn":
            raise ValueError(
                "dataset.example='trajectory' needs prompts.conversation='multi_turn': "
                "single-turn rounds are chats of their own"
            )
        return self

    @property
    def origin(self) -> Origin:
        """Where relative paths start and by which rules scenarios are drawn; no part of `==`."""
        return self._origin

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RunConfig) and self.model_dump() == other.model_dump()

    def temperature(self, split: Split, iteration: int) -> float:
        """What replies are drawn at: `iteration` counts from 1 where it is played to learn from."""
        section = {"train": self.rollouts, "validation": self.validation, "test": self.test}[split]
        own = self.sampling.temperature if section.temperature is None else section.temperature
        return own * self.rollouts.cooling ** (iteration - 1) if split == "train" else own

    @property
    def stories(self) -> tuple[str, ...]:
        """Every context that a problem names, once."""
        sections = (self.rollouts, self.validation, self.test, self.warm_up)
        problems = (problem for one in sections if one for problem in one.problems)
        named = (problem.story for problem in problems if problem.story is not None)
        return tuple(dict.fromkeys(word for words in named for word in as_words(words)))

    def problems_of(self, section: ScenarioConfig) -> tuple[Problem, ...]:
        """The section's problems, the training problems where it names none."""
        return section.problems or self.rollouts.problems


def as_words(value: str | tuple[str, ...]) -> tuple[str, ...]:
    """One word or several, as several."""
    return (value,) if isinstance(value, str) else value


def read(path: Path) -> dict[str, Any]:
    """A run file as it stands, unchecked. Raises ConfigError where it is no TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(f"no file {str(path)!r}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(unreadable(path, error)) from error


def load(path: Path, overrides: Iterable[str | Change] = ()) -> RunConfig:
    """Read a run file, changed. Raises ConfigError with one line for the first mistake."""
    raw, folder = changed(read(path), overrides), path.absolute().parent
    raw = paths.settled({"name": name_of(path), **raw}, folder, Path.cwd())
    return parse(raw, source=str(path), origin=Origin(folder))


def parse(raw: Mapping[str, Any], source: str, origin: Origin | None = None) -> RunConfig:
    """Check a run description; without an `origin`, of the working folder. Raises ConfigError."""
    return checked(RunConfig, raw, source, origin)


def checked(
    section: type[S], raw: Mapping[str, Any], source: str, origin: Origin | None = None
) -> S:
    """What a file describes. Raises ConfigError with one line for the first mistake."""
    if renamed := renamed_keys.advice(raw):
        if clash := renamed_keys.clash(raw):
            raise ConfigError(f"{source}: {clash}")
        warnings.warn(f"{source}: {renamed}", FutureWarning, stacklevel=2)
        raw = renamed_keys.translated(raw)
    try:
        return section.model_validate(raw, context=origin)
    except ValidationError as error:
        raise ConfigError(f"{source}: {first_mistake(error, section, raw)}") from None


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Dotted names of the keys that differ, with both values."""
    before, after = dict(_leaves(old)), dict(_leaves(new))
    keys = sorted(before.keys() | after.keys())
    return [
        f"{key}: {before.get(key)!r} -> {after.get(key)!r}"
        for key in keys
        if before.get(key) != after.get(key)
    ]


def leaves(config: RunConfig) -> dict[str, str]:
    """Every setting by its dotted key, as text."""
    return {key: str(value) for key, value in _leaves(config.model_dump(mode="json"))}


def name_of(path: Path) -> str:
    """The file's name as a run's: `gpt-4.1-mini.toml` begins run `gpt-4-1-mini`."""
    return as_run_name(path.stem)


def _leaves(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in cast("Mapping[str, Any]", value).items():
            yield from _leaves(inner, f"{prefix}.{key}" if prefix else key)
    else:
        yield prefix, value


def many(value: int | tuple[int, ...]) -> tuple[int, ...]:
    """One or several alternatives, as several."""
    return value if isinstance(value, tuple) else (value,)
