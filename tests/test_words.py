"""Identifiers become the words that people search for."""

import pytest

from indexer.words import query_words, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("parseJSONConfig", "parse json config parsejsonconfig"),
        ("parse_json_config", "parse json config parsejsonconfig"),
        ("HTTPServer2", "http server 2 httpserver2"),
        ("__init__", "init"),
        ("x = 10", "x 10"),
        ("naïve Größe", "naïve größe"),
        ("MAX_LEN", "max len maxlen"),
        ("a" * 65 + " b", "b"),
        ("", ""),
    ],
)
def test_an_identifier_gives_its_parts_and_itself(text, expected):
    assert words(text) == expected


def test_a_question_keeps_the_words_that_say_something():
    assert query_words("how do I parse the JSON config?") == ["parse", "json", "config"]


def test_a_question_of_stop_words_keeps_them():
    assert query_words("what is this") == ["what", "is", "this"]
