"""Which chunks may answer a query, and where each signal ranks them.

Each target gives candidates by vector, by words and by symbol; filters take part inside each of
these. A rank is that among all chunks of the targets, whatever the filters leave, so that two
chunks are in the same order with a filter as without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from codesearch.ranking import POOL, QueryTerms
from indexer.sources.listing import Selection
from indexer.storage.faiss_cache import VectorIndex
from indexer.storage.reader import ChunkRow, Reader, RefInfo
from indexer.storage.text_index import TextIndex
from indexer.terms import stemmed
from indexer.words import query_words

_FARTHEST = 20  # times the second half of the best: further down a rank counts for nothing

Ids = NDArray[np.int64]
Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Filters:
    """Which chunks may be found; an empty field allows all."""

    languages: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    paths: Selection = field(default_factory=Selection)


NO_FILTERS = Filters()


@dataclass(frozen=True, slots=True)
class Target:
    """One ref of one index to search, with the query as its model embeds it.

    `label` tells its repository from all others that are open.
    """

    reader: Reader
    ref: RefInfo
    texts: TextIndex
    vectors: VectorIndex | None
    label: str
    query_vector: NDArray[np.float32] | None = None  # (E,), None: search by words alone

    @property
    def usual_depth(self) -> float:
        """How many folders deep the files lie, in the mean."""
        return self.reader.usual_depth(self.ref.id)

    def allowed(self, filters: Filters) -> NDArray[np.bool_]:
        """Which of the chunks of `texts` may be found, (N,)."""
        files = self.reader.file_ids(self.ref.id, filters.languages, filters.paths)
        return self.texts.allowed(files, filters.kinds)

    def nearest(self, top_k: int, allowed: Ids) -> tuple[Ids, Scores]:
        """Those of the chunks whose vectors are nearest to the query's, and their cosines."""
        if self.vectors is None or self.query_vector is None:
            return np.empty(0, dtype=np.int64), np.empty(0)
        ids, cosines = self.vectors.search(self.query_vector, top_k, allowed)
        return ids, cosines.astype(np.float64)


@dataclass(frozen=True, slots=True)
class Found:
    """A candidate: a chunk, and where each signal ranks it; a rank of 0 is silence.

    Attributes:
        target: Where.
        chunk: What.
        cosine: To the query; None: it has no vector yet.
        bm25: Of the query's words; None: it has none of them.
        vector_rank: From 1; that of a chunk far down is an estimate.
        word_rank: The same by BM25.
    """

    target: Target
    chunk: ChunkRow
    cosine: float | None
    bm25: float | None
    vector_rank: float
    word_rank: float


def find(terms: QueryTerms, targets: Sequence[Target], filters: Filters) -> list[Found]:
    """The candidates of all targets, ranked together by each signal."""
    every = [_Candidates.of(target, terms, filters) for target in targets]
    if not every:
        return []
    cosines, vector_ranks = _ranked([item.vectors for item in every])
    bm25, word_ranks = _ranked([item.words for item in every])
    signals = zip(cosines, bm25, vector_ranks, word_ranks, strict=True)
    found = []
    for target, item in zip(targets, every, strict=True):
        ids = item.ids.tolist()
        rows = target.reader.chunks(ids)
        for chunk_id, said in zip(ids, signals, strict=False):
            chunk = rows.get(chunk_id)
            if chunk is not None:  # else deleted by a writer since the candidates were taken
                found.append(Found(target, chunk, *said))
    return found


def places(best: Scores, scores: Scores) -> Scores:
    """The rank from 1 of each score among many, of which the best are known.

    Equal scores share a rank. Below the last known one it is estimated: each step as large as
    that from the middle of the known ones to the last doubles it, as it did there.

    Args:
        best: (K,), the best of all, highest first.
        scores: (n,)
    """
    ranks = (1 + np.searchsorted(-best, -scores)).astype(np.float64)
    step = best[(len(best) - 1) // 2] - best[-1] if len(best) else 0.0
    if step > 0:
        further = np.minimum((best[-1] - scores) / step, _FARTHEST)
        return np.where(further > 0, len(best) * 2.0**further, ranks)
    return ranks


@dataclass(frozen=True, slots=True)
class _Signal:
    """What a signal says of a target.

    Attributes:
        scores: (n,) of its candidates; NaN: nothing.
        best: (≤ POOL,) the best scores of all its chunks, which no filter touches.
    """

    scores: Scores
    best: Scores


@dataclass(frozen=True, slots=True)
class _Candidates:
    """The chunks of a target that may answer, by ascending id, and what each signal says."""

    ids: Ids
    vectors: _Signal
    words: _Signal

    @classmethod
    def of(cls, target: Target, terms: QueryTerms, filters: Filters) -> _Candidates:
        """Ask a target."""
        texts = target.texts
        whole, mask = target.allowed(NO_FILTERS), target.allowed(filters)
        allowed = texts.ids[mask]
        bm25 = texts.scores([stemmed(word) for word in query_words(terms.text)])
        near, cosines = target.nearest(POOL, allowed)
        worded = texts.best(bm25, POOL, mask)
        named = np.array(target.reader.named(terms.names), dtype=np.int64)
        named = named[np.isin(named, allowed)]
        # np.unique would import numpy.ma, which a cold query has no other need of.
        union = {*near.tolist(), *texts.ids[worded].tolist(), *named.tolist()}
        ids = np.array(sorted(union), dtype=np.int64)
        if mask is not whole:
            cosines = target.nearest(POOL, texts.ids[whole])[1]
            worded = texts.best(bm25, POOL, whole)
        own = bm25[np.searchsorted(texts.ids, ids)]
        return cls(
            ids,
            _Signal(_spread(ids, *target.nearest(len(ids), ids)), cosines),
            _Signal(np.where(own > 0, own, np.nan), bm25[worded]),
        )


def _ranked(signals: Sequence[_Signal]) -> tuple[list[float | None], list[float]]:
    """The scores of all targets' candidates, and their ranks: None and 0 where it is silent."""
    scores = np.concatenate([signal.scores for signal in signals])
    best = np.sort(np.concatenate([signal.best for signal in signals]))[::-1][:POOL]
    speaks = ~np.isnan(scores)
    ranks = np.zeros(len(scores))
    ranks[speaks] = places(best, scores[speaks])
    known = [score if said else None for score, said in zip(scores.tolist(), speaks, strict=True)]
    return known, ranks.tolist()


def _spread(ids: Ids, found: Ids, scores: Scores) -> Scores:
    """Scores at the places of their ids in the sorted `ids`, NaN elsewhere."""
    spread = np.full(len(ids), np.nan)
    spread[np.searchsorted(ids, found)] = scores
    return spread
