"""Forms of an answer of one's own: told in their words, read strictly, learnt as played."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rmft_api.core.errors import ConfigError, DataError
from rmft_api.loop import iterate
from rmft_api.prompts import of_run, own_forms, reader
from rmft_api.prompts.reader import ParsedReply, UnreadableReply
from rmft_api.rollouts import preparation
from rmft_api.testing import AnswerContract
from tests import loop_world
from tests.loop_world import World


class Arrow:
    words = "End with one line `=> NAME`, where NAME is one of $actions."
    pattern = r"=> (.+)"

    def write(self, name: str) -> str:
        return f"=> {name}"


class Silent(Arrow):
    words = ""


class Groupless(Arrow):
    pattern = "=> .+"


class Broken(Arrow):
    pattern = "=> (.+"


class Number(Arrow):
    def write(self, name: str) -> Any:
        return 7


class Otherwise(Arrow):
    def write(self, name: str) -> str:
        return f"-> {name}"


class Upper(Arrow):
    def write(self, name: str) -> str:
        return f"=> {name}!?"


class Unknown(Arrow):
    words = "Answer $colour."


class TestArrow(AnswerContract):
    form = f"{__name__}:Arrow"


def own(name: str) -> str:
    return f"{__name__}:{name}"


def config(name: str, **prompts: object) -> Any:
    return loop_world.config(prompts={"set": "standard", "answer": own(name), **prompts})


def test_its_words_are_told_and_its_answers_read() -> None:
    run = config("Arrow")
    seat = next(preparation.prepared_scenarios(run, of_run(run), "train", 1))
    told = "\n".join(one.content for one in seat.begin().prompt.messages())
    assert f"End with one line `=> NAME`, where NAME is one of {', '.join(seat.names)}." in told
    assert "Answer>" not in told
    form = run.prompts.answer_form
    read = reader.read(f"hm\n=> {seat.names[1].upper()}.", "stop", None, seat.names, form)
    assert isinstance(read, ParsedReply)
    assert read.action == 1
    assert reader.alone(f"hm\n=> {seat.names[1]}", read, form, "so") == f"so\n=> {seat.names[1]}"
    assert reader.reason("hm\n=> it", form) == "hm"
    assert reader.form_mistake("=> it", form) is None
    assert "one was expected" in str(reader.form_mistake("=> a\n=> b", form))


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("", "empty"),
        ("blue", "no_answer"),
        ("=> A\n=> A", "several_answers"),
        ("=> A\nor not", "text_after"),
        ("=> C", "wrong_form"),
        ("<Answer>A</Answer>", "no_answer"),
    ],
)
def test_what_could_be_two_answers_or_none_is_unreadable(said: str, cause: str) -> None:
    form = config("Arrow").prompts.answer_form
    found = reader.read(said, "stop", None, ("A", "B"), form)
    assert isinstance(found, UnreadableReply)
    assert found.cause == cause


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Silent", "words is ''; a text expected"),
        ("Groupless", "pattern is '=> .+'; a regular expression expected whose first group"),
        ("Broken", "pattern '=> (.+': missing ), unterminated subpattern"),
        ("Number", "returned 7; a text expected"),
        ("Otherwise", "which its own pattern does not read: nothing is of the form '=> (.+)'"),
        ("Upper", "in which its pattern reads "),
        ("Nobody", "has no 'Nobody'"),
    ],
)
def test_a_breach_is_found_before_anything_is_sent(name: str, says: str) -> None:
    run = config(name)
    with pytest.raises(ConfigError, match=re.escape(says)):
        next(preparation.prepared_scenarios(run, of_run(run), "train", 1)).prompt_builder()


def test_words_with_a_field_that_nobody_fills_and_names_of_no_form_are_refused() -> None:
    with pytest.raises(DataError, match="colour"):
        of_run(config("Unknown"))
    with pytest.raises(ConfigError, match="unknown answer 'jsn'; did you mean 'json'"):
        own_forms.load("jsn", None)
    with pytest.raises(ValueError, match="names one action; set output='action'"):
        config("Arrow", output="policy")


class Pointing(loop_world.Skilled):
    """Answers as well, in the other form."""

    async def reply(self, request: Any) -> Any:
        reply = await super().reply(request)
        choices = tuple(
            msgspec.structs.replace(
                one, content=re.sub("<Answer>(.*)</Answer>", r"=> \1", one.content or "")
            )
            for one in reply.choices
        )
        return msgspec.structs.replace(reply, choices=choices)


async def test_a_run_learns_the_form_that_it_played(tmp_path: Path) -> None:
    run = config("Arrow").model_copy(update={"iterations": 1})
    world = World(tmp_path, run, ["skill-0.9"])
    world.chat = Pointing(run)
    journal = world.journal()
    try:
        results = await iterate(world.run(journal))
    finally:
        journal.close()
    assert results.iterations[0].validation.valid == 1.0
    ((_, learnt),) = world.learnt
    assert b"=> " in learnt
    assert b"<Answer>" not in learnt
