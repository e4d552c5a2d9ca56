"""What the disk and the databases throw, in words that a user can act on."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from indexer.errors import CodesearchError, IndexDamaged, StorageError

_FULL = "database or disk is full"


@contextmanager
def storage_failures(folder: Path) -> Iterator[None]:
    """Translate faults of the storage under `folder`; everything else passes."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _full(folder) from error
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise StorageError(
                f"cannot write the index in {folder}: {error.strerror}",
                "choose another place with --index DIR",
            ) from error
        raise
    except Exception as error:
        cause = getattr(error, "orig", error)  # SQLAlchemy wraps what sqlite3 raised
        if not isinstance(cause, sqlite3.DatabaseError):
            raise
        raise database_failure(folder, cause) from error


def database_failure(folder: Path, cause: sqlite3.DatabaseError) -> CodesearchError:
    """What a fault of a database means to its user: full, not writable, locked or damaged."""
    message = str(cause)
    if _FULL in message:
        return _full(folder)
    if "readonly" in message or "unable to open" in message:
        return StorageError(
            f"cannot write the index in {folder}: {message}",
            "choose another place with --index DIR",
        )
    if "locked" in message:
        return StorageError(
            f"the index in {folder} stays locked by another process", "try again when it is done"
        )
    return IndexDamaged(
        f"the index in {folder} is damaged ({message})",
        "run `codesearch index --rebuild` in the repository to make it anew",
    )


def _full(folder: Path) -> StorageError:
    return StorageError(
        f"no space left on the disk that holds {folder}",
        "free some space and run the same command again: what was indexed is kept",
    )
