"""The FAISS cache: the nearest first, ties decided, filters inside, exactly what is wanted."""

from __future__ import annotations

import numpy as np
import pytest

from indexer.storage import faiss_cache
from indexer.storage.faiss_cache import VectorIndex, sync
from indexer.storage.vectors import VectorStore

AXES = np.eye(8, dtype=np.float32)


@pytest.fixture
def index():
    made = VectorIndex(8)
    made.add(np.array([30, 10, 20], dtype=np.int64), AXES[[0, 1, 1]])
    return made


def test_the_nearest_comes_first_and_equal_ones_by_id(index):
    ids, scores = index.search(AXES[1], 10)
    assert ids.tolist() == [10, 20, 30]
    assert scores.tolist() == [1.0, 1.0, 0.0]


def test_only_allowed_ids_take_part(index):
    ids, _ = index.search(AXES[1], 10, np.array([20, 30], dtype=np.int64))
    assert ids.tolist() == [20, 30]
    assert index.search(AXES[1], 10, np.empty(0, dtype=np.int64))[0].tolist() == []


def test_syncing_adds_removes_and_names_what_is_lost(tmp_path):
    store = VectorStore(tmp_path / "vectors.db")
    store.put([b"a", b"b"], AXES[:2])
    path = tmp_path / "vectors.faiss"
    index, lost = sync(path, 8, {1: b"a", 2: b"b", 3: b"gone"}, store)
    assert (sorted(index.ids.tolist()), lost) == ([1, 2], [3])
    sync(path, 8, {2: b"b", 4: b"a"}, store)
    store.close()
    opened = VectorIndex.open(path, 8)
    assert opened is not None
    assert sorted(opened.ids.tolist()) == [2, 4]
    assert opened.search(AXES[0], 1)[0].tolist() == [4]
    assert VectorIndex.open(path, 16) is None


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


def keys(ids) -> dict[int, bytes]:
    return {i + 1: b"%d" % i for i in ids}


def test_many_vectors_are_in_lists_and_found_there(many, tmp_path):
    store, rows = many
    path = tmp_path / "vectors.faiss"
    sync(path, 8, keys(range(400)), store)
    index = VectorIndex.open(path, 8)
    assert index is not None
    assert index.lists == faiss_cache.wanted_lists(400) > 0
    assert sorted(index.ids.tolist()) == list(range(1, 401))
    found = [index.search(rows[i], 1)[0].tolist() == [i + 1] for i in range(400)]
    assert sum(found) > 390
    ids, vectors = index.vectors(np.array([7, 300, 999], dtype=np.int64))
    assert ids.tolist() == [7, 300]
    assert np.allclose(vectors, rows[[6, 299]], atol=0.02)


def test_a_filter_on_lists_finds_what_little_it_allows(many, tmp_path):
    store, rows = many
    index, _ = sync(tmp_path / "vectors.faiss", 8, keys(range(400)), store)
    for i in range(0, 400, 40):
        far = np.argsort(rows @ rows[i])[:3] + 1  # in other lists than the query
        ids, _ = index.search(rows[i], 3, np.sort(far).astype(np.int64))
        assert sorted(ids.tolist()) == sorted(far.tolist())


def test_an_index_changes_its_kind_with_its_size_and_else_in_place(many, tmp_path, monkeypatch):
    store, _ = many
    path = tmp_path / "vectors.faiss"
    assert sync(path, 8, keys(range(90)), store)[0].lists == 0
    grown = sync(path, 8, keys(range(300)), store)[0]
    assert grown.lists > 0
    trained: list[int] = []
    monkeypatch.setattr(VectorIndex, "in_lists", lambda *_: trained.append(1))
    more = sync(path, 8, keys(range(20, 400)), store)[0]
    assert sorted(more.ids.tolist()) == list(range(21, 401))
    assert sync(path, 8, keys(range(60)), store)[0].lists > 0  # the border is not sharp
    assert sync(path, 8, keys(range(40)), store)[0].lists == 0
    assert not trained
