"""The text index of a repository in one memory-mapped file: a cache of the table `chunk_terms`.

BM25 (Robertson & Zaragoza 2009) over weighted stems. For each stem the file has its chunks and
weights, one after another, so a query reads only the rows of its own words, however many chunks
there are, and a filter is a mask over the chunks. Statistics are those of the chunks that are
there now: an index that grew step by step answers as one that was made at once.

The file: a magic line, the generation and the arrays' sizes, then the arrays.
    ids, file_ids, kinds, lengths      (N,), the chunks by ascending id; lengths in words
    term_bytes, term_starts            the T stems in order, and (T + 1,) where each begins
    starts                             (T + 1,), where a stem's rows begin
    places, weights                    (P,), a row: a chunk's place in `ids`, and the weight
"""

from __future__ import annotations

import mmap
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models.replacing import replacing

KINDS = ("function", "class", "file", "doc")
K1, B = 1.2, 0.75  # the usual ones; others do no better (docs/decisions.md, 2026-11-22)
_MAGIC = b"codesearch text index 1\n"
_ALIGNMENT = 64
_MASKS_KEPT = 8
_LAYOUT: dict[str, type[np.generic]] = {
    "ids": np.int64,
    "file_ids": np.int64,
    "kinds": np.uint8,
    "lengths": np.int32,
    "term_bytes": np.uint8,
    "term_starts": np.int64,
    "starts": np.int64,
    "places": np.uint32,
    "weights": np.uint16,
}

Ids = NDArray[np.int64]
Mask = NDArray[np.bool_]
Scores = NDArray[np.float64]
Arrays = dict[str, NDArray[Any]]  # as _LAYOUT has them


@dataclass(frozen=True, slots=True)
class IndexedTerms:
    """A row of `chunk_terms` with what a filter asks of its chunk."""

    chunk_id: int
    file_id: int
    kind: str
    stems: str
    weights: bytes
    words: int


