"""From a query line to results: open the indexes, take in small changes, embed, search."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from codesearch.candidates import Filters, Target
from codesearch.freshness import find_change, refresh_command, take_in
from codesearch.scope import choose_ref
from codesearch.search import SearchResult, search
from codesearch.spelling import corrected
from indexer.errors import CodesearchError, IndexMismatch, UsageError
from indexer.storage.binding import read_facts, rebuild_command
from indexer.storage.failures import storage_failures
from indexer.storage.faiss_cache import VectorIndex
from indexer.storage.faiss_sync import sync
from indexer.storage.home import IndexHome, RepoFolder
from indexer.storage.locking import is_being_written, writing_if_free
from indexer.storage.reader import Reader, RefInfo
from indexer.storage.text_index import TextIndex, sync_text
from indexer.storage.vectors import VectorStore
from models.checkpoint import Checkpoint, CheckpointError, open_checkpoint

# Looking at repositories and taking in their changes ends here; the rest is searched as it is.
FRESHNESS_SECONDS = 2.0


class QueryEncoder(Protocol):
    """Turns a query into a unit vector (E,)."""

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """Embed one text."""

    def knows(self, word: str) -> bool:
        """Whether a word is a token of its own."""


_Ahead = tuple[QueryEncoder, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query found.

    Attributes:
        query: As it was asked.
        meant: What was searched for: the query without typing errors.
        corrected: Typing errors → what was read instead.
        waiting: How many texts have no vector yet, and are found by their words only.
    """

    query: str
    meant: str
    elapsed_ms: float
    is_stale: bool
    results: tuple[SearchResult, ...]
    corrected: dict[str, str] = field(default_factory=dict)
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class OpenIndex:
    """One ref of one index, ready to be searched."""

    reader: Reader
    ref: RefInfo
    texts: TextIndex
    vectors: VectorIndex | None  # None: found by words alone
    checkpoint: Checkpoint
    has_namesake: bool = False  # another open index is of a repository of the same name

    def target(self, query_vector: NDArray[np.float32] | None = None) -> Target:
        """The index as a search wants it."""
        label = self.reader.root if self.has_namesake else self.reader.name
        return Target(self.reader, self.ref, self.texts, self.vectors, label, query_vector)


