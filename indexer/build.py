"""A repository becomes an index: list, add what is new, map the ref, encode what is pending.

The order makes a kill harmless. New file versions are stored with their chunks and the inputs
that wait to be encoded; then the ref maps to them (from here on the text index answers); then
batches of inputs become vectors: first stored under their content key, then taken off the waiting
list. A run that is killed anywhere loses at most one batch; the next one goes on from there.

Who does what:

- Worker processes parse, tokenize and choose blocks; they touch nothing that is stored.
- The thread `preparing` reads files, gives them to the workers, stores what comes back and maps
  the ref. It has a `VectorStore` of its own, to ask what is encoded already.
- The thread `reading` reads the next batches of waiting inputs.
- The caller's thread encodes, and at the end brings FAISS up to date.
- The thread `writing` stores a batch's vectors and takes it off the waiting list.

All of them share one `Store`, each call a transaction on a connection of its own. Whether encoding
waits until preparing is done is the device's `Pace`. An error in any thread ends the run with that
error: every result is asked for. Ctrl-C reaches the caller's thread alone, which tells the others
to stop and waits for them.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from indexer.adding import Added, Adding
from indexer.encoding import Backlog, BatchEncoder, Encoded, encode_backlog, settle_known
from indexer.errors import IndexDamaged, UsageError
from indexer.progress import SILENCE, Progress
from indexer.sources.repository import Repository
from indexer.sources.skip import is_utf8
from indexer.sources.walk import Listing, Selection, Stamp, list_files
from indexer.storage.binding import check_binding, facts_of
from indexer.storage.failures import storage_failures
from indexer.storage.faiss_cache import VectorIndex
from indexer.storage.faiss_sync import sync
from indexer.storage.home import IndexHome, RepoFolder
from indexer.storage.locking import writing
from indexer.storage.reader import Reader
from indexer.storage.text_index import TextIndex, sync_text
from indexer.storage.vectors import VectorStore
from models.batching import ON_CPU, Pace
from models.checkpoint import Checkpoint

if TYPE_CHECKING:
    from indexer.storage.store import Store


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What a run did."""

    ref: str
    commit: str | None
    files: int  # in the ref, with chunks or without
    new_files: int = 0  # file versions that were read
    unreadable: tuple[str, ...] = ()  # paths that were listed but could not be read
    prepare_seconds: float = 0.0  # reading, parsing, tokenizing and storing
    encoded: Encoded = Encoded()


@dataclass(frozen=True, slots=True)
class IndexBuild:
    """One repository's index being brought up to date.

    Attributes:
        home: Where indexes live.
        repository: What is indexed.
        checkpoint: The model; an index is bound to one.
        load_encoder: Called only when there is something to encode.
        progress: Is told how it goes.
        choose_pace: The pace of the device that will encode.
    """

    home: IndexHome
    repository: Repository
    checkpoint: Checkpoint
    load_encoder: Callable[[], BatchEncoder]
    progress: Progress = SILENCE
    choose_pace: Callable[[], Pace] = lambda: ON_CPU

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
            UsageError: the repository's path is not UTF-8, so no output could name it.
        """
        root = str(self.repository.root)
        if not is_utf8(root):
            shown = root.encode("utf-8", "replace").decode()
            raise UsageError(f"the path {shown} is not UTF-8", "rename the folder")
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
                added, encoded = self._add_and_encode(
                    store, vectors, listing, selection, max_encode_tokens
                )
                lost = self._refresh_faiss(store, vectors)
            finally:
                store.close()
                vectors.close()
        if lost:
            return self.update(listing, selection, max_encode_tokens)
        return IndexReport(
            listing.ref,
            listing.commit,
            len(listing.files),
            added.files,
            added.unreadable,
            added.seconds,
            encoded,
        )

    def _add_and_encode(
        self,
        store: Store,
        vectors: VectorStore,
        listing: Listing,
        selection: Selection,
        max_tokens: int | None,
    ) -> tuple[Added, Encoded]:
        """Add files in a thread of its own, and encode in this one."""
        stop = threading.Event()
        adding = Adding(
            store,
            self._publish_words,
            self.home.vectors,
            self.repository,
            self.checkpoint,
            self.progress,
            stop,
        )
        with ThreadPoolExecutor(1, "preparing") as preparing:
            try:
                added = preparing.submit(adding.run, listing, selection)
                encoded = self._encode(store, vectors, added, max_tokens)
                return added.result(), encoded
            finally:
                stop.set()

    def _publish_words(self) -> None:
        """Bring the text index up to date with the store."""
        with closing(Reader(self.folder)) as reader:
            sync_text(self.folder.text_index, reader)

    def _encode(
        self, store: Store, vectors: VectorStore, added: Future[Added], max_tokens: int | None
    ) -> Encoded:
        """Make the vectors that are missing; the encoder is loaded while files are still read."""
        pace = self.choose_pace()
        if max_tokens is not None:
            added.result()
        settle_known(store, vectors)
        if max_tokens is not None and store.pending_tokens() > max_tokens:
            return Encoded()
        backlog = Backlog(store, pace, added)
        if not backlog.wait_for_work():
            return Encoded()
        if added.done():
            self.progress.start("loading the encoder", 0, "")
        encoder = self.load_encoder()
        if not pace.overlaps:
            added.result()
        encoded = encode_backlog(backlog, store, vectors, encoder, self.progress)
        store.bind({"last_encoding": f"{encoded.pace}; {encoder.account()}"})
        return encoded

    def _refresh_faiss(self, store: Store, vectors: VectorStore) -> bool:
        """Bring the FAISS file up to date with the store; tells whether vectors were lost.

        Chunks whose vector has gone (a deleted or damaged `vectors.db`) lose their file version,
        to be read and encoded anew.
        """
        dimension = self.checkpoint.dimension
        with closing(Reader(self.folder)) as reader:
            encoded = reader.encoded()
        _, lost = sync(self.folder.faiss, dimension, encoded, vectors)
        if lost:
            store.drop_files(store.files_of_chunks(lost))
        store.mark_synced()
        return bool(lost)


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
            and TextIndex.open_current(folder.text_index, reader.text_generation) is not None
        )


def _discard(home: IndexHome, folder: RepoFolder) -> None:
    """Delete a repository's index; a damaged `vectors.db` is set aside, a sound one is kept."""
    for path in (folder.database, folder.faiss, folder.text_index):
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    try:
        VectorStore(home.vectors).close()
    except IndexDamaged:
        home.vectors.replace(home.vectors.with_suffix(".damaged"))
