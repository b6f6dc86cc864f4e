"""A sample of a split, played to its end by the simulated player: sums for every iteration."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from rmft_api.config.schema import RunConfig
from rmft_api.core.records import Example, ExampleMessage, Scored, Split, Trajectory
from rmft_api.core.transcripts import Kept
from rmft_api.datasets import dataset, preferences, training_files
from rmft_api.datasets.preferences import Preference
from rmft_api.datasets.tokens import TokenCounter
from rmft_api.planning import sampling, worst_case
from rmft_api.planning.sampling import Place, Strata
from rmft_api.planning.simulated_model import SimulatedChat, Speech
from rmft_api.planning.token_counts import Longest, Tally
from rmft_api.prompts import PromptSet
from rmft_api.prompts.reader import OPENING
from rmft_api.providers.capabilities import ChatTraits
from rmft_api.rollouts import engine, preparation
from rmft_api.rollouts.engine import Seat
from rmft_api.selection import ranking, regret


@dataclass(frozen=True)
class Simulation:
    """What every play of a run is simulated with."""

    config: RunConfig
    prompts: PromptSet
    counter: TokenCounter
    speech: Speech
    chat: ChatTraits
    decisions: Mapping[Split, int] = field(default_factory=lambda: sampling.DECISIONS)
    """About how many to simulate."""


@dataclass(frozen=True)
class Course:
    """One split: what was found out about a sample, and what it stands for."""

    strata: Strata
    tallies: dict[Place, Tally]
    """Of one whole set of L trajectories."""
    longest: dict[Place, Longest]
    """Of one trajectory of each stratum's first place."""

    def tally(self, iteration: int) -> Tally:
        """All scenarios of an iteration."""
        parts = [self._part(places, iteration) for places in self.strata.values()]
        return sum(parts, Tally())

    def longest_of(self, iteration: int) -> list[Longest]:
        """The most that each scenario of an iteration can take, per trajectory."""
        return [
            self.longest.get(places[0], Longest())
            for places in self.strata.values()
            for place in places
            if place.iteration == iteration
        ]

    def _part(self, places: Sequence[Place], iteration: int) -> Tally:
        wanted = [place for place in places if place.iteration == iteration]
        if all(place in self.tallies for place in wanted):
            return sum((self.tallies[place] for place in wanted), Tally())
        seen = [self.tallies[place] for place in places if place in self.tallies]
        return sum(seen, Tally()) * (len(wanted) / len(seen))


async def simulate(world: Simulation, split: Split, *, worst: bool) -> Course:
    """Play a sample of the split; with `worst`, look for its longest chats too."""
    config = world.config
    strata = sampling.strata(config, world.prompts, split, world.decisions[split])
    taken = sampling.sample(config, split, strata, world.decisions[split])
    chosen = [place for s, places in strata.items() for place in places[: taken[s]]]
    first = {places[0] for places in strata.values()}
    tallies: dict[Place, Tally] = {}
    longest: dict[Place, Longest] = {}
    for iteration in sorted({place.iteration for place in chosen}):
        seats = _seats(
            world, split, iteration, {p.scenario for p in chosen if p.iteration == iteration}
        )
        for index, tally in (await _play(world, split, iteration, seats)).items():
            tallies[Place(iteration, index)] = tally
        for seat in seats:
            if worst and (place := Place(iteration, seat.index)) in first:
                longest[place] = worst_case.longest(config, seat, world.counter)
    return Course(strata, tallies, longest)


def _seats(world: Simulation, split: Split, iteration: int, wanted: set[int]) -> list[Seat]:
    seats = preparation.seats(world.config, world.prompts, split, iteration)
    return [seat for seat in seats if seat.index in wanted]


async def _play(
    world: Simulation, split: Split, iteration: int, seats: Sequence[Seat]
) -> dict[int, Tally]:
    """The tally of each scenario, what would be learnt from it included."""
    names = {seat.index: seat.names for seat in seats}
    chat = SimulatedChat(world.speech, world.counter, names, world.chat.cache_from_tokens)
    played: list[tuple[Trajectory, Scored]] = []

    async def save(seat: Seat, finished: Sequence[Kept]) -> None:
        if split == "train":
            played.extend((kept.whole(), _scored(seat, kept.silent)) for kept in finished)

    game = preparation.game(world.config, split, iteration, "simulated", world.chat.n)
    await engine.play(game, seats, chat, save)
    for index, tally in _learnt(world, iteration, played):
        chat.tallies[index] += tally
    return chat.tallies


def _scored(seat: Seat, trajectory: Trajectory) -> Scored:
    scenario = seat.scenario
    play = regret.play_in(scenario, trajectory.rounds)
    return regret.score(trajectory.address, scenario.regret, play)


def _learnt(
    world: Simulation, iteration: int, played: Sequence[tuple[Trajectory, Scored]]
) -> Iterable[tuple[int, Tally]]:
    """What each kept trajectory's examples and pairs weigh, by its scenario."""
    config = world.config
    scores = [score for _, score in played]
    verdicts = ranking.judge(scores, config.selection, config.seed, iteration)
    chosen = training_files.chosen([trajectory for trajectory, _ in played], verdicts, config)
    for trajectory in chosen.kept:
        examples = dataset.examples_of(trajectory, config.dataset, config.prompts)
        yield trajectory.address.scenario, _weight(examples, world.counter)
    if "dpo" in config.finetuning.methods:
        for pair in preferences.all_of(chosen.opposed, config.dataset, config.prompts):
            yield pair.lower.scenario, _weight_of_pair(pair, world.counter)


def _weight(examples: Sequence[Example], counter: TokenCounter) -> Tally:
    whole = sum(counter.chat(example.messages) for example in examples)
    words = sum(_words(example.messages, counter) for example in examples)
    return Tally(examples=len(examples), example_tokens=whole, least_example_tokens=whole - words)


def _weight_of_pair(pair: Preference, counter: TokenCounter) -> Tally:
    whole = sum(counter.chat(chat) for chat in pair.chats())
    words = sum(_words(chat, counter) for chat in pair.chats())
    return Tally(pairs=1, pair_tokens=whole, least_pair_tokens=whole - words)


def _words(messages: Sequence[ExampleMessage], counter: TokenCounter) -> int:
    """Tokens of what the model said besides its answers."""
    said = [m.content for m in messages if m.role == "assistant"]
    return sum(
        counter.text(text) - counter.text(text[max(0, text.find(OPENING)) :]) for text in said
    )
