"""The FAISS index of a repository is brought to hold its chunks, each in the context of its file.

A function says what it does, its file what that is good for. So a chunk is searched by the vector
of its own text plus a part of the mean over its file's chunks. What texts alone have as vectors is
in `vectors.db`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.storage.faiss_cache import VectorIndex, empty_index, fits
from indexer.storage.vectors import VectorStore

# What the mean over its file adds to a chunk's unit vector (docs/decisions.md, 2026-11-23).
CONTEXT = 0.4
_AT_ONCE = 50_000

# A chunk, its file version, and the content key of its vector.
EncodedChunk = tuple[int, int, bytes]


def sync(
    path: Path,
    dimension: int,
    wanted: Sequence[EncodedChunk],
    store: VectorStore,
    save: bool = True,
) -> tuple[VectorIndex, list[int]]:
    """Bring the FAISS index to hold exactly the wanted chunks, and save it.

    Args:
        path: the FAISS file; made when missing or damaged.
        dimension: length of a vector.
        wanted: the chunks, those of a file version together.
        store: where the vectors of their texts come from.
        save: write the file; False for a reader, who must not overwrite what a writer makes.

    Returns:
        The index, and the chunks whose vector is not in the store.
    """
    index = VectorIndex.open(path, dimension, to_change=True) or VectorIndex(dimension)
    ids = np.fromiter((chunk_id for chunk_id, _, _ in wanted), np.int64, len(wanted))
    files = np.fromiter((file_id for _, file_id, _ in wanted), np.int64, len(wanted))
    if not fits(index.lists, len(ids)):
        index = empty_index(
            len(ids), dimension, lambda count: _sample(wanted, files, store, count)
        )
    present = index.ids
    new = ~_of_complete_files(np.isin(ids, present), files)
    gone = present[~np.isin(present, ids[~new])]
    if len(gone):
        index.remove(gone)
    lost: list[int] = []
    places = np.flatnonzero(new)
    for part in _whole_files(files[places]):
        rows = [wanted[place] for place in places[part].tolist()]
        vectors = store.get(key for _, _, key in rows)
        found = [row for row in rows if row[2] in vectors]
        lost += [chunk_id for chunk_id, _, key in rows if key not in vectors]
        if found:
            index.add(np.array([row[0] for row in found], dtype=np.int64), _rows(found, vectors))
    if save and (len(gone) or len(places) > len(lost) or not path.exists()):
        index.save(path)
    return index, lost


def in_context(vectors: NDArray[np.float32], files: NDArray[np.int64]) -> NDArray[np.float32]:
    """Unit vectors (n, E) leant towards the mean of their file's; equal `files` (n,) are in a row.

    A text that is alone in its file keeps its vector.
    """
    starts, ends = _bounds(files)
    means = _unit(np.add.reduceat(vectors, starts))
    return _unit(vectors + CONTEXT * np.repeat(means, ends - starts, axis=0))


def _rows(
    chunks: Sequence[EncodedChunk], vectors: dict[bytes, NDArray[np.float16]]
) -> NDArray[np.float32]:
    """What is searched for chunks of whole files, (n, E)."""
    own = np.stack([vectors[key] for _, _, key in chunks]).astype(np.float32)
    return in_context(own, np.array([file_id for _, file_id, _ in chunks], dtype=np.int64))


def _of_complete_files(present: NDArray[np.bool_], files: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which chunks are of files whose chunks are all present; others have another mean now."""
    if not len(files):
        return present
    starts, ends = _bounds(files)
    return np.repeat(np.logical_and.reduceat(present, starts), ends - starts)


def _whole_files(files: NDArray[np.int64]) -> Iterator[slice]:
    """Slices of some `_AT_ONCE` chunks that end where a file does."""
    _, ends = _bounds(files)
    start = 0
    while start < len(files):
        end = int(ends[np.searchsorted(ends, min(start + _AT_ONCE, len(files)))])
        yield slice(start, end)
        start = end


def _sample(
    wanted: Sequence[EncodedChunk], files: NDArray[np.int64], store: VectorStore, count: int
) -> NDArray[np.float32]:
    """The vectors of some `count` chunks, whole files; fewer where the store has lost some."""
    starts, ends = _bounds(files)
    order = np.random.default_rng(0).permutation(len(starts))
    enough = 1 + np.searchsorted(np.cumsum((ends - starts)[order]), count)
    chosen = [row for file in order[:enough].tolist() for row in wanted[starts[file] : ends[file]]]
    vectors = store.get(key for _, _, key in chosen)
    found = [row for row in chosen if row[2] in vectors]
    return _rows(found, vectors) if found else np.empty((0, 0), dtype=np.float32)


def _bounds(files: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where in a row of file versions each begins, and where it ends."""
    starts = np.flatnonzero(np.diff(files, prepend=-1))
    return starts, np.append(starts[1:], len(files))


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows at length 1; those of length 0 stay."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: NDArray[np.float32] = rows / np.maximum(lengths, np.finfo(np.float32).tiny)
    return unit
