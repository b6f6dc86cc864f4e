"""Rows whose texts are alike so far share a slot, and part where they differ."""

from hypothesis import given, settings
from hypothesis import strategies as st

from rmft_api.local_server.hf.branches import Branches

TOKENS = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=6), min_size=1, max_size=12)


@given(st.data(), TOKENS)
@settings(max_examples=200, deadline=None)
def test_every_row_reads_the_slot_that_holds_its_own_text(
    data: st.DataObject, texts: list[list[int]]
) -> None:
    prompts = data.draw(
        st.lists(st.integers(0, 2), min_size=len(texts), max_size=len(texts)), label="prompts"
    )
    different = list(dict.fromkeys(prompts))
    branches = Branches([different.index(prompt) for prompt in prompts])
    held: list[tuple[int, ...]] = [(prompt,) for prompt in different]
    alive = list(range(len(texts)))
    for step in range(max(map(len, texts))):
        going = [place for place, row in enumerate(alive) if len(texts[row]) > step]
        sources, fed = branches.grow(going, [texts[alive[place]][step] for place in going])
        alive = [alive[place] for place in going]
        if sources is not None:
            held = [held[source] for source in sources]
        held = [(*text, token) for text, token in zip(held, fed, strict=True)]
        for row, slot in zip(alive, branches.slots, strict=True):
            assert held[slot] == (prompts[row], *texts[row][: step + 1])


def test_rows_that_are_alike_take_one_slot() -> None:
    branches = Branches([0, 0, 0, 1])
    assert branches.grow([0, 1, 2, 3], [5, 5, 5, 5]).tokens == [5, 5]
    assert branches.grow([0, 1, 2, 3], [6, 7, 6, 6]) == ([0, 0, 1], [6, 7, 6])
    assert branches.slots == [0, 1, 0, 2]
