"""A repository becomes an index: list, prepare what is new, map the ref, encode what is pending.

The order makes a kill harmless. New file versions are stored with their chunks and the inputs
that wait to be encoded; then the ref maps to them (from here on the text index answers); then
batches of inputs become vectors: first stored under their content key, then taken off the waiting
list. A run that is killed anywhere loses at most one batch; the next one goes on from there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from indexer.errors import IndexDamaged
from indexer.prepare import SourceFile, prepare_files
from indexer.progress import SILENCE, Progress
from indexer.sources.repository import Repository
from indexer.sources.walk import BlobReader, Listing, Selection, Stamp, list_files
from indexer.storage.binding import check_binding, facts_of
from indexer.storage.failures import storage_failures
from indexer.storage.faiss_cache import VectorIndex, sync
from indexer.storage.home import IndexHome, RepoFolder
from indexer.storage.locking import writing
from indexer.storage.reader import Reader
from indexer.storage.vectors import VectorStore
from models.batching import batches
from models.checkpoint import Checkpoint
from models.inputs import EncoderInput

if TYPE_CHECKING:
    from indexer.storage.store import Store

# Files whose chunks are stored in one transaction: what a kill while preparing can lose.
_FILES_PER_COMMIT = 64


class BatchEncoder(Protocol):
    """Whatever turns a batch of inputs into unit vectors (B, E)."""

    def embed(self, inputs: Sequence[EncoderInput]) -> NDArray[np.float32]:
        """Encode one batch."""


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What a run did."""

    ref: str
    commit: str | None
    files: int  # in the ref, with chunks or without
    new_files: int = 0  # file versions that were read
    encoded_chunks: int = 0  # vectors that were made
    encoded_tokens: int = 0
    unreadable: tuple[str, ...] = ()  # paths that were listed but could not be read


@dataclass(frozen=True, slots=True)
class IndexBuild:
    """One repository's index being brought up to date.

    Attributes:
        home: Where indexes live.
        repository: What is indexed.
        checkpoint: The model; an index is bound to one.
        load_encoder: Called only when there is something to encode.
        progress: Is told how it goes.
    """

    home: IndexHome
    repository: Repository
    checkpoint: Checkpoint
    load_encoder: Callable[[], BatchEncoder]
    progress: Progress = SILENCE

    @property
    def folder(self) -> RepoFolder:
        """Where the index is."""
        return self.home.repo(self.repository.root)

    def run(self, ref: str | None, selection: Selection, rebuild: bool = False) -> IndexReport:
        """Bring one ref up to date; waits for another process that writes the same index.

        Args:
            ref: a branch, tag or commit; None is the working tree (HEAD of a bare repository).
            selection: which paths take part; remembered for later refreshes.
            rebuild: throw away the repository's index first.

        Raises:
            IndexMismatch: the index was made by another model or schema.
            IndexDamaged: the index cannot be read.
            RefNotFound: there is no such ref.
            StorageError: the disk is full or not writable.
        """
        self.folder.create()
        with storage_failures(self.home.folder), writing(self.folder, self.progress):
            if rebuild:
                _discard(self.home, self.folder)
            check_binding(self.folder, self.checkpoint)
            listing = list_files(self.repository, ref, selection, _known_stamps(self.folder))
            if _is_current(self.folder, listing, selection, self.checkpoint.dimension):
                return IndexReport(listing.ref, listing.commit, len(listing.files))
            return self.update(listing, selection)

    def update(
        self, listing: Listing, selection: Selection, max_encode_tokens: int | None = None
    ) -> IndexReport:
        """Bring the index to a listing; the caller holds the repository's lock.

        Args:
            listing: the files that the ref has now.
            selection: what the listing was restricted to.
            max_encode_tokens: leave encoding to a later run where there is more than this.
        """
        from indexer.storage.store import Store  # imports the ORM, which a query has no need of

        with storage_failures(self.home.folder):
            store, vectors = Store(self.folder.database), VectorStore(self.home.vectors)
            try:
                store.bind(facts_of(self.repository, self.checkpoint))
                listing = _storable(listing)
                new, unreadable = self._add_new_files(store, vectors, listing)
                store.set_ref(listing, selection)
                chunks, tokens = self._encode_pending(store, vectors, max_encode_tokens)
                lost = self._refresh_faiss(store, vectors)
            finally:
                store.close()
                vectors.close()
        if lost:
            return self.update(listing, selection, max_encode_tokens)
        files = len(listing.files)
        return IndexReport(listing.ref, listing.commit, files, new, chunks, tokens, unreadable)

    def _add_new_files(
        self, store: Store, vectors: VectorStore, listing: Listing
    ) -> tuple[int, tuple[str, ...]]:
        """Read, prepare and store what the index lacks; how many, and what could not be read."""
        known = store.file_ids()
        new = {path: blob for path, blob in listing.files.items() if (path, blob) not in known}
        if not new:
            return 0, ()
        unreadable: list[str] = []
        self.progress.start("reading", len(new), "files")
        with BlobReader(self.repository) as reader:
            source = _read(reader, new, listing.ref, unreadable)
            prepared, total = prepare_files(self.checkpoint, source), 0
            while batch := list(islice(prepared, _FILES_PER_COMMIT)):
                keys = {chunk.key for file in batch for chunk in file.chunks}
                store.add_files(batch, vectors.known(keys))
                total += len(batch)
                self.progress.advance(len(batch))
        for path in unreadable:
            listing.files.pop(path)
            listing.stamps.pop(path, None)
            listing.skipped[path] = "unreadable"
        return total, tuple(unreadable)

    def _encode_pending(
        self, store: Store, vectors: VectorStore, max_tokens: int | None
    ) -> tuple[int, int]:
        """Make the vectors that are missing; returns how many, and of how many tokens."""
        waiting = store.pending()
        done = vectors.known(waiting)
        if done:  # another repository or a killed run made them
            store.finish(list(done))
        todo = {key: tokens for key, tokens in waiting.items() if key not in done}
        if not todo or (max_tokens is not None and sum(todo.values()) > max_tokens):
            return 0, 0
        encoder = self.load_encoder()
        keys, lengths = list(todo), list(todo.values())
        self.progress.start("encoding", sum(lengths), "tokens")
        for positions in batches(lengths, self.checkpoint.sasa.full_tokens):
            batch = [keys[i] for i in positions]
            vectors.put(batch, encoder.embed(store.inputs(batch)))
            store.finish(batch)
            self.progress.advance(sum(lengths[i] for i in positions))
        return len(keys), sum(lengths)

    def _refresh_faiss(self, store: Store, vectors: VectorStore) -> bool:
        """Bring the FAISS file up to date with the store; tells whether vectors were lost.

        Chunks whose vector has gone (a deleted or damaged `vectors.db`) lose their file version,
        to be read and encoded anew.
        """
        dimension = self.checkpoint.dimension
        _, lost = sync(self.folder.faiss, dimension, store.chunk_keys(), vectors)
        if lost:
            store.drop_files(store.files_of_chunks(lost))
        store.mark_synced()
        return bool(lost)


