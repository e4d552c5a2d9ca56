"""What waits is encoded once, in batches of like length, whatever fails or comes while it runs."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

import codesearch.indexing
import indexer.encoding
from indexer.build import IndexBuild
from indexer.encoding import Backlog, encode_backlog, settle_known
from indexer.prepare import PreparedChunk, PreparedFile, Preparer
from indexer.progress import SILENCE
from indexer.sources.repository import find_repository
from indexer.sources.walk import Selection
from indexer.storage.home import IndexHome
from indexer.storage.reader import Reader
from indexer.storage.store import Store
from indexer.storage.vectors import VectorStore
from indexer.terms import count_terms
from models.batching import ON_CPU, ON_CUDA, Pace, batches, pace_of
from models.blocks import BlockPattern
from models.inputs import EncoderInput
from models.memory import release_free_memory
from tests.git_repositories import make_repository
from tests.test_build import CountingEncoder, content

PACE = Pace(batch_tokens=256, overlaps=True, pool_batches=4)


def prepared(number: int, length: int, blocks: int = 1) -> PreparedFile:
    """A file of one chunk of `length` tokens; each of its blocks sees the first alone."""
    pattern = BlockPattern(np.zeros((blocks, 1), np.int32), np.ones(blocks, np.int32))
    item = EncoderInput(np.full(length, number, np.int32), pattern)
    key = number.to_bytes(16, "big")
    chunk = PreparedChunk("file", "", 1, 1, 0, count_terms("", "", "word"), item, key)
    return PreparedFile(f"{number}.py", f"{number:040d}", "python", 1, None, "x", (chunk,))


def a_preparation(is_done: bool = True) -> Future[None]:
    preparing: Future[None] = Future()
    if is_done:
        preparing.set_result(None)
    return preparing


class Remembering(CountingEncoder):
    """Keeps the lengths of every batch."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[int]] = []
        self.seen: list[int] = []

    def embed(self, inputs):
        self.batches.append([len(item) for item in inputs])
        self.seen += [int(item.ids[0]) for item in inputs]
        return super().embed(inputs)


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "index.db")
    yield store
    store.close()


@pytest.fixture
def vectors(tmp_path):
    vectors = VectorStore(tmp_path / "vectors.db")
    yield vectors
    vectors.close()


def add(store: Store, lengths: list[int], first: int = 0) -> None:
    store.add_files([prepared(i, n) for i, n in enumerate(lengths, first)], set())


def test_sparse_and_full_inputs_of_a_batch_are_padded_apart(store, vectors):
    store.add_files([prepared(0, 90), prepared(1, 88, blocks=2)], set())
    backlog = Backlog(store, PACE, a_preparation())
    done = encode_backlog(backlog, store, vectors, Remembering(), SILENCE)
    assert done.batches == 1
    assert done.padded_tokens == done.tokens == 178


def test_everything_is_encoded_once_longest_first(store, vectors):
    lengths = [5, 40, 7, 90, 300, 41, 6, 88]
    add(store, lengths)
    encoder = Remembering()
    backlog = Backlog(store, PACE, a_preparation())
    done = encode_backlog(backlog, store, vectors, encoder, SILENCE)
    assert encoder.batches == [[300], [90, 88], [41, 40, 7, 6], [5]]
    assert (done.batches, done.chunks, done.tokens) == (4, 8, sum(lengths))
    assert done.padding_share == pytest.approx(1 - sum(lengths) / (300 + 180 + 4 * 41 + 5))
    assert 0 < done.model_seconds < done.seconds
    assert vectors.count() == 8
    assert store.pending_tokens() == 0


def test_a_window_smaller_than_what_waits_leaves_nothing_out(store, vectors, monkeypatch):
    monkeypatch.setattr(indexer.encoding, "_WINDOW", 10)
    lengths = list(range(1, 100))
    add(store, lengths)
    encoder = Remembering()
    backlog = Backlog(store, PACE, a_preparation())
    encode_backlog(backlog, store, vectors, encoder, SILENCE)
    assert sorted(encoder.seen) == list(range(99))
    assert [n for batch in encoder.batches for n in batch] == sorted(lengths, reverse=True)


def test_while_files_are_prepared_a_batch_waits_for_a_full_pool(store, vectors):
    preparing = a_preparation(is_done=False)
    backlog = Backlog(store, PACE, preparing)
    encoder, result = Remembering(), []
    thread = threading.Thread(
        target=lambda: result.append(encode_backlog(backlog, store, vectors, encoder, SILENCE))
    )
    add(store, [30] * 20)
    thread.start()
    try:
        time.sleep(0.2)
        assert encoder.batches == []  # 600 tokens of the 1,024 that have to wait
        add(store, [30] * 16, first=20)
        wait_until(lambda: encoder.inputs == 32)
        add(store, [30] * 20, first=36)
        assert not result
    finally:
        preparing.set_result(None)
    thread.join(timeout=10)
    assert result[0].chunks == 56
    assert sorted(encoder.seen) == list(range(56))
    assert encoder.batches == [[30] * 8] * 7  # none went out before it was full


