"""`codesearch similar`: code like this code, and near-duplicates."""

from __future__ import annotations

import numpy as np
import pytest

from codesearch.similar import Place as Line
from codesearch.similar import _groups
from indexer.errors import UsageError
from tests.command_line import FILES, Place, a_copy_of
from tests.git_repositories import make_repository, write

COPY = str(FILES["app/config.py"]).replace("load_config", "read_settings")


@pytest.fixture(scope="module")
def copies(library: Place, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The library with a copied file, and functions too short to be copies of each other."""
    place = a_copy_of(library, tmp_path_factory.mktemp("copies"))
    body = "".join(f"    step_{n} = prepare(items[{n}])\n" for n in range(6))
    write(
        place.root,
        {
            "app/settings.py": COPY,
            "app/one.py": f"def first(items):\n{body}    return step_5\n",
            "app/two.py": f"def first(items, log):\n{body}    return step_5\n",
        },
    )
    assert place.run("index").code == 0
    return place


def test_a_copy_comes_first_and_the_place_itself_not_at_all(copies):
    found = copies.run("similar", "app/config.py:5", "--json").json["results"]
    assert (found[0]["path"], found[0]["symbol"]) == ("app/settings.py", "read_settings")
    assert found[0]["score"] > 0.8
    assert all(result["kind"] == "function" for result in found)
    places = [(result["path"], result["start_line"]) for result in found]
    assert ("app/config.py", 4) not in places
    assert len(set(places)) == len(places)
    scores = [result["score"] for result in found]
    assert scores == sorted(scores, reverse=True)


def test_more_results_do_not_change_the_first(copies):
    every = copies.run("similar", "app/config.py:5", "--jsonl", "-k", "100").lines
    assert copies.run("similar", "app/config.py:5", "--jsonl", "-k", "2").lines == every[:2]


def test_the_smallest_unit_around_the_line_counts(copies):
    method = copies.run("similar", "app/net.py:5", "--json").json
    assert method["query"] == "app/net.py:5"
    assert {result["kind"] for result in method["results"]} == {"function"}
    assert copies.run("similar", "app/net.py:2", "--json").json["results"] == []  # no other class


def test_filters_and_formats_are_those_of_query(copies):
    options = ("similar", "config.py:5", "-l", "--lang", "go", "--kind", "function")
    assert copies.run(*options, at="app").lines == ["../web/retry.go"]
    plain = copies.run("similar", "app/config.py:5", "-k", "1")
    assert plain.lines[0].startswith("app/settings.py:4-")
    assert any("read_settings" in line for line in plain.lines)
    listed = copies.run("similar", "app/config.py:5", "--vimgrep", "-k", "1").lines
    assert listed[0].startswith("app/settings.py:")


def test_another_repository_can_be_searched(copies, library):
    other = Place(copies.home, make_repository(copies.root.parent / "other", {"a/b.py": COPY}))
    assert other.run("index").code == 0
    found = copies.run("similar", "app/config.py:5", "--repo", "other", "--json").json["results"]
    assert {result["repo"] for result in found} == {"other"}
    assert found[0]["symbol"] == "read_settings"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("app/config.py",), "'app/config.py' is no FILE:LINE"),
        (("app/config.py:0",), "is no FILE:LINE"),
        (("app/none.py:3",), "app/none.py is no file"),
        (("app/config.py:900",), "app/config.py:900 is not part of the index of app"),
        ((), "give either FILE:LINE or --clusters"),
        (("app/config.py:1", "--clusters"), "give either FILE:LINE or --clusters"),
        (("--clusters", "--threshold", "0.2"), "--threshold 0.2 is not in 0.5..1"),
        (("app/config.py:5", "-k", "0"), "-k 0 asks for no results"),
        (("app/config.py:5", "--json", "-l"), "exclude each other"),
    ],
)
def test_what_cannot_be_compared_is_said(library, arguments, said):
    assert said in library.run("similar", *arguments).fault()


def test_nothing_similar_is_exit_code_one(library):
    assert library.run("similar", "app/config.py:5", "--lang", "zig").code == 1


def test_copied_functions_are_a_cluster(copies):
    (cluster,) = copies.run("similar", "--clusters", "--threshold", "0.9", "--json").json
    assert [member["symbol"] for member in cluster["members"]] == ["first", "first"]
    assert cluster["cosine"] >= 0.9
    lines = copies.run("similar", "--clusters", "--threshold", "0.9").lines
    assert lines[0].startswith("2 functions, cosine 0.9")
    assert lines[1].split() == ["app/one.py:1-8", "first"]


def test_no_clusters_is_exit_code_one(library):
    found = library.run("similar", "--clusters")
    assert (found.code, found.out) == (1, "")
    assert found.err == "no functions are nearly the same\n"


def test_clusters_are_the_connected_vectors():
    turns = np.radians([0, 10, 20, 90, 180, 185, 270])
    vectors = np.stack([np.cos(turns), np.sin(turns)], axis=1).astype(np.float32)
    found = sorted(map(sorted, _groups(vectors, float(np.cos(np.radians(11))))))
    assert found == [[0, 1, 2], [4, 5]]


def test_lost_vectors_are_said_and_made_anew(copies, tmp_path):
    place = a_copy_of(copies, tmp_path)
    for file in place.home.glob("vectors.db*"):
        file.unlink()
    for arguments in (("app/config.py:5",), ("--clusters",)):
        assert "vectors.db is missing" in place.run("similar", *arguments).fault()
    assert place.run("index", "--rebuild").code == 0
    assert place.run("similar", "app/config.py:5").code == 0


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [("a.py:3", "a.py", 3), ("a.py:3:7", "a.py", 3), ("a:b.py:12:", "a:b.py", 12)],
)
def test_places_are_read_as_compilers_print_them(text, path, line):
    assert Line.read(text) == Line(Line.read(text).path, line)
    assert str(Line.read(text).path) == path


@pytest.mark.parametrize("text", ["a.py", ":3", "a.py:-1", "a.py:x", "", "a.py:99999999999"])
def test_what_is_no_place_is_refused(text):
    with pytest.raises(UsageError, match="no FILE:LINE"):
        Line.read(text)


@pytest.mark.parametrize("option", ["--jsonl", "--vimgrep", "-l", "-C2"])
def test_groups_have_no_other_formats(copies, option):
    assert "leave --jsonl" in copies.run("similar", "--clusters", option).fault()


def test_so_many_groups_are_shown(copies):
    every = copies.run("similar", "--clusters", "--threshold", "0.5", "--json").json
    some = copies.run("similar", "--clusters", "--threshold", "0.5", "--json", "-k", "1").json
    assert some == every[:1]
