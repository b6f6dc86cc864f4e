"""Pieces told while an answer grows are those of the whole answer, and no more."""

from hypothesis import given
from hypothesis import strategies as st

from rmft_api.local_server.engine import AnswerToken, Prompt
from rmft_api.local_server.hf.answers import cut
from rmft_api.local_server.token_stream import TokenStream, sure

PIECES = st.lists(st.text("ab", max_size=3), max_size=8)
STOPS = st.lists(st.text("ab", min_size=1, max_size=4), max_size=3)


def test_a_piece_that_could_begin_a_stop_text_waits() -> None:
    assert sure(["one", " t"], ["two"]) == 1
    assert sure(["one", " t"], []) == 2
    assert sure(["on", "e", "x"], ["exit"]) == 1
    assert sure(["on", "e", "!"], ["exit"]) == 3


@given(PIECES, STOPS)
def test_what_is_told_on_the_way_is_how_the_whole_begins(
    pieces: list[str], stops: list[str]
) -> None:
    heard: list[tuple[int, AnswerToken]] = []

    def hear(place: int, piece: AnswerToken) -> None:
        heard.append((place, piece))

    prompt = Prompt((), 0, stop=tuple(stops), listener=hear)
    telling, end = TokenStream(prompt), len(pieces)
    for count in range(1, len(pieces) + 1):
        if any(stop in "".join(pieces[:count]) for stop in stops):
            end = count
            break
        telling.grown(pieces[:count], ())
    whole = cut(pieces[:end], stops)
    assert [piece.text for _, piece in heard] == list(whole[: len(heard)])
    telling.ended(whole, ())
    assert [piece.text for _, piece in heard] == list(whole)
    assert [place for place, _ in heard] == list(range(len(whole)))
