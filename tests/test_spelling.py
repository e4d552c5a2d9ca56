"""Typing errors: what is corrected, and what is nobody's business."""

from __future__ import annotations

import pytest

from codesearch.spelling import corrected
from indexer.terms import stemmed

OCCURRING = {"config": 9, "parse": 5, "parser": 2, "connection": 3, "server": 4, "match": 7}
STEMS = {stemmed(word): count for word, count in OCCURRING.items()}
KNOWN = {"batch", "horse"}


def correct(text: str) -> tuple[str, dict[str, str]]:
    return corrected(text, lambda stem: STEMS.get(stem, 0), KNOWN.__contains__)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("parse confg", "parse config"),
        ("conection to the sevrer", "connection to the server"),
        ("parseJsonConfg", "parseJsonConfig"),
        ("load_confgi(path)", "load_config(path)"),
        ("PARSING confgs", "PARSING configs"),
        ("Servr.connection", "Server.connection"),
    ],
)
def test_a_word_that_occurs_nowhere_is_corrected(typed, meant):
    text, changes = correct(typed)
    assert text == meant
    assert changes


@pytest.mark.parametrize(
    "typed",
    [
        "parse configs",  # a plural occurs by its stem
        "batch",  # a word that the model knows, though "match" is near
        "prs",  # too short
        "kubernetes",  # nothing is near
        "sérver12 конфиг config2",
        "",
    ],
)
def test_what_is_no_error_stays(typed):
    assert correct(typed) == (typed, {})


def test_the_more_frequent_word_was_meant():
    counts = {stemmed("reader"): 1, stemmed("render"): 5}
    text, _ = corrected("reander", lambda stem: counts.get(stem, 0), lambda _: False)
    assert text == "render"


def test_a_wrong_word_inside_a_right_one_is_left_alone():
    text, changes = correct("confi and its confiserie, parse_confi")
    assert text == "config and its confiserie, parse_config"
    assert changes == {"confi": "config"}


def test_of_words_with_one_stem_the_known_one_is_meant():
    assert stemmed("retry") == stemmed("retri")
    count = {stemmed("retry"): 3}
    assert corrected("retr it", lambda stem: count.get(stem, 0), {"retry"}.__contains__)[0] == (
        "retry it"
    )
