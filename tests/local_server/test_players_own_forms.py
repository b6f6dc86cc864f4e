"""Scripted players answer in a form of one's own, which only the run knows."""

from pathlib import Path

import msgspec

from rmft_api.core.answer_forms import form_of
from rmft_api.core.records import VisibleState
from rmft_api.local_server import scripted_players
from rmft_api.prompts import own_forms, reader
from rmft_api.rollouts import engine

ARROW = """
class Arrow:
    words = "End with one line `=> NAME`, where NAME is one of $actions."
    pattern = r"=> (.+)"

    def write(self, name):
        return f"=> {name}"
"""


def test_what_they_say_is_read_in_that_form(tmp_path: Path) -> None:
    (tmp_path / "arrow_of_players.py").write_text(ARROW, encoding="utf-8")
    own_forms.load("arrow_of_players:Arrow", tmp_path)
    form = form_of("action", "arrow_of_players:Arrow")
    names = ("red", "green", "blue")
    for reasoned in (True, False):
        state = engine.visible_state(
            names, form, [(0, (0.2, 0.0, 0.0))], full=False, reasoned=reasoned
        )
        assert state.written == ("=> red", "=> green", "=> blue")
        sent = msgspec.json.decode(msgspec.json.encode(state), type=VisibleState)  # as the server
        said = scripted_players.reply("ucb1", sent, 3)
        read = reader.read(said, "stop", None, names, form)
        assert isinstance(read, reader.ParsedReply)
        assert read.action in (1, 2)  # untried ones first
        assert said.startswith("=>") is not reasoned
