"""A run on a log is held against the log's own held-out rows: asked once, told beside regret."""

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from rmft_api import loop
from rmft_api.config import schema
from rmft_api.config.schema import RunConfig
from rmft_api.core import resources
from rmft_api.core.errors import ResumableError
from rmft_api.core.paths import Origin
from rmft_api.core.records import ChatRequest, ChatResponse, Choice, Interval
from rmft_api.evaluation import off_policy
from rmft_api.evaluation.off_policy import OffPolicyResults, PolicyValue
from rmft_api.evaluation.scoring import Results
from rmft_api.local_server import scripted_players
from rmft_api.planning import Spending
from rmft_api.prompts import load
from rmft_api.report.build import gather
from rmft_api.report.data import RunState
from rmft_api.report.paper import run_tables
from rmft_api.report.results_json import results_json
from rmft_api.report.text.results import results_table
from rmft_api.rollouts import log_policy
from rmft_api.rollouts.log_policy import KIND, LogPolicy
from tests.loop_world import Reads, World
from tests.planning.world import drawn, phase

EMPTY = Spending((), None, 0, 0, None, None)
PAYS = {"a": 0.2, "b": 0.5, "c": 0.8}
SHOWN = {"a": 0.6, "b": 0.2, "c": 0.2}


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("log") / "shown.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["act", "pay", "chance", "seen"])
        for _ in range(1500):
            act = str(rng.choice(list(PAYS), p=list(SHOWN.values())))
            pay = int(rng.random() < PAYS[act])
            writer.writerow([act, pay, SHOWN[act], "north" if rng.random() < 0.5 else "south"])
    return path


def config(log: Path, asked: dict[str, Any] | None = None, **options: Any) -> RunConfig:
    given = {"path": str(log), "action": "act", "reward": "pay", "names": "story", **options}
    problem = {"environment": "logs", "K": 3, "T": 6, "options": given}
    return RunConfig.model_validate(
        {
            "name": "loop",
            "seed": 5,
            "iterations": 1,
            "model": {"base": "skill-0.0"},
            "rollouts": {"scenarios": 2, "trajectories": 4, "problems": [problem]},
            "selection": {"k": 2},
            "validation": {"scenarios": 12},
            "test": {"scenarios": 24},
            "off_policy": {"histories": 3, "samples": 2, **(asked or {})},
        }
    )


def world(path: Path, run: RunConfig) -> World:
    found = World(path, run, ["skill-1.0"] * 3)
    found.chat = Reads(run)
    return found


async def walk(one: World) -> tuple[Results, dict[str, LogPolicy]]:
    journal = one.journal()
    try:
        results = await loop.iterate(one.run(journal))
        return results, dict(journal.all(KIND, LogPolicy))
    finally:
        journal.close()


async def test_base_and_champion_stand_beside_known_policies(tmp_path: Path, log: Path) -> None:
    results, _ = await walk(world(tmp_path, config(log, propensity="chance")))
    found = results.off_policy
    assert found is not None
    assert results.champion.index == 1
    assert found.rows == 300
    names = [one.name for one in found.players]
    assert names[:4] == ["skill-0.0", "skill-1.0", "random", "always c"]
    assert names[4:] == [f"{n}, same histories" for n in ("greedy", "ucb1", "thompson")]
    by_name = {one.name: one for one in found.players}
    for name, value in (("random", 0.5), ("always c", 0.8)):
        for interval in (by_name[name].ips, by_name[name].snips, by_name[name].dr):
            assert interval.low < value < interval.high
    assert by_name["always c"].over_base is not None
    assert by_name["skill-0.0"].over_base is None
    table = results_table(results)
    assert "mean reward for each decision on 300 held-out rows of shown.csv" in table
    assert "propensities are the log's own (column chance, least 0.2)" in table
    data = json.loads(results_json(results, EMPTY))
    assert [one["name"] for one in data["off_policy"]["policies"]] == names
    assert any("rows divided at random" in line for line in data["data"])
    assert msgspec.json.decode(msgspec.json.encode(found), type=OffPolicyResults) == found


