"""A repository becomes an index: list, prepare what is new, map the ref, encode what is pending.

The order makes a kill harmless. New file versions are stored with their chunks and the inputs
that wait to be encoded; then the ref maps to them (from here on the text index answers); then
batches of inputs become vectors: first stored under their content key, then taken off the waiting
list. A run that is killed anywhere loses at most one batch; the next one goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from indexer.errors import IndexDamaged
from indexer.prepare import PreparedFile, SourceFile, prepare_files
from indexer.progress import SILENCE, Progress
from indexer.sources.repository import Repository
from indexer.sources.walk import BlobReader, Listing, Selection, Stamp, list_files
from indexer.storage.binding import check_binding, facts_of
from indexer.storage.failures import storage_failures
from indexer.storage.faiss_cache import sync
from indexer.storage.home import IndexHome, RepoFolder
from indexer.storage.locking import writing
from indexer.storage.reader import Reader
from indexer.storage.store import Store
from indexer.storage.vectors import VectorStore
from models.batching import batches
from models.checkpoint import Checkpoint
from models.inputs import EncoderInput

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
    new_files: int  # file versions that were read
    encoded_chunks: int  # vectors that were made
    encoded_tokens: int
    unreadable: tuple[str, ...]  # paths that were listed but could not be read


def index_ref(
    home: IndexHome,
    repository: Repository,
    ref: str | None,
    selection: Selection,
    checkpoint: Checkpoint,
    load_encoder: Callable[[], BatchEncoder],
    progress: Progress,
    rebuild: bool = False,
) -> IndexReport:
    """Bring the index of one ref up to date.

    Args:
        home: where indexes live.
        repository: what is indexed.
        ref: a branch, tag or commit; None is the working tree (HEAD of a bare repository).
        selection: which paths take part; remembered for later refreshes.
        checkpoint: the model; an index is bound to one.
        load_encoder: called only when there is something to encode.
        progress: is told how it goes.
        rebuild: throw away the repository's index first.

    Raises:
        IndexMismatch: the index was made by another model or schema.
        IndexDamaged: the index cannot be read.
        RefNotFound: there is no such ref.
        StorageError: the disk is full or not writable.
    """
    folder = home.repo(repository.root)
    folder.create()
    with storage_failures(home.folder), writing(folder, progress):
        if rebuild:
            _discard(home, folder)
        check_binding(folder, checkpoint)
        listing = list_files(repository, ref, selection, _known_stamps(folder))
        return update_index(
            home, repository, listing, selection, checkpoint, load_encoder, progress
        )


def update_index(
    home: IndexHome,
    repository: Repository,
    listing: Listing,
    selection: Selection,
    checkpoint: Checkpoint,
    load_encoder: Callable[[], BatchEncoder],
    progress: Progress = SILENCE,
    max_encode_tokens: int | None = None,
) -> IndexReport:
    """Bring the index to a listing; the caller holds the repository's lock.

    Args:
        home: as for `index_ref`, like the other arguments that it shares.
        repository: what is indexed.
        listing: the files that the ref has now.
        selection: what the listing was restricted to.
        checkpoint: the model.
        load_encoder: called only when there is something to encode.
        progress: is told how it goes.
        max_encode_tokens: leave everything unencoded for a later run where it is more than this.
    """
    folder = home.repo(repository.root)
    with storage_failures(home.folder):
        store, vectors = Store(folder.database), VectorStore(home.vectors)
        try:
            store.bind(facts_of(repository, checkpoint))
            listing = _storable(listing)
            new, unreadable = _add_new_files(
                store, vectors, repository, listing, checkpoint, progress
            )
            store.set_ref(listing, selection)
            chunks, tokens = encode_pending(
                store, vectors, checkpoint, load_encoder, progress, max_encode_tokens
            )
            refresh_faiss(folder, store, vectors, checkpoint)
        finally:
            store.close()
            vectors.close()
    return IndexReport(
        listing.ref, listing.commit, len(listing.files), new, chunks, tokens, unreadable
    )


def encode_pending(
    store: Store,
    vectors: VectorStore,
    checkpoint: Checkpoint,
    load_encoder: Callable[[], BatchEncoder],
    progress: Progress,
    max_tokens: int | None = None,
) -> tuple[int, int]:
    """Make the vectors that are missing; returns how many, and of how many tokens."""
    waiting = store.pending()
    done = vectors.known(waiting)
    if done:  # another repository or a killed run made them
        store.finish(list(done))
    todo = {key: tokens for key, tokens in waiting.items() if key not in done}
    if not todo or (max_tokens is not None and sum(todo.values()) > max_tokens):
        return 0, 0
    encoder = load_encoder()
    keys, lengths = list(todo), list(todo.values())
    progress.start("encoding", sum(lengths), "tokens")
    for positions in batches(lengths, checkpoint.sasa.full_tokens):
        batch = [keys[i] for i in positions]
        vectors.put(batch, encoder.embed(store.inputs(batch)))
        store.finish(batch)
        progress.advance(sum(lengths[i] for i in positions))
    return len(keys), sum(lengths)


def refresh_faiss(
    folder: RepoFolder, store: Store, vectors: VectorStore, checkpoint: Checkpoint
) -> None:
    """Bring the FAISS file up to date with the store.

    Chunks whose vector has gone (a deleted or damaged `vectors.db`) lose their file version, so
    that the next run reads and encodes it anew.
    """
    _, lost = sync(folder.faiss, checkpoint.dimension, store.chunk_keys(), vectors)
    if lost:
        store.drop_files(store.files_of_chunks(lost))
    store.mark_synced()


def add_files(
    store: Store,
    vectors: VectorStore,
    files: Iterable[PreparedFile],
    progress: Progress,
) -> int:
    """Store prepared files in batches; returns how many."""
    iterator, total = iter(files), 0
    while batch := list(islice(iterator, _FILES_PER_COMMIT)):
        keys = {chunk.key for file in batch for chunk in file.chunks}
        store.add_files(batch, vectors.known(keys))
        total += len(batch)
        progress.advance(len(batch))
    return total


def _add_new_files(
    store: Store,
    vectors: VectorStore,
    repository: Repository,
    listing: Listing,
    checkpoint: Checkpoint,
    progress: Progress,
) -> tuple[int, tuple[str, ...]]:
    known = store.file_ids()
    new = {path: blob for path, blob in listing.files.items() if (path, blob) not in known}
    if not new:
        return 0, ()
    unreadable: list[str] = []
    progress.start("reading", len(new), "files")
    with BlobReader(repository) as reader:
        source = _read(reader, new, listing.ref, unreadable)
        total = add_files(store, vectors, prepare_files(checkpoint, source), progress)
    for path in unreadable:
        listing.files.pop(path)
        listing.stamps.pop(path, None)
        listing.skipped[path] = "unreadable"
    return total, tuple(unreadable)


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
    reader = Reader(folder)
    try:
        return reader.stamps() if reader.facts else {}
    finally:
        reader.close()


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
