"""What a card says, section by section."""

from collections.abc import Iterator

from rmft_api.config.schema import RunConfig
from rmft_api.evaluation.scoring import Results
from rmft_api.journal import dollars
from rmft_api.report.data import LineageStep, ReportData
from rmft_api.report.model_card.head import champion_of
from rmft_api.report.paper import run_tables
from rmft_api.report.paper.tables import PaperTable, markdown
from rmft_api.rollouts import preparation

PAPER = "[arXiv 2511.04393](https://arxiv.org/abs/2511.04393)"
MEASURED = ("results", "paired_differences", "regret_over_time", "own_measures", "off_policy")
MOST_PROBLEMS = 30


def code(text: str) -> str:
    """As a Markdown code span that no text can close."""
    fence = "`"
    while fence in text:
        fence += "`"
    space = " " if len(fence) > 1 else ""
    return f"{fence}{space}{text}{space}{fence}"


def summary(config: RunConfig, results: Results, report: ReportData) -> str:
    """Title, what the model is, and the headline of the page."""
    lines = [f"# {results.champion.model}", ""]
    if results.champion.index == 0:
        lines.append(
            f"This is {code(config.model.base)} itself: no iteration of run {code(config.name)} "
            "beat it in validation, so there is no tuned model to publish."
        )
    else:
        lines.append(
            f"{code(config.model.base)} after {results.champion.index} iterations of Iterative "
            f"Regret-Minimization Fine-Tuning ({PAPER}): it was fine-tuned on its own play of "
            "decision problems in words, on the trajectories of least regret."
        )
    lines += ["", f"**{report.headline.title}.** {report.headline.text}"]
    if report.state != "finished":
        lines += ["", f"The run is not finished ({report.state}); these are its figures so far."]
    return "\n".join(lines)


def origin(config: RunConfig, results: Results, report: ReportData) -> str:
    """Base, endpoint, versions and seeds."""
    facts = {
        "base model": code(config.model.base),
        "model": code(results.champion.model),
        "iteration": f"{results.champion.index} of {config.iterations}",
        "endpoint profile": code(config.model.profile),
        **{name: code(value) for name, value in report.origin.items() if name not in _SAID},
    }
    rows = "\n".join(f"| {name} | {value} |" for name, value in facts.items())
    return f"## Where it comes from\n\n| | |\n|---|---|\n{rows}"


_SAID = ("base model", "profile")


def training(config: RunConfig, results: Results, report: ReportData) -> str:
    """The method's settings, the data of each job with its hash, and what was selected."""
    steps = _chain(report.steps, results.champion.index)
    parts = ["## How it was trained", _method(config)]
    if steps:
        head = "| iteration | starts from | training file, SHA-256 | job | settings | seed |"
        rows = "\n".join(_step(one) for one in steps)
        parts.append(f"{head}\n|---|---|---|---|---|---|\n{rows}")
    tables = {one.name: one for one in run_tables.of_run(results, report)}
    if "selections" in tables:
        parts.append(markdown(tables["selections"]))
    parts += [_data(config), *results.data, *results.references]
    problems = _problems(config)
    return "\n\n".join([*parts, f"Trained on: {problems}."])


def _method(config: RunConfig) -> str:
    rollouts, chosen = config.rollouts, config.selection
    methods = ", then ".join(config.finetuning.methods)
    return (
        f"Each iteration plays {rollouts.scenarios} scenarios {rollouts.trajectories} times, keeps "
        f"{chosen.k} trajectories of each by regret, and trains ({methods}) on them."
    )


def _data(config: RunConfig) -> str:
    """Whose words the training data are."""
    if config.teacher is not None:
        teacher = code(config.teacher.algorithm)
        return f"The training data are the play of the algorithm {teacher}, in words."
    return (
        "The training data are the model's own replies to messages of prompt set "
        f"{code(config.prompts.set)}."
    )


def _chain(steps: tuple[LineageStep, ...], last: int) -> list[LineageStep]:
    return [one for one in steps if one.iteration <= last]


def _step(one: LineageStep) -> str:
    found = one.hyperparameters
    rate = found.learning_rate_multiplier
    settings = [f"epochs {found.n_epochs}", f"batch {found.batch_size or 'auto'}"]
    settings += [] if rate is None else [f"rate multiplier {rate}"]
    cells = (one.iteration, code(one.start), code(one.dataset), code(one.job))
    return f"| {' | '.join(map(str, cells))} | {', '.join(settings)} | {one.seed} |"


def _problems(config: RunConfig) -> str:
    every = list(dict.fromkeys(one.label for one in preparation.problems_of(config, "train")))
    more = len(every) - MOST_PROBLEMS
    shown = ", ".join(code(label) for label in every[:MOST_PROBLEMS])
    return f"{shown} and {more} more" if more > 0 else shown


def measures(results: Results, report: ReportData) -> str:
    """Every table of figures, baselines among them."""
    tables = [one for one in run_tables.of_run(results, report) if one.name in MEASURED]
    lead = (
        "Test scenarios were held out from every choice; validation scenarios chose this "
        "iteration. Lower regret is better. SuffFail is the share of trajectories that never "
        "choose the best action in their second half; K x MinFrac is how evenly actions are tried."
    )
    if champion_of(results).test is None:
        lead = "No model has played the test scenarios yet. " + lead
    return "\n\n".join(["## Measures", lead, *map(markdown, tables)])


def cost(results: Results, report: ReportData) -> str:
    """Requests, tokens and money of the run that made it."""
    table = next((one for one in _spending(results, report)), None)
    lead = f"The run that made it spent {dollars(report.money.spent)}."
    return "\n\n".join(["## Cost", lead, *([] if table is None else [markdown(table)])])


def _spending(results: Results, report: ReportData) -> Iterator[PaperTable]:
    yield from (one for one in run_tables.of_run(results, report) if one.name == "spending")


def usage(config: RunConfig, results: Results) -> str:
    """How to ask the model in the words of its training."""
    return f"""## How to ask it

Ask it in the words in which it was trained, with the run's prompts and its reader of answers:

```python
import rmft_api

async with rmft_api.open_run({config.name!r}).champion.decider() as decider:
    game = decider.start()
    choice = await game.decide()
    game.observe(reward=1.0)
```

`rmft_api.Decider` is described in the guide of rmft-api, *Use the tuned model*. It asks model
{code(results.champion.model)}
with prompt set {code(config.prompts.set)}, answers as {code(config.prompts.output)},
histories as {code(config.prompts.history)}, temperature {config.sampling.temperature:g}.
Nothing here was measured with other words."""
