"""Fusion of signals, and the symbols that a query asks for."""

import numpy as np
import pytest

from codesearch.ranking import (
    asked_symbols,
    file_score,
    fuse,
    ranks,
    standing,
    symbol_bonus,
)


def test_equal_scores_share_a_rank():
    assert ranks(np.array([0.5, 0.9, 0.5, 0.1])).tolist() == [2, 1, 2, 4]


def test_the_first_of_both_signals_scores_one_and_a_silent_signal_adds_nothing():
    scores = fuse(np.array([1, 2, 0, 0]), np.array([1, 1, 1, 0]))
    assert scores[0] == pytest.approx(1.0)
    assert scores[0] > scores[1] > scores[2] > scores[3] == 0.0


@pytest.mark.parametrize(
    ("query", "whole", "mentioned"),
    [
        ("parse_config", "parse_config", ["parse_config"]),
        ("Store.open()", "Store.open", ["Store.open"]),
        ("Store::open", "Store.open", ["Store.open"]),
        ("Store#open", "Store.open", ["Store.open"]),
        ("where is parseConfig called", None, ["parseConfig"]),
        ("parse json config", None, []),
        ("HTTP retry", None, []),
        ("", None, []),
    ],
)
def test_a_query_names_a_symbol_or_mentions_one(query, whole, mentioned):
    assert asked_symbols(query) == (whole, mentioned)


def test_the_symbol_that_was_asked_for_outweighs_every_other_signal():
    assert symbol_bonus("Store.open", "open", ["open"]) > 1
    assert symbol_bonus("Store.OPEN", "open", ["open"]) == 1
    assert 0 < symbol_bonus("Store.open", None, ["Store.open"]) < 1
    assert symbol_bonus("reopen", "open", ["open"]) == 0


def test_tests_and_prose_stand_back_unless_they_are_asked_for():
    assert standing("src/app.py", "function", "parse json") == 1
    for path in ("tests/test_app.py", "app_test.go", "src/app.spec.ts", "examples/a.py"):
        assert standing(path, "function", "parse json") < 1
        assert standing(path, "function", "Tests of parse json") == 1
    assert standing("README.md", "doc", "parse json") < 1
    assert standing("README.md", "doc", "readme about json") == 1
    for path in ("src/latest.py", "contest.py", "src/inspector.rb", "respect/a.py"):
        assert standing(path, "function", "parse json") == 1


def test_further_hits_of_a_file_support_the_best_but_do_not_outweigh_it():
    assert file_score([0.9]) < file_score([0.9, 0.5]) < 0.9 + 0.5
    assert file_score([0.5, 0.4, 0.3, 0.2]) == file_score([0.5, 0.4, 0.3, 0.2, 0.1])
