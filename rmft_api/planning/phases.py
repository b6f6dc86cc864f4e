"""From simulated sums and prices to the phases of a run, in the order of `loop.iterate`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rmft_api.config.schema import ReplayFile, RunConfig
from rmft_api.core.records import Method, Split
from rmft_api.open_models.speed import Speed
from rmft_api.planning.asked_on_log import AskedOnLog
from rmft_api.planning.cost import BASE, PriceSheet, WorstCase
from rmft_api.planning.deployment_hours import DeploymentHours
from rmft_api.planning.lifecycle import rounds
from rmft_api.planning.plan import (
    BatchSavings,
    Cost,
    Phase,
    PhaseName,
    ReplyAssumptions,
    Savings,
    added,
    total,
)
from rmft_api.planning.simulation import SimulatedSplit
from rmft_api.planning.timing import speed_of
from rmft_api.planning.token_counts import TokenCounts
from rmft_api.rollouts import preparation

NAMES: dict[Split, PhaseName] = {"train": "rollouts", "validation": "validation", "test": "test"}
SPLITS: dict[PhaseName, Split] = {"rollouts": "train", "validation": "validation", "test": "test"}


class TrainingSize(NamedTuple):
    """What one job learns; tokens are of one epoch."""

    examples: float
    low: float
    tokens: float
    most: int
    epochs: int | None
    method: Method = "supervised"

    @property
    def trained(self) -> int | None:
        """Tokens x epochs."""
        return None if self.epochs is None else round(self.tokens * self.epochs)


@dataclass(frozen=True)
class PhaseBuilder:
    """Everything that the phases of one run are made from."""

    config: RunConfig
    playing: PriceSheet
    training: PriceSheet
    simulated: dict[Split, SimulatedSplit]
    short: dict[Split, SimulatedSplit]
    """The same simulated where every reply is its bare answer."""
    other: PriceSheet | None = None
    """Of playing by the other transport, where anybody asks what that would cost."""
    warm_up: TrainingSize | None = None
    """What the warm-up learns; None: there is none."""
    speed: Speed | None = None
    """Of an open model on the card that the run file names."""
    asked: AskedOnLog | None = None
    """What the base and the champion are asked about rows of a log; None: nothing."""

    def phases(self) -> Iterator[Phase]:
        """Every phase, the base's evaluation first."""
        if self.warm_up is not None:
            yield self._played("validation", BASE, BASE)
            yield self._warmed_up(self.warm_up)
        yield from self._evaluated(0)
        for iteration in range(1, self.config.iterations + 1):
            if self.config.replay is None and self.config.teacher is None:
                yield self._played("train", iteration, iteration - 1)
            yield self._trained(iteration)
            yield from self._evaluated(iteration)
        if self.config.test_models == "ends":
            yield self._played("test", 0, 0)
            yield self._played("test", self.config.iterations, self.config.iterations)
        if self.asked is not None:
            yield from (self._of_log(self.asked, i) for i in (0, self.config.iterations))

    def tested(self) -> Phase:
        """The base on the test scenarios alone: all that one player of a comparison does."""
        return self._played("test", 0, 0)

    def asked_of_base(self) -> Phase | None:
        """What one player of a comparison is asked about rows of logs; None: nothing."""
        return None if self.asked is None else self._of_log(self.asked, 0)

    def with_deployments(self) -> list[Phase]:
        """The phases, and those of deployments that are rented while they are played with."""
        phases = list(self.phases())
        if not self.playing.profile.rents_deployments:
            return phases
        deployment_hours = DeploymentHours(
            self.config, self.playing.profile, phases, self._longest_s
        )
        tuned = range(1 if self.warm_up is None else 0, self.config.iterations + 1)
        return [*phases, *(self._hosted(i, deployment_hours) for i in tuned)]

    def replies(self, phases: list[Phase]) -> ReplyAssumptions:
        """What is assumed of the replies of all that is played."""
        played = [phase for phase in phases if phase.name in SPLITS]
        tallies = [self._token_counts(SPLITS[phase.name], phase.iteration) for phase in played]
        whole = sum(tallies, TokenCounts())
        return ReplyAssumptions(
            round(whole.replies), round(whole.output), round(whole.least_output)
        )

    def savings(self, phases: list[Phase]) -> Savings:
        """What coalescing and caching save, summed over all that is played."""
        parts = [self._saved(phase) for phase in phases if phase.name in SPLITS]
        return Savings(added(c for c, _ in parts), added(c for _, c in parts))

    def in_batches(self, phases: list[Phase]) -> BatchSavings | None:
        """What asking a round at a time saves or would save, and how long it takes."""
        profile = self.playing.profile
        if self.other is None or profile.batch is None or not profile.paid:
            return None
        played = [phase for phase in phases if phase.name in SPLITS]
        used = self.config.requests.transport == "batch"
        apart = added(self._at(self.other, phase) for phase in played)
        spent = added(phase.cost.expected for phase in played)
        more = None if apart is None or spent is None else apart - spent
        batches = sum(rounds(self.config, SPLITS[phase.name]) for phase in played)
        return BatchSavings(
            used=used,
            saves=more if used or more is None else -more,
            seconds=batches * profile.batch.usual_s,
            at_most=batches * profile.batch.window_s,
        )

    def _at(self, price_sheet: PriceSheet, phase: Phase) -> int | None:
        split = SPLITS[phase.name]
        counts, most = self._token_counts(split, phase.iteration), WorstCase(0, 0, 0)
        return price_sheet.playing(phase.model, counts, counts, most).expected

    def crash(self) -> int | None:
        """The most that requests under way can cost: all lost, all billed."""
        if self.config.requests.transport == "batch":
            return 0  # a batch is found again, and its answers wait there
        worst = [self._lost(split, model) for split in self.simulated for model in (BASE, 1)]
        return None if None in worst else max(cost for cost in worst if cost is not None)

    def longest_example(self) -> int:
        """Tokens of the longest example that could come."""
        train = self.simulated["train"].longest
        return max((one.longest_example for one in train.values()), default=0)

    def _of_log(self, asked: AskedOnLog, model: int) -> Phase:
        """Held-out rows of a log; the last model stands for the champion."""
        counts = asked.tally
        return Phase(
            iteration=model,
            name="off-policy",
            model=model,
            calls=round(counts.calls),
            prompt_tokens=round(counts.prompt),
            cached_tokens=0,
            output_tokens=round(counts.output),
            trained_tokens=0,
            examples=0,
            cost=self.playing.playing(model, counts, counts, asked.most),
            seconds=self._asking_s(counts),
        )

    def _asking_s(self, counts: TokenCounts) -> float | None:
        if self.speed is not None:
            return self.speed.playing_s(counts.prompt, counts.output, max(1, round(counts.calls)))
        pace = speed_of(self.config, self.playing.profile)
        return pace.playing_s(counts.calls, counts.prompt + counts.output, 1)

    def _evaluated(self, index: int) -> Iterator[Phase]:
        yield self._played("validation", index, index)
        if self.config.test_models == "all":
            yield self._played("test", index, index)

    def _played(self, split: Split, iteration: int, model: int) -> Phase:
        counts = self._token_counts(split, iteration)
        short = self.short[split].token_counts(iteration if split == "train" else 0)
        return Phase(
            iteration=iteration,
            name=NAMES[split],
            model=model,
            calls=round(counts.calls),
            prompt_tokens=round(counts.prompt),
            cached_tokens=round(counts.cached),
            output_tokens=round(counts.output),
            trained_tokens=0,
            examples=0,
            cost=self.playing.playing(model, counts, short, self._most(split, iteration)),
            seconds=self._playing_s(split, counts),
        )

    def _playing_s(self, split: Split, counts: TokenCounts) -> float | None:
        if self.speed is not None:
            section = preparation.section_of(self.config, split)
            plays = section.scenarios * section.trajectories
            return self.speed.playing_s(counts.prompt, counts.output, plays)
        pace = speed_of(self.config, self.playing.profile)
        return pace.playing_s(
            counts.calls, counts.prompt + counts.output, rounds(self.config, split)
        )

    def _training_s(self, sizes: Sequence[TrainingSize]) -> float | None:
        if self.speed is not None:
            trained = added(one.trained for one in sizes)
            return None if trained is None else self.speed.training_s(trained, len(sizes))
        each = speed_of(self.config, self.training.profile).training_s()
        return None if each is None else each * len(sizes)

    def _trained(self, iteration: int) -> Phase:
        """All jobs of an iteration."""
        config = self.config.finetuning
        first = iteration if config.chain == "continue" else 1
        start = iteration - 1 if config.chain == "continue" else 0
        if self.config.replay is None:
            sizes = [self._size(range(first, iteration + 1), m) for m in config.methods]
        else:
            sizes = [
                self._size_of_file(one) for one in self.config.replay.steps[iteration - 1].lessons
            ]
        return self._training_phase("training", iteration, start, sizes)

    def _warmed_up(self, size: TrainingSize) -> Phase:
        return self._training_phase("warm-up", 0, BASE, [size])

    def _training_phase(
        self, name: PhaseName, iteration: int, start: int, sizes: list[TrainingSize]
    ) -> Phase:
        """The jobs of one stage."""
        return Phase(
            iteration=iteration,
            name=name,
            model=start,
            calls=0,
            prompt_tokens=0,
            cached_tokens=0,
            output_tokens=0,
            trained_tokens=added(one.trained for one in sizes),
            examples=round(sum(one.examples for one in sizes)),
            cost=total(self._of_training(start, one) for one in sizes),
            seconds=self._training_s(sizes),
        )

    def _size(self, chosen: range, method: Method) -> TrainingSize:
        """What a job of this method learns, from the play of these iterations."""
        config = self.config.finetuning
        counts = sum((self._token_counts("train", i) for i in chosen), TokenCounts())
        short = sum((self.short["train"].token_counts(i) for i in chosen), TokenCounts())
        most = sum(self._most_learnt(i, method) for i in chosen)
        if method == "dpo":
            low = min(short.least_pair_tokens, counts.least_pair_tokens)
            epochs = config.dpo.n_epochs
            return TrainingSize(counts.pairs, low, counts.pair_tokens, most, epochs, method)
        low = min(short.least_example_tokens, counts.least_example_tokens)
        return TrainingSize(counts.examples, low, counts.example_tokens, most, config.n_epochs)

    def _size_of_file(self, one: ReplayFile) -> TrainingSize:
        """What a job of a replay learns: that is known to the token."""
        config = self.config.finetuning
        epochs = config.n_epochs if one.method == "supervised" else config.dpo.n_epochs
        return TrainingSize(one.examples, one.tokens, one.tokens, one.tokens, epochs, one.method)

    def _of_training(self, start: int, size: TrainingSize) -> Cost:
        if size.epochs is None and self.training.profile.paid:
            return Cost(None, None, None)
        tokens = (size.low, size.tokens, size.most)
        return self.training.training(start, tokens, size.epochs or 1, size.method)

    def _hosted(self, model: int, deployment_hours: DeploymentHours) -> Phase:
        cost = self.playing.deployment(
            deployment_hours.expected_h(model), deployment_hours.longest_h(model)
        )
        return Phase(model, "hosting", model, 0, 0, 0, 0, 0, 0, cost, 0.0)

    def _longest_s(self, phase: Phase) -> float:
        if phase.name == "off-policy":
            return phase.calls * self.playing.profile.timeouts.chat_s
        split = SPLITS[phase.name]
        most = self._most(split, phase.iteration)
        tokens = most.prompts + most.replies
        reply_s = self.playing.profile.timeouts.chat_s
        pace = speed_of(self.config, self.playing.profile)
        looks = 1 if split == "train" else len(preparation.held_out(self.config, split).looks)
        one_by_one = looks * rounds(self.config, split)
        return pace.longest_s(most.calls, tokens, one_by_one, reply_s)

    def _token_counts(self, split: Split, iteration: int) -> TokenCounts:
        return self.simulated[split].token_counts(iteration if split == "train" else 0)

    def _most(self, split: Split, iteration: int) -> WorstCase:
        plays = preparation.section_of(self.config, split).trajectories
        longest = self.simulated[split].longest_of(iteration if split == "train" else 0)
        calls = preparation.rounds_of(self.config, split)
        prompts = plays * sum(one.prompt_bound for one in longest)
        return WorstCase(calls, prompts, calls * self.config.sampling.max_tokens)

    def _most_learnt(self, iteration: int, method: Method) -> int:
        """Tokens of a file in which every kept trajectory is as long as can be."""
        each = self.simulated["train"].longest_of(iteration)
        if method == "dpo":  # every round of every kept trajectory, both chats, with every rival
            rivals = self.config.finetuning.dpo.rivals
            longest = [2 * rivals * one.round_tokens for one in each]
        else:
            longest = [one.example_tokens for one in each]
        if self.config.selection.scope == "global":
            longest = [max(longest, default=0)] * len(longest)
        return self.config.selection.k * sum(longest)

    def _saved(self, phase: Phase) -> tuple[int | None, int | None]:
        split = SPLITS[phase.name]
        counts, price = self._token_counts(split, phase.iteration), self.playing.price(phase.model)
        if price is None or price.input is None:
            return None, None
        cached = price.input if price.cached is None else price.cached
        less = float(price.input - cached) * counts.cached
        return round(float(price.input) * counts.shared), round(less)

    def _lost(self, split: Split, model: int) -> int | None:
        section = preparation.section_of(self.config, split)
        largest = self.playing.profile.chat.n if self.config.rollouts.coalesce else 1
        choices = min(section.trajectories, largest)
        longest = self.simulated[split].longest.values()
        bound = max((one.last_prompt_bound for one in longest), default=0)
        at_once = min(self.config.requests.concurrency, section.scenarios * section.trajectories)
        replies = choices * self.config.sampling.max_tokens
        dearest = self.playing.one_request(model, bound, replies)
        return None if dearest is None else at_once * dearest
