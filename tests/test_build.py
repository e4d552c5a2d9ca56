"""Indexing: incremental by content, shared by refs, harmless to kill."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

import indexer.adding
import indexer.build
from codesearch.freshness import find_change
from indexer.build import IndexBuild
from indexer.errors import IndexDamaged, IndexMismatch, StorageError
from indexer.progress import Silence
from indexer.sources.repository import find_repository
from indexer.sources.walk import Selection, list_files
from indexer.storage.faiss_cache import VectorIndex
from indexer.storage.home import IndexHome
from indexer.storage.reader import Reader
from indexer.storage.store import Store
from indexer.storage.text_index import TextIndex
from indexer.storage.vectors import VectorStore
from tests.git_repositories import commit_all, make_repository

FILES = {
    "app/config.py": "import json\n\n\ndef load(path):\n    return json.load(open(path))\n",
    "app/net.py": "class Client:\n    def get(self, url):\n        return url\n\n\nX = 1\n",
    "README.md": "# App\n\nReads the configuration and talks to a server.\n",
}


class CountingEncoder:
    """Hashes token ids to vectors, and remembers what it was asked to encode."""

    def __init__(self) -> None:
        self.inputs = 0

    def embed(self, inputs):
        self.inputs += len(inputs)
        vectors = np.zeros((len(inputs), 384), dtype=np.float32)
        for row, item in zip(vectors, inputs, strict=True):
            np.add.at(row, item.ids % 384, 1.0)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def account(self):
        return f"counted {self.inputs}"


@pytest.fixture
def home(tmp_path):
    return IndexHome(tmp_path / "home")


@pytest.fixture
def folder(tmp_path):
    return make_repository(tmp_path / "repo", FILES)


def run(home, folder, checkpoint, ref=None, selection=None, rebuild=False, encoder=None):
    encoder = encoder or CountingEncoder()
    repository, _ = find_repository(folder)
    build = IndexBuild(home, repository, checkpoint, lambda: encoder)
    report = build.run(ref, selection or Selection(), rebuild)
    return report, encoder


def content(home: IndexHome, folder: Path) -> dict:
    """Everything an index says, without its ids."""
    reader = Reader(home.repo(folder.resolve()))
    try:
        rows = {}
        for ref in reader.refs():
            files = set(reader.file_ids(ref.id, (), Selection()).tolist())
            every = reader.chunks(reader.chunk_ids().tolist()).values()
            chunks = [chunk for chunk in every if chunk.file_id in files]
            rows[ref.name] = sorted(
                (c.path, c.kind, c.symbol, c.start_line, c.end_line, reader.text(c.file_id))
                for c in chunks
            )
        encoded = reader.encoded()
        index = VectorIndex.open(reader.folder.faiss, 384)
        assert index is not None
        assert sorted(index.ids.tolist()) == sorted(chunk for chunk, _, _ in encoded)
        texts = TextIndex.open(reader.folder.text_index)
        assert texts is not None
        assert (texts.generation, texts.ids.tolist()) == (
            reader.text_generation,
            reader.chunk_ids().tolist(),
        )
        return {
            "refs": rows,
            "keys": sorted(key for _, _, key in encoded),
            "synced": reader.is_synced,
            "pending": reader.pending_tokens(),
            "words": [texts.count(stem) for stem in ("load", "client", "configur")],
        }
    finally:
        reader.close()


def test_the_encoder_is_loaded_while_files_are_read(home, folder, checkpoint):
    loaded = threading.Event()

    class ReadsOnOnceLoaded(Silence):
        def advance(self, amount):
            assert loaded.wait(30)

    def load():
        loaded.set()
        return CountingEncoder()

    repository, _ = find_repository(folder)
    build = IndexBuild(home, repository, checkpoint, load, ReadsOnOnceLoaded())
    assert build.run(None, Selection()).encoded.chunks > 0


def test_a_second_run_reads_and_encodes_nothing(home, folder, checkpoint):
    first, encoder = run(home, folder, checkpoint)
    assert (first.files, first.new_files) == (3, 3)
    assert first.encoded.chunks == encoder.inputs > 0
    second, encoder = run(home, folder, checkpoint)
    assert (second.new_files, second.encoded.chunks, encoder.inputs) == (0, 0, 0)


def test_what_a_refresh_left_unencoded_is_encoded_by_the_next_run(home, folder, checkpoint):
    repository, _ = find_repository(folder)
    build = IndexBuild(home, repository, checkpoint, CountingEncoder)
    build.folder.create()
    report = build.update(list_files(repository, None, Selection()), Selection(), 1)
    assert (report.new_files, report.encoded.chunks) == (3, 0)
    _, encoder = run(home, folder, checkpoint)
    assert encoder.inputs > 0
    assert content(home, folder)["pending"] == (0, 0)


def test_a_touched_file_is_hashed_once(home, folder, checkpoint):
    run(home, folder, checkpoint)
    os.utime(folder / "app/net.py", (1_000_000, 1_000_000))
    run(home, folder, checkpoint)
    reader = Reader(home.repo(folder.resolve()))
    assert reader.stamps()["app/net.py"].mtime_ns == 1_000_000 * 10**9
    reader.close()


def test_only_changed_text_is_encoded_and_deleted_files_go(home, folder, checkpoint):
    run(home, folder, checkpoint)
    path = folder / "app/config.py"
    path.write_text(path.read_text() + "\n\ndef dump(value):\n    return json.dumps(value)\n")
    (folder / "README.md").unlink()
    report, encoder = run(home, folder, checkpoint)
    assert report.new_files == 1
    assert encoder.inputs == 2  # the new function and the file around it; `load` is known
    paths = {row[0] for row in content(home, folder)["refs"]["worktree"]}
    assert paths == {"app/config.py", "app/net.py"}


def test_an_updated_index_equals_one_built_from_scratch(home, folder, checkpoint, tmp_path):
    run(home, folder, checkpoint)
    (folder / "app/net.py").write_text("def post(url):\n    return url\n")
    (folder / "app/config.py").rename(folder / "settings.py")
    (folder / "new.go").write_text("package main\n\nfunc Load() {}\n")
    run(home, folder, checkpoint)
    fresh = IndexHome(tmp_path / "fresh")
    run(fresh, folder, checkpoint)
    assert content(home, folder) == content(fresh, folder)


def test_refs_share_what_they_have_in_common(home, folder, checkpoint):
    run(home, folder, checkpoint)
    report, encoder = run(home, folder, checkpoint, ref="HEAD")
    assert (report.new_files, encoder.inputs) == (0, 0)
    (folder / "app/net.py").write_text("def other():\n    pass\n")
    _, encoder = run(home, folder, checkpoint)
    assert encoder.inputs == 2  # the function and the file around it
    refs = content(home, folder)["refs"]
    assert ("app/net.py", "class", "Client") in {row[:3] for row in refs["HEAD"]}
    assert ("app/net.py", "class", "Client") not in {row[:3] for row in refs["worktree"]}


def test_a_clone_encodes_nothing_that_its_origin_has(home, folder, checkpoint, tmp_path):
    run(home, folder, checkpoint)
    copy = shutil.copytree(folder, tmp_path / "copy")
    report, encoder = run(home, copy, checkpoint)
    assert report.new_files == 3
    assert encoder.inputs == 0


def test_the_same_text_of_one_name_in_one_file_is_encoded_once(home, tmp_path, checkpoint):
    text = "def same(x):\n    return x\n"
    folder = make_repository(tmp_path / "twins", {"a.py": f"{text}\n\n{text}", "b.py": text})
    report, encoder = run(home, folder, checkpoint)
    assert (report.new_files, report.encoded.chunks, encoder.inputs) == (2, 4, 4)
    with closing(Reader(home.repo(folder.resolve()))) as reader:
        assert len(reader.chunk_ids()) == 5


def test_a_new_ref_can_be_searched_while_it_is_read(home, folder, checkpoint, monkeypatch):
    monkeypatch.setattr(indexer.adding, "PUBLISH_SECONDS", 0)
    monkeypatch.setattr(indexer.adding, "_PUBLISHING_SHARE", float("inf"))
    monkeypatch.setattr(indexer.adding, "_FILES_PER_COMMIT", 1)
    original, seen = Store.add_files, []

    def watched(self, files, encoded):
        with closing(Reader(home.repo(folder.resolve()))) as reader:
            texts = TextIndex.open(reader.folder.text_index)
            mapped = [len(reader.files(ref.id)) for ref in reader.refs()]
            seen.append((mapped, texts is not None and texts.count("app") > 0))
        original(self, files, encoded)

    monkeypatch.setattr(Store, "add_files", watched)
    run(home, folder, checkpoint)
    assert [mapped for mapped, _ in seen] == [[], [1], [2]]
    assert seen[-1][1]
    seen.clear()
    (folder / "app/new.py").write_text("def post(url):\n    return url\n")
    (folder / "app/newer.py").write_text("def put(url):\n    return url\n")
    run(home, folder, checkpoint)
    assert [mapped for mapped, _ in seen] == [[3], [3]]  # as it was, until all is there


def test_a_selection_is_what_gets_indexed(home, folder, checkpoint):
    report, _ = run(home, folder, checkpoint, selection=Selection(("app/",), ("*net*",)))
    assert report.files == 1
    report, _ = run(home, folder, checkpoint)
    assert report.files == 3


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("owner", "step"),
    [
        (Store, "add_files"),
        (Store, "set_ref"),
        (VectorStore, "put"),
        (Store, "finish"),
        (indexer.build, "sync"),
        (indexer.build, "sync_text"),
        (Store, "mark_synced"),
    ],
)
def test_a_kill_between_any_two_steps_recovers(
    home, folder, checkpoint, tmp_path, monkeypatch, owner, step, when
):
    original = getattr(owner, step)

    def killed(*args, **kwargs):
        if when == "after":
            original(*args, **kwargs)
        raise KeyboardInterrupt

    run(home, folder, checkpoint)
    (folder / "app/net.py").write_text("def post(url):\n    return url\n")
    monkeypatch.setattr(owner, step, killed)
    with pytest.raises(KeyboardInterrupt):
        run(home, folder, checkpoint)
    monkeypatch.undo()
    run(home, folder, checkpoint)
    fresh = IndexHome(tmp_path / "fresh")
    run(fresh, folder, checkpoint)
    assert content(home, folder) == content(fresh, folder)


def test_a_killed_process_loses_at_most_one_batch(home, tmp_path, checkpoint):
    functions = "\n\n".join(f"def f{i}(x):\n    return x + {i} * {i}" for i in range(40))
    folder = make_repository(tmp_path / "many", {"m.py": functions})
    program = textwrap.dedent(f"""
        import os, signal
        from pathlib import Path
        import indexer.encoding
        from tests.test_build import CountingEncoder, run
        from indexer.storage.home import IndexHome
        from models.checkpoint import open_checkpoint
        indexer.encoding.batches = lambda lengths, *_: [[i] for i in range(len(lengths))]
        class Dying(CountingEncoder):
            def embed(self, inputs):
                if self.inputs == 17:
                    os.kill(os.getpid(), signal.SIGKILL)
                return super().embed(inputs)
        run(IndexHome(Path({str(home.folder)!r})), Path({str(folder)!r}), open_checkpoint(),
            encoder=Dying())
    """)
    here = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(here)},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    _, encoder = run(home, folder, checkpoint)
    assert encoder.inputs in (41 - 17, 41 - 16)  # the 17th was made, and perhaps not stored


def test_two_processes_at_once_wait_for_each_other(home, folder, checkpoint):
    program = textwrap.dedent(f"""
        from pathlib import Path
        from tests.test_build import run
        from indexer.storage.home import IndexHome
        from models.checkpoint import open_checkpoint
        report, encoder = run(IndexHome(Path({str(home.folder)!r})), Path({str(folder)!r}),
                              open_checkpoint())
        print(encoder.inputs)
    """)
    here = Path(__file__).parent.parent
    environment = {**os.environ, "PYTHONPATH": str(here)}
    command = [sys.executable, "-c", program]
    processes = [
        subprocess.Popen(command, cwd=here, env=environment, stdout=subprocess.PIPE)
        for _ in range(3)
    ]
    encoded = sorted(int(process.communicate()[0]) for process in processes)
    assert encoded[:2] == [0, 0]
    assert encoded[2] > 0
    assert content(home, folder)["pending"] == (0, 0)


def test_another_model_is_refused_and_nothing_is_lost(home, folder, checkpoint, tmp_path):
    run(home, folder, checkpoint)
    before = content(home, folder)
    other = shutil.copytree(checkpoint.folder, tmp_path / "other")
    config = (other / "config.json").read_text().replace('"top_k_blocks": 1', '"top_k_blocks": 2')
    (other / "config.json").write_text(config)
    from models.checkpoint import open_checkpoint

    with pytest.raises(IndexMismatch, match="was indexed with model sasa-small"):
        run(home, folder, open_checkpoint(other))
    assert content(home, folder) == before
    report, _ = run(home, folder, open_checkpoint(other), rebuild=True)
    assert report.new_files == 3


def test_another_schema_is_refused(home, folder, checkpoint):
    run(home, folder, checkpoint)
    store = Store(home.repo(folder.resolve()).database)
    store.bind({"schema": "0"})
    store.close()
    with pytest.raises(IndexMismatch, match="schema 0"):
        run(home, folder, checkpoint)


@pytest.mark.parametrize("damage", [b"", b"garbage", b"cut"])
def test_a_damaged_faiss_file_is_rebuilt_without_encoding(home, folder, checkpoint, damage):
    run(home, folder, checkpoint)
    before = content(home, folder)
    path = home.repo(folder.resolve()).faiss
    path.write_bytes(path.read_bytes()[:-100] if damage == b"cut" else damage)
    _, encoder = run(home, folder, checkpoint)
    assert encoder.inputs == 0
    assert content(home, folder) == before


def test_a_damaged_database_says_so_and_rebuild_mends_it(home, folder, checkpoint):
    run(home, folder, checkpoint)
    database = home.repo(folder.resolve()).database
    database.write_bytes(b"this is no database" * 500)
    with pytest.raises(IndexDamaged, match="is damaged") as caught:
        run(home, folder, checkpoint)
    assert "--rebuild" in caught.value.hint
    report, encoder = run(home, folder, checkpoint, rebuild=True)
    assert (report.new_files, encoder.inputs) == (3, 0)


def test_a_lost_vector_database_is_made_again(home, folder, checkpoint):
    run(home, folder, checkpoint)
    before = content(home, folder)
    for file in home.folder.glob("vectors.db*"):
        file.unlink()
    home.repo(folder.resolve()).faiss.unlink()
    _, encoder = run(home, folder, checkpoint)
    assert encoder.inputs > 0
    assert content(home, folder) == before


def test_a_damaged_vector_database_says_so_and_rebuild_mends_it(home, folder, checkpoint):
    run(home, folder, checkpoint)
    for file in home.folder.glob("vectors.db-*"):
        file.unlink()
    home.vectors.write_bytes(b"this is no database" * 500)
    (folder / "new.py").write_text("def f():\n    return 1\n")
    with pytest.raises(IndexDamaged, match=r"vectors\.db is damaged"):
        run(home, folder, checkpoint)
    _, encoder = run(home, folder, checkpoint, rebuild=True)
    assert encoder.inputs > 0


def test_a_full_disk_is_reported_and_what_was_indexed_is_kept(
    home, folder, checkpoint, monkeypatch
):
    run(home, folder, checkpoint)
    before = content(home, folder)
    (folder / "big.py").write_text("\n\n".join(f"def f{i}():\n    pass" for i in range(400)))

    import sqlalchemy

    def limit_pages(connection, _):
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 2}")

    sqlalchemy.event.listen(sqlalchemy.Engine, "connect", limit_pages)
    try:
        with pytest.raises(StorageError, match="no space left"):
            run(home, folder, checkpoint)
    finally:
        sqlalchemy.event.remove(sqlalchemy.Engine, "connect", limit_pages)
    (folder / "big.py").unlink()
    assert content(home, folder) == before


def test_a_path_that_is_not_utf8_is_left_out_and_counted(home, folder, checkpoint):
    (Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.py"))).write_text("def f(): pass\n")
    commit_all(folder)
    report, _ = run(home, folder, checkpoint)
    assert report.files == 3
    reader = Reader(home.repo(folder.resolve()))
    assert reader.refs()[0].skipped == {"file name is not UTF-8": 1}
    assert not find_change(reader, reader.refs()[0]).is_stale
    reader.close()
