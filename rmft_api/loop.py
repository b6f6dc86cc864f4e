"""The loop: Iterative Regret-Minimization Fine-Tuning, from the base model to the champion.

Read `iterate` first: it is the whole method (docs/method.md 1). It is a deterministic program;
whatever comes from outside comes through the journal, so a run is resumed by running it again from
the top, and what was paid for is not asked again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rmft_api import tracking
from rmft_api.config.schema import ReplayStep, RunConfig
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
from rmft_api.rollouts import preparation, splits
from rmft_api.rollouts.reasons import Reasons
from rmft_api.rollouts.teacher import Teacher
from rmft_api.selection import ranking


@dataclass(frozen=True)
class Run:
    """Everything that one run works with; the command line puts it together."""

    config: RunConfig
    directory: Path
    journal: Journal
    prompts: PromptSet
    chat: ChatModel
    largest_n: int
    """Choices that one request may ask for."""
    counter: TokenCounter
    """Counts what is learnt from."""
    trainer: Trainer
    hosting: Deployments
    console: Console
    tracker: Tracker | None = None


Taught = Sequence[tuple[Method, TrainingData]]
"""What the jobs of an iteration learn, in order, and how."""


async def iterate(run: Run) -> Results:
    """Play, rank, select, fine-tune, evaluate; again with the new model; then name the champion."""
    model = run.config.model.base
    await enter(run, 0)
    await evaluate(run, 0, model)
    for iteration in range(1, run.config.iterations + 1):
        await enter(run, iteration)
        await play(run, "train", iteration, model)
        await run.hosting.close(model)  # nobody plays it while the next one is trained
        taught = await write_lessons(run, iteration)
        model = await fine_tune(run, iteration, model, taught)
        await evaluate(run, iteration, model)
        gate = await judge(run, iteration)
        if gate.decision == "stop":
            break
        model = outcome.models(run.journal)[gate.start]
        await run.hosting.only(model)
    return await conclude(run)


async def retrace(run: Run, steps: Sequence[ReplayStep]) -> Results:
    """Repeat the chain of another run: train on its files, and evaluate each model."""
    models = [run.config.model.base]
    await enter(run, 0)
    await evaluate(run, 0, models[0])
    for iteration, step in enumerate(steps, start=1):
        await enter(run, iteration)
        taught = retrain.given(run.directory, iteration, step)
        models.append(await fine_tune(run, iteration, models[step.start], taught))
        await evaluate(run, iteration, models[-1])
        await run.hosting.close(models[-1])
    return await conclude(run)


async def enter(run: Run, iteration: int) -> None:
    """Book what follows under `iteration`, within its own budget where there is one."""
    cap_usd = run.config.iteration_budget_usd
    cap = None if cap_usd is None else round(cap_usd * 1e6)
    await run.journal.ledger.enter_iteration(iteration, cap)


async def play(
    run: Run, split: Split, iteration: int, model: str, count: int | None = None
) -> None:
    """Play the split's scenarios, or its first `count`; finished trajectories go to the journal."""
    title = _title(split, iteration)
    await splits.play(_player(run, split, iteration), split, iteration, model, title, count)


async def write_lessons(run: Run, iteration: int) -> list[TrainingFile]:
    """Select, write and check what is learnt from: the very bytes that will be uploaded."""
    config = run.config
    first = iteration if config.finetuning.chain == "continue" else 1
    chosen = [await select(run, number) for number in range(first, iteration + 1)]
    folder = run.directory / f"iteration_{iteration:02}"
    make_directory(folder)
    template = run.prompts.reasons if config.teacher is None else None  # a teacher says it itself
    reason = None if template is None else Reasons(config, template)
    found: list[TrainingFile] = []
    for method in config.finetuning.methods:
        lesson = training_files.build(
            method, chosen, config, run.counter, run.trainer.profile, reason
        )
        replace_file(folder / lesson.file, lesson.data.content)
        run.console.line(f"iteration {iteration}: {lesson.file}: {lesson.in_words()}")
        for refused in lesson.data.refused:
            run.console.line(f"left out: {refused}")
        found.append(lesson)
    return found


