"""The chain of a run, described as a run of its own at another endpoint."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rmft_api.config import schema as configs
from rmft_api.config.changes import Change, changed
from rmft_api.config.schema import ModelConfig, ReplayConfig, ReplayStep, RunConfig
from rmft_api.core.errors import ConfigError, DataError, UsageError
from rmft_api.core.files import make_directory, replace_file
from rmft_api.core.records import Method
from rmft_api.evaluation import outcome
from rmft_api.finetuning import FineTuned, retrain
from rmft_api.finetuning.retrain import ChainLink, LearningRate, mapped
from rmft_api.journal import Journal
from rmft_api.prompts import of_run as prompts_of_run
from rmft_api.providers import profiles
from rmft_api.providers.capabilities import TrainingCapabilities
from rmft_api.session.recorded_config import recorded_config
from rmft_api.session.token_counters import counter_at


@dataclass(frozen=True)
class RetrainOptions:
    """What the command line asks for; None: as in the run that is replayed."""

    profile: str
    model: str | None
    name: str | None
    overrides: tuple[str | Change, ...]


@dataclass(frozen=True)
class Chain:
    """A finished or interrupted run: its settings, and its iterations that were trained."""

    directory: Path
    config: RunConfig
    prompts: str
    """SHA-256 of what its models were shown."""
    links: tuple[ChainLink, ...]
    warm_up: str | None = None
    """SHA-256 of the training file of its warm-up; None: it had none."""
    whole: bool = False
    """Every model is trained from the base, on all that its chain has learnt so far."""

    def start(self, iteration: int) -> int:
        """The iteration whose model this one starts from."""
        return 0 if self.whole else self.links[iteration - 1].start

    def content(self, iteration: int, place: int) -> tuple[Method, bytes]:
        """How the iteration's job at a place learns, and what. Raises DataError."""
        past = retrain.learnt(self.links, iteration) if self.whole else (iteration,)
        method, _ = self.links[iteration - 1].files[place]
        files = [(number, *self.links[number - 1].files[place]) for number in past]
        return method, b"".join(
            retrain.read(self.directory, number, how, sha256) for number, how, sha256 in files
        )

    def warm_up_content(self) -> list[tuple[Method, bytes]]:
        """What its warm-up learns; nothing where it had none. Raises DataError."""
        if self.warm_up is None:
            return []
        return [("supervised", retrain.read(self.directory, 0, "supervised", self.warm_up))]

    def check_files(self, stored: Callable[[bytes], bytes]) -> None:
        """Raise DataError for a training file that the endpoint cannot be given.

        `stored` is a fine-tuner's: it converts a file, and sends nothing.
        """
        files = [("the warm-up", content) for _, content in self.warm_up_content()]
        for iteration, link in enumerate(self.links, start=1):
            places = range(len(link.files))
            files += [(f"iteration {iteration}", self.content(iteration, at)[1]) for at in places]
        for name, content in files:
            try:
                stored(content)
            except DataError as error:
                raise DataError(f"the training file of {name}: {error}") from None

    def furnish(self, directory: Path) -> None:
        """Copy the training files into the directory of a replay."""
        for method, content in self.warm_up_content():
            _copy(content, retrain.file_of(directory, 0, method))
        for iteration, link in enumerate(self.links, start=1):
            for place in range(len(link.files)):
                method, content = self.content(iteration, place)
                _copy(content, retrain.file_of(directory, iteration, method))


def _copy(content: bytes, to: Path) -> None:
    make_directory(to.parent)
    replace_file(to, content)


def chain_of(directory: Path) -> Chain:
    """The chain of the run in a directory. Raises UsageError where nothing was trained yet."""
    journal = Journal.read(directory)
    try:
        config = recorded_config(journal)
        trained = dict(journal.all("trained", FineTuned))
        found = retrain.links(outcome.models(journal), trained, config.finetuning.methods)
        warm_up = trained.get("00")
        chain = Chain(
            directory,
            config,
            journal.run.provenance["prompts"],
            tuple(found),
            warm_up=warm_up.dataset if warm_up and config.warm_up else None,
        )
    finally:
        journal.close()
    if not chain.links:
        raise UsageError(f"run {directory.name!r} has trained no model yet: nothing to replay")
    return chain


def fitted(chain: Chain, profile: str, say: Callable[[str], None]) -> Chain:
    """The chain as it can be walked there. Raises ConfigError.

    Where no tuned model may be trained further, every model is trained from the base.
    """
    if _traits(profile).continue_from_tuned:
        return chain
    if chain.warm_up is not None:
        raise ConfigError(
            f"run {chain.config.name!r} began with a warm-up, and profile {profile!r} cannot train "
            "a tuned model further, so nothing could follow it there"
        )
    if all(link.start == 0 for link in chain.links):
        return chain
    say(
        f"profile {profile!r} cannot train a tuned model further: each model is trained from the "
        "base there, on all that its chain has learnt so far"
    )
    return replace(chain, whole=True)


