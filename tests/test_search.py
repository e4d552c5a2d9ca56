"""Search over a real index with the real encoder: what comes first, and what never changes."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest

from codesearch import candidates
from codesearch.answer import Searcher
from codesearch.candidates import Filters
from codesearch.formats import score_parts
from codesearch.indexing import Wish, index_location
from codesearch.ranking import FileParts
from indexer.errors import UsageError
from indexer.progress import SILENCE
from indexer.sources.listing import Selection
from indexer.sources.repository import find_repository
from indexer.storage.faiss_cache import VectorIndex
from indexer.storage.home import IndexHome
from tests.git_repositories import make_repository

FILES = {
    "app/config.py": '''import json


def load_settings(path):
    """Read the configuration file from disk."""
    with open(path) as file:
        return json.load(file)


def save_settings(path, settings):
    with open(path, "w") as file:
        json.dump(settings, file)
''',
    "app/net.py": '''import time


class HttpClient:
    """Talks to a web server."""

    def fetch(self, url):
        return self.session.get(url)

    def retry(self, request, attempts=3):
        for attempt in range(attempts):
            try:
                return self.fetch(request)
            except ConnectionError:
                time.sleep(2 ** attempt)
''',
    "app/colors.go": """package app

// Blend mixes two colors in linear light.
func Blend(first, second Color, share float64) Color {
    return first.Scale(1 - share).Add(second.Scale(share))
}
""",
    "tests/test_config.py": """from app.config import load_settings


def test_load_settings(tmp_path):
    assert load_settings(tmp_path / "a.json") == {}
