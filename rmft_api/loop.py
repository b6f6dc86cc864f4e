"""The loop: Iterative Regret-Minimization Fine-Tuning, from the base model to the champion.

Read `iterate` first: it is the whole method (docs/method.md 1). It is a deterministic program.
Everything from outside (replies, trained models) is read through the journal, so a run is resumed
by running the loop again from the top: what was paid for is read back and not requested again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rmft_api import tracking
from rmft_api.config.schema import ReplayStep, RunConfig
from rmft_api.core.errors import UnreadableError
from rmft_api.core.files import make_directory, replace_file
from rmft_api.core.ports import ChatModel, Console, Tracker
from rmft_api.core.records import Method, Split
from rmft_api.datasets import training_files
from rmft_api.datasets.tokens import TokenCounter
from rmft_api.datasets.training_files import SelectedPlays, TrainingFile
from rmft_api.deployments import Deployments
from rmft_api.evaluation import outcome, scoring, selection_summary
from rmft_api.evaluation.scoring import GateDecision, Results
from rmft_api.evaluation.selection_summary import SelectionSummary
from rmft_api.finetuning import Trainer, TrainingData, retrain
from rmft_api.journal import Journal
from rmft_api.prompts import PromptSet
from rmft_api.rollouts import log_policy, preparation, splits
from rmft_api.rollouts import warm_up as random_play
from rmft_api.rollouts.reasons import Reasons
from rmft_api.rollouts.teacher import Teacher
from rmft_api.rollouts.warm_up import RandomPlayer, WarmUpData
from rmft_api.selection import ranking


@dataclass(frozen=True)
class RunContext:
    """Everything that one run works with; `session/runs.py` puts it together."""

    config: RunConfig
    directory: Path
    journal: Journal
    prompts: PromptSet
    chat: ChatModel
    largest_n: int
    """The most choices (`n`) that one request may ask for."""
    counter: TokenCounter
    """Counts the tokens of training files."""
    trainer: Trainer
    deployments: Deployments
    console: Console
    tracker: Tracker | None = None


TrainingSets = Sequence[tuple[Method, TrainingData]]
"""The training data of an iteration's jobs, in order, each with its method."""


async def iterate(run: RunContext) -> Results:
    """Play, rank, select, fine-tune, evaluate; again with the new model; then name the champion."""
    await start_iteration(run, 0)
    model = await warm_up(run)  # the base itself, unless there is a [warm_up]
    await evaluate(run, 0, model)
    for iteration in range(1, run.config.iterations + 1):
        await start_iteration(run, iteration)
        await play(run, "train", iteration, model)
        await run.deployments.close(model)  # unused while the next model is trained
        files = await write_training_files(run, iteration)
        model = await fine_tune(run, iteration, model, files)
        await evaluate(run, iteration, model)
        gate = await decide_gate(run, iteration)
        if gate.decision == "stop":
            break
        model = outcome.models(run.journal)[gate.start]
        await run.deployments.only(model)
    return await name_champion(run)


async def retrain_chain(run: RunContext, steps: Sequence[ReplayStep]) -> Results:
    """Repeat the chain of another run: train on its files, and evaluate each model."""
    await start_iteration(run, 0)
    models = [await warm_up(run)]
    await evaluate(run, 0, models[0])
    for iteration, step in enumerate(steps, start=1):
        await start_iteration(run, iteration)
        files = retrain.files_of_step(run.directory, iteration, step)
        models.append(await fine_tune(run, iteration, models[step.start], files))
        await evaluate(run, iteration, models[-1])
        await run.deployments.close(models[-1])
    return await name_champion(run)


async def warm_up(run: RunContext) -> str:
    """Teach the base the form of an answer from random play; the model after it is iteration 0."""
    base = run.config.model.base
    if run.config.warm_up is None:
        return base
    await look_at_base(run, base)
    mine = replace(run, config=random_play.settings(run.config))
    files: TrainingSets
    if run.config.replay is None:
        player = RandomPlayer.of(mine.config, run.prompts)
        mine = replace(mine, chat=player, largest_n=1)
        await play(mine, "train", random_play.ITERATION, random_play.PLAYER)
        files = [await write_warm_up_file(mine, player)]
    else:
        files = retrain.files_of_warm_up(run.directory, run.config.replay)
    await run.deployments.close(base)
    return await fine_tune(mine, random_play.ITERATION, base, files)


async def look_at_base(run: RunContext, base: str) -> None:
    """Let the base play the validation scenarios, as far as its replies can be read."""
    try:
        await play(run, "validation", random_play.BEFORE, base)
    except UnreadableError:  # why it is warmed up: how many could be read stands in the journal
        run.console.line(outcome.before_warm_up_in_words(run.config, run.journal))


async def start_iteration(run: RunContext, iteration: int) -> None:
    """Account what follows to `iteration`, within its own budget where the run file sets one."""
    cap_usd = run.config.iteration_budget_usd
    cap = None if cap_usd is None else round(cap_usd * 1e6)
    await run.journal.ledger.enter_iteration(iteration, cap)


async def play(
    run: RunContext, split: Split, iteration: int, model: str, count: int | None = None
) -> None:
    """Play the split's scenarios, or the first `count`; trajectories are stored in the journal."""
    title = _title(split, iteration)
    await splits.play(_context_of(run, split, iteration), split, iteration, model, title, count)


async def write_training_files(run: RunContext, iteration: int) -> list[TrainingFile]:
    """Select trajectories, then build, check and write the files that will be uploaded."""
    config = run.config
    first = iteration if config.finetuning.chain == "continue" else 1
    selected = [await select(run, number) for number in range(first, iteration + 1)]
    folder = run.directory / f"iteration_{iteration:02}"
    make_directory(folder)
    template = run.prompts.reasons if config.teacher is None else None  # a teacher gives its own
    reason = None if template is None else Reasons(config, template)
    files: list[TrainingFile] = []
    for method in config.finetuning.methods:
        file = training_files.build(
            method, selected, config, run.counter, run.trainer.profile, reason
        )
        _write(run, folder, file, f"iteration {iteration}")
        files.append(file)
    return files


