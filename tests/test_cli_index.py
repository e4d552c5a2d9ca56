"""`codesearch index` on all kinds of folders: what is taken, what is left out, what is said."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command_line import FILES, Place, codesearch, environment, finish, start
from tests.git_repositories import commit_all, git, make_repository, snapshot, write
from tests.test_hostile_git import marker, root  # noqa: F401  the hostile repository

TEXT = FILES["app/config.py"]


@pytest.fixture
def place(own, tmp_path):
    """An empty folder, with a home that has some vectors."""
    folder = tmp_path / "place"
    folder.mkdir()
    return Place(own.home, folder)


def test_a_second_run_finds_nothing_new(own):
    run = own.run("index")
    assert (run.code, run.out) == (0, "")
    assert run.err == "app: 5 files at worktree; nothing new\n"
    assert own.run("index", "--quiet").err == ""


def test_what_was_encoded_is_told_with_its_rate(place):
    write(place.root, {"a.py": "def f(unheard_of):\n    return unheard_of * 7\n"})
    last = place.run("index").err.splitlines()[-1]
    assert re.fullmatch(
        r"  \d+ tokens at [\d,]+ tokens/s \(\d+% of that time in the encoder, [\d.]+% padding\)",
        last,
    )


def test_a_folder_without_git_works(place):
    write(place.root, {"a.py": TEXT, "notes/b.txt": "some words\n"})
    assert "place: 2 files at worktree" in place.run("index").err
    assert place.run("query", "load_config", "-l").lines[0] == "a.py"
    assert place.run("index", "--ref", "main").code == 2


@pytest.mark.parametrize("has_git", [True, False])
def test_an_empty_repository_says_that_there_is_nothing(place, has_git):
    if has_git:
        make_repository(place.root, {})
    run = place.run("index")
    assert run.code == 0
    assert "nothing to index here" in run.err
    assert place.run("query", "anything").code == 1


def test_a_repository_without_commits_has_its_files(place):
    make_repository(place.root, {})
    write(place.root, {"a.py": TEXT})
    assert place.run("index").code == 0
    assert place.paths("load_config") == ["a.py"]
    fault = place.run("index", "--ref", "HEAD").fault()
    assert fault.startswith("place has no commits\n")


def test_what_is_left_out_is_counted_with_its_reason(place):
    write(
        place.root,
        {
            "a.py": TEXT,
            "broken.py": b"def broken():\n    return '\xff\xfe caf\xe9'\n",
            "wrong.py": "def wrong(:\n    return (((\n\n\ndef right_one():\n    return 1\n",
            "data.bin": bytes(range(256)) * 8,
            ".env": "TOKEN=1\n",
        },
    )
    with open(place.root / "huge.py", "wb") as file:
        file.truncate(50_000_000)
    run = place.run("index")
    assert run.code == 0
    assert "place: 4 files at worktree" in run.err or "place: 3 files at worktree" in run.err
    left_out = next(line for line in run.err.splitlines() if "left out" in line)
    assert "too large" in left_out
    assert "binary" in left_out
    assert place.paths("right_one")[0] == "wrong.py"
    assert "broken.py" in place.paths("broken")
    assert sum(place.run("status", "--json").json["skipped"].values()) == 3


def test_a_huge_file_is_not_read_into_memory(place):
    write(place.root, {"a.py": TEXT})
    with open(place.root / "huge.py", "wb") as file:
        file.truncate(2_000_000_000)
    limit = "import resource; resource.setrlimit(resource.RLIMIT_AS, (3_000_000_000,) * 2)"
    arguments = "import sys; sys.argv = ['codesearch', 'index']"
    program = f"{limit}; {arguments}; from codesearch.cli import main; main()"
    here = str(Path(__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=place.root,
        env=environment(place.home, {"PYTHONPATH": here}),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()


def test_an_unreadable_file_is_counted(own):
    (own.root / "secret.py").write_text(TEXT)
    (own.root / "secret.py").chmod(0)
    run = finish(start("index", home=own.home, cwd=own.root))
    assert run.code == 0
    assert "app: 5 files at worktree; nothing new\n  left out: 1 unreadable\n" in run.err


def test_a_subfolder_narrows_the_index_and_says_so(own):
    run = own.run("index", "web")
    assert run.err == "app: 1 file at worktree in web; nothing new\n"
    assert own.paths("configuration") == ["web/retry.go"]
    assert "app: 5 files at worktree; 4 read, 0 texts encoded" in own.run("index").err


def test_paths_and_excludes(own):
    assert own.run("index", "--path", "app/", "--exclude", "*net*").code == 0
    assert own.paths("configuration") == ["app/config.py"]


def test_a_bare_repository_is_indexed_at_its_head(own, tmp_path):
    git(tmp_path, "clone", "-q", "--bare", str(own.root), "bare.git")
    bare = Place(own.home, tmp_path / "bare.git")
    assert "bare: 5 files at HEAD" in bare.run("index").err
    first = bare.run("query", "load_config", "--json").json["results"][0]
    assert (first["repo"], first["ref"], len(first["commit"])) == ("bare", "HEAD", 40)


def test_a_url_is_cloned_and_found_by_its_name(own):
    run = own.run("index", own.root.as_uri())
    assert run.code == 0
    assert f"cloning {own.root.as_uri()}" in run.err
    assert len(own.run("repos").lines) == 3
    assert own.run("clean", "-q").code == 0


def test_markup_and_escape_sequences_are_shown_and_not_obeyed(place):
    name = "[red]x[/red]\x1b]0;title\x07:smile:.py"
    body = 'def evil():\n    return "[bold]\x1b[2J\x9b31m\u202e"  # [/bold]\n'
    write(place.root, {name: body})
    indexed = place.run("index")
    assert indexed.code == 0
    formats = [[], ["--vimgrep"], ["-l"], ["-C", "1"], ["--explain"]]
    shown = [place.run("query", "evil", "-k", "1", *options) for options in formats]
    terminal = {"FORCE_COLOR": "1", "NO_COLOR": "1", "COLUMNS": "120", "TERM": "xterm"}
    panel = place.run("query", "evil", "-k", "1", env=terminal)
    status = [place.run("status"), place.run("repos")]
    for run in [indexed, *shown, panel, *status]:
        for harmful in ("\x1b]0;", "\x1b[2J", "\x9b", "\x07", "\u202e"):
            assert harmful not in run.out + run.err
    for run in [*shown[:3], panel]:
        assert "[red]x[/red]" in run.out
        assert ":smile:" in run.out
    assert "[bold]" in panel.out
    first = place.run("query", "evil", "--json").json["results"][0]
    assert first["path"] == name
    assert first["snippet"] == body.rstrip("\n")


def test_a_hostile_repository_runs_nothing_and_stays_as_it_is(root, marker, own):  # noqa: F811
    before = snapshot(root)
    hostile = Place(own.home, root)
    for arguments in (
        ["index"],
        ["index", "--ref", "main"],
        ["query", "dirty", "-l"],
        ["query", "a", "--ref", "main", "-l"],
        ["status"],
        ["clean"],
    ):
        run = hostile.run(*arguments)
        assert run.code in (0, 1), run
    (root / "a.py").write_text("def refreshed_here(): pass\n")
    assert hostile.paths("refreshed_here")[0] == "a.py"
    (root / "a.py").write_text("dirty\n")
    assert snapshot(root) == before


def test_two_refs_live_side_by_side(own):
    assert own.run("index", "--ref", "main").code == 0
    write(own.root, {"app/config.py": "def replaced():\n    pass\n"})
    commit_all(own.root)
    assert own.run("query", "load_config", "--ref", "main", "-l").lines[0] == "main:app/config.py"
    assert own.run("query", "replaced", "-k", "1", "-l").lines == ["app/config.py"]


def test_an_index_option_is_where_the_index_goes(own, tmp_path):
    write(tmp_path / "small", {"a.txt": ""})
    run = codesearch(
        "--index", str(tmp_path / "there"), "index", home=own.home, cwd=tmp_path / "small"
    )
    assert run.code == 0
    assert (tmp_path / "there" / "repos").is_dir()