@dataclass(slots=True)
class Searcher:
    """Open indexes that answer any number of queries.

    A query that is `expected` is embedded in a thread while the first index is opened and git is
    asked whether its files have changed.
    """

    home: IndexHome
    indexes: list[OpenIndex] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # what the user should know, a line each
    unopened: list[str] = field(default_factory=list)  # what cannot be searched and why, as well
    is_stale: bool = False
    waiting: int = 0  # texts without a vector yet
    encoders: dict[str, QueryEncoder] = field(default_factory=dict)  # by fingerprint
    expected: str = ""
    _behind: set[str] = field(default_factory=set)  # roots with changes that `index` can take in
    _opened_at: float = field(default_factory=time.perf_counter)
    _ahead: dict[str, Future[_Ahead]] = field(default_factory=dict)  # by fingerprint

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
        meant, changes = self.read(query)
        targets = [item.target(self.embed(item.checkpoint, meant)) for item in self.indexes]
        results = search(meant, targets, filters, every_chunk)[:top_k]
        elapsed_ms = (time.perf_counter() - start) * 1000
        return Answer(
            query, meant, elapsed_ms, self.is_stale, tuple(results), changes, self.waiting
        )

    def read(self, query: str) -> tuple[str, dict[str, str]]:
        """A query without typing errors, and what was corrected in it."""
        return corrected(query, self._count, self._knows)

    def embed(self, checkpoint: Checkpoint, query: str) -> NDArray[np.float32]:
        """The unit vector (E,) of a query."""
        ahead = self._ahead.get(checkpoint.fingerprint)
        if ahead is not None and query == self.expected:
            return ahead.result()[1]
        return self._encoder(checkpoint).embed_query(query)

    def _count(self, stem: str) -> int:
        return sum(item.texts.count(stem) for item in self.indexes)

    def _knows(self, word: str) -> bool:
        return any(self._encoder(item.checkpoint).knows(word) for item in self.indexes)

    def _encoder(self, checkpoint: Checkpoint) -> QueryEncoder:
        name = checkpoint.fingerprint
        if name not in self.encoders:
            ahead = self._ahead.get(name)
            made = self._query_encoder(checkpoint) if ahead is None else ahead.result()[0]
            self.encoders[name] = made
        return self.encoders[name]

    def _embed_ahead(self, checkpoint: Checkpoint) -> None:
        name = checkpoint.fingerprint
        is_begun = name in self.encoders or name in self._ahead
        if is_begun or not self.expected or not checkpoint.is_bert:
            return
        thread = ThreadPoolExecutor(1)
        self._ahead[name] = thread.submit(self._load_and_embed, checkpoint)
        thread.shutdown(wait=False)

    def _load_and_embed(self, checkpoint: Checkpoint) -> _Ahead:
        encoder = self._query_encoder(checkpoint)
        return encoder, encoder.embed_query(self.expected)

    def add(self, folder: RepoFolder, ref_name: str | None) -> None:
        """Open one more index, as fresh as it can be had at once.

        Raises:
            CodesearchError: the index cannot be read, or lacks the ref.
            CheckpointError: its model cannot be read.
        """
        reader = Reader(folder)
        try:
            ref = choose_ref(reader, ref_name)
            checkpoint = checkpoint_of(reader)
            self._embed_ahead(checkpoint)
            if self._refresh(reader, ref, checkpoint):
                reader.close()
                reader = Reader(folder)
                ref = choose_ref(reader, ref_name)
            texts = self._open_text(folder, reader)
            vectors = self._open_vectors(folder, reader, checkpoint)
            self._note_waiting(reader, ref)
        except BaseException:
            reader.close()
            raise
        self.indexes.append(OpenIndex(reader, ref, texts, vectors, checkpoint))
        names = Counter(item.reader.name for item in self.indexes)
        self.indexes = [
            replace(item, has_namesake=names[item.reader.name] > 1) for item in self.indexes
        ]

    @property
    def behind(self) -> list[OpenIndex]:
        """Those whose repository has changes that are too many for a query to take in."""
        return [item for item in self.indexes if item.reader.root in self._behind]

    @property
    def told(self) -> list[str]:
        """All that the user should know."""
        return [*self.notes, *self.unopened]

    @property
    def is_current(self) -> bool:
        """Whether the open indexes are those on disk."""
        return all(read_facts(item.reader.folder) == item.reader.facts for item in self.indexes)

    def recheck(self) -> bool:
        """Look at the repositories again; False: an index has changed and must be opened anew."""
        self._opened_at = time.perf_counter()
        self.notes, self.is_stale, self.waiting = [], False, 0
        self._behind.clear()
        if not self.is_current:
            return False
        for item in self.indexes:
            if self._refresh(item.reader, item.ref, item.checkpoint):
                return False
            self._note_waiting(item.reader, item.ref)
        return True

    def close(self) -> None:
        """Close all indexes."""
        for item in self.indexes:
            item.reader.close()

    def _refresh(self, reader: Reader, ref: RefInfo, checkpoint: Checkpoint) -> bool:
        """Take a small change in, note any other; tells whether the index was written."""
        if time.perf_counter() - self._opened_at > FRESHNESS_SECONDS:
            self.notes.append(f"{reader.name}: not checked for changes, to answer at once")
            return False
        change = find_change(reader, ref)
        if not change.is_stale:
            return False
        if change.is_small and take_in(self.home, reader, ref, change, checkpoint):
            return True
        self.is_stale = True
        if change.repository is not None:
            self._behind.add(reader.root)
        is_busy = is_being_written(reader.folder)
        self.notes.append(change.note_meanwhile(reader) if is_busy else change.note(reader, ref))
        return False

    def _note_waiting(self, reader: Reader, ref: RefInfo) -> None:
        waiting, _ = reader.pending_tokens()
        if waiting:
            self.waiting += waiting
            note = (
                f"{reader.name}: {waiting:,} texts are found by words only until they are encoded"
            )
            is_busy = is_being_written(reader.folder)
            command = "" if is_busy else f"; run `{refresh_command(reader, ref)}`"
            self.notes.append(note + command)

    def _open_text(self, folder: RepoFolder, reader: Reader) -> TextIndex:
        """The text index; made anew in passing where the file is missing, damaged or behind."""
        index = TextIndex.open_current(folder.text_index, reader.text_generation)
        if index is not None:
            return index
        with storage_failures(self.home.folder), writing_if_free(folder) as is_held:
            return sync_text(folder.text_index, reader, is_held)

    def _open_vectors(
        self, folder: RepoFolder, reader: Reader, checkpoint: Checkpoint
    ) -> VectorIndex | None:
        """The FAISS index; made anew in passing where the file is missing, damaged or behind."""
        index = VectorIndex.open(folder.faiss, checkpoint.dimension)
        if index is not None and reader.is_synced:
            return index
        try:
            return self._rebuild_vectors(folder, reader, checkpoint.dimension)
        except (CodesearchError, OSError) as error:
            self.notes.append(f"{reader.name}: found by words only: {error}")
            return index

    def _rebuild_vectors(self, folder: RepoFolder, reader: Reader, dimension: int) -> VectorIndex:
        with storage_failures(self.home.folder), writing_if_free(folder) as is_held:
            vectors = VectorStore(self.home.vectors)
            try:
                return sync(folder.faiss, dimension, reader.encoded(), vectors, is_held)[0]
            finally:
                vectors.close()

    def _query_encoder(self, checkpoint: Checkpoint) -> QueryEncoder:
        """The light encoder where it knows the architecture, else torch."""
        if checkpoint.is_bert:
            from models.light_encoder import LightEncoder

            return LightEncoder(checkpoint)
        started = time.perf_counter()
        from models.encoder import Encoder

        encoder = Encoder(checkpoint)
        seconds = time.perf_counter() - started
        self.notes.append(f"loading {checkpoint.name} in torch took {seconds:.1f} s")
        return encoder


def checkpoint_of(reader: Reader) -> Checkpoint:
    """The model that an index is bound to.

    Raises:
        IndexMismatch: it is gone, or its weights are not those that made the index.
    """
    rebuild = rebuild_command(reader.facts)
    try:
        checkpoint = open_checkpoint(reader.facts["model"])
    except CheckpointError as error:
        raise IndexMismatch(
            f"the model that indexed {reader.name} cannot be opened: {error}",
            f"restore it, or {rebuild}",
        ) from error
    made_by = reader.facts["fingerprint"]
    if checkpoint.fingerprint != made_by:
        raise IndexMismatch(
            f"{reader.name} was indexed with another {checkpoint.name} ({made_by[:12]}, "
            f"now {checkpoint.fingerprint[:12]})",
            rebuild,
        )
    return checkpoint
