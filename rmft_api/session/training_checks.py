"""What a job would be refused for, known from the run file: said before anything is played."""

from collections.abc import Sequence

from rmft_api.config.schema import RunConfig, many
from rmft_api.core.errors import ConfigError
from rmft_api.core.records import Method
from rmft_api.finetuning import hyperparameters
from rmft_api.prompts import PromptSet
from rmft_api.providers.profiles import Profile
from rmft_api.rollouts import preparation, warm_up
from rmft_api.session.token_counters import counter_at


def check_training(profile: Profile, config: RunConfig, prompts: PromptSet) -> None:
    """Raise ConfigError for a method, a rate, a chain, a number or a length that is refused."""
    if profile.training is None:
        raise ConfigError(
            f"profile {profile.name!r} cannot train; name one in model.training_profile"
        )
    methods = config.finetuning.methods
    if config.prompts.answer == "tool":
        _check_tools(profile, methods)
    for method in methods:
        profile.check_training(config.model.base, method, hyperparameters(config, method))
    chained = (config.iterations > 1 and config.finetuning.chain == "continue") or len(methods) > 1
    if chained and not profile.training.continue_from_tuned:
        raise profile.cannot_continue(config.model.base)
    if config.warm_up is not None:
        _check_warm_up(profile, config)
    if config.replay is not None:
        return  # its files are there: they are counted when the replay is described
    if methods != ("dpo",):  # how many pairs play makes, nobody knows before it
        _check_number(profile, config, profile.training.least_examples)
    _check_reserved(profile, config, prompts)
    _check_lengths(profile, config, prompts)


def _check_warm_up(profile: Profile, config: RunConfig) -> None:
    """Raise ConfigError for a warm-up that the endpoint would refuse, or let nothing follow."""
    assert profile.training is not None
    if not profile.training.continue_from_tuned:
        raise ConfigError(
            f"profile {profile.name!r} cannot continue from a fine-tune of "
            f"{config.model.base!r}, and all that follows a warm-up does; take [warm_up] out"
        )
    mine, least = warm_up.settings(config), profile.training.least_examples
    profile.check_training(config.model.base, "supervised", hyperparameters(mine))
    each = config.dataset.example == "round"
    examples = (
        preparation.rounds_of(mine, "train")
        if each
        else (mine.rollouts.scenarios * mine.rollouts.trajectories)
    )
    if examples < least:
        raise ConfigError(
            f"a warm-up of {examples} examples, and profile {profile.name!r} trains on {least} or "
            "more; raise warm_up.scenarios"
        )


def _check_reserved(profile: Profile, config: RunConfig, prompts: PromptSet) -> None:
    """The words of the prompts themselves: no example could be trained on."""
    reserved = profile.training.reserved if profile.training else ()
    if not reserved:
        return
    scenarios = preparation.prepared_scenarios(config, prompts, "train", 1)
    lines = [one.content for one in next(scenarios).prompt_builder().messages()]
    if word := next((word for word in reserved for text in lines if word in text), None):
        raise ConfigError(
            f"the prompts hold {word!r}, which fails a job at profile {profile.name!r}; use other "
            "words there (prompts.set)"
        )


def _check_lengths(profile: Profile, config: RunConfig, prompts: PromptSet) -> None:
    """Raise ConfigError where no example could be short enough."""
    if not (config.dataset.tokens_per_example or profile.tokens_per_example(config.model.base)):
        return
    from rmft_api.planning.lengths import too_long

    if why := too_long(config, prompts, profile, lambda: counter_at(profile, config.model)):
        raise ConfigError(why)


def _check_tools(profile: Profile, methods: Sequence[Method]) -> None:
    if profile.training is None or not profile.training.tools:
        raise ConfigError(
            f"profile {profile.name!r} trains on no tool calls (training.tools); set "
            "prompts.answer = 'json' or 'tag'"
        )
    if "dpo" in methods:
        raise ConfigError(
            "finetuning.method = 'dpo' prefers one text to another, and prompts.answer = 'tool' "
            "makes none; set prompts.answer = 'json' or 'tag'"
        )


def _check_number(profile: Profile, config: RunConfig, least: int) -> None:
    per_scenario = config.selection.k
    if config.dataset.example == "round":
        per_scenario *= max(max(many(problem.T)) for problem in config.rollouts.problems)
    most = config.rollouts.scenarios * per_scenario
    if most < least:
        raise ConfigError(
            f"an iteration makes {most} examples at most, and profile {profile.name!r} trains on "
            f"{least} or more; raise rollouts.scenarios or selection.k"
        )
