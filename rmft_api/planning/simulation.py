"""A sample of a split, played to its end by the simulated player: sums for every iteration."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from rmft_api.config.schema import RunConfig
from rmft_api.core.records import Example, ExampleMessage, Scored, Split, Trajectory
from rmft_api.core.transcripts import StoredTrajectory
from rmft_api.datasets import dataset, preferences, training_files
from rmft_api.datasets.preferences import Preference
from rmft_api.datasets.tokens import TokenCounter
from rmft_api.planning import sampling, worst_case
from rmft_api.planning.sampling import ScenarioKey, Strata
from rmft_api.planning.simulated_model import ReplyText, SimulatedChat
from rmft_api.planning.token_counts import LongestPlay, TokenCounts
from rmft_api.prompts import PromptSet
from rmft_api.prompts.reader import OPENING
from rmft_api.providers.capabilities import ChatCapabilities
from rmft_api.rollouts import engine, preparation
from rmft_api.rollouts.engine import PreparedScenario
from rmft_api.selection import ranking, regret


@dataclass(frozen=True)
class Simulation:
    """What every play of a run is simulated with."""

    config: RunConfig
    prompts: PromptSet
    counter: TokenCounter
    reply_text: ReplyText
    chat: ChatCapabilities
    decisions: Mapping[Split, int] = field(default_factory=lambda: sampling.DECISIONS)
    """About how many to simulate."""


@dataclass(frozen=True)
class SimulatedSplit:
    """One split: what was found out about a sample, and what it stands for."""

    strata: Strata
    tallies: dict[ScenarioKey, TokenCounts]
    """Of one whole set of L trajectories."""
    longest: dict[ScenarioKey, LongestPlay]
    """Of one trajectory of each stratum's first place."""

    def token_counts(self, iteration: int) -> TokenCounts:
        """All scenarios of an iteration."""
        parts = [self._part(places, iteration) for places in self.strata.values()]
        return sum(parts, TokenCounts())

    def longest_of(self, iteration: int) -> list[LongestPlay]:
        """The most that each scenario of an iteration can take, per trajectory."""
        return [
            self.longest.get(places[0], LongestPlay())
            for places in self.strata.values()
            for place in places
            if place.iteration == iteration
        ]

    def _part(self, places: Sequence[ScenarioKey], iteration: int) -> TokenCounts:
        wanted = [place for place in places if place.iteration == iteration]
        if all(place in self.tallies for place in wanted):
            return sum((self.tallies[place] for place in wanted), TokenCounts())
        seen = [self.tallies[place] for place in places if place in self.tallies]
        return sum(seen, TokenCounts()) * (len(wanted) / len(seen))


async def simulate(world: Simulation, split: Split, *, worst: bool) -> SimulatedSplit:
    """Play a sample of the split; with `worst`, look for its longest chats too."""
    config = world.config
    strata = sampling.strata(config, world.prompts, split, world.decisions[split])
    taken = sampling.sample(config, split, strata, world.decisions[split])
    chosen = [place for s, places in strata.items() for place in places[: taken[s]]]
    first = {places[0] for places in strata.values()}
    tallies: dict[ScenarioKey, TokenCounts] = {}
    longest: dict[ScenarioKey, LongestPlay] = {}
    for iteration in sorted({place.iteration for place in chosen}):
        prepared_scenarios = _prepared(
            world, split, iteration, {p.scenario for p in chosen if p.iteration == iteration}
        )
        for index, counts in (await _play(world, split, iteration, prepared_scenarios)).items():
            tallies[ScenarioKey(iteration, index)] = counts
        for prepared in prepared_scenarios:
            if worst and (place := ScenarioKey(iteration, prepared.index)) in first:
                longest[place] = worst_case.longest(config, prepared, world.counter, world.chat)
    return SimulatedSplit(strata, tallies, longest)


def _prepared(
    world: Simulation, split: Split, iteration: int, wanted: set[int]
) -> list[PreparedScenario]:
    prepared_scenarios = preparation.prepared_scenarios(
        world.config, world.prompts, split, iteration
    )
    return [prepared for prepared in prepared_scenarios if prepared.index in wanted]


async def _play(
    world: Simulation, split: Split, iteration: int, prepared_scenarios: Sequence[PreparedScenario]
) -> dict[int, TokenCounts]:
    """The tally of each scenario, what would be learnt from it included."""
    names = {prepared.index: prepared.names for prepared in prepared_scenarios}
    chat = SimulatedChat(world.reply_text, world.counter, names, world.chat)
    played: list[tuple[Trajectory, Scored]] = []

    async def save(prepared: PreparedScenario, finished: Sequence[StoredTrajectory]) -> None:
        if split == "train":
            played.extend((kept.whole(), _scored(prepared, kept.figures)) for kept in finished)

    settings = preparation.rollout_settings(
        world.config, split, iteration, "simulated", world.chat.n
    )
    await engine.play(settings, prepared_scenarios, chat, save)
    for index, counts in _learnt(world, iteration, played):
        chat.tallies[index] += counts
    return chat.tallies


def _scored(prepared: PreparedScenario, trajectory: Trajectory) -> Scored:
    scenario = prepared.scenario
    play = regret.play_in(scenario, trajectory.rounds)
    return regret.score(trajectory.address, scenario.regret, play)


def _learnt(
    world: Simulation, iteration: int, played: Sequence[tuple[Trajectory, Scored]]
) -> Iterable[tuple[int, TokenCounts]]:
    """What each kept trajectory's examples and pairs weigh, by its scenario."""
    config = world.config
    scores = [score for _, score in played]
    selected = ranking.rank(scores, config.selection, config.seed, iteration, config.origin.folder)
    chosen = training_files.selected_plays(
        [trajectory for trajectory, _ in played], selected, config
    )
    for trajectory in chosen.kept:
        examples = dataset.examples_of(trajectory, config.dataset, config.prompts)
        yield trajectory.address.scenario, _weight(examples, world.counter)
    if "dpo" in config.finetuning.methods:
        for pair in preferences.all_of(chosen.opposed, config.dataset, config.prompts):
            yield pair.lower.scenario, _weight_of_pair(pair, world.counter)


def _weight(examples: Sequence[Example], counter: TokenCounter) -> TokenCounts:
    whole = sum(counter.chat(one.messages) + counter.form(one.answer) for one in examples)
    words = sum(_words(example.messages, counter) for example in examples)
    return TokenCounts(
        examples=len(examples), example_tokens=whole, least_example_tokens=whole - words
    )


def _weight_of_pair(pair: Preference, counter: TokenCounter) -> TokenCounts:
    whole = sum(counter.chat(chat) for chat in pair.chats())
    words = sum(_words(chat, counter) for chat in pair.chats())
    return TokenCounts(pairs=1, pair_tokens=whole, least_pair_tokens=whole - words)


def _words(messages: Sequence[ExampleMessage], counter: TokenCounter) -> int:
    """Tokens of what the model said besides its answers."""
    said = [m.content for m in messages if m.role == "assistant"]
    return sum(
        counter.text(text) - counter.text(text[max(0, text.find(OPENING)) :]) for text in said
    )
