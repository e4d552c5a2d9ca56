"""Fusion of signals, and the symbols that a query asks for."""

import pytest

from codesearch.ranking import (
    ABBREVIATION,
    ENOUGH_WORDS,
    FILE_NAME,
    FOLDER_NAME,
    SYMBOL_WORDS,
    path_score,
    phrase_score,
    prior,
    rank_score,
    read_terms,
    standing,
    symbol_score,
    whole_file,
)

SIGNALS = [(1, 1), (2, 1), (0, 1), (0, 0)]


def test_the_first_of_both_signals_scores_one_and_a_silent_signal_adds_nothing():
    scores = [rank_score(vector) + rank_score(words) for vector, words in SIGNALS]
    assert scores[0] == 1.0
    assert scores[0] > scores[1] > scores[2] > scores[3] == 0.0


@pytest.mark.parametrize(
    ("query", "symbol", "mentioned"),
    [
        ("parse_config", "parse_config", ()),
        ("Store.open()", "Store.open", ()),
        ("Store::open", "Store.open", ()),
        ("Store#open", "Store.open", ()),
        ("where is parseConfig called", None, ("parseConfig",)),
        ("parse json config", None, ()),
        ("HTTP retry", None, ()),
        ("", None, ()),
    ],
)
def test_a_query_names_a_symbol_or_mentions_one(query, symbol, mentioned):
    terms = read_terms(query)
    assert (terms.symbol, terms.mentioned) == (symbol, mentioned)


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ("parse_config", "name"),
        ("Store.open()", "name"),
        ("parse json config", "prose"),
        ("error handling and how errors become responses", "prose"),
        ("how does it fail if the file is not found", "prose"),
        ("how is parseConfig called", "mixed"),
        ("ValueError: invalid literal for int() with base 10: 'x'", "error"),
        ("fatal: not a git repository", "error"),
        ("cannot open shared object file: No such file or directory", "error"),
        ("expected 3 arguments but got 2", "error"),
        ("with open(path) as file:\n    return json.load(file)", "snippet"),
        ("for (int i = 0; i < n; i++) { sum += a[i]; }", "snippet"),
        ("const x = useState(null)", "snippet"),
        ("The path is read once.\nThen it is kept", "snippet"),
    ],
)
def test_a_query_is_of_a_kind(query, kind):
    assert read_terms(query).kind == kind


def test_the_symbol_that_was_asked_for_outweighs_every_other_signal():
    best_of_the_rest = 1.0 + SYMBOL_WORDS + FILE_NAME + FOLDER_NAME + whole_file([0.5])
    best_of_the_rest += prior(10**6, "a.py", 9.0) - prior(1, "a/b/c/d/e/f.py", 1.0)
    assert symbol_score("Store.OPEN", "a.py", read_terms("open")) > best_of_the_rest
    right_case = symbol_score("Store.open", "a.py", read_terms("open"))
    assert right_case > symbol_score("Store.OPEN", "a.py", read_terms("open"))
    assert symbol_score("Open", "open.rb", read_terms("Open")) > right_case
    assert symbol_score("reopen", "a.py", read_terms("open")) == 0
    in_style = symbol_score("parseJson", "a.py", read_terms("parseJson"))
    other = symbol_score("parseJson", "a.py", read_terms("parse_json"))
    assert best_of_the_rest < other < in_style


def test_a_symbol_of_the_querys_words_gains_with_the_share_that_fits():
    terms = read_terms("how are json configs parsed")
    whole = symbol_score("parse_config", "a.py", terms)
    assert whole == SYMBOL_WORDS
    assert 0 < symbol_score("parse_xml_tree", "a.py", terms) < whole
    assert symbol_score("config", "a.py", terms) == SYMBOL_WORDS / ENOUGH_WORDS
    assert symbol_score("", "a.py", terms) == 0


