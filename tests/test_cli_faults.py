"""What a user can get wrong, and what can be wrong around the program: two lines and exit code 2.

Whatever happens, what was indexed before stays.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import faiss
import pytest
from filelock import FileLock

from indexer.sources.repository import find_repository
from indexer.storage.home import IndexHome, RepoFolder
from indexer.storage.store import Store
from tests.command_line import (
    FILES,
    Place,
    codesearch,
    environment,
    finish,
    start,
)
from tests.git_repositories import make_repository


def index_of(place: Place) -> RepoFolder:
    return IndexHome(place.home).repo(find_repository(place.root)[0].root)


def answers(place: Place) -> bool:
    """Whether what was indexed at first can still be found."""
    return place.run("query", "load_config", "-l", "-k", "1", "-q").lines == ["app/config.py"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["index", "no/such/folder"], "no/such/folder does not exist"),
        (["index", "README.md"], "README.md is a file"),
        (["index", "--ref", "nope"], "app has no ref 'nope'"),
        (["index", "--model", "nope"], "no model 'nope'"),
        (["index", "--device", "tpu"], "unknown device 'tpu'"),
        (["query"], "Missing argument 'TEXT'"),
        (["query", ""], "the query is empty"),
        (["query", " \t"], "the query is empty"),
        (["query", "two", "words"], "Got unexpected extra argument"),
        (["query", "x", "-k", "0"], "-k 0 asks for no results"),
        (["query", "x", "-k", "abc"], "'abc' is not a whole number"),
        (["query", "x", "-C", "-1"], "-C -1 is negative"),
        (["query", "x", "--lang", "klingon"], "no language is called 'klingon'"),
        (["query", "x", "--kind", "poem"], "unknown kind 'poem'"),
        (["query", "x", "--json", "-l"], "--json, --jsonl, --vimgrep and -l exclude each other"),
        (["query", "-", "--vimgrep"], "`query -` prints JSON"),
        (["query", "x", "--repo", "nope"], "'nope' is not indexed (indexed: app)"),
        (["query", "x", "--ref", "main"], "ref 'main' of app is not indexed (indexed: worktree)"),
        (["query", "x", "--nope"], "No such option: --nope"),
        (["status", "nope"], "'nope' is not indexed"),
        (["clean", "nope"], "'nope' is not indexed"),
        (["quary", "x"], "No such command 'quary'"),
    ],
)
def test_a_wrong_argument_is_two_lines_and_exit_code_2(library, arguments, problem):
    assert library.run(*arguments).fault().startswith(problem)


def test_nothing_indexed_and_no_repository(tmp_path):
    fault = codesearch("query", "x", home=tmp_path / "home", cwd=tmp_path).fault()
    assert fault.endswith("run `codesearch index PATH`")


def test_one_wrong_path_does_not_keep_the_others_from_being_indexed(own):
    run = own.run("index", "nowhere", ".")
    assert run.code == 2
    assert run.err.splitlines()[0] == "codesearch: nowhere does not exist"
    assert "app: 5 files at worktree; nothing new" in run.err


def test_an_index_of_another_schema(own):
    store = Store(index_of(own).database)
    store.bind({"schema": "0"})
    store.close()
    for command in (["index"], ["query", "x"]):
        fault = own.run(*command).fault()
        assert "app was indexed by another version of this program (schema 0, " in fault
        assert fault.endswith(f"run `codesearch index {own.root} --rebuild`")
    assert own.run("index", "--rebuild").code == 0
    assert answers(own)


def test_an_index_of_another_model(own):
    store = Store(index_of(own).database)
    store.bind({"fingerprint": "0" * 32})
    store.close()
    assert "was indexed with another sasa-small (000000000000" in own.run("query", "x").fault()
    assert "was indexed with model sasa-small (000000000000)" in own.run("index").fault()
    store = Store(index_of(own).database)
    store.bind({"model": "/gone/model"})
    store.close()
    assert "the model that indexed app cannot be opened" in own.run("query", "x").fault()


def test_a_damaged_index(own):
    index_of(own).database.write_bytes(b"this is no database" * 500)
    for command in (["index"], ["query", "x"], ["status"], ["clean"]):
        fault = own.run(*command).fault()
        assert "is damaged" in fault
        assert "run `codesearch index --rebuild` in the repository" in fault
    listed = own.run("repos")
    assert listed.code == 0
    assert "is damaged" in listed.out
    assert own.run("index", "--rebuild").code == 0
    assert answers(own)


def test_one_damaged_index_does_not_silence_the_others(own, tmp_path):
    other = Place(own.home, make_repository(tmp_path / "other", {"a.py": "def other(): pass\n"}))
    assert other.run("index").code == 0
    index_of(other).database.write_bytes(b"this is no database" * 500)
    (tmp_path / "outside").mkdir()
    run = codesearch("query", "load_config", "-l", home=own.home, cwd=tmp_path / "outside")
    assert run.code == 0
    assert run.lines[0] == "../app/app/config.py"
    assert "is damaged" in run.err
    assert len(run.err.splitlines()) == 1


@pytest.mark.parametrize("damage", ["missing", "garbage", "cut"])
def test_a_damaged_faiss_file_is_made_again_in_silence(own, damage):
    path = index_of(own).faiss
    whole = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(b"garbage" if damage == "garbage" else whole[:-100])
    run = own.run("query", "load_config", "-k", "1", "--explain")
    assert (run.code, run.err) == (0, "")
    assert "cosine 0." in run.out
    assert len(path.read_bytes()) == len(whole)


def test_damaged_vectors_leave_the_words(own):
    for file in own.home.glob("vectors.db*"):
        file.unlink()
    (own.home / "vectors.db").write_bytes(b"this is no database" * 500)
    assert answers(own)  # the FAISS file is still there
    index_of(own).faiss.unlink()
    run = own.run("query", "load_config", "-l", "-k", "1")
    assert run.lines == ["app/config.py"]
    assert "found by words only" in run.err
    assert "is damaged" in own.run("index").fault()
    assert own.run("index", "--rebuild").code == 0
    assert own.run("query", "load_config", "-l").err == ""


def test_a_full_disk_while_the_index_is_written(own):
    (own.root / "big.py").write_text("\n\n".join(f"def f{i}():\n    pass" for i in range(400)))
    import sqlalchemy

    def limit_pages(connection, _):
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 2}")

    sqlalchemy.event.listen(sqlalchemy.Engine, "connect", limit_pages)
    try:
        run = own.run("index", "-q")
        stale = own.run("query", "load_config", "--json", "-k", "1")
    finally:
        sqlalchemy.event.remove(sqlalchemy.Engine, "connect", limit_pages)
    assert run.fault().startswith("no space left on the disk")
    assert stale.json["stale"] is True
    assert "1 file has changed" in stale.err
    (own.root / "big.py").unlink()
    assert answers(own)


def test_a_full_disk_while_faiss_is_written(own, monkeypatch):
    (own.root / "new.py").write_text(FILES["app/config.py"])
    write_index = faiss.write_index
    monkeypatch.setattr(faiss, "write_index", lambda index, _: write_index(index, "/dev/full"))
    run = own.run("index", "-q")
    assert run.fault().startswith("no space left on the disk")
    run = own.run("query", "load_config", "-l", "-k", "2")
    assert sorted(run.lines) == ["app/config.py", "new.py"]
    monkeypatch.undo()
    assert own.run("index").code == 0
    assert answers(own)


def test_an_index_home_that_cannot_be_made(own, tmp_path):
    (tmp_path / "file").write_text("")
    run = codesearch("index", home=tmp_path / "file" / "home", cwd=own.root)
    assert run.fault().startswith(f"cannot write the index in {tmp_path}/file/home")


def test_a_read_only_index_home_answers_and_refuses_to_index(own):
    paths = [own.home, *own.home.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    (own.root / "new.py").write_text("x = 1\n")
    query = start("query", "load_config", "-l", "-k", "1", home=own.home, cwd=own.root)
    index = start("index", "-q", home=own.home, cwd=own.root)
    run, refused = finish(query), finish(index)
    for path in paths:
        path.chmod(0o755)
    assert (run.code, run.out) == (0, "app/config.py\n")
    assert "1 file has changed" in run.err
    assert refused.fault().startswith(f"cannot write the index in {own.home}")


def test_the_interrupt_key_says_that_the_run_goes_on_later(own):
    many = "\n\n".join(f"def f{i}(x):\n    return x + {i} * {i}" for i in range(3000))
    (own.root / "many.py").write_text(many)
    process = start("index", "--device", "cpu", home=own.home, cwd=own.root)
    assert process.stderr is not None
    process.stderr.readline()  # it is reading files now
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.decode().splitlines()[-2:] == [
        "codesearch: interrupted",
        "  run the same command again: it goes on from here",
    ]
    assert answers(own)


def test_a_closed_pipe_is_silent(library):
    command = f"{sys.executable} -m codesearch query - --all -k 99 | head -1"
    settings = environment(library.home, {"PYTHONPATH": str(Path(__file__).parent.parent)})
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=library.root,
        env=settings,
        input=b"configuration\n" * 30,
        capture_output=True,
        check=False,
    )
    assert done.stderr == b""
    assert done.stdout.count(b"\n") == 1
    assert done.returncode == 0


def test_a_repository_whose_path_is_not_utf8_is_refused_and_leaves_nothing(own, tmp_path):
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    odd.mkdir()
    (odd / "a.py").write_text("x = 1\n")
    run = codesearch("index", home=own.home, cwd=odd)
    assert run.code == 2
    assert "is not UTF-8\n  rename the folder" in run.err
    assert len(list((own.home / "repos").iterdir())) == 1


def test_a_repository_that_is_gone_is_answered_from_the_index(own, tmp_path):
    shutil.rmtree(own.root)
    run = codesearch(
        "query", "load_config", "--repo", "app", "--json", home=own.home, cwd=tmp_path
    )
    assert run.json["results"][0]["symbol"] == "load_config"
    assert run.json["stale"] is True
    assert run.err.startswith("app: answers come from the index alone: ")
    assert "codesearch index" not in run.err


def test_a_locked_index_answers_and_indexing_waits(own):
    (own.root / "new.py").write_text("def brand_new_function():\n    pass\n")
    with FileLock(index_of(own).lock):
        run = own.run("query", "load_config", "--json", "-k", "1")
        assert run.json["results"][0]["symbol"] == "load_config"
        assert run.json["stale"] is True
        process = start("index", home=own.home, cwd=own.root)
        assert process.stderr is not None
        said = process.stderr.readline().decode()
        process.kill()
        process.communicate()
    assert said.startswith("another process is indexing this repository; waiting")


def test_a_working_directory_that_is_gone(own, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    command = f"cd {gone} && rmdir {gone} && {sys.executable} -m codesearch query x"
    settings = environment(own.home, {"PYTHONPATH": str(Path(__file__).parent.parent)})
    done = subprocess.run(["bash", "-c", command], env=settings, capture_output=True, check=False)
    assert done.returncode == 2
    assert done.stderr.decode().startswith("codesearch: the working directory does not exist")
