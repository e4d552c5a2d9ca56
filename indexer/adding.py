"""File versions that the index lacks are read, prepared and stored; then the ref maps to them.

A ref that is new maps to what there is every few seconds, so that a large repository can be
searched by words while it is read; any other keeps its old state until the new one is complete.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.prepare import PreparedFile, SourceFile
from indexer.progress import Progress
from indexer.sources.repository import Repository
from indexer.sources.walk import BlobReader, Listing, Selection
from indexer.storage.vectors import VectorStore
from indexer.workers import prepare_files
from models.checkpoint import Checkpoint

if TYPE_CHECKING:
    from indexer.storage.store import Store

# Files whose chunks are stored in one transaction: what a kill while preparing can lose.
_FILES_PER_COMMIT = 64
# A new ref shows its first files after so long, then more as often as takes a tenth of the time.
PUBLISH_SECONDS = 3.0
_PUBLISHING_SHARE = 0.1


class Stopped(Exception):
    """Adding was told to stop; nobody waits for its result any more."""


@dataclass(frozen=True, slots=True)
class Added:
    """What was added."""

    files: int
    unreadable: tuple[str, ...]  # paths that were listed but could not be read
    seconds: float


@dataclass(frozen=True, slots=True)
class Adding:
    """One repository's new files on their way into its index.

    Attributes:
        store: Where they go.
        publish_words: Called when the ref maps to more, to let it be found by its words.
        vectors: The file of the vectors; what has one already need not be encoded.
        repository: Where they are.
        checkpoint: The model that they are prepared for.
        progress: Is told how it goes.
        stop: Set by another thread, ends it at the next file.
    """

    store: Store
    publish_words: Callable[[], None]
    vectors: Path
    repository: Repository
    checkpoint: Checkpoint
    progress: Progress
    stop: threading.Event

    def run(self, listing: Listing, selection: Selection) -> Added:
        """Add what is new and map the ref to the listing, less what cannot be read."""
        started = time.perf_counter()
        unreadable: list[str] = []
        total = self._add_files(listing, selection, unreadable)
        for path in unreadable:
            listing.files.pop(path)
            listing.stamps.pop(path, None)
            listing.skipped[path] = "unreadable"
        self._publish(listing, selection)
        return Added(total, tuple(unreadable), time.perf_counter() - started)

    def _publish(self, listing: Listing, selection: Selection) -> float:
        """Map the ref to what is stored of it; how many seconds that took."""
        started = time.perf_counter()
        self.store.set_ref(listing, selection)
        self.publish_words()
        return time.perf_counter() - started

    def _add_files(self, listing: Listing, selection: Selection, unreadable: list[str]) -> int:
        """Read, prepare and store what the index lacks; how many, and what could not be read."""
        known, total = self.store.file_ids(), 0
        new = {path: blob for path, blob in listing.files.items() if (path, blob) not in known}
        if not new:
            return 0
        self.progress.start("reading", len(new), "files")
        due = float("inf")
        if listing.ref not in self.store.ref_names():
            due = time.perf_counter() + PUBLISH_SECONDS
        with (
            BlobReader(self.repository) as reader,
            closing(VectorStore(self.vectors)) as vectors,
            closing(self._prepared(_read(reader, new, listing.ref, unreadable))) as prepared,
        ):
            while batch := list(islice(prepared, _FILES_PER_COMMIT)):
                keys = {chunk.key for file in batch for chunk in file.chunks}
                self.store.add_files(batch, vectors.known(keys))
                total += len(batch)
                self.progress.advance(len(batch))
                if time.perf_counter() >= due:
                    spent = self._publish(listing, selection)
                    pause = max(PUBLISH_SECONDS, spent / _PUBLISHING_SHARE)
                    due = time.perf_counter() + pause
        return total

    def _prepared(self, source: Iterator[SourceFile]) -> Generator[PreparedFile, None, None]:
        with closing(prepare_files(self.checkpoint, source)) as prepared:
            for file in prepared:
                if self.stop.is_set():
                    raise Stopped
                yield file


def _read(
    reader: BlobReader, files: dict[str, str], ref: str, unreadable: list[str]
) -> Iterator[SourceFile]:
    for path, blob_id in files.items():
        try:
            yield SourceFile(path, blob_id, reader.read(path, blob_id, ref))
        except OSError:  # gone or changed since it was listed, or not in a partial clone
            unreadable.append(path)
