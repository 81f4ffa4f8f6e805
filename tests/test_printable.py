import pytest

from transferkit.printable import shown, told, visible

FAMILY, PERSIAN = (
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
)


@pytest.mark.parametrize("name", [FAMILY, PERSIAN, "日本", "a b"])
def test_letters_and_their_joiners_stay(name: str):
    assert visible(name) == name == shown(name)


@pytest.mark.parametrize("letter", "\u202e\u202a\u2066\u200e\x1b\x00\udcff")
def test_what_turns_or_hides_the_text_around_it_does_not(letter: str):
    assert visible(f"a{letter}b") == "a?b"
    assert letter not in shown(f"a{letter}b")


def test_a_name_is_one_line():
    assert visible(" two\nlines\tand  more ") == "two lines and more"


def test_a_message_keeps_its_lines_and_nothing_else_that_does_not_print():
    assert told("two\nlines\x1b[2J\u202e") == "two\nlines\\x1b[2J\\u202e"
