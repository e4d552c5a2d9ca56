"""The FAISS cache: the nearest first, ties decided, filters inside, exactly what is wanted."""

from __future__ import annotations

import numpy as np
import pytest

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
