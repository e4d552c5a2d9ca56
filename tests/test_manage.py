"""`status`, `repos` and `clean`."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from filelock import FileLock

from codesearch.cleaning import TRAINING_DAYS
from indexer.sources.repository import find_repository
from indexer.storage.home import IndexHome
from indexer.storage.vectors import VectorStore
from tests.command_line import FILES, Place, codesearch, environment, start
from tests.git_repositories import git, make_repository


def vectors(place: Place) -> int:
    store = VectorStore(place.home / "vectors.db")
    try:
        return store.count()
    finally:
        store.close()


def test_status_says_what_is_there(library):
    run = library.run("status", at="web")
    assert run.lines[0] == f"app  {library.root}"
    assert "  files            5 (2 python, 1 cpp, 1 go, 1 markdown)" in run.lines
    assert run.lines[-1].endswith("up to date")
    encoding = next(line for line in run.lines if "last encoded" in line)
    assert re.search(
        r" \d[\d,]* tokens at \d[\d,]* tokens/s; cpu \w+, attention full 100%$", encoding
    )
    by_name = library.run("status", "app", "--json").json
    assert by_name["root"] == str(library.root)
    assert by_name["files"] == 5
    assert by_name["pending"] == 0
    assert [ref["stale"] for ref in by_name["refs"]] == [False]


def test_status_says_what_has_changed(own):
    (own.root / "README.md").unlink()
    (own.root / "new.py").write_text("x = 1\n")
    assert own.run("status").lines[-1].endswith("2 files have changed since it was indexed")
    ref = own.run("status", "--json").json["refs"][0]
    assert (ref["changed"], ref["gone"], ref["stale"]) == (1, 1, True)


def test_repos_lists_all(library, tmp_path):
    run = library.run("repos")
    assert [line.split()[0] for line in run.lines] == ["repository", "app"]
    assert run.lines[1].endswith(str(library.root))
    record = library.run("repos", "--json").json[0]
    assert (record["name"], record["root"]) == ("app", str(library.root))
    empty = codesearch("repos", home=tmp_path / "none", cwd=tmp_path)
    assert empty.code == 0
    assert empty.out == "nothing is indexed yet; run `codesearch index PATH`\n"
    assert codesearch("repos", "--json", home=tmp_path / "none", cwd=tmp_path).out == "[]\n"


def test_clean_removes_a_repository_and_what_only_it_used(own, tmp_path):
    other = Place(own.home, make_repository(tmp_path / "other", {"a.py": FILES["app/net.py"]}))
    assert other.run("index").code == 0
    run = other.run("clean", "app")
    assert run.code == 0
    assert run.err.splitlines()[0] == f"removed the index of {own.root}"
    assert run.err.splitlines()[1].endswith("unused vectors")
    assert 0 < vectors(own) < 6
    assert [record["name"] for record in own.run("repos", "--json").json] == ["other"]
    assert other.run("query", "Client", "-l", "-k", "1").lines == ["a.py"]
    assert (own.root / "app/config.py").exists()


def test_clean_removes_what_is_dead(own, tmp_path):
    gone = Place(own.home, make_repository(tmp_path / "gone", {"z.py": FILES["app/net.py"]}))
    assert gone.run("index").code == 0
    git(own.root, "branch", "short-lived")
    assert own.run("index", "--ref", "short-lived").code == 0
    git(own.root, "branch", "-D", "short-lived")
    shutil.rmtree(gone.root)
    run = own.run("clean")
    assert f"removed the index of {gone.root}" in run.err
    assert "removed app@short-lived" in run.err
    assert own.run("query", "load_config", "-l", "-k", "1").lines == ["app/config.py"]
    assert own.run("clean").err == "removed 0 unused vectors\n"


def test_clean_removes_what_was_only_begun(own, tmp_path):
    url = make_repository(tmp_path / "remote", {"a.py": "x = 1\n"}).as_uri()
    assert own.run("index", url, "--ref", "nope").code == 2  # cloned, and not indexed
    begun = IndexHome(own.home).repo(tmp_path / "begun")
    begun.create()
    begun.database.touch()
    err = own.run("clean").err
    assert f"removed the index of {begun.folder}\n" in err
    assert "remote.git\n" in err
    assert not begun.exists
    assert list(IndexHome(own.home).clones.glob("**/*.git")) == []


def test_clean_removes_trainings_that_nobody_goes_on_with(own):
    old, new = (own.home / "training" / name for name in ("0" * 16, "1" * 16))
    for folder in (old, new):
        (folder / "packed").mkdir(parents=True)
        (folder / "packed" / "codes.bin").write_bytes(b"x")
    long_ago = time.time() - 86_400 * (TRAINING_DAYS + 1)
    for path in (old / "packed" / "codes.bin", old / "packed", old):
        os.utime(path, (long_ago, long_ago))
    assert "removed 1 interrupted training\n" in own.run("clean").err
    assert [folder.name for folder in (own.home / "training").iterdir()] == [new.name]
    assert "training" not in own.run("clean").err


def test_a_repository_that_was_indexed_by_url_is_meant_by_its_url(own, tmp_path):
    url = make_repository(tmp_path / "remote", {"a.py": "def far_away(): pass\n"}).as_uri()
    assert own.run("index", url).code == 0
    assert own.run("query", "far_away", "--repo", url, "-l").lines[0].endswith("@HEAD:a.py")
    assert own.run("status", url, "--json").json["files"] == 1
    assert own.run("clean", url).code == 0
    assert own.run("status", url).fault().endswith(f"run `codesearch index {url}`")


def test_status_says_which_part_is_indexed(own):
    assert own.run("index", "app", "--exclude", "net.py").code == 0
    assert "1 file in app without net.py, indexed " in own.run("status").lines[-1]
    ref = own.run("status", "--json").json["refs"][0]
    assert (ref["paths"], ref["excludes"]) == (["/app"], ["net.py"])


@pytest.mark.parametrize("command", ["clean", "index"])
def test_what_a_killed_writer_left_is_removed(own, command):
    folder = IndexHome(own.home).repo(find_repository(own.root)[0].root).folder
    left = folder / ".text.idx.12345.writing"
    left.write_bytes(b"half")
    assert own.run(command).code == 0
    assert not left.exists()


def test_a_vanished_repository_can_be_cleaned_by_its_path(own):
    shutil.rmtree(own.root)
    run = codesearch("clean", str(own.root), home=own.home, cwd=own.home)
    assert run.err.splitlines()[0] == f"removed the index of {own.root}"


def test_a_name_that_several_have_is_not_guessed(own, tmp_path):
    twin = Place(own.home, make_repository(tmp_path / "twin" / "app", {"a.txt": "words\n"}))
    assert twin.run("index").code == 0
    fault = codesearch("clean", "app", home=own.home, cwd=own.home).fault()
    assert fault.startswith("several repositories are called 'app'")
    assert codesearch("clean", str(twin.root), home=own.home, cwd=tmp_path).code == 0
    assert own.run("query", "load_config", "-l", "-k", "1").lines == ["app/config.py"]


def test_a_damaged_index_is_not_taken_for_unused_vectors(own):
    before = vectors(own)
    folder = IndexHome(own.home).repo(find_repository(own.root)[0].root)
    folder.database.write_bytes(b"this is no database" * 500)
    assert own.run("clean").code == 2
    assert vectors(own) == before


def test_clean_waits_for_a_writer(own):
    folder = IndexHome(own.home).repo(find_repository(own.root)[0].root)
    with FileLock(folder.lock):
        process = start("clean", home=own.home, cwd=own.root)
        assert process.stderr is not None
        said = process.stderr.readline().decode()
    _, err = process.communicate(timeout=60)
    assert said.startswith("another process is indexing this repository; waiting")
    assert process.returncode == 0
    assert err == b"removed 0 unused vectors\n"


@pytest.mark.parametrize("rounds", [3])
def test_cleaning_while_others_index_corrupts_nothing(own, rounds):
    program = textwrap.dedent("""
        import sys
        from pathlib import Path
        from tests.test_build import run
        from indexer.storage.home import IndexHome
        from models.checkpoint import open_checkpoint
        folder = Path(sys.argv[2])
        for number in range(int(sys.argv[3])):
            (folder / f"new_{number}.py").write_text(f"def new_{number}(): return {number}\\n")
            run(IndexHome(Path(sys.argv[1])), folder, open_checkpoint())
    """)
    here = str(Path(__file__).parent.parent)
    writer = subprocess.Popen(
        [sys.executable, "-c", program, own.home, own.root, str(rounds)],
        env=environment(own.home, {"PYTHONPATH": here}),
    )
    while writer.poll() is None:
        assert own.run("clean", "-q").code == 0
    assert writer.returncode == 0
    status = own.run("status", "--json").json
    assert status["pending"] == 0
    assert status["files"] == len(FILES) + rounds
    assert own.paths("new_1", "-k", "1") == ["new_1.py"]
