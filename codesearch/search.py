"""A query and some indexes become ranked results: pure, apart from reading the indexes.

Each index gives candidates by vector, by words and by symbol; filters take part inside each of
these. Candidates of all indexes are ranked together, then grouped by file.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from codesearch.phrases import Phrase
from codesearch.ranking import (
    PHRASE_POOL,
    POOL,
    SIGNAL_WEIGHTS,
    FileParts,
    Parts,
    QueryTerms,
    path_score,
    phrase_score,
    prior,
    rank_score,
    ranks,
    read_terms,
    standing,
    symbol_score,
    whole_file,
    whole_words,
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

    @property
    def usual_depth(self) -> float:
        """How many folders deep the files lie, in the mean."""
        return self.reader.usual_depth(self.ref.id)

    def allowed(self, filters: Filters) -> NDArray[np.bool_]:
        """Which of the chunks of `texts` may be found, (N,)."""
        files = self.reader.file_ids(self.ref.id, filters.languages, filters.paths)
        return self.texts.allowed(files, filters.kinds)


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk that was found; a signal that did not find it is None.

    Attributes:
        target: Where.
        chunk: What.
        parts: What its score is made of,
        score: … and how well it fits in all.
        cosine: To the query.
        bm25: Of the query's words.
        file_word_rank: By BM25 of all of its file's words, among files; 0: silence.
    """

    target: Target
    chunk: ChunkRow
    parts: Parts
    score: float
    cosine: float | None = None
    bm25: float | None = None
    file_word_rank: int = 0

    @property
    def place(self) -> tuple[str, str, int, int]:
        """Orders hits of equal score."""
        chunk = self.chunk
        return (self.target.reader.name, chunk.path, chunk.start_line, chunk.id)


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A file with its best chunk in front, or a single chunk.

    Attributes:
        best: What is shown.
        more: The file's other hits.
        strongest: The score of the strongest hit; a unit is shown before the file around it.
        file: What the file adds.
    """

    best: Hit
    more: tuple[Hit, ...] = ()
    strongest: float = 0.0
    file: FileParts = FileParts()

    @property
    def score(self) -> float:
        """How well the result fits."""
        return self.strongest + self.file.score


@dataclass(frozen=True, slots=True)
class Found:
    """A candidate: a chunk, and where each signal ranks it; a rank of 0 is silence."""

    target: Target
    chunk: ChunkRow
    cosine: float | None
    bm25: float | None
    vector_rank: int
    word_rank: int
    file_word_rank: int


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
    return rank(find(terms, targets, filters), terms, every_chunk)


def rank(
    found: Sequence[Found], terms: QueryTerms, every_chunk: bool = False
) -> list[SearchResult]:
    """Results of candidates, best first; see `search`."""
    hits = _best_first(_hit(item, terms) for item in found)
    if terms.symbol is None:
        hits = _best_first(_with_phrases(hits, terms))
    if every_chunk:
        return [SearchResult(hit, strongest=hit.score) for hit in hits]
    files: dict[tuple[int, str], list[Hit]] = {}
    for hit in hits:
        files.setdefault((id(hit.target), hit.chunk.path), []).append(hit)
    results = [_file_result(group, terms) for group in files.values()]
    return sorted(results, key=lambda result: (-result.score, *result.best.place))


def _best_first(hits: Iterable[Hit]) -> list[Hit]:
    """Those of the hits that score, in their fixed order."""
    return sorted((hit for hit in hits if hit.score > 0), key=lambda hit: (-hit.score, *hit.place))


def _with_phrases(hits: Sequence[Hit], terms: QueryTerms) -> Iterator[Hit]:
    """The hits, the first of them with what their texts gain them."""
    phrase = Phrase(terms.text)
    for hit in hits[:PHRASE_POOL]:
        parts = replace(hit.parts, phrase=phrase_score(phrase.share(_text_of(hit)), terms))
        yield replace(hit, parts=parts, score=parts.score)
    yield from hits[PHRASE_POOL:]


def _text_of(hit: Hit) -> str:
    """The lines of a chunk, as they were indexed."""
    chunk = hit.chunk
    lines = hit.target.reader.text(chunk.file_id).split("\n")
    return "\n".join(lines[chunk.start_line - 1 : chunk.end_line])


def _hit(item: Found, terms: QueryTerms) -> Hit:
    """A candidate with its score."""
    chunk = item.chunk
    vector_weight, word_weight = SIGNAL_WEIGHTS[terms.kind]
    parts = Parts(
        vector_weight * rank_score(item.vector_rank),
        word_weight * rank_score(item.word_rank),
        standing(chunk.path, chunk.kind, terms),
        symbol_score(chunk.symbol, chunk.path, terms, chunk.part),
    )
    return Hit(item.target, chunk, parts, parts.score, item.cosine, item.bm25, item.file_word_rank)


def _file_result(hits: Sequence[Hit], terms: QueryTerms) -> SearchResult:
    """One file's hits, best first, as a result: a unit in front rather than the file around it."""
    front = next((hit for hit in hits if hit.chunk.kind != "file"), hits[0])
    more = tuple(hit for hit in hits if hit is not front)
    chunk, target = front.chunk, front.target
    if terms.is_pasted:
        return SearchResult(front, more, hits[0].score)
    whole = [h.parts.vector * h.parts.standing for h in hits if h.chunk.kind == "file"]
    file = FileParts(
        path_score(chunk.path, terms),
        whole_file(whole),
        whole_words(front.file_word_rank),
        prior(chunk.file_bytes, chunk.path, target.usual_depth),
    )
    return SearchResult(front, more, hits[0].score, file)


def find(terms: QueryTerms, targets: Sequence[Target], filters: Filters) -> list[Found]:
    """The candidates of all targets, ranked together by each signal."""
    sets = [_candidates(target, terms, filters) for target in targets]
    if not sets:
        return []
    cosines = np.concatenate([item.cosines for item in sets])
    bm25 = np.concatenate([item.bm25 for item in sets])
    of_files = np.concatenate([item.file_bm25 for item in sets])
    best_files = np.sort(np.concatenate([item.all_file_bm25 for item in sets]))[::-1]
    signals = zip(
        cosines.tolist(),
        bm25.tolist(),
        _pool_ranks(cosines).tolist(),
        _pool_ranks(bm25).tolist(),
        np.where(of_files > 0, 1 + np.searchsorted(-best_files, -of_files), 0).tolist(),
        strict=True,
    )
    found = []
    for target, candidates in zip(targets, sets, strict=True):
        ids = candidates.ids.tolist()
        rows = target.reader.chunks(ids)
        for chunk_id, (cosine, score, *places) in zip(ids, signals, strict=False):
            chunk = rows.get(chunk_id)
            if chunk is not None:  # else deleted by a writer since the candidates were taken
                found.append(Found(target, chunk, _known(cosine), _known(score), *places))
    return found


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Chunks of one target; NaN where a signal did not find a chunk.

    Their files' BM25 scores stand beside those of all files.
    """

    ids: NDArray[np.int64]
    cosines: NDArray[np.float64]
    bm25: NDArray[np.float64]
    file_bm25: NDArray[np.float64]
    all_file_bm25: NDArray[np.float64]


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
    # np.unique would import numpy.ma, which a cold query has no other need of.
    ids = np.array(sorted({*near.tolist(), *worded.tolist(), *named.tolist()}), dtype=np.int64)
    signals = _spread(ids, near, cosines), _spread(ids, worded, bm25)
    return _Candidates(ids, *signals, *target.texts.file_scores(stems, ids, mask))


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
    return None if math.isnan(score) else score
