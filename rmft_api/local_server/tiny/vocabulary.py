"""The pieces of text that are single tokens.

Prompts are short because whole phrases and "phrase with number" pairs are tokens, as a byte-pair
vocabulary learned on such chats would have them. Any other text is spelled in bytes.
"""

from typing import NamedTuple

LETTERS = "ABCDEFGH"
PERCENTS = range(101)
COUNTS = range(101)

WORDS = """
buttons|adverts|doors|Press one a round|Show one a round|Open one a round|for|rounds.|rounds
You|you|The|the|a|an|and|or|of|to|in|is|are|was|it|one|all|each|Each|round|Round|play|plays|played
best|worst|mean|last|least|tried|untried|action|actions|answer|Answer|choose|chose|choice|points|paid
"""

PHRASES = """
 buttons:| adverts:| doors:| Press one a round for| Show one a round for| Open one a round for
 rounds.| untried| paid| plays| mean| last
~Think first.| Compare all before you choose.|~Explore, then exploit.|~End with
 <Answer>NAME</Answer>.
~You said:|You said:|~Your answer could not be read.|Nothing played yet.
 <Answer>|<Answer>|</Answer>
~Hope| decides.|~Any| will do.|~I stay with|~The best| so far.|~The worst| is due.
~The least| tried.|~Mostly| the best.|~Try each,| then the best.|~Each twice,
~A change| is good.|~The middle| is safe.
"""


class NumberPhrase(NamedTuple):
    """A family of tokens that differ only in a number, so that they can start out in order."""

    template: str
    values: range


NUMBER_PHRASES = (
    NumberPhrase("Round {}", COUNTS),
    NumberPhrase(" of {}.", COUNTS),
    NumberPhrase(" {} plays", COUNTS),
    NumberPhrase(", mean {}", PERCENTS),
    NumberPhrase(", last {}", PERCENTS),
    NumberPhrase(" {}", COUNTS),
)

LETTER_PHRASES = ("{}", " {}", ", {}", "\n{}:", " {}.", "Best {}", ", few {}", ", hope {}.")


def pieces() -> tuple[str, ...]:
    """Every multi-byte piece, in the order of its token id (after bytes and role tokens)."""
    found = [word for line in WORDS.split("\n") for word in line.split("|")]
    found += [text.replace("~", "\n") for line in PHRASES.split("\n") for text in line.split("|")]
    found += [family.template.format(n) for family in NUMBER_PHRASES for n in family.values]
    found += [template.format(letter) for template in LETTER_PHRASES for letter in LETTERS]
    return tuple(dict.fromkeys(text for text in found if len(text.encode()) > 1))