""",
    "README.md": "# App\n\nLoads settings from a configuration file and retries requests.\n",
}


@pytest.fixture(scope="module")
def searcher(tmp_path_factory):
    base = tmp_path_factory.mktemp("search")
    folder, home = make_repository(base / "repo", FILES), IndexHome(base / "home")
    index_location(home, str(folder), Wish(device="cpu"), SILENCE)
    opened = Searcher(home)
    opened.add(home.repo(find_repository(folder)[0].root), None)
    yield opened
    opened.close()


def places(searcher, query, filters=None, top_k=10, every_chunk=False):
    answer = searcher.answer(query, filters or Filters(), top_k, every_chunk)
    return [(result.best.chunk.path, result.best.chunk.symbol) for result in answer.results]


def scored(answer):
    return [(result.best.place, result.score) for result in answer.results]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("read configuration from a file", ("app/config.py", "load_settings")),
        ("try again after a network failure", ("app/net.py", "HttpClient.retry")),
        ("mix two colours", ("app/colors.go", "Blend")),
        ("blend", ("app/colors.go", "Blend")),
        ("HttpClient::fetch", ("app/net.py", "HttpClient.fetch")),
        ("test_load_settings", ("tests/test_config.py", "test_load_settings")),
        ("loadSettings", ("app/config.py", "load_settings")),
        ("read confguration from a file", ("app/config.py", "load_settings")),
        ("loadSetings", ("app/config.py", "load_settings")),
    ],
)
def test_a_question_finds_its_function_first(searcher, query, expected):
    assert places(searcher, query)[0] == expected


def test_a_result_is_one_file_and_its_score_falls_with_the_rank(searcher):
    answer = searcher.answer("settings", Filters(), 10)
    paths = [result.best.chunk.path for result in answer.results]
    assert len(paths) == len(set(paths)) == len(FILES)
    scores = [result.score for result in answer.results]
    assert scores == sorted(scores, reverse=True)


def test_asking_for_more_than_exists_returns_what_exists_in_the_same_order(searcher):
    everything = places(searcher, "load settings", top_k=10_000, every_chunk=True)
    for top_k in (1, 2, 3, 7):
        assert places(searcher, "load settings", None, top_k, True) == everything[:top_k]


def test_a_files_name_speaks_for_each_of_its_chunks(searcher):
    results = searcher.answer("retry in net", Filters(), 100, every_chunk=True).results
    gained = {}
    for result in results:
        gained.setdefault(result.best.chunk.path, set()).add(result.file)
    assert len([result for result in results if result.best.chunk.path == "app/net.py"]) > 2
    (net,), (config,) = gained["app/net.py"], gained["app/config.py"]
    assert net.path > config.path
    scores = [result.score for result in results]
    assert scores == sorted(scores, reverse=True)
    pasted = searcher.answer("return self.get(url)\nexcept:", Filters(), 9, every_chunk=True)
    assert {result.file for result in pasted.results} == {FileParts()}


def test_filters_take_part_inside_the_search(searcher):
    go = places(searcher, "read configuration", Filters(languages=("go",)))
    assert {path for path, _ in go} == {"app/colors.go"}
    named = places(searcher, "Blend", Filters(languages=("python",)))
    assert "app/colors.go" not in {path for path, _ in named}
    kinds = searcher.answer("settings", Filters(kinds=("class",)), 10).results
    assert [result.best.chunk.kind for result in kinds] == ["class"]
    only = Filters(paths=Selection(("tests/",)))
    assert {path for path, _ in places(searcher, "settings", only)} == {"tests/test_config.py"}
    assert places(searcher, "settings", Filters(languages=("rust",))) == []


def test_words_alone_find_what_vectors_have_not_reached(searcher):
    blind = Searcher(searcher.home, [replace(searcher.indexes[0], vectors=None)])
    assert places(blind, "retry request attempts")[0] == ("app/net.py", "HttpClient.retry")


def test_a_chunk_without_a_vector_yet_is_ranked_by_its_words(searcher):
    (item,) = searcher.indexes
    query = "read the configuration file from disk"
    first = searcher.answer(query, Filters(), 1).results[0].best.chunk
    assert first.symbol == "load_settings"
    vectors = VectorIndex.open(item.reader.folder.faiss, item.checkpoint.dimension, to_change=True)
    vectors.remove(np.array([first.id]))
    half = Searcher(searcher.home, [replace(item, vectors=vectors)])
    best = half.answer(query, Filters(), 1).results[0].best
    assert (best.chunk, best.cosine) == (first, None)
    assert best.parts.vector > best.parts.words > 0


@pytest.mark.parametrize("query", ["load the settings", "read confguration from a file"])
def test_a_query_that_is_embedded_ahead_has_the_same_answer(searcher, query):
    ahead = Searcher(searcher.home, expected=query)
    ahead.add(searcher.indexes[0].reader.folder, None)
    try:
        for text in (query, "mix two colours"):
            answers = [one.answer(text, Filters(), 10) for one in (ahead, searcher)]
            assert scored(answers[0]) == scored(answers[1])
    finally:
        ahead.close()


def test_an_answer_says_what_it_read_for_a_typing_error(searcher):
    answer = searcher.answer("load setings", Filters(), 10)
    assert (answer.query, answer.meant) == ("load setings", "load settings")
    assert answer.corrected == {"setings": "settings"}
    assert scored(answer) == scored(searcher.answer("load settings", Filters(), 10))


def test_filters_that_touch_nothing_change_nothing(searcher):
    plain = searcher.answer("load settings", Filters(), 100, every_chunk=True)
    assert len(plain.results) > 10
    languages = tuple({result.best.chunk.language for result in plain.results})
    wide = Filters(languages, ("function", "class", "file", "doc"), Selection(("*",)))
    assert scored(searcher.answer("load settings", wide, 100, every_chunk=True)) == scored(plain)


FILTERS = [
    Filters(languages=("python",)),
    Filters(languages=("go", "markdown")),
    Filters(kinds=("function",)),
    Filters(kinds=("file", "doc", "class")),
    Filters(paths=Selection(("app/",))),
    Filters(paths=Selection(("*.py",), ("tests/",))),
    Filters(("python",), ("function", "class"), Selection(("app/",))),
]


@pytest.mark.parametrize("pool", [2, 5, 200])
@pytest.mark.parametrize(
    "query",
    ["load settings", "HttpClient.fetch", "return json.load(file)", "mix colours of a web server"],
)
def test_what_a_filter_leaves_keeps_its_scores_and_order(searcher, monkeypatch, query, pool):
    monkeypatch.setattr(candidates, "POOL", pool)
    plain = scored(searcher.answer(query, Filters(), 100, every_chunk=True))
    for filters in FILTERS:
        left = scored(searcher.answer(query, filters, 100, every_chunk=True))
        places = {place for place, _ in left}
        common = [hit for hit in plain if hit[0] in places]
        assert [hit for hit in left if hit in plain] == common


@pytest.mark.parametrize("every_chunk", [False, True])
def test_the_parts_of_a_score_make_up_the_whole(searcher, every_chunk):
    answer = searcher.answer("load settings from configuration", Filters(), 10, every_chunk)
    assert len(answer.results) > 3
    for result in answer.results:
        parts = score_parts(result)
        assert parts["score"] == pytest.approx(result.score, abs=1e-6)
        whole = parts["strongest"] + sum(parts[name] for name in asdict(result.file))
        assert whole == pytest.approx(parts["score"], abs=1e-3)
        chunk = (parts["vector"] + parts["words"]) * parts["standing"]
        chunk += parts["symbol"] + parts["phrase"]
        assert chunk == pytest.approx(result.best.score, abs=1e-3)


@pytest.mark.parametrize(
    "pasted",
    [
        "        return json.load(file)",
        "for attempt in range(tries):\n    try:\n        return self.fetch(request)",
        "return self.session.get(url)",
    ],
)
def test_pasted_lines_find_where_they_stand(searcher, pasted):
    path, symbol = places(searcher, pasted)[0]
    assert pasted.split("(")[-1] in FILES[path]
    best = searcher.answer(pasted, Filters(), 1).results[0].best
    assert best.chunk.symbol == symbol
    assert best.parts.phrase > 0.3


def test_what_stands_word_for_word_counts_however_few_results_are_wanted(searcher):
    (first,) = searcher.answer("exponential sleep 2 attempt", Filters(), 1).results
    assert first.best.chunk.symbol == "HttpClient.retry"
    assert first.best.parts.phrase > 0


def test_an_empty_query_is_refused(searcher):
    with pytest.raises(UsageError, match="empty"):
        searcher.answer("  \t", Filters(), 10)


def test_a_query_of_signs_alone_does_not_fail(searcher):
    searcher.answer('"*(){}[]^~:-+/\\ \x00 AND OR NOT NEAR', Filters(), 10)
