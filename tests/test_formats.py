"""Text that leaves the program: exact as JSON, harmless as lines."""

import pytest

from codesearch.console import one_line, printable
from codesearch.snippet import Passage, passages_around, split_lines


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
        ("\x1b]0;title\x07", "␛]0;title␇"),
        ("a\rb\x7f", "a␍b␡"),
        ("\x9b31m", "\ufffd31m"),
        ("abc\u202edcba", "abc\ufffddcba"),
        ("\udcff", "\ufffd"),
        ("[red]x[/red] :smile:", "[red]x[/red] :smile:"),
        ("naïve 中文 🙂", "naïve 中文 🙂"),
    ],
)
def test_what_is_harmful_becomes_visible(text, shown):
    assert printable(text) == shown


def test_a_name_stays_in_its_line():
    assert one_line("a\nb\tc") == "a␊b␉c"


def test_lines_of_a_text_with_and_without_a_last_line_end():
    assert split_lines("a\nb\n") == split_lines("a\r\nb") == ("a", "b")


def test_context_reaches_beyond_the_unit_but_not_beyond_the_file():
    lines = ["import json", "", "def load():", "    parse(json)", "    return 1", "", "x = 1"]
    unit = range(2, 5)
    assert passages_around(lines, unit, "parse", 0) == [Passage(4, ("    parse(json)",))]
    assert passages_around(lines, unit, "parse", 2) == [Passage(2, tuple(lines[1:6]))]
    assert passages_around(lines, unit, "parse", 99) == [Passage(1, tuple(lines))]


def test_context_without_a_fitting_line_is_around_the_first():
    lines = ["a", "b", "c", "d"]
    assert passages_around(lines, range(1, 3), "zzz", 1) == [Passage(1, ("a", "b", "c"))]
