"""`codesearch query` as its users see it: scope, filters, formats, exit codes."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.command_line import FILES, Place, a_copy_of, codesearch
from tests.git_repositories import make_repository, write

RESULT_KEYS = [
    *("rank", "score", "repo", "ref", "commit", "path", "start_line", "end_line"),
    *("language", "kind", "symbol", "snippet", "more", "root"),
]


def test_json_is_what_the_contract_says(library):
    answer = library.run("query", "read the json configuration", "--json").json
    assert list(answer) == ["query", "elapsed_ms", "stale", "corrected", "waiting", "results"]
    assert answer["query"] == "read the json configuration"
    assert answer["stale"] is False
    first = answer["results"][0]
    assert list(first) == RESULT_KEYS
    assert (first["rank"], first["repo"], first["ref"]) == (1, "app", "worktree")
    assert first["commit"] is None
    assert (first["path"], first["symbol"], first["kind"]) == (
        "app/config.py",
        "load_config",
        "function",
    )
    lines = str(FILES["app/config.py"]).split("\n")
    assert first["snippet"] == "\n".join(lines[first["start_line"] - 1 : first["end_line"]])
    assert first["more"]
    for other in first["more"]:
        assert list(other) == ["start_line", "end_line", "kind", "symbol", "score"]


def test_a_ref_has_its_commit(own):
    assert own.run("index", "--ref", "main").code == 0
    first = own.run("query", "configuration", "--ref", "main", "--json").json["results"][0]
    assert first["ref"] == "main"
    assert len(first["commit"]) == 40
    listed = own.run("query", "configuration", "--ref", "main", "-l").lines
    assert listed[0] == f"main:{first['path']}"
    options = ("query", "configuration", "--ref", "main", "--repo", str(own.root))
    elsewhere = codesearch(*options, "-l", home=own.home, cwd=own.home).lines
    assert elsewhere[0] == f"app@main:{first['path']}"
    assert first["root"] == str(own.root.resolve())


def test_jsonl_is_one_result_a_line(library):
    run = library.run("query", "configuration", "--jsonl", "-k", "2")
    records = [json.loads(line) for line in run.lines]
    assert [record["rank"] for record in records] == [1, 2]
    assert list(records[0]) == RESULT_KEYS


def test_vimgrep_points_at_the_best_line_from_where_the_user_stands(library):
    run = library.run("query", "read json configuration", "--vimgrep", "-k", "1", at="web")
    assert run.lines == ['../app/config.py:5:5:    """Read the JSON configuration."""']


@pytest.mark.skipif(shutil.which("vim") is None, reason="vim is not installed")
def test_vim_can_read_vimgrep(library, tmp_path):
    errors = tmp_path / "errors"
    errors.write_text(library.run("query", "retry until success", "--vimgrep", "-k", "1").out)
    script = f"call writefile([expand('%') . ':' . line('.')], '{tmp_path}/at') | qa!"
    subprocess.run(
        ["vim", "-u", "NONE", "-es", "-q", errors, "-c", script],
        cwd=library.root,
        check=False,
        capture_output=True,
        timeout=30,
    )
    assert (tmp_path / "at").read_text() == "web/retry.go:3\n"


def test_file_names_are_relative_and_come_once(library):
    run = library.run("query", "configuration", "-l", "--all", "-k", "100", at="app")
    assert len(run.lines) == len(set(run.lines)) == len(FILES)
    assert "config.py" in run.lines
    assert "../README.md" in run.lines


def test_all_gives_every_unit(library):
    places = {
        (r["path"], r["symbol"])
        for r in library.run("query", "config", "--all", "--json", "-k", "99").json["results"]
    }
    assert {("app/config.py", "load_config"), ("app/config.py", "dump_config")} <= places


def test_k_is_how_many_results_there_are_at_most(library):
    everything = library.paths("configuration", "-k", "1000000")
    assert sorted(everything) == sorted(FILES)
    assert library.paths("configuration", "-k", "2") == everything[:2]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--lang", "go"], {"web/retry.go"}),
        (["--lang", "golang", "--lang", "C++"], {"web/retry.go", "src/sum.cpp"}),
        (["--lang", "py", "--kind", "CLASS"], {"app/net.py"}),
        (["--kind", "doc"], {"README.md"}),
        (["--path", "web/", "--path", "*.cpp"], {"web/retry.go", "src/sum.cpp"}),
        (["--path", "app/*.py", "--kind", "class"], {"app/net.py"}),
        (["--path", "nowhere/"], set()),
    ],
)
def test_filters(library, options, expected):
    run = library.run("query", "configuration", *options, "--json")
    assert {result["path"] for result in run.json["results"]} == expected
    assert run.code == (0 if expected else 1)


def test_nothing_found_is_exit_code_1_and_a_word_on_stderr(library):
    run = library.run("query", "configuration", "--path", "nowhere/")
    assert (run.code, run.out) == (1, "")
    assert run.err == 'nothing found for "configuration"\n'
    assert library.run("query", "configuration", "--path", "nowhere/", "-l").err == ""


def test_a_query_per_line_answers_in_order_and_survives_anything(library):
    lines = ["load_config", "", "   ", "\x00\x1b[31m", "retry", "*()\"'", "x" * 5000]
    text = "\n".join(lines).encode() + b"\n\xff\xfe\n" + "中文 قط".encode()
    run = library.run("query", "-", "-k", "1", stdin=text)
    answers = [json.loads(line) for line in run.lines]
    assert [answer["query"] for answer in answers[:3]] == ["load_config", "\x00\x1b[31m", "retry"]
    assert len(answers) == 7
    assert answers[0]["results"][0]["symbol"] == "load_config"
    assert run.code == 0


def test_thousands_of_words_are_a_query_too(library):
    words = " ".join(f"word{i}" for i in range(1000))
    assert library.run("query", f"{words} retry", "-l").code == 0


def test_bytes_that_are_no_text_are_a_query_too(library):
    assert library.run("query", "config \udcff", "-l").code == 0


def test_inside_a_repository_only_it_is_searched(library, own):
    copy = a_copy_of(library, own.home.parent, "other")
    for at in ("", "web"):
        found = copy.run("query", "configuration", "--json", at=at).json["results"]
        assert {result["repo"] for result in found} == {"other"}


def test_outside_of_any_repository_all_are_searched(library, own, tmp_path):
    other = a_copy_of(library, tmp_path, "other")
    outside = tmp_path / "outside"
    outside.mkdir()
    run = codesearch("query", "load_config", "--json", home=own.home, cwd=outside)
    assert {result["repo"] for result in run.json["results"]} == {"app", "other"}
    for repo in ("other", str(other.root), str(other.root / "web")):
        run = codesearch("query", "config", "--repo", repo, "--json", home=own.home, cwd=own.root)
        assert {result["repo"] for result in run.json["results"]} == {"other"}
    plain = codesearch("query", "load_config", "-k", "1", home=own.home, cwd=outside)
    assert plain.lines[0].startswith("app/app/config.py:4-6  load_config  ")


def test_repositories_of_one_name_are_told_apart(own, tmp_path):
    clone = Place(own.home, make_repository(tmp_path / "clone" / "app", FILES))
    assert clone.run("index").code == 0
    assert clone.run("index", "--ref", "main").code == 0
    assert own.run("index", "--ref", "main").code == 0
    outside = tmp_path / "outside"
    outside.mkdir()
    ask = ("query", "load_config", "-k", "2")
    heads = {f"{root}/app/config.py:4-6  load_config" for root in (own.root, clone.root)}
    for ref, expected in (
        ((), heads),
        (("--ref", "main"), {head.replace("/app/config", "@main:app/config") for head in heads}),
    ):
        run = codesearch(*ask, *ref, home=own.home, cwd=outside)
        found = {line.rpartition("  ")[0] for line in run.lines if "  load_config  " in line}
        assert found == expected


def test_a_repository_without_an_index_is_indexed_first(own):
    root = make_repository(own.root.parent / "new", {"a.py": FILES["app/config.py"]})
    run = codesearch("query", "load_config", "-l", home=own.home, cwd=root)
    assert (run.code, run.lines) == (0, ["a.py"])
    assert f"{root} is not indexed yet; indexing it first" in run.err
    again = codesearch("query", "load_config", "-l", home=own.home, cwd=root)
    assert again.err == ""


def test_the_index_can_be_named_before_or_after_the_command(library, tmp_path):
    for arguments in (
        ("--index", str(library.home), "query", "load_config", "-l", "-k", "1"),
        ("query", "load_config", "-l", "-k", "1", "--index", str(library.home)),
    ):
        elsewhere = codesearch(*arguments, home=tmp_path / "none", cwd=library.root)
        assert elsewhere.lines == ["app/config.py"]


def test_a_pipe_gets_plain_uncut_text(own):
    long_line = "    value = " + " + ".join(f"part_{i}" for i in range(60))
    body = "\n".join(f"    step_{i}()" for i in range(40))
    write(own.root, {"app/long.py": f"def long_function():\n{long_line}\n{body}\n"})
    run = own.run("query", "long_function", "-k", "1", env={"COLUMNS": "40"})
    assert "\x1b" not in run.out
    assert run.lines[0].startswith("app/long.py:1-42  long_function  ")
    assert run.lines[1:43] == [
        "  def long_function():",
        f"  {long_line}",
        *(f"  {line}" for line in body.split("\n")),
    ]


def test_a_long_class_is_shown_by_its_best_lines(own):
    methods = "\n".join(f"    def method_{i}(self):\n        return {i}\n" for i in range(200))
    write(own.root, {"app/big.py": f"class Big:\n{methods}"})
    run = own.run("query", "Big", "-k", "1", "--kind", "class")
    assert run.lines[:2] == [run.lines[0], "  class Big:"]
    assert len(run.lines) < 25


def test_context_is_lines_around_the_best_ones(library):
    run = library.run("query", "retry until it succeeds", "-k", "1", "-C", "0")
    assert run.lines[1:3] == [
        "  // Retry calls f until it succeeds.",
        "  func Retry(f func() error) error {",
    ]
    assert "  package web" not in run.lines
    run = library.run("query", "retry until it succeeds", "-k", "1", "-C", "2")
    assert run.lines[1:3] == ["  ... 1:", "  package web"]


def test_context_is_exact_in_json_too(own):
    write(
        own.root, {"web/retry.go": "package web\n\n// Retry\x1b[31m calls f.\nfunc Retry() {}\n"}
    )
    for arguments, stdin in ((("retry", "--jsonl"), b""), (("-",), b"retry\n")):
        run = own.run("query", *arguments, "-k", "1", "-C", "1", stdin=stdin)
        (first,) = run.json["results"] if stdin else [run.json]
        assert first["passages"] == [
            {
                "start_line": 2,
                "end_line": 4,
                "text": "\n// Retry\x1b[31m calls f.\nfunc Retry() {}",
            }
        ]


def test_explain_shows_the_parts_of_a_score(library):
    run = library.run("query", "load_config", "-k", "1", "--explain")
    assert "cosine 0." in run.lines[1]
    assert "bm25" in run.lines[1]
    run = library.run("query", "load_config", "-k", "1", "--explain", "--json")
    assert set(run.json["results"][0]["explain"]) >= {"cosine", "bm25", "score"}


def editor(tmp_path: Path, name: str = "editor") -> Path:
    script = tmp_path / name
    script.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/opened\n')
    script.chmod(0o755)
    return script


@pytest.mark.parametrize(
    ("name", "expected"), [("editor", ["+5", "{path}"]), ("code", ["--goto", "{path}:5"])]
)
def test_open_starts_the_editor_at_the_best_line(library, tmp_path, name, expected):
    run = library.run(
        *("query", "read json configuration", "-k", "1", "--open"),
        env={"EDITOR": str(editor(tmp_path, name))},
    )
    assert run.code == 0
    path = library.root / "app/config.py"
    wanted = [part.format(path=path) for part in expected]
    assert (tmp_path / "opened").read_text().splitlines() == wanted


def test_an_editor_that_is_not_there_is_a_fault(library):
    run = library.run("query", "config", "-k", "1", "-l", "--open", env={"EDITOR": "no-editor-x"})
    assert run.code == 2
    assert run.err.startswith("codesearch: no editor 'no-editor-x'\n")
    run = library.run("query", "config", "-k", "1", "-l", "--open", env={"EDITOR": "'"})
    assert run.err.startswith('codesearch: no editor "\'"\n')


def test_an_editor_that_fails_is_a_fault(library):
    run = library.run("query", "config", "-k", "1", "-l", "--open", env={"EDITOR": "false"})
    assert run.code == 2
    assert "ended with exit code 1" in run.err


def test_a_plain_folder_is_found_from_below(own, tmp_path):
    plain = tmp_path / "plain"
    write(plain, {"sub/deep/a.py": FILES["app/config.py"], "b.md": "# B\n\nText.\n"})
    place = Place(own.home, plain)
    assert place.run("index").code == 0
    assert place.run("query", "load_config", "-l", at="sub/deep").lines[0] == "a.py"
    assert sorted(os.listdir(plain)) == ["b.md", "sub"]