def wait_until(condition) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_an_input_that_a_ref_forgets_meanwhile_is_passed_over(store, vectors):
    add(store, [200, 201, 202])
    backlog = Backlog(store, PACE, a_preparation())
    first = backlog.take()
    assert first is not None
    assert [len(item) for item in first.values()] == [202]
    store.finish([(1).to_bytes(16, "big")])
    rest = backlog.take()
    assert rest is not None
    assert [len(item) for item in rest.values()] == [200]
    assert backlog.take() is None


def test_what_has_a_vector_is_not_encoded(store, vectors):
    add(store, [10, 20, 30])
    vectors.put([(1).to_bytes(16, "big")], np.ones((1, 4), np.float32))
    settle_known(store, vectors)
    assert store.pending_tokens() == 40


def test_an_error_of_preparing_ends_encoding(store, vectors):
    preparing = a_preparation(is_done=False)
    backlog = Backlog(store, PACE, preparing)
    add(store, [30] * 100)
    encoder = Remembering()
    threading.Timer(0.2, preparing.set_exception, [OSError("unplugged")]).start()
    with pytest.raises(OSError, match="unplugged"):
        encode_backlog(backlog, store, vectors, encoder, SILENCE)


@pytest.mark.parametrize(("waiting", "encoded"), [(50, 2), (1, 1)])
def test_an_error_of_writing_ends_encoding(store, vectors, monkeypatch, waiting, encoded):
    add(store, [200] * waiting)

    def full(*_):
        raise OSError("disk full")

    monkeypatch.setattr(vectors, "put", full)
    encoder = Remembering()
    backlog = Backlog(store, PACE, a_preparation())
    with pytest.raises(OSError, match="disk full"):
        encode_backlog(backlog, store, vectors, encoder, SILENCE)
    assert len(encoder.batches) == encoded  # the second while the first was being written
    assert store.pending_tokens() == waiting * 200


def test_an_interrupt_waits_for_the_batch_that_is_being_written(store, vectors, monkeypatch):
    add(store, [200] * 6)
    put = vectors.put

    def slow(*arguments):
        time.sleep(0.2)
        put(*arguments)

    class Interrupted(Remembering):
        def embed(self, inputs):
            if len(self.batches) == 3:  # two are read ahead, and the next waits for a full pool
                raise KeyboardInterrupt
            return super().embed(inputs)

    monkeypatch.setattr(vectors, "put", slow)
    backlog = Backlog(store, PACE, a_preparation(is_done=False))
    with pytest.raises(KeyboardInterrupt):
        encode_backlog(backlog, store, vectors, Interrupted(), SILENCE)
    assert vectors.count() == 3
    assert store.pending_tokens() == 3 * 200
    assert not [t for t in threading.enumerate() if t.name.startswith(("reading", "writing"))]


def test_a_clone_encodes_nothing_while_it_is_prepared(tmp_path, checkpoint):
    folder = make_repository(tmp_path / "repo", {"a.py": "def f(x):\n    return x\n"})
    copy = shutil.copytree(folder, tmp_path / "copy")
    home, encoder = IndexHome(tmp_path / "home"), CountingEncoder()
    for root in (folder, copy):
        repository, _ = find_repository(root)
        build = IndexBuild(home, repository, checkpoint, lambda: encoder, choose_pace=lambda: PACE)
        build.run(None, Selection())
    assert encoder.inputs == 2  # the function and the file around it, once each
    assert content(home, copy) == content(home, folder)


@pytest.mark.parametrize("overlaps", [False, True])
def test_encoding_waits_for_preparing_only_where_the_pace_says_so(
    tmp_path, checkpoint, overlaps, monkeypatch
):
    files = {f"m{i}.py": f"def f{i}(x):\n    return x + {i}\n" for i in range(12)}
    folder = make_repository(tmp_path / "repo", files)
    repository, _ = find_repository(folder)
    monkeypatch.setattr("indexer.adding._FILES_PER_COMMIT", 2)
    order, original = [], Store.set_ref

    def set_ref(*arguments):
        if overlaps:  # as if there were many more files
            wait_until(lambda: "embed" in order)
        order.append("mapped")
        original(*arguments)

    class Noting(CountingEncoder):
        def embed(self, inputs):
            order.append("embed")
            return super().embed(inputs)

    monkeypatch.setattr(Store, "set_ref", set_ref)
    home, pace = IndexHome(tmp_path / "home"), Pace(64, overlaps, pool_batches=2)
    build = IndexBuild(home, repository, checkpoint, Noting, choose_pace=lambda: pace)
    report = build.run(None, Selection())
    assert order.index("mapped") == 0 if not overlaps else order[0] == "embed"
    assert report.prepare_seconds > 0
    fresh = IndexHome(tmp_path / "fresh")
    IndexBuild(fresh, repository, checkpoint, CountingEncoder).run(None, Selection())
    assert content(home, folder) == content(fresh, folder)


