"""From a query line to results: open the indexes, take in small changes, embed, search."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from codesearch.freshness import find_change, take_in
from codesearch.scope import choose_ref
from codesearch.search import Filters, SearchResult, Target, search
from indexer.errors import IndexMismatch, UsageError
from indexer.storage.faiss_cache import VectorIndex, sync
from indexer.storage.home import IndexHome, RepoFolder
from indexer.storage.reader import Reader, RefInfo
from indexer.storage.vectors import VectorStore
from models.checkpoint import Checkpoint, open_checkpoint


class QueryEncoder(Protocol):
    """Turns a query into a unit vector (E,)."""

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """Embed one text."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query found."""

    query: str
    elapsed_ms: float
    is_stale: bool
    results: tuple[SearchResult, ...]


@dataclass(slots=True)
class Searcher:
    """Open indexes that answer any number of queries."""

    home: IndexHome
    readers: list[tuple[Reader, RefInfo, VectorIndex | None, Checkpoint]] = field(
        default_factory=list
    )
    notes: list[str] = field(default_factory=list)  # what the user should know, a line each
    is_stale: bool = False
    _encoders: dict[str, QueryEncoder] = field(default_factory=dict)

    def answer(
        self, query: str, filters: Filters, top_k: int, every_chunk: bool = False
    ) -> Answer:
        """The first `top_k` results of a query.

        Raises:
            UsageError: the query is empty.
        """
        start = time.perf_counter()
        if not query.strip():
            raise UsageError("the query is empty", 'ask something: codesearch query "parse json"')
        targets = [
            Target(reader, ref, vectors, self._embed(checkpoint, query))
            for reader, ref, vectors, checkpoint in self.readers
        ]
        results = search(query, targets, filters, every_chunk)[:top_k]
        elapsed_ms = (time.perf_counter() - start) * 1000
        return Answer(query, elapsed_ms, self.is_stale, tuple(results))

    def add(self, folder: RepoFolder, ref_name: str | None) -> None:
        """Open one more index, as fresh as it can be had at once."""
        reader = Reader(folder)
        ref = choose_ref(reader, ref_name)
        checkpoint = _checkpoint_of(reader)
        change = find_change(reader, ref)
        if (
            change.is_stale
            and change.is_small
            and take_in(self.home, reader, ref, change, checkpoint)
        ):
            reader.close()
            reader = Reader(folder)
            ref = choose_ref(reader, ref_name)
        elif change.is_stale:
            self.is_stale = True
            self.notes.append(
                f"{change.describe(reader.name)}; run `codesearch index {reader.root}`"
            )
        waiting, _ = reader.pending_tokens()
        if waiting:
            self.notes.append(
                f"{reader.name}: {waiting} texts are found by words only until they are encoded; "
                f"run `codesearch index {reader.root}`"
            )
        self.readers.append(
            (reader, ref, self._open_vectors(folder, reader, checkpoint), checkpoint)
        )

    def close(self) -> None:
        """Close all indexes."""
        for reader, *_ in self.readers:
            reader.close()

    def _open_vectors(
        self, folder: RepoFolder, reader: Reader, checkpoint: Checkpoint
    ) -> VectorIndex | None:
        """The FAISS file; made anew in passing where it is missing, damaged or behind."""
        index = VectorIndex.open(folder.faiss, checkpoint.dimension)
        if index is not None and reader.is_synced:
            return index
        vectors = VectorStore(self.home.vectors)
        try:
            return sync(folder.faiss, checkpoint.dimension, reader.vector_keys(), vectors)[0]
        finally:
            vectors.close()

    def _embed(self, checkpoint: Checkpoint, query: str) -> NDArray[np.float32]:
        if checkpoint.fingerprint not in self._encoders:
            self._encoders[checkpoint.fingerprint] = _query_encoder(checkpoint)
        return self._encoders[checkpoint.fingerprint].embed_query(query)


def _checkpoint_of(reader: Reader) -> Checkpoint:
    """The model that an index is bound to.

    Raises:
        CheckpointError: the model is gone.
        IndexMismatch: its weights are not those that made the index.
    """
    checkpoint = open_checkpoint(reader.facts["model"])
    made_by = reader.facts["fingerprint"]
    if checkpoint.fingerprint != made_by:
        raise IndexMismatch(
            f"{reader.name} was indexed with another {checkpoint.name} ({made_by[:12]}, "
            f"now {checkpoint.fingerprint[:12]})",
            f"run `codesearch index {reader.root} --rebuild`",
        )
    return checkpoint


def _query_encoder(checkpoint: Checkpoint) -> QueryEncoder:
    """The light encoder where it knows the architecture, else torch."""
    if checkpoint.is_bert:
        from models.light_encoder import LightEncoder

        return LightEncoder(checkpoint)
    from models.encoder import Encoder

    return Encoder(checkpoint)