async def write_warm_up_file(run: RunContext, player: RandomPlayer) -> TrainingFile:
    """Build, check and write the training file of the warm-up: all that was played."""
    played = [one for one, _ in run.journal.trajectories("train", random_play.ITERATION)]
    every = [SelectedPlays(kept=played, opposed=[])]
    file = training_files.build("supervised", every, run.config, run.counter, run.trainer.profile)
    folder = run.directory / f"iteration_{random_play.ITERATION:02}"
    make_directory(folder)
    _write(run, folder, file, "warm-up on balanced random play")
    used = WarmUpData(len(played), file.examples, player.gives_reasons)
    await run.journal.put(random_play.KIND, "", used)
    return file


def _write(run: RunContext, folder: Path, file: TrainingFile, what: str) -> None:
    replace_file(folder / file.name, file.data.content)
    run.console.line(f"{what}: {file.name}: {file.in_words()}")
    for refused in file.data.refused:
        run.console.line(f"left out: {refused}")


async def select(run: RunContext, iteration: int) -> SelectedPlays:
    """Rank the iteration's trajectories by regret and keep the best; store every verdict."""
    key, config = f"{iteration:02}", run.config
    played = list(run.journal.plays("train", iteration))
    scores = [score for _, score in played]
    selected = ranking.rank(scores, config.selection, config.seed, iteration, config.origin.folder)
    await run.journal.put("selection", key, selected)
    scenarios = tuple(preparation.scenarios(config, "train", iteration))
    summary = selection_summary.summary(scenarios, played, selected)
    if run.journal.get("makeup", key, SelectionSummary) is None:  # not yet shown
        run.console.line(f"iteration {iteration}: {selection_summary.in_words(summary)}")
    await run.journal.put("makeup", key, summary)
    addresses = training_files.selected_addresses(selected, config)
    trajectories = [one for one, _ in run.journal.trajectories("train", iteration, addresses)]
    return training_files.selected_plays(trajectories, selected, config)


async def fine_tune(run: RunContext, iteration: int, model: str, files: TrainingSets) -> str:
    """Train on each file in turn; returns the new model's id."""
    start = model
    if run.config.finetuning.chain == "from_base":
        start = outcome.models(run.journal)[0]
    run.console.stage(f"{f'iteration {iteration}' if iteration else 'warm-up'}: training")
    trainer = replace(run.trainer, config=run.config)  # a warm-up may have rates of its own
    for method, data in files:
        trained = await trainer.train(iteration, start, data, method)
        await run.journal.put("trained", retrain.step_of(iteration, method), trained)
        start = trained.model
    return start


async def evaluate(run: RunContext, index: int, model: str) -> None:
    """Play the held-out scenarios with the model of iteration `index`, and print its figures."""
    await run.journal.put("model", f"{index:02}", model)
    await play_held_out(run, "validation", index, model)
    if run.config.test_models == "all":
        await play_held_out(run, "test", index, model)
    for line in outcome.in_words(run.config, run.journal, index):
        run.console.line(line)
    await track(run, index, model)


async def track(run: RunContext, index: int, model: str) -> None:
    """Send the iteration's figures to the experiment tracker, once."""
    key, tracker = f"{index:02}", run.tracker
    if tracker is None or run.journal.get("tracked", key, bool):
        return
    figures = outcome.tracked(run.config, run.journal, index)
    if await tracking.report_to_tracker(
        lambda: tracker.figures(index, model, figures), run.console.line
    ):
        await run.journal.put("tracked", key, True)


async def play_held_out(run: RunContext, split: Split, index: int, model: str) -> None:
    """Play a held-out split to its end, or to the look at which its stopping rule is met."""
    while (count := outcome.scenarios_to_play(run.config, run.journal, split, index)) is not None:
        await play(run, split, index, model, count)


async def decide_gate(run: RunContext, iteration: int) -> GateDecision:
    """Decide whether to continue, and from which model. A stored decision is never changed."""
    key = f"{iteration:02}"
    gate = run.journal.get("gate", key, GateDecision) or outcome.gate(
        run.config, run.journal, iteration
    )
    await run.journal.put("gate", key, gate)
    if gate.decision != "continue":
        run.console.line(f"iteration {iteration}: {scoring.gate_in_words(gate)}")
    return gate


async def name_champion(run: RunContext) -> Results:
    """Name the champion, test it and the base where that is still to do, and store the results."""
    best = outcome.champion(run.config, run.journal)
    for index, model in ((best.index, best.model), (0, outcome.models(run.journal)[0])):
        await run.deployments.only(model)
        await play_held_out(run, "test", index, model)
        await log_policy.ask(run, index, model)
    results = outcome.results(run.config, run.journal)
    await run.journal.put("results", "", results)
    return results


def _context_of(run: RunContext, split: Split, iteration: int) -> RunContext:
    """The context to play a split with: with a teacher, it plays training in the model's place."""
    if run.config.teacher is None or split != "train":
        return run
    teacher = Teacher(run.config, run.config.teacher, run.prompts, iteration)
    return replace(run, chat=teacher, largest_n=1)


def _title(split: Split, iteration: int) -> str:
    if iteration == random_play.BEFORE:
        return f"before the warm-up: {split}"
    if split == "train" and iteration == random_play.ITERATION:
        return "warm-up: balanced random play"
    return f"iteration {iteration}: {'playing' if split == 'train' else split}"
