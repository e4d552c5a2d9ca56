"""What of a query stands in a text word for word."""

import pytest

from codesearch.phrases import Phrase


@pytest.mark.parametrize(
    ("query", "text", "share"),
    [
        ("parse json config", "def load(path): return parse_json_config(path)", 1.0),
        ("parse json config", "x = parseJsonConfig(path)", 1.0),
        ("parseJsonConfig(path)", "parse_json_config(path)", 1.0),
        ("no such file: 7", 'raise OSError("No such file: %d")', 3 / 4),
        ("no such file", "no file such", 0.0),  # the words, in another order
        ("parse json config", "parse the json config", 2 / 3),
        ("parse json config", "config json parse", 0.0),
        ("parse", "parse parse", 0.0),  # one word is no phrase
        ("a b a b c", "x a b a b c", 1.0),
        ("a b a b c", "a b x a b c", 3 / 5),
        ("", "anything", 0.0),
        ("?!", "?!", 0.0),
        ("größe der datei", "die Größe der Datei", 1.0),
    ],
)
def test_the_longest_run_of_the_querys_words_counts(query, text, share):
    assert Phrase(query).share(text) == pytest.approx(share)


def test_a_phrase_is_looked_up_in_one_text_after_another():
    phrase = Phrase("read the settings")
    texts = ["read the file", "read the settings", "nothing of it", "read the file"]
    assert [phrase.share(text) for text in texts] == [2 / 3, 1.0, 0.0, 2 / 3]


def test_a_run_does_not_go_on_behind_a_foreign_word():
    assert Phrase("one two three four").share("one two other three four") == 0.5


def test_of_a_very_long_text_the_beginning_is_read():
    phrase = Phrase("parse json")
    assert phrase.share("parse json" + " x" * 100_000) == 1.0
    assert phrase.share("x " * 100_000 + "parse json") == 0.0
