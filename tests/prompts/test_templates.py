from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmft_api.core.errors import DataError
from rmft_api.prompts.templates import Folder, Template


def filled(text: str, **values: str) -> str:
    return Template(Path("x.md"), text, frozenset(values)).fill(values)


def test_fields_are_filled_and_dollars_escaped() -> None:
    assert filled("${a}s cost $$5, $a", a="hat") == "hats cost $5, hat"


def test_what_is_filled_in_is_never_read_as_a_template() -> None:
    assert filled("$a $b", a="$b ${b} $", b="x") == "$b ${b} $ x"


def test_lines_that_empty_fields_leave_blank_disappear() -> None:
    text = "$a\n\n$b\n\n$c\n$b\nend $b"
    assert filled(text, a="one", b="", c="two") == "one\n\ntwo\nend "
    assert filled("$b\n\n$a\n\n$b\n", a="one", b="") == "one"
    assert filled("$b", b="") == ""


def test_blank_lines_inside_a_value_stay() -> None:
    assert filled("$a\n$a", a="1\n\n\n2") == "1\n\n\n2\n1\n\n\n2"


@pytest.mark.parametrize("text", ["costs 5$", "$ 5", "${a", "$1"])
def test_a_lone_dollar_names_the_file_and_the_remedy(text: str) -> None:
    with pytest.raises(DataError, match=r"x\.md: a lone '\$' in .*write '\$\$'"):
        filled(text, a="")


def test_an_unknown_field_is_named_with_its_file_and_the_known_ones() -> None:
    with pytest.raises(DataError, match=r"x\.md: unknown field \$wrong; .* \$a, \$b"):
        filled("$a $wrong", a="", b="")


@given(value=st.text())
def test_any_value_arrives_unchanged_between_words(value: str) -> None:
    assert filled("<$a>", a=value) == f"<{value}>"


def test_the_identity_covers_names_and_texts_whatever_the_order_of_reading(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("one")
    (tmp_path / "b.md").write_text("two")
    first, second = Folder(tmp_path), Folder(tmp_path)
    for name in ("a.md", "b.md"):
        first.text(name)
    for name in ("b.md", "a.md"):
        second.text(name)
    assert first.sha256 == second.sha256
    (tmp_path / "b.md").write_text("two!")
    second.text("b.md")
    assert first.sha256 != second.sha256


def test_a_file_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_bytes(b"caf\xe9")
    with pytest.raises(DataError, match=r"a\.md: cannot be read as UTF-8"):
        Folder(tmp_path).text("a.md")
