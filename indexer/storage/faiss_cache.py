"""A repository's vectors in FAISS: chunk id → vector, a cache of `vectors.db` on disk.

The inner product of unit vectors is their cosine. The file is mapped into memory: opening it
costs nothing, however large it is.
"""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from models.replacing import replacing

# Up to here all vectors are compared, which takes about 10 ms.
FLAT_UP_TO = 50_000
_PROBED_SHARE = 4
_LEAST_PROBES, _MOST_PROBES = 64, 512
_CENTROIDS_IN_GRAPH = 8192  # from here on a graph finds the nearest centroids faster
# How widely a vector's own list is looked for: of 16,384 centroids it is the nearest for 98.7 %,
# the second or third for most others. A search looks for hundreds of lists, and so widely itself.
_GRAPH_EFFORT = 16
# Vectors a list that centroids are found in, and passes over them. Many lists get less, or finding
# them would take half an hour for ten million vectors; 39 are what FAISS asks for.
_EFFORT, _EFFORT_FOR_MANY = (64, 10), (39, 5)


def faiss_version() -> str:
    """As the library says it."""
    return str(faiss.__version__)


class VectorIndex:
    """The vectors of one repository, searchable: all of them are compared while they are few.

    Beyond `FLAT_UP_TO` vectors they are in lists around centroids, in 8 bits a number, and a
    search compares those of the nearest lists.
    """

    def __init__(self, dimension: int) -> None:
        flat = faiss.IndexScalarQuantizer(
            dimension, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
        )
        self._index: Any = faiss.IndexIDMap(flat)

    @classmethod
    def in_lists(cls, lists: int, sample: NDArray[np.float32]) -> VectorIndex:
        """An empty index of so many lists, their centroids found in a sample (n, E)."""
        dimension = sample.shape[1]
        quantizer: faiss.Index = faiss.IndexFlatIP(dimension)
        if lists >= _CENTROIDS_IN_GRAPH:
            graph = faiss.IndexHNSWFlat(dimension, 32, faiss.METRIC_INNER_PRODUCT)
            graph.hnsw.efSearch = _GRAPH_EFFORT
            quantizer = graph
        made = cls.__new__(cls)
        made._index = index = faiss.IndexIVFScalarQuantizer(
            quantizer, dimension, lists, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
        )
        _, index.cp.niter = _effort(lists)
        index.train(np.ascontiguousarray(sample, dtype=np.float32))
        return made

    @classmethod
    def open(cls, path: Path, dimension: int, to_change: bool = False) -> VectorIndex | None:
        """Map the file into memory, or read it in order to change it.

        None where it is missing, damaged or of another dimension.
        """
        try:
            index = faiss.read_index(str(path), 0 if to_change else faiss.IO_FLAG_MMAP_IFC)
        except RuntimeError:  # the only exception that FAISS has
            return None
        if not isinstance(index, faiss.IndexIDMap | faiss.IndexIVF) or index.d != dimension:
            return None
        opened = cls.__new__(cls)
        opened._index = index
        return opened

    @property
    def lists(self) -> int:
        """How many lists the vectors are in; 0: in none, all are compared."""
        return int(self._index.nlist) if isinstance(self._index, faiss.IndexIVF) else 0

    def save(self, path: Path) -> None:
        """Write the file in one step: a reader sees the old or the new one."""
        try:
            with replacing(path) as beside:
                faiss.write_index(self._index, str(beside))
        except RuntimeError as error:
            is_full = os.strerror(errno.ENOSPC) in str(error)
            code = errno.ENOSPC if is_full else errno.EIO
            raise OSError(code, f"cannot write {path}: {error}") from error

    @property
    def ids(self) -> NDArray[np.int64]:
        """The chunk ids that have a vector here."""
        if self._index.ntotal == 0:
            return np.empty(0, dtype=np.int64)
        if not self.lists:
            return np.asarray(faiss.vector_to_array(self._index.id_map))
        inside = self._index.invlists
        sizes = [inside.list_size(number) for number in range(self.lists)]
        parts = [
            faiss.rev_swig_ptr(inside.get_ids(number), size)
            for number, size in enumerate(sizes)
            if size
        ]
        return np.concatenate(parts)

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
        share, selector = 1.0, None
        if allowed is not None:
            marks = np.zeros(1 + int(allowed.max()), dtype=bool)
            marks[allowed] = True
            bits = np.packbits(marks, bitorder="little")
            selector = faiss.IDSelectorBitmap(bits)  # type: ignore[call-arg, arg-type]
            share = min(1.0, len(allowed) / self._index.ntotal)
        parameters: faiss.SearchParameters
        if self.lists:  # the fewer are allowed, the more lists hold as many of them
            probes = min(self.lists, math.ceil(probed_lists(self.lists) / share))
            parameters = faiss.SearchParametersIVF(sel=selector, nprobe=probes)  # type: ignore[call-arg]
        else:
            parameters = faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]
        depth = min(top_k, self._index.ntotal)
        with _one_thread():
            scores, ids = self._index.search(query[None], depth, params=parameters)
        found = ids[0] >= 0
        scores, ids = scores[0][found], ids[0][found]
        order = np.lexsort((ids, -scores))
        return ids[order], scores[order]


@contextmanager
def _one_thread() -> Iterator[None]:
    """One query leaves nothing to share, and waiting for a thread on a busy core takes 20 ms."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def wanted_lists(count: int) -> int:
    """How many lists so many vectors are put in: a power of two near 4 roots of their number."""
    return 0 if count <= FLAT_UP_TO else 1 << round(math.log2(4 * math.sqrt(count)))


def probed_lists(lists: int) -> int:
    """In how many lists a search looks (docs/decisions.md: recall@10 against all of them)."""
    return max(_LEAST_PROBES, min(lists // _PROBED_SHARE, _MOST_PROBES))


def _effort(lists: int) -> tuple[int, int]:
    """How many vectors a list its centroids are found in, and in how many passes."""
    return _EFFORT if lists < _CENTROIDS_IN_GRAPH else _EFFORT_FOR_MANY


def fits(lists: int, count: int) -> bool:
    """Whether an index of so many lists still suits so many vectors."""
    if not lists:
        return count <= FLAT_UP_TO
    return count > FLAT_UP_TO / 2 and 1 / 4 <= lists / (4 * math.sqrt(count)) <= 4


def empty_index(
    count: int, dimension: int, sample: Callable[[int], NDArray[np.float32]]
) -> VectorIndex:
    """An empty index that suits so many vectors.

    Args:
        count: How many it is going to hold.
        dimension: Length of a vector.
        sample: So many of them (n, E), or fewer: they give the centroids. Not called for an
            index without lists; too few of them make one.
    """
    lists = wanted_lists(count)
    if lists:
        each, _ = _effort(lists)
        vectors = sample(lists * each)
        if len(vectors) >= lists:
            return VectorIndex.in_lists(lists, vectors)
    return VectorIndex(dimension)
