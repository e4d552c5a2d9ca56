"""One process at a time writes a repository's index."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from indexer.progress import Progress
from indexer.storage.home import RepoFolder

# A writer that is already there gets this long to finish before anything is said.
_QUIET_SECONDS = 0.5


@contextmanager
def writing(folder: RepoFolder, progress: Progress) -> Iterator[None]:
    """Hold the repository's lock; where another process has it, say so and wait.

    What killed writers left is removed.
    """
    lock = FileLock(folder.lock, mode=0o600)
    try:
        lock.acquire(timeout=_QUIET_SECONDS)
    except Timeout:
        progress.say("another process is indexing this repository; waiting for it to finish")
        lock.acquire()
    try:
        folder.delete_leftovers()
        yield
    finally:
        lock.release()


def is_being_written(folder: RepoFolder) -> bool:
    """Whether some process holds the lock."""
    lock = FileLock(folder.lock, mode=0o600)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:  # nobody can write here
        return False
    lock.release()
    return False


@contextmanager
def writing_if_free(folder: RepoFolder) -> Iterator[bool]:
    """Hold the lock where nobody has it and it can be written; tells whether it is held."""
    lock = FileLock(folder.lock, mode=0o600)
    try:
        lock.acquire(timeout=0)
    except OSError:  # also `Timeout`
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