def _read(
    reader: BlobReader, files: dict[str, str], ref: str, unreadable: list[str]
) -> Iterator[SourceFile]:
    for path, blob_id in files.items():
        try:
            yield SourceFile(path, blob_id, reader.read(path, blob_id, ref))
        except OSError:  # gone or changed since it was listed, or not in a partial clone
            unreadable.append(path)


def _known_stamps(folder: RepoFolder) -> dict[str, Stamp]:
    if not folder.exists:
        return {}
    with closing(Reader(folder)) as reader:
        return reader.stamps() if reader.facts else {}


def _is_current(
    folder: RepoFolder, listing: Listing, selection: Selection, dimension: int
) -> bool:
    """Whether the index holds just this already, encoded and searchable: then all is done."""
    if not folder.exists:
        return False
    with closing(Reader(folder)) as reader:
        refs = {ref.name: ref for ref in reader.refs()} if reader.facts else {}
        ref = refs.get(listing.ref)
        return (
            ref is not None
            and (ref.commit, ref.selection) == (listing.commit, selection)
            and ref.skipped == Counter(listing.skipped.values())
            and reader.is_synced
            and reader.pending_tokens()[0] == 0
            and reader.files(ref.id) == listing.files
            and (not listing.stamps or reader.stamps() == listing.stamps)
            and VectorIndex.open(folder.faiss, dimension) is not None
        )


def _discard(home: IndexHome, folder: RepoFolder) -> None:
    """Delete a repository's index; a damaged `vectors.db` is set aside, a sound one is kept."""
    for path in (folder.database, folder.faiss):
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    try:
        VectorStore(home.vectors).close()
    except IndexDamaged:
        home.vectors.replace(home.vectors.with_suffix(".damaged"))


def _storable(listing: Listing) -> Listing:
    """Leave out file names that are not UTF-8: no output format could print them."""
    named = {path: path.isascii() or _is_utf8(path) for path in listing.files}
    if all(named.values()):
        return listing
    bad = [path for path, good in named.items() if not good]
    return replace(
        listing,
        files={path: blob for path, blob in listing.files.items() if named[path]},
        stamps={path: stamp for path, stamp in listing.stamps.items() if _is_utf8(path)},
        skipped={**listing.skipped, **dict.fromkeys(bad, "file name is not UTF-8")},
    )


def _is_utf8(path: str) -> bool:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