class TextIndex:
    """The words of one repository's chunks, searchable."""

    def __init__(self, arrays: Arrays, generation: int) -> None:
        self._arrays = arrays
        self.generation = generation
        self._masks: dict[object, Mask] = {}

    @classmethod
    def empty(cls) -> TextIndex:
        """An index of nothing."""
        nothing: Arrays = {name: np.empty(0, dtype) for name, dtype in _LAYOUT.items()}
        no_rows = np.zeros(1, dtype=np.int64)
        return cls(nothing | {"term_starts": no_rows, "starts": no_rows}, -1)

    @classmethod
    def open(cls, path: Path) -> TextIndex | None:
        """Map the file into memory; None where it is missing or damaged."""
        try:
            with open(path, "rb") as file:
                view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            return cls(*_parsed(view))
        except (OSError, ValueError, IndexError):
            return None

    @classmethod
    def open_current(cls, path: Path, generation: int) -> TextIndex | None:
        """Map the file; None also where it is of another generation of the database."""
        opened = cls.open(path)
        return opened if opened is not None and opened.generation == generation else None

    def save(self, path: Path) -> None:
        """Write the file in one step: a reader sees the old or the new one."""
        sizes = [self.generation, *(len(self._arrays[name]) for name in _LAYOUT)]
        with replacing(path) as beside, open(beside, "wb") as file:
            file.write(_MAGIC + np.array(sizes, dtype=np.int64).tobytes())
            for name in _LAYOUT:
                file.write(b"\0" * (-file.tell() % _ALIGNMENT))
                file.write(np.ascontiguousarray(self._arrays[name]).data)

    @property
    def ids(self) -> Ids:
        """The chunks that are indexed, ascending."""
        return self._arrays["ids"]

    def allowed(self, file_ids: Ids, kinds: Sequence[str]) -> Mask:
        """Which chunks (N,) are of some files, and of some kinds; no kinds: of any.

        The same mask for the same question, as long as not many others are asked in between.
        """
        asked = (file_ids.tobytes(), tuple(kinds))
        if asked not in self._masks:
            if len(self._masks) == _MASKS_KEPT:
                self._masks.clear()
            self._masks[asked] = self._mask(file_ids, kinds)
        return self._masks[asked]

    def _mask(self, file_ids: Ids, kinds: Sequence[str]) -> Mask:
        of_chunks = self._arrays["file_ids"]
        is_wanted = np.zeros(1 + of_chunks.max(initial=0), dtype=bool)
        is_wanted[file_ids[file_ids < len(is_wanted)]] = True
        mask = is_wanted[of_chunks]
        if kinds:
            mask &= np.isin(self._arrays["kinds"], [KINDS.index(kind) for kind in kinds])
        return mask

    def search(self, stems: Sequence[str], top_k: int, allowed: Mask) -> tuple[Ids, Scores]:
        """The ids and BM25 scores of the best chunks, best first, ties to the smaller id.

        Args:
            stems: What is looked for, `indexer.terms.stemmed`.
            top_k: How many to return at most.
            allowed: (N,), which chunks take part.
        """
        scores = self.scores(stems)
        best = self.best(scores, top_k, allowed)
        return self.ids[best], scores[best]

    def scores(self, stems: Sequence[str]) -> Scores:
        """The BM25 scores of all chunks, (N,): 0 where a chunk has none of the stems."""
        total = np.zeros(len(self.ids))
        for stem in dict.fromkeys(stems):
            places, weights = self._rows(stem)
            if not len(places):
                continue
            count, found = len(self.ids), len(places)
            idf = max(1e-6, np.log((count - found + 0.5) / (found + 0.5)))
            total[places] += idf * (K1 + 1) * weights / (weights + self._norms[places])
        return total

    def best(self, scores: Scores, top_k: int, allowed: Mask) -> Ids:
        """The places of the best chunks that score at all; see `search`."""
        hits = np.flatnonzero((scores > 0) & allowed)
        if len(hits) > top_k:
            least = np.partition(scores[hits], len(hits) - top_k)[len(hits) - top_k]
            hits = hits[scores[hits] >= least]
        return hits[np.lexsort((hits, -scores[hits]))][:top_k]

    def count(self, stem: str) -> int:
        """How many chunks have a stem."""
        return len(self._rows(stem)[0])

    @cached_property
    def _norms(self) -> Scores:
        lengths = self._arrays["lengths"]
        mean = max(1.0, float(lengths.mean())) if len(lengths) else 1.0
        return np.asarray(K1 * (1 - B + B * lengths / mean))

    def _rows(self, stem: str) -> tuple[NDArray[np.uint32], NDArray[np.uint16]]:
        starts = self._arrays["starts"]
        number, is_there = _find(self._arrays, stem.encode("utf-8"))
        rows = slice(int(starts[number]), int(starts[number + 1])) if is_there else slice(0)
        return self._arrays["places"][rows], self._arrays["weights"][rows]

    def updated(self, generation: int, present: Ids, new: Iterable[IndexedTerms]) -> TextIndex:
        """This index without the chunks that are gone, and with new ones.

        Args:
            generation: What the result is of.
            present: All chunks that the result is to have, ascending.
            new: Those of them that are not here, ascending, behind all that are.
        """
        kept = _without(self._arrays, ~np.isin(self.ids, present))
        added = _Added()
        for chunk in new:
            added.add(chunk)
        return TextIndex(_joined(kept, added), generation)


class TermSource(Protocol):
    """The database that the text index is a cache of."""

    @property
    def text_generation(self) -> int:
        """Names its state."""

    def chunk_ids(self) -> Ids:
        """All chunks, ascending."""

    def terms_after(self, chunk_id: int) -> Iterable[IndexedTerms]:
        """The chunks behind one; ids are never given twice."""


def sync_text(path: Path, source: TermSource, save: bool = True) -> TextIndex:
    """Bring the text index to what the database holds.

    Args:
        path: The file; made when missing, damaged or of another database.
        source: The database.
        save: Write the file; False for a reader, who must not overwrite what a writer makes.
    """
    index = TextIndex.open(path)
    if index is None or index.generation > source.text_generation:
        index = TextIndex.empty()
    if index.generation == source.text_generation:
        return index
    last = int(index.ids[-1]) if len(index.ids) else 0
    updated = index.updated(source.text_generation, source.chunk_ids(), source.terms_after(last))
    if save:
        updated.save(path)
    return updated


class _Added:
    """New chunks and their rows."""

    def __init__(self) -> None:
        self.chunks: dict[str, list[int]] = {
            name: [] for name in ("ids", "file_ids", "kinds", "lengths")
        }
        self.terms: dict[bytes, int] = {}  # numbered as they come
        self.by_row = array("q")  # the number of each row's term
        self.rows: list[int] = []  # of each chunk
        self.weights: list[bytes] = []  # of each chunk's rows

    def add(self, chunk: IndexedTerms) -> None:
        """Take a chunk in."""
        stems = chunk.stems.encode("utf-8").split()
        self.by_row.extend(self.terms.setdefault(stem, len(self.terms)) for stem in stems)
        self.rows.append(len(stems))
        self.weights.append(chunk.weights)
        values = (chunk.chunk_id, chunk.file_id, KINDS.index(chunk.kind), chunk.words)
        for column, value in zip(self.chunks.values(), values, strict=True):
            column.append(value)