def described(chain: Chain, wanted: RetrainOptions, say: Callable[[str], None]) -> RunConfig:
    """The replay's settings. Raises ConfigError, and DataError for files that do not fit."""
    old = chain.config
    here = _traits(old.model.training_profile or old.model.profile)
    there = _traits(wanted.profile)
    base = wanted.model or old.model.base
    trains, model = profiles.load(wanted.profile), ModelConfig(base=base, profile=wanted.profile)
    counter, limit = counter_at(trains, model), trains.tokens_per_example(base)
    steps = [
        ReplayStep(
            start=chain.start(i),
            lessons=tuple(
                retrain.check_tokens(*chain.content(i, place), counter, there.least_examples, limit)
                for place in range(len(link.files))
            ),
        )
        for i, link in enumerate(chain.links, start=1)
    ]
    warm_up = tuple(
        retrain.check_tokens(method, content, counter, there.least_examples, limit)
        for method, content in chain.warm_up_content()
    )
    raw = old.model_dump(mode="json") | {
        "name": wanted.name or f"{old.name[:40]}-at-{wanted.profile}"[:64],
        "iterations": len(steps),
        "model": model.model_dump(mode="json"),
        "finetuning": finetuning_there(old, here, there, say)
        | ({"chain": "from_base"} if chain.whole else {}),
        "gate": {},
        "budget_usd": None,
        "iteration_budget_usd": None,
        "replay": ReplayConfig(run=old.name, steps=tuple(steps), warm_up=warm_up).model_dump(
            mode="json"
        ),
        "warm_up": _warm_up(old, here, there),
    }
    changed(raw, wanted.overrides)
    return _same_words(configs.parse(raw, f"the replay of {old.name}", old.origin), chain)


def finetuning_there(
    old: RunConfig,
    here: TrainingCapabilities,
    there: TrainingCapabilities,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """How jobs are asked for there: rates mapped, what no job takes left out, the rest as it was.

    `say` takes a line for each difference.
    """
    raw = old.finetuning.model_dump(mode="json")
    for section in (raw, raw["dpo"]):
        asked = LearningRate(section["learning_rate_multiplier"], section["learning_rate"])
        rate = mapped(asked, here, there)
        if asked != rate:
            say(f"learning rate: {_rate_in_words(asked)} there becomes {_rate_in_words(rate)} here")
        section["learning_rate_multiplier"] = rate.multiplier
        section["learning_rate"] = _rate_within(rate.absolute, there, say)
        section |= _epochs_and_batch(section, there, say)
    return raw


def _rate_within(
    rate: float | None, there: TrainingCapabilities, say: Callable[[str], None]
) -> float | None:
    """The nearest rate that the endpoint takes."""
    if rate is None or there.rates is None:
        return rate
    nearest = min(max(rate, there.rates[0]), there.rates[1])
    if nearest != rate:
        say(f"learning rate: {rate:g} is not taken here, {nearest:g} is the nearest that is")
    return nearest


def _epochs_and_batch(
    section: Mapping[str, Any], there: TrainingCapabilities, say: Callable[[str], None]
) -> dict[str, Any]:
    """What an endpoint takes of both; a batch size that it chooses itself is left out."""
    epochs, batch_size = section["n_epochs"], section["batch_size"]
    if epochs is not None and there.most_epochs is not None and epochs > there.most_epochs:
        say(f"epochs: {epochs} there become {there.most_epochs} here, the most that are taken")
        epochs = there.most_epochs
    if batch_size is not None and not there.batch_size:
        say(f"batch size: {batch_size} there is left out here, where the provider chooses it")
        batch_size = None
    return {"n_epochs": epochs, "batch_size": batch_size}


def _warm_up(
    old: RunConfig, here: TrainingCapabilities, there: TrainingCapabilities
) -> dict[str, Any] | None:
    """Its table there; None where there is none."""
    if old.warm_up is None:
        return None
    raw = old.warm_up.model_dump(mode="json")
    asked = LearningRate(raw["learning_rate_multiplier"], raw["learning_rate"])
    if asked == LearningRate():
        return raw
    rate = mapped(asked, here, there)
    return raw | {"learning_rate_multiplier": rate.multiplier, "learning_rate": rate.absolute}


def _rate_in_words(rate: LearningRate) -> str:
    if rate.absolute is not None:
        return f"{rate.absolute:g}"
    return "the provider's own" if rate.multiplier is None else f"{rate.multiplier:g} x its own"


def _traits(profile: str) -> TrainingCapabilities:
    traits = profiles.load(profile).training
    if traits is None:
        raise ConfigError(f"profile {profile!r} cannot train; name one that can")
    return traits


def _same_words(config: RunConfig, chain: Chain) -> RunConfig:
    """The held-out scenarios must be shown as they were, or the chains cannot be compared."""
    if prompts_of_run(config).sha256 != chain.prompts:
        raise ConfigError(
            f"the prompt files have changed since run {chain.config.name!r} began; restore them, "
            "so that both chains are shown the same"
        )
    return config
