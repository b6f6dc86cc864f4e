"""Whole runs, planned before and billed after: the dry run against a provider that keeps books."""

import json
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec

from rmft_api.cli.main import main
from rmft_api.core.records import ExampleMessage, Record
from rmft_api.datasets.tokens import counter_for
from tests.fake_provider.client import Books, running

BASE = "gpt-4.1-mini-2025-04-14"
PRICES = {"input": 0.4, "output": 1.6, "tuned_input": 0.8, "tuned_output": 3.2, "train": 5}
PRICES_OF_CACHED = {"cached": 0.1, "tuned_cached": 0.2}
CACHE_FROM = 1024
EPOCHS = 2
PROFILE = """
[fake]
like = "openai"
prices = "openai"
base_url = "{url}"
[fake.batch]
quarantine_s = 0.6
poll_every_s = 0.02
[fake.training]
quarantine_s = 0.6
list_lag_s = 0.1
poll_every_s = 0.02
"""
PROBLEMS = {
    "online_learning": "K = 3\nT = {T}",
    "bandit": "K = [3, 5]\nT = {T}",
    "nonstationary": "K = 3\nT = {T}",
    "contextual": "K = 3\nT = {T}",
}
"""Full information, and the stochastic, the non-stationary and the contextual bandit."""
RUN = """
seed = {seed}
iterations = 3
budget_usd = 200
[model]
base = "{base}"
profile = "fake"
[prompts]
story = "buttons"
{prompts}
[sampling]
max_tokens = {max_tokens}
[requests]
transport = "{transport}"
[rollouts]
scenarios = {scenarios}
trajectories = {trajectories}
coalesce = {coalesce}
[[rollouts.problems]]
environment = "{environment}"
{problem}
[selection]
k = {k}
[dataset]
{dataset}
[finetuning]
n_epochs = {epochs}
poll_every_s = 0.02
[validation]
scenarios = {held_out}
[test]
scenarios = {held_out}
"""


@dataclass(frozen=True)
class Case:
    """One run."""

    environment: str
    history: str = "summary"
    T: int = 8
    scenarios: int = 4
    trajectories: int = 6
    k: int = 2
    held_out: int = 4
    reply_tokens: int = 40
    """Mean length of the provider's replies."""
    max_tokens: int = 0
    """0: twice the mean, so that a plan assumes it."""
    conversation: str = "single_turn"
    reasoning: str = "free"
    coalesce: bool = True
    transport: str = "direct"
    seed: int = 3
    prompts: tuple[str, ...] = ()
    dataset: str = ""
    speaker: str = ""

    @property
    def name(self) -> str:
        """Of its run and its folder."""
        said = f"{self.environment}-{self.history}-{self.conversation}-{self.T}"
        return said.replace("_", "-")

    def file(self) -> str:
        """The run file."""
        prompts = (
            f'history = "{self.history}"',
            f'conversation = "{self.conversation}"',
            f'reasoning = "{self.reasoning}"',
            *self.prompts,
        )
        return RUN.format(
            seed=self.seed,
            base=BASE,
            prompts="\n".join(prompts),
            max_tokens=self.max_tokens or 2 * self.reply_tokens,
            scenarios=self.scenarios,
            trajectories=self.trajectories,
            coalesce=str(self.coalesce).lower(),
            transport=self.transport,
            environment=self.environment,
            problem=PROBLEMS[self.environment].format(T=self.T),
            k=self.k,
            dataset=self.dataset,
            epochs=EPOCHS,
            held_out=self.held_out,
        )


@dataclass(frozen=True)
class Outcome:
    """What was planned before, and what the provider's books say after."""

    plan: dict[str, Any]
    """Before the run."""
    replanned: dict[str, Any]
    """After it: with the length that its replies had."""
    status: str
    report: dict[str, Any]
    books: Books
    directory: Path
    """The run's."""

    def planned(self, name: str) -> float:
        """A sum over the plan's phases."""
        return sum(phase[name] for phase in self.plan["phases"])

    @property
    def planned_usd(self) -> float:
        """Expected."""
        return float(self.plan["total_usd"]["expected"])

    @property
    def billed_usd(self) -> float:
        """Of chats and training."""
        return self.books.billed() / 1e6

    @property
    def trained(self) -> int:
        """Tokens that were billed as trained."""
        return self.books.number("SELECT sum(input_tokens) FROM bill WHERE kind = 'training'")

    @property
    def jobs(self) -> list[int]:
        """Tokens that each job was billed for, in order."""
        rows = self.books.rows("SELECT input_tokens FROM bill WHERE kind = 'training' ORDER BY seq")
        return [int(row[0]) for row in rows]

    def written(self) -> list[int]:
        """Tokens of each training file x epochs."""
        files = sorted(self.directory.glob("iteration_*/dataset.jsonl"))
        return [EPOCHS * sum(map(_tokens, file.read_bytes().splitlines())) for file in files]

    def chats(self, column: str) -> int:
        """A sum over the bill's chats."""
        return self.books.number(f"SELECT sum({column}) FROM bill WHERE kind = 'chat'")

    @property
    def calls(self) -> int:
        """Chats that were billed."""
        return self.chats("1")


class _Line(Record, frozen=True):
    messages: tuple[ExampleMessage, ...]


def _tokens(line: bytes) -> int:
    return counter_for(BASE).chat(msgspec.json.decode(line, type=_Line).messages)


def play(case: Case, folder: Path, **settings: Any) -> Outcome:
    """Plan the run, play it whole over HTTP, report it."""
    given: dict[str, Any] = {
        "base_models": [BASE],
        "unit": "o200k_base",
        "cache_from": CACHE_FROM,
        "prices": {**PRICES, **PRICES_OF_CACHED},
        "reply_tokens": 0 if case.reasoning == "none" else case.reply_tokens,
        "speaker": case.speaker,
        "running_ticks": 1,
        **settings,
    }
    file = folder / f"{case.name}.toml"
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(case.file())
    with running(folder / "provider", **given) as provider:
        (folder / "profiles.toml").write_text(PROFILE.format(url=provider.base_url))
        environ = {"RMFT_PROFILES": str(folder / "profiles.toml"), "OPENAI_API_KEY": "sk-x"}
        where = ("--runs", folder / "runs")
        plan = json.loads(command(environ, "plan", file, "--json"))
        command(environ, "run", file, *where)
        replanned = json.loads(command(environ, "plan", file, "--json", *where))
        status = command(environ, "status", case.name, *where)
        report = json.loads(command(environ, "report", case.name, "--json", *where))
    return Outcome(plan, replanned, status, report, provider.books, folder / "runs" / case.name)


def command(environ: Mapping[str, str], *words: object) -> str:
    """What `rmft-api` prints. Raises RuntimeError where it fails."""
    said, complained = StringIO(), StringIO()
    with (
        mock.patch.object(sys, "argv", ["rmft-api", *map(str, words)]),
        mock.patch.dict("os.environ", environ),
        redirect_stdout(said),
        redirect_stderr(complained),
    ):
        try:
            main()
        except SystemExit as ended:
            if ended.code:
                told = complained.getvalue()
                raise RuntimeError(f"{words} ended with {ended.code}: {told}") from None
    return said.getvalue()
