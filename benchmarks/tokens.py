"""Token counts a second: chats as our tool tells them, new ones and ones that grow.

python -m benchmarks.tokens
"""

import time

from rmft_api.core.records import Message
from rmft_api.datasets import tokens

MODEL = "gpt-4o-mini"
ROUNDS = 200
STORY = "You stand before three buttons. Red gave 0.41 on average, blue 0.52, green 0.37. "
REPLY = "The averages are close, so one more look at the first may pay off.\n<Answer>red</Answer>"


def fresh(number: int) -> list[Message]:
    """A chat of one round that nobody has counted."""
    return [Message("system", STORY * 3), Message("user", f"Round {number}. {STORY}{number / 7}")]


def grown(number: int) -> list[Message]:
    """A chat of so many rounds, all but the last of which were counted before."""
    told = [Message("user" if i % 2 else "assistant", f"{REPLY} {i}") for i in range(2 * number)]
    return [Message("system", STORY * 3), *told, Message("user", f"Round {number}.")]


def main() -> None:
    """Print a row for each kind."""
    begun = time.process_time()
    counter = tokens.counter_for(MODEL)
    counter.chat(fresh(0))
    print(f"vocabulary loaded in {time.process_time() - begun:.2f} s of CPU ({counter.basis})")
    print("| chat | counts/s | tokens/s |\n|---|---|---|")
    for name, make in (("one round", fresh), ("grows to 200 rounds", grown)):
        chats = [make(number) for number in range(1, ROUNDS + 1)]
        begun = time.process_time()
        counted = sum(counter.chat(chat) for chat in chats)
        took = time.process_time() - begun
        print(f"| {name} | {ROUNDS / took:,.0f} | {counted / took:,.0f} |")


if __name__ == "__main__":
    main()
