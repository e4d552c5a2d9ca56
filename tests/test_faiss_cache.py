"""The FAISS index of a repository: the nearest first, ties decided, filters inside."""

from __future__ import annotations

import numpy as np
import pytest

from indexer.storage.faiss_cache import VectorIndex

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
