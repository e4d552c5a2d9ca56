"""A query and some indexes become ranked results: pure, apart from reading the indexes.

Each index gives candidates by vector, by words and by symbol; filters take part inside each of
these. Candidates of all indexes are ranked together, then grouped by file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from codesearch.ranking import (
    POOL,
    QueryTerms,
    file_score,
    fuse,
    path_score,
    ranks,
    read_terms,
    standing,
    symbol_score,
)
from indexer.sources.listing import Selection
from indexer.storage.faiss_cache import VectorIndex
from indexer.storage.reader import ChunkRow, Reader, RefInfo
from indexer.storage.text_index import TextIndex
from indexer.terms import stemmed
from indexer.words import query_words


@dataclass(frozen=True, slots=True)
class Filters:
    """Which chunks may be found; an empty field allows all."""

    languages: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    paths: Selection = field(default_factory=Selection)


@dataclass(frozen=True, slots=True)
class Target:
    """One ref of one index to search, with the query as its model embeds it."""

    reader: Reader
    ref: RefInfo
    texts: TextIndex
    vectors: VectorIndex | None
    query_vector: NDArray[np.float32] | None = None  # (E,), None: search by words alone

    def allowed(self, filters: Filters) -> NDArray[np.bool_]:
        """Which of the chunks of `texts` may be found, (N,)."""
        files = self.reader.file_ids(self.ref.id, filters.languages, filters.paths)
        return self.texts.allowed(files, filters.kinds)


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk that was found, with the parts of its score."""

    target: Target
    chunk: ChunkRow
    score: float
    cosine: float | None
    bm25: float | None
    symbol: float
    standing: float

    @property
    def place(self) -> tuple[str, str, int, int]:
        """Orders hits of equal score."""
        chunk = self.chunk
        return (self.target.reader.name, chunk.path, chunk.start_line, chunk.id)


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A file with its best chunk in front, or a single chunk."""

    score: float
    best: Hit
    more: tuple[Hit, ...] = ()


def search(
    query: str, targets: Sequence[Target], filters: Filters, every_chunk: bool = False
) -> list[SearchResult]:
    """Rank everything that the targets have for a query, best first.

    Args:
        query: what the user asked.
        targets: where to look.
        filters: what may be found.
        every_chunk: each chunk is a result of its own instead of each file.
    """
    terms = read_terms(query)
    hits = sorted(_hits(terms, targets, filters), key=lambda hit: (-hit.score, *hit.place))
    if every_chunk:
        return [SearchResult(hit.score, hit) for hit in hits]
    files: dict[tuple[int, str], list[Hit]] = {}
    for hit in hits:
        files.setdefault((id(hit.target), hit.chunk.path), []).append(hit)
    results = [_file_result(group, terms) for group in files.values()]
    return sorted(results, key=lambda result: (-result.score, *result.best.place))


def _file_result(hits: Sequence[Hit], terms: QueryTerms) -> SearchResult:
    """One file's hits, best first, as a result: a unit in front rather than the file around it."""
    score = file_score([hit.score for hit in hits]) + path_score(hits[0].chunk.path, terms)
    front = next((hit for hit in hits if hit.chunk.kind != "file"), hits[0])
    more = tuple(hit for hit in hits if hit is not front)
    return SearchResult(score, front, more)


def _hits(terms: QueryTerms, targets: Sequence[Target], filters: Filters) -> list[Hit]:
    found = [_candidates(target, terms, filters) for target in targets]
    owners = np.repeat(np.arange(len(found)), [len(item.ids) for item in found])
    if not len(owners):
        return []
    ids = np.concatenate([item.ids for item in found])
    cosines = np.concatenate([item.cosines for item in found])
    bm25 = np.concatenate([item.bm25 for item in found])
    scores = fuse(_pool_ranks(cosines), _pool_ranks(bm25))
    rows = [
        target.reader.chunks(item.ids.tolist())
        for target, item in zip(targets, found, strict=True)
    ]
    hits = []
    for owner, chunk_id, score, cosine, words in zip(
        owners.tolist(),
        ids.tolist(),
        scores.tolist(),
        cosines.tolist(),
        bm25.tolist(),
        strict=True,
    ):
        chunk = rows[owner].get(chunk_id)
        if chunk is None:  # deleted by a writer since the candidates were taken
            continue
        symbol = symbol_score(chunk.symbol, chunk.path, terms)
        factor = standing(chunk.path, chunk.kind, terms)
        total = score * factor + symbol
        if total > 0:
            found_by = (_known(cosine), _known(words), symbol, factor)
            hits.append(Hit(targets[owner], chunk, total, *found_by))
    return hits


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Chunks of one target; NaN where a signal did not find a chunk."""

    ids: NDArray[np.int64]
    cosines: NDArray[np.float64]
    bm25: NDArray[np.float64]


def _candidates(target: Target, terms: QueryTerms, filters: Filters) -> _Candidates:
    mask = target.allowed(filters)
    allowed = target.texts.ids[mask]
    near, cosines = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
    if target.vectors is not None and target.query_vector is not None:
        near, cosines = target.vectors.search(target.query_vector, POOL, allowed)
    stems = [stemmed(word) for word in query_words(terms.text)]
    worded, bm25 = target.texts.search(stems, POOL, mask)
    named = np.array(target.reader.named(terms.names), dtype=np.int64)
    named = named[np.isin(named, allowed)]
    ids = np.unique(np.concatenate([near, worded, named]))
    return _Candidates(ids, _spread(ids, near, cosines), _spread(ids, worded, bm25))


def _spread(
    ids: NDArray[np.int64], found: NDArray[np.int64], scores: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Scores at the places of their ids in the sorted `ids`, NaN elsewhere."""
    spread = np.full(len(ids), np.nan)
    spread[np.searchsorted(ids, found)] = scores
    return spread


def _pool_ranks(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Ranks among the candidates of all targets; 0 for NaN and beyond the pool."""
    result = np.zeros(len(scores), dtype=np.int64)
    known = ~np.isnan(scores)
    result[known] = ranks(scores[known])
    result[result > POOL] = 0
    return result


def _known(score: float) -> float | None:
    return None if np.isnan(score) else score
