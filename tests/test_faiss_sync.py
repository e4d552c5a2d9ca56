"""Chunks come into FAISS in the context of their files, just those that are wanted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.storage import faiss_cache, faiss_sync
from indexer.storage.faiss_cache import VectorIndex
from indexer.storage.faiss_sync import CONTEXT, in_context, sync
from indexer.storage.vectors import VectorStore

AXES = np.eye(8, dtype=np.float32)


def test_a_chunk_leans_to_what_its_file_is_about():
    leant = in_context(AXES[[0, 1, 2]], np.array([7, 7, 9]))
    assert np.allclose(np.linalg.norm(leant, axis=1), 1)
    own, other = 1 + CONTEXT / 2**0.5, CONTEXT / 2**0.5
    assert np.allclose(leant[0], np.array([own, other, *[0] * 6]) / np.hypot(own, other))
    assert np.allclose(leant[2], AXES[2])  # alone in its file


@pytest.fixture
def store(tmp_path):
    with_axes = VectorStore(tmp_path / "vectors.db")
    with_axes.put([b"a", b"b", b"c", b"d"], AXES[:4])
    yield with_axes
    with_axes.close()


def searched(index: VectorIndex) -> dict[int, list[float]]:
    """Chunk → its vector, as far as cosines with the axes tell."""
    rows: dict[int, list[float]] = {}
    for axis in AXES:
        ids, scores = index.search(axis, 100)
        for chunk_id, score in zip(ids.tolist(), scores.tolist(), strict=True):
            rows.setdefault(chunk_id, []).append(round(score, 3))
    return rows


def test_syncing_adds_removes_and_names_what_is_lost(tmp_path, store):
    path = tmp_path / "vectors.faiss"
    index, lost = sync(path, 8, [(1, 1, b"a"), (2, 2, b"b"), (3, 3, b"gone")], store)
    assert (sorted(index.ids.tolist()), lost) == ([1, 2], [3])
    sync(path, 8, [(2, 2, b"b"), (4, 4, b"a")], store)
    opened = VectorIndex.open(path, 8)
    assert opened is not None
    assert sorted(opened.ids.tolist()) == [2, 4]
    assert opened.search(AXES[0], 1)[0].tolist() == [4]
    assert VectorIndex.open(path, 16) is None


CHUNKS = [(1, 1, b"a"), (2, 1, b"b"), (3, 2, b"c"), (5, 4, b"a"), (6, 4, b"c"), (7, 4, b"d")]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sets(st.sampled_from(CHUNKS)), min_size=1, max_size=4))
def test_whatever_was_there_the_index_is_as_if_made_at_once(tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp("steps")
    store = VectorStore(folder / "vectors.db")
    store.put([b"a", b"b", b"c", b"d"], AXES[:4])
    steps = [*steps, set(CHUNKS)]
    for step in steps:
        index, lost = sync(folder / "grown.faiss", 8, sorted(step, key=lambda c: c[1::-1]), store)
        assert not lost
    assert searched(index) == searched(sync(folder / "fresh.faiss", 8, CHUNKS, store)[0])
    store.close()


def test_batches_end_where_files_do(tmp_path, store, monkeypatch):
    at_once, _ = sync(tmp_path / "one.faiss", 8, CHUNKS, store)
    monkeypatch.setattr(faiss_sync, "_AT_ONCE", 1)
    in_batches, _ = sync(tmp_path / "more.faiss", 8, CHUNKS, store)
    assert searched(in_batches) == searched(at_once)


def unit_vectors(count: int, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((count, 8)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def many(tmp_path, monkeypatch):
    """A store of 400 vectors, where 100 are many."""
    monkeypatch.setattr(faiss_cache, "FLAT_UP_TO", 100)
    store = VectorStore(tmp_path / "vectors.db")
    rows = unit_vectors(400)
    store.put([b"%d" % i for i in range(400)], rows)
    yield store, rows
    store.close()


def chunks(ids) -> list[tuple[int, int, bytes]]:
    """Chunks that are alone in their files."""
    return [(i + 1, i + 1, b"%d" % i) for i in ids]


def test_many_vectors_are_in_lists_and_found_there(many, tmp_path):
    store, rows = many
    path = tmp_path / "vectors.faiss"
    sync(path, 8, chunks(range(400)), store)
    index = VectorIndex.open(path, 8)
    assert index is not None
    assert index.lists == faiss_cache.wanted_lists(400) > 0
    assert sorted(index.ids.tolist()) == list(range(1, 401))
    found = [index.search(rows[i], 1) for i in range(400)]
    assert sum(ids.tolist() == [i + 1] for i, (ids, _) in enumerate(found)) > 390
    assert all(scores[0] > 0.98 for _, scores in found)


def test_a_filter_on_lists_finds_what_little_it_allows(many, tmp_path):
    store, rows = many
    index, _ = sync(tmp_path / "vectors.faiss", 8, chunks(range(400)), store)
    for i in range(0, 400, 40):
        far = np.argsort(rows @ rows[i])[:3] + 1  # in other lists than the query
        ids, _ = index.search(rows[i], 3, np.sort(far).astype(np.int64))
        assert sorted(ids.tolist()) == sorted(far.tolist())


def test_an_index_changes_its_kind_with_its_size_and_else_in_place(many, tmp_path, monkeypatch):
    store, _ = many
    path = tmp_path / "vectors.faiss"
    assert sync(path, 8, chunks(range(90)), store)[0].lists == 0
    grown = sync(path, 8, chunks(range(300)), store)[0]
    assert grown.lists > 0
    trained: list[int] = []
    monkeypatch.setattr(VectorIndex, "in_lists", lambda *_: trained.append(1))
    more = sync(path, 8, chunks(range(20, 400)), store)[0]
    assert sorted(more.ids.tolist()) == list(range(21, 401))
    assert sync(path, 8, chunks(range(60)), store)[0].lists > 0  # the border is not sharp
    assert sync(path, 8, chunks(range(40)), store)[0].lists == 0
    assert not trained