def test_an_encoder_that_fails_stops_preparing(tmp_path, checkpoint, monkeypatch):
    files = {f"m{i}.py": f"def f{i}(x):\n    return x + {i}\n" for i in range(90)}
    folder = make_repository(tmp_path / "repo", files)
    original = Preparer.prepare

    def slow(*arguments):
        time.sleep(0.02)
        return original(*arguments)

    def no_encoder():
        raise KeyboardInterrupt

    monkeypatch.setattr("indexer.adding._FILES_PER_COMMIT", 1)
    monkeypatch.setattr(Preparer, "prepare", slow)
    home, (repository, _) = IndexHome(tmp_path / "home"), find_repository(folder)
    pace = Pace(64, overlaps=True, pool_batches=1)
    build = IndexBuild(home, repository, checkpoint, no_encoder, choose_pace=lambda: pace)
    with pytest.raises(KeyboardInterrupt):
        build.run(None, Selection())
    with closing(Reader(build.folder)) as reader:
        assert reader.refs() == []
        assert 0 < reader.counts().files < 90
    monkeypatch.undo()
    IndexBuild(home, repository, checkpoint, CountingEncoder).run(None, Selection())
    fresh = IndexHome(tmp_path / "fresh")
    IndexBuild(fresh, repository, checkpoint, CountingEncoder).run(None, Selection())
    assert content(home, folder) == content(fresh, folder)


def test_writes_of_two_threads_take_turns(store):
    def write(first: int) -> None:
        for number in range(first, first + 40):
            store.add_files([prepared(number, 10)], set())
            store.finish([number.to_bytes(16, "big")])

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(write, [0, 1000]))
    assert len(store.file_ids()) == 80
    assert store.pending_tokens() == 0


def test_the_longest_inputs_are_found_without_reading_any(store, tmp_path):
    query = "SELECT vector_key, tokens FROM pending ORDER BY tokens DESC, vector_key LIMIT 9"
    with closing(sqlite3.connect(tmp_path / "index.db")) as database:
        plan = [row[-1] for row in database.execute(f"EXPLAIN QUERY PLAN {query}")]
    assert plan == ["SCAN pending USING COVERING INDEX pending_by_length"]


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
@pytest.mark.skipif("glibc" not in platform.libc_ver(), reason="needs glibc")
def test_memory_that_was_freed_goes_back_to_the_system():
    def pages() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1])

    blocks = [bytearray(b"x" * 100_000) for _ in range(2000)]
    full = pages()
    del blocks[: len(blocks) - 1]  # what lies above the freed blocks keeps them
    release_free_memory()
    assert (full - pages()) * os.sysconf("SC_PAGE_SIZE") > 150_000_000


@pytest.mark.parametrize(
    ("device", "has_driver", "is_available", "expected"),
    [
        ("auto", False, True, ON_CPU),  # torch is not asked
        ("auto", True, False, ON_CPU),
        ("auto", True, True, ON_CUDA),
        ("cpu", True, True, ON_CPU),
        ("cuda", True, True, ON_CUDA),
    ],
)
def test_the_pace_is_that_of_the_device(monkeypatch, device, has_driver, is_available, expected):
    import torch

    monkeypatch.setattr(codesearch.indexing, "has_cuda_driver", lambda: has_driver)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: is_available)
    assert codesearch.indexing._pace(device) == expected


def test_only_a_gpu_overlaps():
    assert (pace_of("cpu"), pace_of("mps"), pace_of("cuda")) == (ON_CPU, ON_CPU, ON_CUDA)
    assert (ON_CPU.overlaps, ON_CUDA.overlaps) == (False, True)
    assert ON_CUDA.batch_tokens > ON_CPU.batch_tokens


def test_padding_stays_small_at_the_batch_size_of_a_gpu():
    random = np.random.default_rng(1)  # the median and spread of chunks of source code
    lengths = np.exp(random.normal(4.8, 1.1, 6000)).clip(8, 4096).astype(int).tolist()
    formed = list(batches(lengths, ON_CUDA.batch_tokens))
    padded = [max(lengths[i] for i in batch) * len(batch) for batch in formed]
    assert 1 - sum(lengths) / sum(padded) < 0.07
    assert np.mean(padded) > ON_CUDA.batch_tokens * 0.45