def _without(arrays: Arrays, gone: Mask) -> Arrays:
    """The arrays without some chunks; a stem that nothing has any more stays, with no rows."""
    if not gone.any():
        return arrays
    stays = ~gone
    rows = stays[arrays["places"]]
    places = (np.cumsum(stays) - 1)[arrays["places"][rows]]
    return arrays | {
        **{name: arrays[name][stays] for name in ("ids", "file_ids", "kinds", "lengths")},
        "starts": np.concatenate([[0], np.cumsum(rows)])[arrays["starts"]],
        "places": places.astype(np.uint32),
        "weights": arrays["weights"][rows],
    }


def _joined(old: Arrays, added: _Added) -> Arrays:
    """The arrays with new chunks: the rows of each stem follow on those that it has."""
    terms = sorted(added.terms)
    found = [_find(old, term) for term in terms]
    unseen = [
        (number, term) for term, (number, there) in zip(terms, found, strict=True) if not there
    ]
    at = np.array([number for number, _ in unseen], dtype=np.int64)
    shift = np.cumsum([not there for _, there in found])  # unseen terms up to each
    numbers = np.zeros(len(terms), dtype=np.int64)
    for term, (number, there), before in zip(terms, found, shift.tolist(), strict=True):
        numbers[added.terms[term]] = number + before - (not there)
    by_row = numbers[np.frombuffer(added.by_row, dtype=np.int64)]
    order = np.argsort(by_row, kind="stable")
    starts = np.insert(old["starts"], at, old["starts"][at])  # of the old rows, all terms
    ends = starts[by_row[order] + 1]
    places = len(old["ids"]) + np.repeat(np.arange(len(added.rows)), added.rows)
    weights = np.frombuffer(b"".join(added.weights), dtype=np.uint16)
    counts = np.bincount(by_row, minlength=len(starts) - 1)
    return _with_terms(old, unseen) | {
        **{
            name: np.concatenate([old[name], np.array(values, dtype=_LAYOUT[name])])
            for name, values in added.chunks.items()
        },
        "starts": starts + np.concatenate([[0], np.cumsum(counts)]),
        "places": np.insert(old["places"], ends, places[order].astype(np.uint32)),
        "weights": np.insert(old["weights"], ends, weights[order]),
    }


def _with_terms(arrays: Arrays, unseen: Sequence[tuple[int, bytes]]) -> Arrays:
    """The stems with new ones, each before the one of its number."""
    stems, starts = arrays["term_bytes"].tobytes(), arrays["term_starts"]
    pieces, last = [], 0
    for number, term in unseen:
        pieces += [stems[last : starts[number]], term]
        last = int(starts[number])
    at = [number for number, _ in unseen]
    lengths = np.insert(np.diff(starts), at, [len(term) for _, term in unseen])
    return {
        "term_bytes": np.frombuffer(b"".join([*pieces, stems[last:]]), dtype=np.uint8),
        "term_starts": np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
    }


def _find(arrays: Arrays, term: bytes) -> tuple[int, bool]:
    """The number of a stem, or of the first one behind it, and whether it is there."""
    starts, stems = arrays["term_starts"], arrays["term_bytes"]

    def stem(number: int) -> bytes:
        return stems[starts[number] : starts[number + 1]].tobytes()

    count = len(starts) - 1
    number = bisect_left(range(count), term, key=stem)
    return number, number < count and stem(number) == term


def _parsed(view: mmap.mmap) -> tuple[Arrays, int]:
    """The arrays of a file and its generation; raises ValueError where it is damaged."""
    if view[: len(_MAGIC)] != _MAGIC:
        raise ValueError("not a text index")
    sizes = np.frombuffer(view, np.int64, len(_LAYOUT) + 1, len(_MAGIC)).tolist()
    at, arrays = len(_MAGIC) + 8 * len(sizes), {}
    for (name, dtype), size in zip(_LAYOUT.items(), sizes[1:], strict=True):
        at += -at % _ALIGNMENT
        arrays[name] = np.frombuffer(view, dtype, size, at) if size else np.empty(0, dtype)
        at += arrays[name].nbytes
    chunks = {len(arrays[name]) for name in ("ids", "file_ids", "kinds", "lengths")}
    rows = {len(arrays["places"]), len(arrays["weights"]), int(arrays["starts"][-1])}
    if at != len(view) or len(chunks) > 1 or len(rows) > 1:
        raise ValueError("damaged")
    return arrays, sizes[0]
