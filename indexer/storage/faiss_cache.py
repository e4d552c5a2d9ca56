"""A repository's vectors in FAISS: chunk id → vector, a cache of `vectors.db` on disk.

The inner product of unit vectors is their cosine. Vectors are float16, as they are stored.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from indexer.storage.vectors import VectorStore


class VectorIndex:
    """The vectors of one repository, searchable."""

    def __init__(self, dimension: int) -> None:
        flat = faiss.IndexScalarQuantizer(
            dimension, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
        )
        self._index = faiss.IndexIDMap(flat)

    @classmethod
    def open(cls, path: Path, dimension: int) -> VectorIndex | None:
        """Read the file; None where it is missing, damaged or of another dimension."""
        try:
            index = faiss.read_index(str(path))
        except RuntimeError:  # the only exception that FAISS has
            return None
        if not isinstance(index, faiss.IndexIDMap) or index.d != dimension:
            return None
        opened = cls.__new__(cls)
        opened._index = index
        return opened

    def save(self, path: Path) -> None:
        """Write the file in one step: a reader sees the old or the new one."""
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        try:
            faiss.write_index(self._index, str(temporary))
            os.replace(temporary, path)
        except RuntimeError as error:
            is_full = os.strerror(errno.ENOSPC) in str(error)
            code = errno.ENOSPC if is_full else errno.EIO
            raise OSError(code, f"cannot write {path}: {error}") from error
        finally:
            temporary.unlink(missing_ok=True)

    @property
    def ids(self) -> NDArray[np.int64]:
        """The chunk ids that have a vector here."""
        if self._index.ntotal == 0:
            return np.empty(0, dtype=np.int64)
        return np.asarray(faiss.vector_to_array(self._index.id_map))

    def vector(self, chunk_id: int) -> NDArray[np.float32] | None:
        """The unit vector (E,) of a chunk; None: there is none here."""
        _, rows = self.vectors(np.array([chunk_id], dtype=np.int64))
        return rows[0] if len(rows) else None

    def vectors(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Those of the ids that have a vector, ascending, and their vectors (n, E)."""
        present = self.ids
        places = np.flatnonzero(np.isin(present, ids))
        places = places[np.argsort(present[places])]
        return present[places], np.asarray(self._index.index.reconstruct_batch(places))

    def add(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Add vectors (n, E) under new ids (n,)."""
        self._index.add_with_ids(np.ascontiguousarray(vectors, dtype=np.float32), ids)

    def remove(self, ids: NDArray[np.int64]) -> None:
        """Remove ids that are there."""
        self._index.remove_ids(faiss.IDSelectorBatch(ids))

    def search(
        self, query: NDArray[np.float32], top_k: int, allowed: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The ids and cosines of the nearest vectors, best first, ties to the smaller id.

        Args:
            query: (E,) unit vector.
            top_k: how many to return at most.
            allowed: only these ids take part; None: all.
        """
        if allowed is not None and len(allowed) == 0 or self._index.ntotal == 0:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
        parameters = None
        if allowed is not None:
            selector = faiss.IDSelectorBatch(allowed)
            parameters = faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]
        depth = min(top_k, self._index.ntotal)
        scores, ids = self._index.search(query[None], depth, params=parameters)
        found = ids[0] >= 0
        scores, ids = scores[0][found], ids[0][found]
        order = np.lexsort((ids, -scores))
        return ids[order], scores[order]


def sync(
    path: Path,
    dimension: int,
    wanted: Mapping[int, bytes],
    store: VectorStore,
    save: bool = True,
) -> tuple[VectorIndex, list[int]]:
    """Bring the FAISS index to hold exactly the wanted chunks' vectors, and save it.

    Args:
        path: the FAISS file; made when missing or damaged.
        dimension: length of a vector.
        wanted: chunk id → content key.
        store: where the vectors come from.
        save: write the file; False for a reader, who must not overwrite what a writer makes.

    Returns:
        The index, and the chunks whose vector is not in the store.
    """
    index = VectorIndex.open(path, dimension) or VectorIndex(dimension)
    present, target = index.ids, np.fromiter(wanted, dtype=np.int64, count=len(wanted))
    gone, new = np.setdiff1d(present, target), np.setdiff1d(target, present)
    vectors = store.get(wanted[int(i)] for i in new)
    found = np.array([wanted[int(i)] in vectors for i in new], dtype=bool)
    if len(gone):
        index.remove(gone)
    if found.any():
        rows = np.stack([vectors[wanted[int(i)]] for i in new[found]]).astype(np.float32)
        index.add(new[found], rows)
    if save and (len(gone) or found.any() or not path.exists()):
        index.save(path)
    return index, [int(i) for i in new[~found]]