async def test_the_shares_are_of_the_logs_actions_whatever_they_are_called(
    tmp_path: Path, log: Path
) -> None:
    one = world(tmp_path, config(log))
    _, policies = await walk(one)
    (asked,) = log_policy.questions(one.config)
    for question in asked.questions:  # skill-1.0 always names the first name it was told
        shares = policies["01"].shares[question.number]
        first = question.history.order[0]
        assert [action for action, share in enumerate(shares) if share] == [first]
        assert sum(shares) == pytest.approx(1.0)


async def test_a_row_is_told_after_training_rows_as_they_were_shown(
    tmp_path: Path, log: Path
) -> None:
    run = config(log)
    one = world(tmp_path, run)
    await walk(one)
    (asked,) = log_policy.questions(run)
    assert len(asked.questions) == 3  # without features a history is a prompt
    train = set(asked.log.parts["train"].tolist())
    chats = [r for r in one.chat.asked if r.key.startswith(f"{KIND}/1/")]
    told = log_policy.wordings(run, load(run.prompts, [resources.prompts_dir()]), asked)
    for request, question in zip(chats[:: len(chats) // 3], asked.questions, strict=False):
        rows: list[int] = question.history.rows.tolist()
        assert len(rows) == 5
        assert set(rows) <= train
        shown: list[int] = asked.log.actions_N[rows].tolist()
        text = request.messages[-1].content
        for place, action in enumerate(question.history.order):
            name = told[question.history.number].names[place]
            if action in shown:
                assert f"{name}: " in text or f"{name} " in text


async def test_rows_with_one_chat_share_its_answers_and_contexts_make_chats(
    tmp_path: Path, log: Path
) -> None:
    pytest.importorskip("sklearn")
    run = config(log, {"rows": 200}, features="seen")
    (asked,) = log_policy.questions(run)
    assert len(asked.rows_N) == 200
    assert len(asked.questions) == 6  # 3 histories, 2 contexts
    assert set(asked.rows_N.tolist()) <= set(asked.log.parts["test"].tolist())
    prompts: list[int] = asked.prompts_N.tolist()
    rows = Counter(prompts)
    assert [q.samples for q in asked.questions] == [min(64, 2 * rows[i]) for i in range(6)]
    results, _ = await walk(world(tmp_path, run))
    assert results.off_policy is not None
    names = [one.name for one in results.off_policy.players]
    assert "reward model's best" in names
    notes = " ".join(results.off_policy.notes)
    assert "the log has no propensities: they are estimated" in notes
    assert "by logistic regression" in notes


@pytest.mark.parametrize("before_the_end", [1, 30, 55])
async def test_a_run_that_stopped_while_it_asked_goes_on_to_the_same_end(
    tmp_path: Path, log: Path, before_the_end: int
) -> None:
    run = config(log, {"histories": 30})
    whole = world(tmp_path / "whole", run)
    results, policies = await walk(whole)
    one = world(tmp_path / "cut", run)
    one.chat.end_after = len(whole.chat.asked) - before_the_end
    with pytest.raises(ResumableError):
        await walk(one)
    one.chat.end_after = None
    assert await walk(one) == (results, policies)


class Plays(Reads):
    """A scripted player of the local server: it answers in the form that its state names."""

    async def reply(self, request: ChatRequest) -> ChatResponse:
        self.asked.append(request)
        state = request.visible_state
        assert state is not None  # a scripted player reads no words
        told = [scripted_players.reply("ucb1", state, request.seed + i) for i in range(request.n)]
        return ChatResponse("r", request.model, tuple(Choice(one, "stop") for one in told), None)


@pytest.mark.parametrize("answer", ["tag", "json", "tool"])
async def test_held_out_rows_are_asked_and_read_in_the_form_that_was_played(
    tmp_path: Path, log: Path, answer: str
) -> None:
    raw = config(log, names="log").model_dump()
    raw["model"]["base"] = "scripted-ucb1"
    raw["prompts"]["answer"] = answer
    run = RunConfig.model_validate(raw)
    one = World(tmp_path, run, ["ft:scripted-ucb1:local::1"])
    one.chat = Plays(run)
    results, policies = await walk(one)
    assert results.off_policy is not None
    assert [policy.valid for policy in policies.values()] == [1.0, 1.0]
    asked = [request for request in one.chat.asked if request.key.startswith(KIND)]
    forms = {request.answer and request.answer.form for request in asked}
    assert forms == {None if answer == "tag" else run.prompts.answer_form}
    states = [request.visible_state for request in asked]
    assert {sum(state.counts) for state in states if state} == {5}  # T - 1 rounds were told


async def test_a_finished_run_asks_about_no_row_again(tmp_path: Path, log: Path) -> None:
    one = world(tmp_path, config(log))
    await walk(one)
    number = len(one.chat.asked)
    await walk(one)
    assert len(one.chat.asked) == number


async def test_with_no_rows_wanted_nobody_is_asked(tmp_path: Path, log: Path) -> None:
    one = world(tmp_path, config(log, {"rows": 0}))
    results, _ = await walk(one)
    assert results.off_policy is None
    assert not [r for r in one.chat.asked if r.key.startswith(KIND)]


async def test_the_plan_counts_what_is_really_asked(tmp_path: Path, log: Path) -> None:
    run = config(log, {"histories": 5})
    one = world(tmp_path, run)
    await walk(one)
    plan = drawn(run)
    for index in (0, 1):
        sent = [r for r in one.chat.asked if r.key.startswith(f"{KIND}/{index}/")]
        planned = phase(plan, "off-policy", index)
        largest = 128  # of profile local; the world asks for 8 at once
        assert planned.calls == sum(-(-q.samples // largest) for q in _asked(run).questions)
        assert sum(r.n for r in sent) == sum(q.samples for q in _asked(run).questions)


def _asked(run: RunConfig) -> log_policy.LogQuestions:
    (found,) = log_policy.questions(run)
    return found


def value(index: int | None, above: Interval | None) -> PolicyValue:
    mean = Interval(0.5, 0.4, 0.6)
    return PolicyValue("m", index, mean, mean, mean, above, 100.0, 2.0, 1.0)


UP, DOWN, OPEN = Interval(0.1, 0.05, 0.2), Interval(-0.1, -0.2, -0.05), Interval(0.0, -0.1, 0.1)


@pytest.mark.parametrize(
    ("simulated", "logged", "says"),
    [
        (UP, UP, "agree that it is better"),
        (DOWN, DOWN, "agree that it is worse"),
        (OPEN, OPEN, "neither the simulation nor the log sees a difference"),
        (UP, OPEN, "too unsure to confirm or to refute"),
        (OPEN, DOWN, "where the simulation is unsure"),
        (UP, DOWN, "THE LOG AND THE SIMULATION DISAGREE; believe the log first"),
        (DOWN, UP, "THE LOG AND THE SIMULATION DISAGREE"),
    ],
)
def test_plain_words_say_whether_log_and_simulation_agree(
    simulated: Interval, logged: Interval, says: str
) -> None:
    found = OffPolicyResults("l.csv", 300, 3, 3, 6, (value(0, None), value(1, logged)), ())
    assert says in off_policy.verdict(found, 1, simulated)
    assert off_policy.verdict(found, 0, simulated) == ""


def with_problems(log: Path, *several: dict[str, Any], **options: Any) -> RunConfig:
    raw = config(log, **options).model_dump()
    first = raw["rollouts"]["problems"][0]
    raw["rollouts"]["problems"] = [{**first, **one} for one in several]
    return RunConfig.model_validate(raw)


async def test_a_log_whose_actions_are_not_all_offered_says_why_it_has_no_table(
    tmp_path: Path, log: Path
) -> None:
    run = with_problems(log, {"K": 2})
    run = run.model_copy(update={"model": run.model.model_copy(update={"base": "scripted-ucb1"})})
    line = (
        "shown.csv with K=2, T=6 has no off-policy values: they need every action offered, and "
        "the log has 3; set K = 3, or name 2 of them in the option actions"
    )
    assert log_policy.not_evaluated(run) == (line,)
    assert line in drawn(run).assumptions
    one = World(tmp_path, run, ["ft:scripted-ucb1:local::1"])
    one.chat = Plays(run)
    results, _ = await walk(one)
    assert results.off_policy is None
    assert line in results.data
    followed = with_problems(log, {"K": 3})
    assert log_policy.not_evaluated(followed) == ()
    assert log_policy.questions(followed)
    named = with_problems(log, {"K": 2}, actions="a, b")
    assert log_policy.questions(named)


async def test_every_log_of_a_run_has_a_table(tmp_path: Path, log: Path) -> None:
    run = with_problems(log, {"K": 3}, {"T": 9}, {"K": 2})
    (line,) = log_policy.not_evaluated(run)
    assert line.startswith("shown.csv with K=2, T=6 has no off-policy values: they need")
    assert log_policy.not_evaluated(config(log, {"rows": 0})) == ()
    run = with_problems(log, {"K": 3}, {"T": 9})
    one = world(tmp_path, run)
    results, policies = await walk(one)
    assert set(policies) == {"00", "00/1", "01", "01/1"}
    assert results.off_policy is not None
    (other,) = results.other_logs
    assert (results.off_policy.rounds, other.rounds) == (6, 9)
    table = results_table(results)
    assert table.count("held-out rows of shown.csv (T=") == 2
    data = msgspec.json.decode(results_json(results, EMPTY))
    assert [data["off_policy"]["rounds"], *(o["rounds"] for o in data["other_logs"])] == [6, 9]
    journal = one.journal()
    try:
        report = gather(run, journal, results, RunState("finished", ""))
    finally:
        journal.close()
    tables = {one.name: one for one in run_tables.of_run(results, report)}
    for name, found in (("off_policy", results.off_policy), ("off_policy_2", other)):
        assert f"T = {found.rounds}" in tables[name].title
        assert [row[4] for row in tables[name].rows] == [player.dr for player in found.players]
    asked = len(one.chat.asked)
    assert await walk(one) == (results, policies)
    assert len(one.chat.asked) == asked
    planned = phase(drawn(run), "off-policy", 0).calls
    assert planned == sum(
        -(-q.samples // 128) for a in log_policy.questions(run) for q in a.questions
    )


def test_a_run_of_an_earlier_version_is_asked_about_its_first_log_alone(log: Path) -> None:
    run = with_problems(log, {"K": 3}, {"T": 9})
    then = schema.parse(run.model_dump(), "then", Origin(Path.cwd(), rules=2))
    assert [asked.problem.T for asked in log_policy.questions(then)] == [6]
    (line,) = log_policy.not_evaluated(then)
    assert "T=9 has no off-policy values: this run was started by an earlier version" in line


async def test_propensities_that_cannot_be_right_are_told(tmp_path: Path, log: Path) -> None:
    wrong = tmp_path / "wrong.csv"
    lines = log.read_text(encoding="utf-8").replace(",0.2,", ",0.7,")
    wrong.write_text(lines, encoding="utf-8")
    for path, told in ((wrong, True), (log, False)):
        run = config(path, propensity="chance")
        results, _ = await walk(world(tmp_path / str(told), run))
        assert results.off_policy is not None
        notes = " ".join(results.off_policy.notes)
        assert ("the weights of random play have the mean" in notes) is told
