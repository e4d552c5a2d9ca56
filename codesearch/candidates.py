"""Which chunks may answer a query, and where each signal ranks them.

Each target gives candidates by vector, by words and by symbol; filters take part inside each of
these. A rank is that among all chunks of the targets, whatever the filters leave, so that two
chunks are in the same order with a filter as without.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
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
    """One ref of one index to search, with the query as its model embeds it."""

    reader: Reader
    ref: RefInfo
    texts: TextIndex
    vectors: VectorIndex | None
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
        file_word_rank: Of its file among files, by BM25 of all of its words.
    """

    target: Target
    chunk: ChunkRow
    cosine: float | None
    bm25: float | None
    vector_rank: float
    word_rank: float
    file_word_rank: float


def find(terms: QueryTerms, targets: Sequence[Target], filters: Filters) -> list[Found]:
    """The candidates of all targets, ranked together by each signal."""
    every = [_Signals.of(target, terms, filters) for target in targets]
    if not every:
        return []
    signals = zip(
        *(
            _known(np.concatenate([getattr(item, name) for item in every]))
            for name in ("cosines", "bm25")
        ),
        *(
            _ranks(every, name, best).tolist()
            for name, best in (
                ("cosines", "best_cosines"),
                ("bm25", "best_bm25"),
                ("file_bm25", "best_file_bm25"),
            )
        ),
        strict=True,
    )
    found = []
    for target, item in zip(targets, every, strict=True):
        ids = item.ids.tolist()
        rows = target.reader.chunks(ids)
        for chunk_id, (cosine, bm25, *ranks) in zip(ids, signals, strict=False):
            chunk = rows.get(chunk_id)
            if chunk is not None:  # else deleted by a writer since the candidates were taken
                found.append(Found(target, chunk, cosine, bm25, *ranks))
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
class _Signals:
    """What each signal says of a target's candidates; NaN: nothing.

    Beside it stand the best scores of the whole target, which no filter touches.
    """

    ids: Ids
    cosines: Scores
    bm25: Scores
    file_bm25: Scores
    best_cosines: Scores
    best_bm25: Scores
    best_file_bm25: Scores

    @classmethod
    def of(cls, target: Target, terms: QueryTerms, filters: Filters) -> _Signals:
        """Ask a target."""
        texts = target.texts
        whole, mask = target.allowed(NO_FILTERS), target.allowed(filters)
        every, allowed = texts.ids[whole], texts.ids[mask]
        stems = [stemmed(word) for word in query_words(terms.text)]
        bm25 = texts.scores(stems)
        near, cosines = target.nearest(POOL, allowed)
        worded = texts.best(bm25, POOL, mask)
        named = np.array(target.reader.named(terms.names), dtype=np.int64)
        named = named[np.isin(named, allowed)]
        # np.unique would import numpy.ma, which a cold query has no other need of.
        union = {*near.tolist(), *texts.ids[worded].tolist(), *named.tolist()}
        ids = np.array(sorted(union), dtype=np.int64)
        found = bm25[np.searchsorted(texts.ids, ids)]
        of_files, of_all_files = texts.file_scores(stems, ids, whole)
        return cls(
            ids,
            _spread(ids, *target.nearest(len(ids), ids)),
            np.where(found > 0, found, np.nan),
            np.where(of_files > 0, of_files, np.nan),
            cosines if mask is whole else target.nearest(POOL, every)[1],
            bm25[worded if mask is whole else texts.best(bm25, POOL, whole)],
            of_all_files,
        )


def _ranks(every: Sequence[_Signals], name: str, best: str) -> Scores:
    """The ranks of all candidates by one signal; 0 where it is silent."""
    scores = np.concatenate([getattr(item, name) for item in every])
    known = np.sort(np.concatenate([getattr(item, best) for item in every]))[::-1][:POOL]
    ranks = np.zeros(len(scores))
    speaks = ~np.isnan(scores)
    ranks[speaks] = places(known, scores[speaks])
    return ranks


def _spread(ids: Ids, found: Ids, scores: Scores) -> Scores:
    """Scores at the places of their ids in the sorted `ids`, NaN elsewhere."""
    spread = np.full(len(ids), np.nan)
    spread[np.searchsorted(ids, found)] = scores
    return spread


def _known(scores: Iterable[float]) -> list[float | None]:
    return [None if math.isnan(score) else float(score) for score in scores]
