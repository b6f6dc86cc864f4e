from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from rmft_api.records import Message, Round
from rmft_api.shorthand import Diary, restored, shortened

texts = st.text(alphabet="ab\n\u2028\U0001f600", max_size=12)
messages = st.builds(Message, st.sampled_from(("system", "user", "assistant")), texts)
prompts = st.lists(messages, max_size=3).map(tuple)


def grown(T: int) -> list[tuple[Message, ...]]:
    """Chats of their own that tell a history of one line a round."""
    system, lines = Message("system", "Choose."), ""
    told: list[tuple[Message, ...]] = []
    for t in range(T):
        told.append((system, Message("user", f"{lines}\nThis is round {t} of {T}. What now?")))
        lines += f"\nRound {t}: red, 0.25"
    return told


@given(st.lists(prompts, max_size=6))
def test_prompts_come_back_letter_for_letter(told: list[tuple[Message, ...]]) -> None:
    assert restored(shortened(told)) == told


def test_a_history_told_anew_each_round_is_kept_once() -> None:
    told = grown(200)
    kept = sum(len(piece.text) for pieces in shortened(told) for piece in pieces)
    whole = sum(len(message.content) for prompt in told for message in prompt)
    assert kept < 0.03 * whole
    assert kept < 200 * 80


def test_messages_that_stay_the_same_are_one_object() -> None:
    first, *others = restored(shortened(grown(5)))
    assert all(prompt[0] is first[0] for prompt in others)
    assert all(before[1] != after[1] for before, after in pairwise([first, *others]))


def test_a_diary_gives_the_rounds_that_were_put_in() -> None:
    diary = Diary()
    rounds = [Round(p, "reply", "read", 0, (1.0,), (0.5,)) for p in grown(6)]
    for one in rounds:
        diary.add(one.prompt, Round((), one.reply, one.status, one.action, one.policy, one.rewards))
    assert diary.rounds() == tuple(rounds)
