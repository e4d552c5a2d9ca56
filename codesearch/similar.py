"""`similar`: code like the code at a line, and groups of functions that are nearly the same.

Both compare the vectors of the texts alone, wherever they stand: nothing is encoded.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codesearch import formats
from codesearch.answer import Answer, OpenIndex, Searcher
from codesearch.candidates import Filters, Target
from codesearch.console import one_line, stderr, write_line
from codesearch.querying import Output, check_top_k, open_searcher, print_answer
from codesearch.ranking import POOL, Parts
from codesearch.search import Hit, SearchResult
from indexer.errors import IndexMismatch, IndexNotFound, UsageError
from indexer.sources.repository import find_repository
from indexer.storage.home import IndexHome
from indexer.storage.reader import ChunkRow, Reader
from indexer.storage.vectors import VectorStore
from indexer.words import words

SIMILAR = 10  # results, unless another number is asked for
LEAST_LINES = 5  # shorter functions are alike without anybody having copied them
_AT_ONCE = 1024
_PLACE = re.compile(r"(?P<path>.+?):(?P<line>[1-9]\d{0,8})(?::\d*)?:?")
_CLUSTERED_KINDS = ("function",)


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file."""

    path: Path
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"

    @classmethod
    def read(cls, text: str) -> Place:
        """From `FILE:LINE`, as compilers and `--vimgrep` print it; a column is ignored.

        Raises:
            UsageError: it is something else.
        """
        found = _PLACE.fullmatch(text.strip())
        if found is None:
            raise UsageError(f"{text!r} is no FILE:LINE", "give a place like src/app.py:42")
        return cls(Path(found["path"]).expanduser(), int(found["line"]))


@dataclass(frozen=True, slots=True)
class Cluster:
    """Functions that are nearly the same, by place; each is so to another one of them."""

    hits: tuple[Hit, ...]
    cosine: float  # the lowest between two of them


def find_similar(
    home: OpenIndex, searcher: Searcher, place: Place, filters: Filters, top_k: int
) -> Answer:
    """The chunks most like the one at a place, without those that share lines with it.

    Args:
        home: The index that holds the place.
        searcher: Where to look.
        place: A line of a file.
        filters: What may be found; without a kind, what is of the same kind.
        top_k: How many.

    Raises:
        IndexNotFound: the place is not indexed, or not encoded yet.
        IndexMismatch: an index that is searched is of another model.
    """
    started = time.perf_counter()
    for item in searcher.indexes:
        if home.checkpoint.fingerprint != item.checkpoint.fingerprint:
            raise IndexMismatch(
                f"{home.reader.name} and {item.reader.name} were indexed with different models",
                f"run `codesearch index {item.reader.root} --rebuild` with the same --model",
            )
    source = _chunk_at(home, place)
    with closing(VectorStore(searcher.home.vectors, read_only=True)) as store:
        _, own = _own_vectors(home.reader, [source.id], store)
        if not len(own):
            raise IndexNotFound(
                f"{place} is not encoded yet",
                f"run `codesearch index {home.reader.root}`",
            )
        if not filters.kinds:
            filters = Filters(filters.languages, (source.kind,), filters.paths)
        found = [
            hit
            for item in searcher.indexes
            for hit in _compared(item, own[0], nearest(item, own[0], filters), store)
        ]
    hits = sorted(
        (hit for hit in found if not _overlaps(hit, home, source)),
        key=lambda hit: (-hit.score, *hit.place),
    )
    results = tuple(SearchResult(hit, strongest=hit.score) for hit in hits[:top_k])
    meant = words(source.symbol or source.path)
    elapsed_ms = (time.perf_counter() - started) * 1000
    return Answer(str(place), meant, elapsed_ms, searcher.is_stale, results)


def find_clusters(
    item: OpenIndex, filters: Filters, threshold: float, store: VectorStore
) -> list[Cluster]:
    """Groups of functions whose vectors are within a threshold, the largest first.

    Raises:
        UsageError: the threshold is no cosine that says anything.
    """
    if not 0.5 <= threshold <= 1:
        raise UsageError(f"--threshold {threshold:g} is not in 0.5..1", "0.95 is a good start")
    kinds = filters.kinds or _CLUSTERED_KINDS
    target = item.target()
    wanted = Filters(filters.languages, kinds, filters.paths)
    rows = item.reader.chunks(item.texts.ids[target.allowed(wanted)].tolist())
    long = [i for i, row in rows.items() if row.end_line - row.start_line + 1 >= LEAST_LINES]
    ids, vectors = _own_vectors(item.reader, sorted(long), store)
    clusters = []
    for group in _groups(vectors, threshold):
        lowest = float((vectors[group] @ vectors[group].T).min())
        hits = [_hit(target, rows[ids[place]], lowest) for place in group]
        clusters.append(Cluster(tuple(sorted(hits, key=lambda hit: hit.place)), lowest))
    return sorted(clusters, key=lambda c: (-len(c.hits), *c.hits[0].place))


def _groups(vectors: NDArray[np.float32], threshold: float) -> Iterator[list[int]]:
    """Positions of the connected vectors (n, E), groups of two or more."""
    parent = list(range(len(vectors)))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = place = parent[parent[place]]
        return place

    for start in range(0, len(vectors), _AT_ONCE):
        near = vectors[start : start + _AT_ONCE] @ vectors[start:].T >= threshold
        for row, column in zip(*np.nonzero(np.triu(near, 1)), strict=True):
            parent[root(start + int(row))] = root(start + int(column))
    members: dict[int, list[int]] = {}
    for place in range(len(vectors)):
        members.setdefault(root(place), []).append(place)
    yield from (group for group in members.values() if len(group) > 1)