async def select(run: Run, iteration: int) -> SelectedPlays:
    """What the iteration's play is learnt from; every verdict goes to the journal."""
    config, played = run.config, list(run.journal.plays("train", iteration))
    scored = [score for _, score in played]
    verdicts = ranking.rank(scored, config.selection, config.seed, iteration)
    await run.journal.put("selection", f"{iteration:02}", verdicts)
    made = selection_summary.summary(
        tuple(preparation.scenarios(config, "train", iteration)), played, verdicts
    )
    if run.journal.get("makeup", f"{iteration:02}", SelectionSummary) is None:
        run.console.line(f"iteration {iteration}: {selection_summary.in_words(made)}")
    await run.journal.put("makeup", f"{iteration:02}", made)
    wanted = training_files.selected_addresses(verdicts, config)
    whole = [one for one, _ in run.journal.trajectories("train", iteration, wanted)]
    return training_files.selected_plays(whole, verdicts, config)


async def fine_tune(run: Run, iteration: int, model: str, taught: Taught) -> str:
    """Train on each lesson in turn; the new model's id."""
    start = model if run.config.finetuning.chain == "continue" else run.config.model.base
    run.console.stage(f"iteration {iteration}: training")
    for method, data in taught:
        trained = await run.trainer.train(iteration, start, data, method)
        await run.journal.put("trained", retrain.step_of(iteration, method), trained)
        start = trained.model
    return start


async def evaluate(run: Run, index: int, model: str) -> None:
    """Play the held-out scenarios with the model of iteration `index`, and tell how it did."""
    await run.journal.put("model", f"{index:02}", model)
    await hold_out(run, "validation", index, model)
    if run.config.test_models == "all":
        await hold_out(run, "test", index, model)
    for line in outcome.in_words(run.config, run.journal, index):
        run.console.line(line)
    await track(run, index, model)


async def track(run: Run, index: int, model: str) -> None:
    """Hand the iteration's figures to the tracker, once."""
    key, tracker = f"{index:02}", run.tracker
    if tracker is None or run.journal.get("tracked", key, bool):
        return
    figures = outcome.tracked(run.config, run.journal, index)
    if await tracking.told(lambda: tracker.figures(index, model, figures), run.console.line):
        await run.journal.put("tracked", key, True)


async def hold_out(run: Run, split: Split, index: int, model: str) -> None:
    """Play a held-out split until enough is known: from look to look, or all of it at once."""
    while (count := outcome.scenarios_to_play(run.config, run.journal, split, index)) is not None:
        await play(run, split, index, model, count)


async def judge(run: Run, iteration: int) -> GateDecision:
    """Whether and from which model the run goes on. What was once decided stays so."""
    key = f"{iteration:02}"
    gate = run.journal.get("gate", key, GateDecision) or outcome.gate(
        run.config, run.journal, iteration
    )
    await run.journal.put("gate", key, gate)
    if gate.decision != "continue":
        run.console.line(f"iteration {iteration}: {scoring.gate_in_words(gate)}")
    return gate


async def conclude(run: Run) -> Results:
    """Name the champion; test the base and it if nobody was tested yet; keep the results."""
    best = outcome.champion(run.config, run.journal)
    for index, model in ((best.index, best.model), (0, run.config.model.base)):
        await run.hosting.only(model)
        await hold_out(run, "test", index, model)
    results = outcome.results(run.config, run.journal)
    await run.journal.put("results", "", results)
    return results


def _player(run: Run, split: Split, iteration: int) -> Run:
    """Who plays: a teacher takes the model's place where something is to be learnt."""
    if run.config.teacher is None or split != "train":
        return run
    teacher = Teacher(run.config, run.config.teacher, run.prompts, iteration)
    return replace(run, chat=teacher, largest_n=1)


def _title(split: Split, iteration: int) -> str:
    return f"iteration {iteration}: {'playing' if split == 'train' else split}"
