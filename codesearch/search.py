"""A query and some indexes become ranked results: pure, apart from reading the indexes.

Candidates are scored one by one, then grouped by file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from codesearch.candidates import Filters, Found, Target, find
from codesearch.phrases import Phrase
from codesearch.ranking import (
    PHRASE_FROM,
    SIGNAL_WEIGHTS,
    FileParts,
    Parts,
    QueryTerms,
    path_score,
    phrase_score,
    prior,
    rank_score,
    read_terms,
    standing,
    symbol_score,
    whole_file,
)
from codesearch.snippet import chunk_lines
from indexer.storage.reader import ChunkRow


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
    """

    target: Target
    chunk: ChunkRow
    parts: Parts
    score: float
    cosine: float | None = None
    bm25: float | None = None

    @property
    def place(self) -> tuple[str, str, int, int]:
        """Orders hits of equal score."""
        chunk = self.chunk
        return (self.target.label, chunk.path, chunk.start_line, chunk.id)


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
        return _best_results(_chunk_result(hit, terms) for hit in hits)
    files: dict[tuple[int, str], list[Hit]] = {}
    for hit in hits:
        files.setdefault((id(hit.target), hit.chunk.path), []).append(hit)
    return _best_results(_file_result(group, terms) for group in files.values())


def _best_results(results: Iterable[SearchResult]) -> list[SearchResult]:
    return sorted(results, key=lambda result: (-result.score, *result.best.place))


def _best_first(hits: Iterable[Hit]) -> list[Hit]:
    """Those of the hits that score, in their fixed order."""
    return sorted((hit for hit in hits if hit.score > 0), key=lambda hit: (-hit.score, *hit.place))


def _with_phrases(hits: Sequence[Hit], terms: QueryTerms) -> Iterator[Hit]:
    """The hits, the first of them with what their texts gain them."""
    phrase = Phrase(terms.text)
    for hit in hits:
        if hit.score < PHRASE_FROM:
            yield hit
            continue
        share = phrase.share(text_of(hit.target, hit.chunk))
        parts = replace(hit.parts, phrase=phrase_score(share, terms))
        yield replace(hit, parts=parts, score=parts.score)


def text_of(target: Target, chunk: ChunkRow) -> str:
    """The lines of a chunk, as they were indexed."""
    text = target.reader.text(chunk.file_id)
    return "\n".join(chunk_lines(text, chunk.start_line, chunk.end_line))


def _hit(item: Found, terms: QueryTerms) -> Hit:
    """A candidate with its score."""
    chunk = item.chunk
    vector_weight, word_weight = SIGNAL_WEIGHTS[terms.kind]
    parts = Parts(
        # Where a vector is still to be made, words stand for it.
        vector_weight * rank_score(item.vector_rank or item.word_rank),
        word_weight * rank_score(item.word_rank),
        standing(chunk.path, chunk.kind, terms),
        symbol_score(chunk.symbol, chunk.path, terms, chunk.part),
    )
    return Hit(item.target, chunk, parts, parts.score, item.cosine, item.bm25)


def _file_result(hits: Sequence[Hit], terms: QueryTerms) -> SearchResult:
    """One file's hits, best first, as a result: a unit in front rather than the file around it."""
    front = next((hit for hit in hits if hit.chunk.kind != "file"), hits[0])
    more = tuple(hit for hit in hits if hit is not front)
    whole = [h.parts.vector * h.parts.standing for h in hits if h.chunk.kind == "file"]
    return SearchResult(front, more, hits[0].score, _file_parts(front, terms, whole))


def _chunk_result(hit: Hit, terms: QueryTerms) -> SearchResult:
    """A hit by itself, with what its file adds whichever of its chunks are found."""
    return SearchResult(hit, (), hit.score, _file_parts(hit, terms))


def _file_parts(hit: Hit, terms: QueryTerms, whole: Sequence[float] = ()) -> FileParts:
    """What the file of a hit adds; `whole`: the vector parts of its chunks that are the file."""
    if terms.is_pasted:
        return FileParts()
    chunk, depth = hit.chunk, hit.target.usual_depth
    return FileParts(
        path_score(chunk.path, terms),
        whole_file(whole),
        prior(chunk.file_bytes, chunk.path, depth),
    )