def test_a_file_and_a_folder_gain_by_their_names():
    terms = read_terms("routing of requests")
    assert path_score("http/router.go", terms) == 0
    assert path_score("http/routing.go", terms) == FILE_NAME
    assert path_score("routing/index.ts", terms) == FILE_NAME  # it has no name of its own
    assert path_score("routing/routing.ts", terms) == FILE_NAME + FOLDER_NAME
    assert path_score("routing/a.ts", terms) == FOLDER_NAME


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("repository of users", "repo"),
        ("how is logging set up", "log"),
        ("authentication", "auth"),
        ("conf of the server", "config"),
    ],
)
def test_a_name_may_be_short_for_a_word_and_a_word_for_a_name(query, name):
    terms = read_terms(query)
    assert path_score(f"src/{name}.go", terms) == pytest.approx(ABBREVIATION * FILE_NAME)
    assert symbol_score(name, "a.go", terms) == pytest.approx(
        SYMBOL_WORDS * ABBREVIATION * ABBREVIATION / ENOUGH_WORDS
    )


def test_two_letters_are_short_for_nothing():
    assert path_score("src/in.go", read_terms("integer parsing")) == 0
    assert path_score("src/io.go", read_terms("ionize")) == 0
    assert path_score("src/form.go", read_terms("platform")) == 0


def test_large_files_that_lie_high_come_before_small_ones_far_down():
    assert prior(20_000, "a/b.py", 1) > prior(2_000, "a/b.py", 1) > prior(0, "a/b.py", 1) == 0
    assert prior(500, "b.py", 1) > prior(500, "a/b.py", 1) > prior(500, "a/c/b.py", 1)
    deep = "/".join("abcdefghij")
    assert prior(500, deep, 1) == prior(500, f"{deep}/{deep}", 1)  # enough is enough
    assert prior(500, f"{deep}/x", 9) == prior(500, "a/b.py", 0)  # next to what is usual there


def test_what_is_pasted_is_found_by_the_words_side_by_side():
    asked = read_terms("where is the configuration read")
    pasted = read_terms("with open(path) as file:\n    return json.load(file)")
    assert 0 == phrase_score(0, asked) < phrase_score(0.5, asked) < phrase_score(1, asked)
    assert phrase_score(0.5, pasted) > phrase_score(0.5, asked)


def test_tests_and_prose_stand_back_unless_they_are_asked_for():
    plain, tests = read_terms("parse json"), read_terms("Tests of parse json")
    assert standing("src/app.py", "function", plain) == 1
    for path in ("tests/test_app.py", "app_test.go", "src/app.spec.ts", "examples/a.py"):
        assert standing(path, "function", plain) < 1
        assert standing(path, "function", tests) == 1
    assert standing("README.md", "doc", plain) < 1
    assert standing("README.md", "doc", read_terms("readme about json")) == 1
    for path in ("src/latest.py", "contest.py", "src/inspector.rb", "respect/a.py"):
        assert standing(path, "function", plain) == 1


def test_files_of_declarations_stand_back_unless_types_are_asked_for():
    plain, types = read_terms("store state"), read_terms("type of the store state")
    for path in ("src/types/store.ts", "src/types.ts", "lib/index.d.ts", "app/api.pyi"):
        assert standing(path, "function", plain) < 1
        assert standing(path, "function", types) == 1
    for path in ("src/prototypes.ts", "src/typesetting/a.py", "src/mytypes/a.ts"):
        assert standing(path, "function", plain) == 1


def test_a_symbol_in_a_file_of_its_name_comes_before_its_other_parts():
    asked = read_terms("Serializer")
    own = symbol_score("Serializer", "src/Serializer.cs", asked)
    part = symbol_score("Serializer", "src/Serializer.Json.cs", asked)
    assert own - part == pytest.approx(1)  # as much as vectors and words together can give


def test_pasted_lines_ask_for_where_names_are_used():
    pasted = read_terms("with open(path) as file:\n    return json.load(file)")
    assert symbol_score("json.load", "a.py", pasted) == 0
    assert symbol_score("json.load", "a.py", read_terms("what calls json.load")) > 0


def test_a_class_comes_before_its_constructors():
    asked = read_terms("Serializer")
    whole = symbol_score("json.Serializer", "src/Serializer.java", asked)
    made = symbol_score("json.Serializer.Serializer", "src/Serializer.java", asked)
    assert whole > made > symbol_score("reserialize", "src/Serializer.java", asked)


def test_the_beginning_of_a_long_unit_comes_before_its_other_parts():
    asked = read_terms("Serializer")
    first, second = (symbol_score("Serializer", "src/S.java", asked, part) for part in (1, 2))
    assert first == symbol_score("Serializer", "src/S.java", asked) > second
    assert second > symbol_score("reserialize", "src/S.java", asked)
