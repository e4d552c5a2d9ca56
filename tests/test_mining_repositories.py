"""Mining real git repositories: history, refusals, resuming, the pool, the report."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from indexer.mining.commits import changes, subject_words
from indexer.mining.shards import Pair, decoded_links, read_pairs
from indexer.prepare import Preparer, SourceFile
from indexer.sources.repository import find_repository
from indexer.syntax.chunks import chunk_file
from indexer.training.pack import pack
from indexer.training.packed import Packed
from models.checkpoint import open_checkpoint
from models.inputs import EncoderInput
from tests.git_repositories import commit_all, git, make_repository, write

pytest.importorskip("rensa")
pytest.importorskip("zstandard")

ROOT = Path(__file__).parent.parent
MIT = "Permission is hereby granted, free of charge, to any person obtaining a copy of this"
LOAD = (
    'def load(path):\n    """Load the settings of a project."""\n'
    "    text = read(path)\n    return parse(text)\n"
)
NAMED = (
    "def merge_sorted_runs(left, right):\n    result = []\n    while left and right:\n"
    "        source = left if left[0] < right[0] else right\n"
    "        item = source.pop(0)\n        if item is not None:\n"
    "            result.append(item)\n"
    "    return result + left + right\n"
)
FILES = {"LICENSE": MIT, "src/settings.py": f"{LOAD}\n\n{NAMED}"}


def run(*arguments: object, out: Path) -> dict:
    command = [sys.executable, "scripts/mine_pairs.py", *map(str, arguments), "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]) | {"said": done.stderr}


def mined(out: Path, name: str = "me+thing") -> list[Pair]:
    return list(read_pairs(out / f"{name}.jsonl.zst"))


def long_function(name: str, lines: int) -> str:
    body = "".join(f"    value_{i} = combine(value_{i - 1}, {i * i})\n" for i in range(1, lines))
    return f'def {name}(value_0):\n    """Combine all the values of {name}."""\n{body}'


@pytest.fixture
def thing(tmp_path):
    return make_repository(tmp_path / "me+thing", FILES)


def test_a_repository_becomes_a_shard_with_all_that_names_its_pairs(thing, tmp_path):
    total = run(thing, out=tmp_path / "out")
    assert (total["pairs"], total["kinds"]) == (2, {"docstring": 1, "name": 1})
    documented, named = mined(tmp_path / "out")
    assert documented == Pair(
        query="Load the settings of a project.",
        code="def load(path):\n    text = read(path)\n    return parse(text)",
        language="python",
        kind="docstring",
        repo="me/thing",
        commit=git(thing, "rev-parse", "HEAD"),
        path="src/settings.py",
        symbol="load",
        start_line=1,
        end_line=4,
        licence="MIT",
        tokens=documented.tokens,
    )
    assert 10 < documented.tokens < 30
    assert (named.query, named.symbol) == ("merge sorted runs", "merge_sorted_runs")
    assert named.code.startswith("def f(left, right):")


def test_a_bare_repository_gives_the_same(thing, tmp_path):
    git(tmp_path, "clone", "-q", "--bare", str(thing), "bare")
    run(thing, out=tmp_path / "one")
    run(f"me/thing={tmp_path / 'bare'}", out=tmp_path / "two")
    assert mined(tmp_path / "one") == mined(tmp_path / "two")


def test_what_was_mined_is_skipped_until_the_commit_or_the_settings_change(thing, tmp_path):
    out, functions = tmp_path / "out", tmp_path / "functions.json"
    functions.write_text(json.dumps([long_function(name, 9) for name in "abcde"]))
    run(thing, "--exclude", functions, out=out)
    before = (out / "me+thing.jsonl.zst").stat().st_mtime_ns
    again = run(thing, "--exclude", functions, out=out)
    assert "pairs" in again
    assert "me/thing" not in again["said"]
    assert (out / "me+thing.jsonl.zst").stat().st_mtime_ns == before
    assert run(thing, "--max-pairs", 1, out=out)["pairs"] == 1
    write(thing, {"src/settings.py": LOAD})
    commit_all(thing)
    assert run(thing, out=out)["kinds"] == {"docstring": 1}


def test_a_licence_that_is_not_permissive_is_refused_with_a_line(tmp_path):
    repository = make_repository(tmp_path / "me+thing", {"LICENSE": "Mine.", "a.py": LOAD})
    total = run(repository, out=tmp_path / "out")
    assert total["refused"] == {"me/thing": "LICENSE is not a permissive licence known here"}
    assert "me/thing: refused" in total["said"]


def test_never_train_holds_by_name_and_by_text(thing, tmp_path):
    (tmp_path / "never.txt").write_text("ME/Thing\n")
    named = run(thing, "--never-train", tmp_path / "never.txt", out=tmp_path / "one")
    assert named["refused"] == {"me/thing": "is never trained on"}
    checkouts = tmp_path / "checkouts"
    make_repository(checkouts / "listed", {"a.py": LOAD.replace("    text", "\n    text")})
    (tmp_path / "functions.json").write_text(json.dumps({NAMED: 0}))
    left = run(thing, "--exclude", checkouts, out=tmp_path / "two")
    assert left["kinds"] == {"name": 1}
    left = run(thing, "--exclude", checkouts, tmp_path / "functions.json", out=tmp_path / "three")
    assert left["pairs"] == 0


def test_copies_in_a_second_repository_are_dropped(thing, tmp_path):
    copy = make_repository(tmp_path / "you+copy", FILES | {"src/more.py": NAMED})
    total = run(thing, copy, out=tmp_path / "out")
    assert total["pairs"] == 2
    assert mined(tmp_path / "out", "you+copy") == []


def test_copies_are_known_after_an_interruption(thing, tmp_path):
    copy = make_repository(tmp_path / "you+copy", FILES)
    run(thing, out=tmp_path / "out")
    run(thing, copy, out=tmp_path / "out")
    assert mined(tmp_path / "out", "you+copy") == []


def test_a_long_function_comes_first_keeps_its_links_and_is_asked_for_twice(thing, tmp_path):
    write(thing, {"src/with_long.py": long_function("combine_everything_once", 60)})
    commit_all(thing)
    run(thing, "--max-pairs", 3, out=tmp_path / "out")
    documented, named, best = mined(tmp_path / "out")
    assert (documented.kind, named.kind, best.query) == (
        "docstring",
        "name",
        "Load the settings of a project.",
    )
    assert documented.tokens > 512
    links = decoded_links(documented.links)
    assert len(links) > 50
    assert links.max() < len(documented.code)
    assert best.links == ()


def test_what_is_documented_best_comes_next(thing, tmp_path):
    source = "def fold(path):\n    {}\n    left = first(path)\n    return join(left, path)\n"
    more = '"""Fold the lines of a file, so that no line is longer than a page is wide."""'
    write(thing, {"src/a.py": source.format('"""Fold the lines."""'), "src/b.py": LOAD})
    write(thing, {"src/c.py": source.format(more).replace("left", "page").replace("join", "put")})
    commit_all(thing)
    run(thing, "--max-pairs", 1, out=tmp_path / "out")
    assert [pair.path for pair in mined(tmp_path / "out")] == ["src/c.py"]


def test_a_file_with_a_never_trained_function_is_not_taken_whole(thing, tmp_path):
    (tmp_path / "functions.json").write_text(json.dumps([NAMED]))
    documented = f'"""Settings of a project, and how they merge."""\n\n{NAMED}\n\n{LOAD}'
    write(thing, {"src/settings.py": documented})
    commit_all(thing)
    assert run(thing, out=tmp_path / "one")["kinds"] == {"docstring": 1, "file": 1, "name": 1}
    left = run(thing, "--exclude", tmp_path / "functions.json", out=tmp_path / "two")
    assert left["kinds"] == {"docstring": 1}


def test_code_beyond_the_encoder_is_dropped(thing, tmp_path):
    write(thing, {"src/long.py": long_function("combine_everything_once", 400)})
    commit_all(thing)
    total = run(thing, out=tmp_path / "out")
    assert total["long"] == 0
    assert total["dropped"]["pairs: code beyond the encoder's length"] == 2


def test_a_short_function_without_documentation_is_not_asked_for(thing, tmp_path):
    short = "def sum_all_values(values):\n" + "    values = fold(values)\n" * 5
    write(thing, {"src/settings.py": short})
    commit_all(thing)
    assert run(thing, out=tmp_path / "out")["pairs"] == 0


def test_a_question_is_asked_once(thing, tmp_path):
    other = LOAD.replace("parse(text)", "[line.strip() for line in text.splitlines() if line]")
    write(thing, {"src/other.py": other})
    commit_all(thing)
    assert run(thing, out=tmp_path / "out")["kinds"] == {"docstring": 1, "name": 1}


def test_a_file_or_folder_under_another_licence_gives_nothing(thing, tmp_path):
    source = LOAD.replace("settings", "notes").replace("text", "content")
    write(
        thing,
        {
            "src/b.py": f"# Licensed under the GNU General Public License\n\n{source}",
            "extra/LICENSE": "GNU GENERAL PUBLIC LICENSE",
            "extra/c.py": source,
        },
    )
    commit_all(thing)
    total = run(thing, out=tmp_path / "out")
    assert total["pairs"] == 2
    assert total["dropped"]["files: header with another licence"] == 1


def test_links_and_binaries_and_broken_files_do_not_stop_it(thing, tmp_path):
    write(thing, {"src/broken.py": "def (((\n'''" * 99, "src/b.py": b"\x00" * 99})
    (thing / "src" / "link.py").symlink_to("/etc/passwd")
    commit_all(thing)
    assert run(thing, out=tmp_path / "out")["pairs"] == 2


def test_the_pool_holds_every_function_and_asks_only_what_one_answers(thing, tmp_path):
    other = LOAD.replace("parse(text)", "[line.strip() for line in text.splitlines() if line]")
    write(thing, {"src/other.py": other, "src/unique.py": LOAD.replace("settings", "notes")})
    commit_all(thing)
    run(thing, "--held-out", out=tmp_path / "out")
    pool = list(read_pairs(tmp_path / "out" / "pool.jsonl.zst"))
    assert sorted(pair.kind for pair in pool) == ["function"] * 3


def test_chunks_are_what_an_index_holds_and_nothing_asks_for_them(thing, tmp_path):
    readme = "# Thing\n\nLoad it.\n"
    write(thing, {"src/long.py": long_function("combined", 120), "README.md": readme})
    commit_all(thing)
    total = run(thing, "--chunks", out=tmp_path / "out")
    assert total["kinds"] == {"chunk": 5}
    found = {(chunk.path, chunk.symbol): chunk for chunk in mined(tmp_path / "out")}
    assert set(found) == {
        ("src/settings.py", ""),
        ("src/settings.py", "load"),
        ("src/settings.py", "merge_sorted_runs"),
        ("README.md", "Thing"),
        *(place for place in found if place[0] == "src/long.py"),  # the file is its function
    }
    assert {chunk.query for chunk in found.values()} == {""}
    assert '"""Load the settings of a project."""' in found["src/settings.py", "load"].code
    (long,) = (chunk for chunk in found.values() if chunk.path == "src/long.py")
    related = [chunk.links for chunk in chunk_file(long.code, "python", "long.py", 10**6)]
    assert decoded_links(long.links).tolist() in [
        links.tolist() for links in related if len(links)
    ]
    run(thing, "--chunks", "--max-pairs", 2, out=tmp_path / "few")
    assert len(mined(tmp_path / "few")) == 2


def test_a_packed_chunk_is_read_as_in_an_index(thing, tmp_path):
    prose = "# Thing\n\n" + "It loads the settings of a project.\n" * 120
    write(thing, {"src/long.py": long_function("combined", 120), "README.md": prose})
    commit_all(thing)
    run(thing, "--chunks", out=tmp_path / "out")
    model = open_checkpoint()
    pack(tmp_path / "out", tmp_path / "packed", model)
    packed, preparer = Packed(tmp_path / "packed", model), Preparer(model)
    indexed: dict[tuple[str, str, int], EncoderInput] = {}
    for path in ("src/long.py", "src/settings.py", "README.md"):
        file = preparer.prepare(SourceFile(path, "0", (thing / path).read_bytes()))
        for chunk in file.chunks:
            indexed[path, chunk.symbol, chunk.start_line] = chunk.input
    with_heads = set()
    for row, pair in enumerate(mined(tmp_path / "out")):
        found = packed.code(row)
        expected = indexed[pair.path, pair.symbol, pair.start_line]
        assert found.ids.tolist() == expected.ids.tolist()
        assert found.pattern.dense().tolist() == expected.pattern.dense().tolist()
        if len(found) > 512:
            with_heads.add((pair.path, found.pattern.head_blocks > 0))
    assert with_heads == {("src/long.py", True), ("README.md", False)}


def test_a_file_with_an_excluded_function_gives_no_chunk(thing, tmp_path):
    write(thing, {"src/other.py": long_function("combined", 20)})
    commit_all(thing)
    excluded = tmp_path / "functions.json"
    excluded.write_text(json.dumps([NAMED]))
    run(thing, "--chunks", "--exclude", excluded, out=tmp_path / "out")
    assert {chunk.path for chunk in mined(tmp_path / "out")} == {"src/other.py"}


def test_the_report_replaces_the_table_and_keeps_what_stands_above(thing, tmp_path):
    document = tmp_path / "data.md"
    document.write_text("# Data\n\nWhy.\n")
    for _ in range(2):
        run(thing, "--report", document, out=tmp_path / "out")
    text = document.read_text()
    assert text.startswith("# Data\n\nWhy.\n\n<!--")
    assert text.count("| me/thing |") == 1
    assert " pairs from 1 repositories" in text


def test_the_report_of_held_out_repositories_counts_functions(thing, tmp_path):
    document = tmp_path / "pool.md"
    run(thing, "--held-out", "--report", document, out=tmp_path / "out")
    text = document.read_text()
    assert " functions from 1 repositories" in text
    assert "| language | functions |" in text


def test_a_small_commit_gives_its_subject_and_the_function_that_it_changed(thing):
    changed = FILES["src/settings.py"].replace("text = read(path)", "text = read(path, 'utf-8')")
    write(thing, {"src/settings.py": changed, "CHANGES": "new"})
    commit = commit_all(thing, "fix(settings): read files as UTF-8 (#12)")
    repository, _ = find_repository(thing)
    (change,) = changes(repository.git_dir, commit, 10, lambda path: path.endswith(".py"))
    assert change.subject == "read files as UTF-8"
    assert (change.path, change.definition.symbol) == ("src/settings.py", "load")
    assert change.commit == commit


def test_commits_that_touch_much_or_say_nothing_are_left_out(thing):
    write(thing, {"src/settings.py": FILES["src/settings.py"].replace("text", "content")})
    commit = commit_all(thing, "Bump version to 1.2.3")
    repository, _ = find_repository(thing)
    assert list(changes(repository.git_dir, commit, 10, lambda path: True)) == []


@pytest.mark.parametrize("place", [0, 1])
def test_of_several_changed_functions_the_one_with_most_lines_is_meant(thing, place):
    names = ["load", "merge_sorted_runs"]
    few, many = (LOAD, NAMED) if place else (NAMED, LOAD)
    changed = FILES["src/settings.py"].replace(
        few, few.replace("(path)", "(p)").replace("right)", "r)")
    )
    changed = changed.replace(many, many.replace("    ", "     "))
    write(thing, {"src/settings.py": changed})
    commit = commit_all(thing, "Rework how runs are merged")
    repository, _ = find_repository(thing)
    (change,) = changes(repository.git_dir, commit, 10, lambda path: True)
    assert change.definition.symbol == names[place]


def test_a_commit_that_adds_a_file_or_changes_many_functions_is_left_out(thing):
    many = "".join(LOAD.replace("load", name) for name in "abcd")
    write(thing, {"src/many.py": many})
    commit_all(thing, "Load settings in four ways")
    write(thing, {"src/many.py": many.replace("read(", "fetch(")})
    commit = commit_all(thing, "Fetch files instead of reading them")
    repository, _ = find_repository(thing)
    assert list(changes(repository.git_dir, commit, 10, lambda path: True)) == []


def test_a_commit_to_many_files_is_left_out(thing):
    write(thing, {f"src/{name}.py": LOAD for name in "abc"})
    commit_all(thing)
    write(thing, {f"src/{name}.py": LOAD.replace("read(", "fetch(") for name in "abc"})
    commit = commit_all(thing, "Fetch files instead of reading them")
    repository, _ = find_repository(thing)
    assert list(changes(repository.git_dir, commit, 10, lambda path: True)) == []


def signed(repository: Path, commit: str) -> str:
    """The same commit with a signature, which is none."""
    head, _, message = git(repository, "cat-file", "commit", commit).partition("\n\n")
    mark = "gpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----"
    write(repository, {".git/signed": f"{head}\n{mark}\n\n{message}\n"})
    return git(repository, "hash-object", "-t", "commit", "-w", ".git/signed")


def test_the_configuration_of_a_repository_runs_nothing(thing, tmp_path):
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    trap.chmod(0o755)
    for name in (
        "diff.external",
        "core.pager",
        "gpg.program",
        "diff.a.textconv",
        "diff.a.command",
    ):
        git(thing, "config", name, str(trap))
    git(thing, "config", "log.showSignature", "true")
    write(thing, {".git/info/attributes": "* diff=a\n"})
    changed = FILES["src/settings.py"].replace("read(path)", "read(path, 'utf-8')")
    write(thing, {"src/settings.py": changed})
    commit = signed(thing, commit_all(thing, "Read files as UTF-8"))
    repository, _ = find_repository(thing)
    assert len(list(changes(repository.git_dir, commit, 10, lambda path: True))) == 1
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("subject", "words"),
    [
        ("feat(api)!: add retries to the client", "add retries to the client"),
        ("[HIVE-12] Fix the leak in the pool (#77)", "Fix the leak in the pool"),
        ("fixed regex captures (ticket #12).", "fixed regex captures"),
        ("net/http: close idle connections", "close idle connections"),
        ("Merge branch 'x'", ""),
        ("docs: fix a typo", ""),
        ("chore(deps): bump a", ""),
        ('Revert "Add it"', ""),
    ],
)
def test_a_subject_loses_its_prefix_and_its_numbers(subject, words):
    assert subject_words(subject) == words


@pytest.mark.parametrize(("name", "split"), [("me+thing", "train"), ("me+other", "valid")])
def test_long_functions_become_tasks_in_the_official_formats(tmp_path, name, split):
    first = long_function("walk", 60)
    second = long_function("balance", 60).replace("combine(value", "spread(weight")
    second = second.replace("    value", "    weight")
    short = 'def add(one, other):\n    """Add one number to another one."""\n'
    second += short + "    total = one + other\n    log(total)\n    return total\n"
    folder = make_repository(tmp_path / name, {"LICENSE": MIT, "src/a.py": first + second})
    changed = first.replace("value_7 = combine(value_6, 49)", "value_7 = combine(value_6, 50)")
    write(folder, {"src/a.py": changed + second})
    commit_all(folder, "Fix the wrong seventh value of a walk")
    run(folder, out=tmp_path / "out")
    command = [sys.executable, "scripts/mine_tasks.py", str(tmp_path / "out")]
    command += ["--repositories", str(tmp_path), "--out", str(tmp_path / "tasks")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout.splitlines()[-1])
    tasks = {f"{task} {split}": 2 for task in ("clone", "defect", "search", "summarize")}
    assert counts == tasks | ({"summarize short": 1} if split == "train" else {})

    def lines(task: str, name: str) -> list[dict]:
        text = (tmp_path / "tasks" / task / name).read_text()
        return [json.loads(line) for line in text.splitlines()]

    bad, good = lines("defect", f"{split}.jsonl")
    assert (bad["target"], good["target"]) == (1, 0)
    assert ("49)" in bad["func"], "50)" in good["func"]) == (True, True)
    clones = (tmp_path / "tasks/clone" / f"{split}.txt").read_text().splitlines()
    assert [line.split("\t")[2] for line in clones] == ["1", "0"]
    origins = lines("clone", "origins.jsonl")
    assert [origin["symbol"] for origin in origins] == ["walk", "walk", "balance"]
    assert [origin.get("version") for origin in origins] == ["before", "after", None]
    found = {" ".join(record["docstring_tokens"]) for record in lines("search", f"{split}.jsonl")}
    assert found == {f"Combine all the values of {name} ." for name in ("walk", "balance")}
    codes = [record["code"].partition("(")[0] for record in lines("search", f"{split}.jsonl")]
    assert codes == ["def Func"] * 2
