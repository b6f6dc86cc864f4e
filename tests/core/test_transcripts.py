from itertools import pairwise

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from rmft_api.core.records import Address, Message, Round, Trajectory
from rmft_api.core.transcripts import Prompt, RoundText, StoredTrajectory

texts = st.text(alphabet="ab\n\u2028\U0001f600", max_size=12)
messages = st.builds(Message, st.sampled_from(("system", "user", "assistant")), texts)
prompts = st.lists(messages, max_size=3).map(tuple)


def grown(T: int) -> list[Prompt]:
    """Chats of their own that tell a history of one line a round."""
    system, lines = Message("system", "Choose."), ""
    told: list[Prompt] = []
    for t in range(T):
        told.append((system, Message("user", f"{lines}\nThis is round {t} of {T}. What now?")))
        lines += f"\nRound {t}: red, 0.25"
    return told


def trajectory(told: list[Prompt]) -> Trajectory:
    rounds = [Round(p, f"reply {t}", "read", 0, (1.0,), (0.5,)) for t, p in enumerate(told)]
    return Trajectory(Address("train", 1, 2, 3), "m", ("red",), tuple(rounds))


@given(st.lists(prompts, max_size=6))
def test_a_trajectory_comes_back_letter_for_letter(told: list[Prompt]) -> None:
    whole = trajectory(told)
    assert StoredTrajectory.of(whole).whole() == whole


def test_a_silent_trajectory_has_all_but_the_words() -> None:
    rounds = StoredTrajectory.of(trajectory(grown(3))).figures.rounds
    assert rounds == (Round((), "", "read", 0, (1.0,), (0.5,)),) * 3


def test_a_history_told_anew_each_round_is_kept_once() -> None:
    told = grown(200)
    words = msgspec.json.decode(
        StoredTrajectory.of(trajectory(told)).transcript, type=list[RoundText]
    )
    kept = sum(len(piece.text) for one in words for piece in one.prompt)
    whole = sum(len(message.content) for prompt in told for message in prompt)
    assert kept < 0.03 * whole
    assert kept < 200 * 80


def test_messages_that_stay_the_same_are_one_object() -> None:
    first, *others = [
        one.prompt for one in StoredTrajectory.of(trajectory(grown(5))).whole().rounds
    ]
    assert all(prompt[0] is first[0] for prompt in others)
    assert all(before[1] != after[1] for before, after in pairwise([first, *others]))