def _chunk_at(item: OpenIndex, place: Place) -> ChunkRow:
    """The smallest unit around a place."""
    repository, inside = find_repository(place.path.resolve().parent)
    path = f"{inside}/{place.path.name}".removeprefix("/")
    found = item.reader.chunk_at(item.ref.id, path, place.line)
    if found is None:
        raise IndexNotFound(
            f"{place} is not part of the index of {repository.name}",
            "choose a line of a file that `codesearch status` counts, or index it",
        )
    return found


def _own_vectors(
    reader: Reader, ids: Sequence[int], store: VectorStore
) -> tuple[list[int], NDArray[np.float32]]:
    """Those of the chunks whose text has a vector, and these (n, E), without their files'."""
    keys = reader.vector_keys(ids)
    vectors = store.get(keys.values())
    found = [chunk_id for chunk_id in ids if keys.get(chunk_id) in vectors]
    rows = [vectors[keys[chunk_id]] for chunk_id in found]
    return found, np.array(rows, dtype=np.float32)


def _compared(
    item: OpenIndex, vector: NDArray[np.float32], hits: Sequence[Hit], store: VectorStore
) -> list[Hit]:
    """Hits with the cosines of their texts."""
    ids, rows = _own_vectors(item.reader, [hit.chunk.id for hit in hits], store)
    cosines = dict(zip(ids, (rows @ vector).tolist() if ids else [], strict=True))
    return [
        _hit(hit.target, hit.chunk, cosines[hit.chunk.id])
        for hit in hits
        if hit.chunk.id in cosines
    ]


def nearest(item: OpenIndex, vector: NDArray[np.float32], filters: Filters) -> list[Hit]:
    """The nearest allowed chunks of an index, in their files: a fixed pool, whatever is shown."""
    if item.vectors is None:
        return []
    target = item.target(vector)
    allowed = item.texts.ids[target.allowed(filters)]
    ids, cosines = item.vectors.search(vector, POOL, allowed)
    rows = item.reader.chunks(ids.tolist())
    return [
        _hit(target, rows[chunk_id], cosine)
        for chunk_id, cosine in zip(ids.tolist(), cosines.tolist(), strict=True)
        if chunk_id in rows
    ]


def _hit(target: Target, chunk: ChunkRow, cosine: float) -> Hit:
    return Hit(target, chunk, Parts(vector=cosine), cosine, cosine)


def _overlaps(hit: Hit, home: OpenIndex, source: ChunkRow) -> bool:
    chunk = hit.chunk
    return (
        hit.target.reader.root == home.reader.root
        and chunk.path == source.path
        and chunk.start_line <= source.end_line
        and source.start_line <= chunk.end_line
    )


def run_similar(
    home: IndexHome,
    place: Place,
    repo: str | None,
    filters: Filters,
    top_k: int,
    output: Output,
    quiet: bool,
) -> bool:
    """The command with FILE:LINE; tells whether anything was found."""
    check_top_k(top_k)
    output.check(str(place.path))
    if not place.path.is_file():
        raise UsageError(f"{place.path} is no file", "give a place like src/app.py:42")
    with ExitStack() as stack:
        around = open_searcher(home, str(place.path.resolve().parent), None, quiet)
        stack.callback(around.close)
        searched = around
        if repo is not None:
            searched = open_searcher(home, repo, None, quiet)
            stack.callback(searched.close)
        answer = find_similar(around.indexes[0], searched, place, filters, top_k)
        print_answer(output, answer)
    return bool(answer.results)


def run_clusters(
    home: IndexHome,
    repo: str | None,
    filters: Filters,
    threshold: float,
    most: int | None,
    as_json: bool,
    quiet: bool,
) -> bool:
    """The command with --clusters; tells whether there are any. `most` None shows all."""
    if most is not None:
        check_top_k(most)
    searcher = open_searcher(home, repo, None, quiet)
    try:
        with closing(VectorStore(home.vectors, read_only=True)) as store:
            found = [find_clusters(item, filters, threshold, store) for item in searcher.indexes]
        clusters = [cluster for some in found for cluster in some][:most]
        _print_clusters(clusters, as_json)
    finally:
        searcher.close()
    return bool(clusters)


def _print_clusters(clusters: Sequence[Cluster], as_json: bool) -> None:
    if as_json:
        write_line(json.dumps([_record(cluster) for cluster in clusters], ensure_ascii=False))
        return
    here = Path.cwd()
    for cluster in clusters:
        write_line(f"{len(cluster.hits)} functions, cosine {cluster.cosine:.3f} or more")
        for hit in cluster.hits:
            write_line(f"  {formats.place(hit, here)}  {one_line(hit.chunk.symbol)}")
    if not clusters:
        stderr().print("no functions are nearly the same")


def _record(cluster: Cluster) -> dict[str, Any]:
    return {
        "cosine": round(cluster.cosine, 4),
        "members": [
            {
                "repo": hit.target.reader.name,
                "path": hit.chunk.path,
                "start_line": hit.chunk.start_line,
                "end_line": hit.chunk.end_line,
                "language": hit.chunk.language,
                "symbol": hit.chunk.symbol,
            }
            for hit in cluster.hits
        ],
    }
