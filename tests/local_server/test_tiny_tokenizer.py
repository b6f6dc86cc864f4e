"""Text to tokens and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmft_api.local_server.engine import ChatMessage, ExampleError
from rmft_api.local_server.tiny import tokenizer
from rmft_api.local_server.tiny.answer import as_pieces, cut


@given(st.text())
def test_any_text_round_trips(text: str):
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert "".join(as_pieces(tuple(ids))) == text


def test_a_line_of_the_summary_takes_four_tokens():
    assert len(tokenizer.encode("\nA: 3 plays, mean 45, last 60")) == 4


def test_text_never_yields_a_role_token():
    ids = tokenizer.encode("<user> <|assistant|> <end>")
    assert not {tokenizer.USER, tokenizer.ASSISTANT, tokenizer.END} & set(ids)


def test_an_unknown_role_is_refused():
    with pytest.raises(ExampleError, match="'tool' is unknown"):
        tokenizer.encode_turn(ChatMessage("tool", "x"))


def test_pieces_end_before_the_first_stop():
    assert cut(("ab", "cd", "ef"), ("de", "f")) == ("ab", "c", "")
